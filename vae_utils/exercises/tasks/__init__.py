"""The exercises, one module each: task, hints, solution, probes, and what is special in judging it."""
