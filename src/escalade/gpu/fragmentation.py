"""Fragmentation of PyTorch's CUDA memory, as its allocator in this process counts it.

The driver can't tell: memory that the allocator keeps for later counts as used there. A service
says it of itself, with `watch_allocator()`: docs/fragmentation.md. It stands on prometheus-client
alone, imports no torch of its own, and does not initialise CUDA.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

RATIO = "escalade_cuda_allocator_fragmentation_ratio"
MEMORY = "escalade_cuda_allocator_memory_bytes"
FRAGMENTATION = "escalade_cuda_fragmentation_events_total"
CAPACITY = "escalade_cuda_capacity_events_total"
UNJUDGED = "escalade_cuda_unjudged_events_total"
SETTINGS = "escalade_cuda_allocator_settings_info"
SWARM = "swarm_cuda_fragmentation_events_total"

CONF_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
"""Environment variables of the allocator's settings; the first is the name in newer releases."""
_JUDGED_BACKEND = "native"
_LABELS = ("device", "uuid")

Cause = Literal["fragmentation", "capacity"]


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the allocator says of one device at one moment; bytes and counts since its start.

    Parameters
    ----------
    reserved
        Taken from the driver.
    active
        In use by tensors, or still awaited by a stream.
    inactive_split
        Idle, and in segments of which another part is in use: it can't be given back.
    retries
        Allocations that the driver refused until all idle segments were given back.
    ooms
        Allocations that it refused after that too.
    """

    reserved: int
    active: int
    inactive_split: int
    retries: int
    ooms: int

    @classmethod
    def read(cls, found: Mapping[str, int]) -> Statistics | None:
        """Read what `torch.cuda.memory_stats` gave; None where it has not all of it."""
        keys = {
            "reserved": "reserved_bytes.all.current",
            "active": "active_bytes.all.current",
            "inactive_split": "inactive_split_bytes.all.current",
            "retries": "num_alloc_retries",
            "ooms": "num_ooms",
        }
        if any(key not in found for key in keys.values()):
            return None
        return cls(**{name: int(found[key]) for name, key in keys.items()})

    @property
    def idle(self) -> int:
        """Bytes that the allocator holds and nobody uses."""
        return self.reserved - self.active

    @property
    def fragmentation_ratio(self) -> float | None:
        """Share of what is reserved that is idle and can't be given back; None of nothing."""
        return self.inactive_split / self.reserved if self.reserved else None


def cause_of_failure(state: Statistics, requested: int, limit: int, free: int) -> Cause:
    """Say why an allocation failed for good.

    Parameters
    ----------
    state
        Of the allocator, right after it failed.
    requested
        Bytes that were asked for.
    limit
        Bytes that this process may reserve: all of the device, or the share that it was given.
    free
        Bytes that the driver has free.

    Returns
    -------
    str
        "fragmentation" when idle and free memory together would have sufficed, "capacity" when not.
    """
    obtainable = max(0, min(free, limit - state.reserved))
    return "fragmentation" if state.idle + obtainable >= requested else "capacity"


class Tally:
    """Counts the events of one device by their cause.

    An allocation that succeeded when it was tried again is an event of fragmentation: what it got
    was there before, idle in pieces. One that failed is judged by its size. Where that was not
    seen it is not judged, and not left out either.
    """

    def __init__(self) -> None:
        self.failed: Counter[Cause] = Counter()
        """Allocations that failed, by why."""
        self.recovered = 0
        """Allocations that succeeded when they were tried again."""
        self._seen_before = 0
        self._ooms_before = 0
        self._last = (0, 0)

    def take(self, state: Statistics) -> None:
        """Bring the counts up to a reading; readings have to come in the order of time."""
        retries, ooms = self._last
        if state.retries < retries or state.ooms < ooms:  # reset_accumulated_memory_stats()
            self._seen_before = self.recovered
            self._ooms_before += ooms
        # One that fails was tried again before, so it is in both. A reading may fall between the
        # two: the count waits then until it is passed, since a counter never goes back.
        self.recovered = max(self.recovered, self._seen_before + max(0, state.retries - state.ooms))
        self._last = (state.retries, state.ooms)

    @property
    def unjudged(self) -> int:
        """Allocations that failed without their size being seen."""
        return max(0, self._ooms_before + self._last[1] - self.failed.total())


