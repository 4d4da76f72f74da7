"""Verdicts on objectives and targets, what they cost, and the exit code that follows."""
