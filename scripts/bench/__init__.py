"""Benchmarks of training and of what moves in a browser; they print figures and assert nothing."""
