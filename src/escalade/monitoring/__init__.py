"""Prometheus for a cell: its configuration, its life, its samples, its archive."""