class AllocatorCollector(Collector):
    """Shows the allocator of this process at the moment of a scrape.

    Without torch, without CUDA, before the service has used either, and with an allocator that
    does not count these things, there are no samples: nothing that was not counted is 0.

    Parameters
    ----------
    torch
        The module; that which the service has imported by then when left out.
    swarm_names
        Show `swarm_cuda_fragmentation_events_total` too, for dashboards that have it.
    """

    def __init__(self, torch: Any = None, *, swarm_names: bool = False) -> None:
        self._given = torch
        self._swarm_names = swarm_names
        self._tallies: dict[int, Tally] = {}
        self._listens = False
        self._lock = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance: there may be nothing to show."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Give the samples of this moment."""
        torch = self._given or sys.modules.get("torch")
        cuda = getattr(torch, "cuda", None)
        if cuda is None or not cuda.is_initialized():
            return []
        backend = cuda.get_allocator_backend()
        families = _families()
        families[SETTINGS].add_metric((backend, allocator_settings()), 1)
        if backend != _JUDGED_BACKEND:
            return [families[SETTINGS]]
        with self._lock:
            self._listen(torch)
            for device in range(cuda.device_count()):
                self._show(cuda, device, families)
        return [family for family in families.values() if family.samples]

    def _show(self, cuda: Any, device: int, families: dict[str, Any]) -> None:
        state = Statistics.read(cuda.memory_stats(device))
        if state is None:
            return
        tally = self._tallies.setdefault(device, Tally())
        tally.take(state)
        key = (str(device), _uuid(cuda, device))
        families[MEMORY].add_metric((*key, "reserved"), state.reserved)
        families[MEMORY].add_metric((*key, "active"), state.active)
        if not splits_are_uncounted(allocator_settings()):
            families[MEMORY].add_metric((*key, "inactive_split"), state.inactive_split)
            if (ratio := state.fragmentation_ratio) is not None:
                families[RATIO].add_metric(key, ratio)
        families[FRAGMENTATION].add_metric((*key, "retry"), tally.recovered)
        families[FRAGMENTATION].add_metric((*key, "oom"), tally.failed["fragmentation"])
        families[CAPACITY].add_metric(key, tally.failed["capacity"])
        families[UNJUDGED].add_metric(key, tally.unjudged)
        if self._swarm_names:
            families[SWARM].add_metric(key, tally.recovered + tally.failed["fragmentation"])

    def _listen(self, torch: Any) -> None:
        """Have the allocator tell of each allocation that fails; attaching twice counts twice."""
        attach = getattr(torch._C, "_cuda_attach_out_of_memory_observer", None)  # noqa: SLF001
        if attach is not None and not self._listens:
            attach(self._failed)
            self._listens = True

    def _failed(self, device: int, requested: int, limit: int, free: int) -> None:
        """Judge an allocation that failed; the allocator calls this, in the thread that asked."""
        cuda = (self._given or sys.modules["torch"]).cuda
        state = Statistics.read(cuda.memory_stats(device))
        if state is None:
            return
        with self._lock:
            tally = self._tallies.setdefault(device, Tally())
            tally.failed[cause_of_failure(state, requested, limit, free)] += 1


def watch_allocator(
    registry: CollectorRegistry = REGISTRY, *, torch: Any = None, swarm_names: bool = False
) -> AllocatorCollector:
    """Show fragmentation of this process's CUDA memory on its page of metrics.

    Parameters
    ----------
    registry
        Where `/metrics` finds it; that of prometheus-client when left out.
    torch, swarm_names
        As `AllocatorCollector` takes them.

    Returns
    -------
    AllocatorCollector
        To unregister it by.
    """
    collector = AllocatorCollector(torch, swarm_names=swarm_names)
    registry.register(collector)
    return collector


def allocator_settings(environment: Mapping[str, str] = os.environ) -> str:
    """Give the allocator's settings from the environment, as written; "" for its defaults."""
    return next((environment[name] for name in CONF_VARIABLES if environment.get(name)), "")


def splits_are_uncounted(settings: str) -> bool:
    """Tell whether these settings have segments that grow: torch counts no idle parts of those."""
    return "expandable_segments:true" in settings.lower().replace(" ", "")


def _uuid(cuda: Any, device: int) -> str:
    """Give the GPU's UUID as the driver writes it; "" in releases that do not tell."""
    found = getattr(cuda.get_device_properties(device), "uuid", None)
    return "" if found is None else f"GPU-{str(found).removeprefix('GPU-')}"


def _families() -> dict[str, GaugeMetricFamily | CounterMetricFamily]:
    return {
        SETTINGS: GaugeMetricFamily(
            SETTINGS,
            "Allocator, and its settings from the environment.",
            labels=("backend", "conf"),
        ),
        RATIO: GaugeMetricFamily(
            RATIO,
            "Share of the reserved memory that is idle and can't be given back.",
            labels=_LABELS,
        ),
        MEMORY: GaugeMetricFamily(
            MEMORY,
            "Memory of the allocator: reserved, of it active, of it idle beside active parts.",
            labels=(*_LABELS, "state"),
        ),
        FRAGMENTATION: CounterMetricFamily(
            FRAGMENTATION,
            "Allocations tried again or failed although idle and free memory sufficed.",
            labels=(*_LABELS, "kind"),
        ),
        CAPACITY: CounterMetricFamily(
            CAPACITY, "Allocations that failed since memory did not suffice.", labels=_LABELS
        ),
        UNJUDGED: CounterMetricFamily(
            UNJUDGED, "Allocations that failed without their size being seen.", labels=_LABELS
        ),
        SWARM: CounterMetricFamily(
            SWARM,
            "Allocations tried again or failed although idle and free memory sufficed.",
            labels=_LABELS,
        ),
    }
