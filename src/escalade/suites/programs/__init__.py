"""The shipped component benchmarks, each a program of its own that prints one number a line."""
