"""The exercises, one module each: solution, hints, probes, and the known mistakes with their explanations."""
