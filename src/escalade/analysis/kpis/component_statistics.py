"""The statistics of component benchmarks; imports no numerical library, for configurations name them too."""

from __future__ import annotations

STATISTICS = {
    "lower": (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)),
    "higher": (("p50", 0.5), ("p10", 0.1), ("p5", 0.05), ("p1", 0.01)),
}
"""Percentiles by which way is better: the tail is always the bad end."""
