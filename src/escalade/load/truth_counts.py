"""What the truth server counts, and its page for Prometheus."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counts:
    """What `/metrics` shows."""

    requests: int = 0
    tokens: int = 0
    cached: int = 0
    processing: int = 0
    deferred: int = 0

    def page(self) -> bytes:
        """Give the page in Prometheus' text format."""
        rows = [
            ("requests_total", "counter", "Requests that ended.", self.requests),
            ("tokens_total", "counter", "Tokens generated.", self.tokens),
            ("cached_prompt_tokens_total", "counter", "Prompt tokens seen before.", self.cached),
            ("requests_processing", "gauge", "Requests in a slot.", self.processing),
            ("requests_deferred", "gauge", "Requests waiting for a slot.", self.deferred),
        ]
        return "".join(
            f"# HELP truth_{name} {what}\n# TYPE truth_{name} {kind}\ntruth_{name} {value}\n"
            for name, kind, what, value in rows
        ).encode()
