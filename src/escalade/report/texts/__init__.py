"""Comparisons and histories as text: for a terminal and a pull request."""
