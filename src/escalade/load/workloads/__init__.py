"""Locustfiles to use as they are, or to copy and change."""
