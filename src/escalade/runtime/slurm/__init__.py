"""Slurm: what is asked of it, what it answers, and how its programs are called."""
