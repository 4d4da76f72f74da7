"""Measurements beside the service: component benchmarks and what they are held to."""
