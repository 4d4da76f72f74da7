"""Which sections the page has, and in which order a reader meets them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Section:
    """A section of the page, drawn by `sections/<anchor>.html.j2`.

    One with `needs` is left out where nothing under these names of the page's
    content is there; the others say what is missing.
    """

    anchor: str
    name: str
    needs: tuple[str, ...] = ()


SECTIONS = (
    Section("summary", "Summary"),
    Section("quality", "Data quality"),
    Section("latency", "Latency"),
    Section("objectives", "Objectives", ("slos",)),
    Section("throughput", "Throughput"),
    Section("interactivity", "Interactivity", ("interactivity",)),
    Section("distribution", "Distribution"),
    Section("timelines", "Timelines"),
    Section("caches", "Caches", ("caches",)),
    Section("energy", "Energy"),
    Section("cost", "Cost", ("cost",)),
    Section("disturbances", "Disturbances", ("stability", "contention", "recovery")),
    Section("findings", "Findings"),
    Section("bottleneck", "Bottleneck"),
    Section("bounds", "Upper bounds", ("bounds",)),
    Section("pairs", "Pairs", ("pairs",)),
    Section("comparison", "Comparison", ("comparison",)),
    Section("trends", "Trend", ("trends",)),
    Section("targets", "Targets", ("targets",)),
    Section("figures", "Figures per step"),
    Section("provenance", "What ran"),
    Section("methods", "Methods"),
    Section("downloads", "Downloads", ("downloads",)),
)


def sections_of(content: Mapping[str, Any]) -> list[Section]:
    """Give the sections that a page with this content has."""
    return [
        each for each in SECTIONS if not each.needs or any(content[name] for name in each.needs)
    ]
