"""The exercises, one module each: the solution, the known mistakes with their explanations, and what they are tried on."""
