"""The samples that a cell keeps of each step of its ladder."""

from __future__ import annotations

import math
import re
import time
from typing import TYPE_CHECKING, Any

import pandas as pd

from escalade.errors import InputError
from escalade.monitoring.answers import COLUMNS, Samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.monitoring.client import PrometheusClient

SERIES_COLUMNS = ("step", *COLUMNS)
"""Columns of series.parquet."""

SCRAPE_METRICS = ("up", "scrape_duration_seconds", "scrape_samples_scraped")
"""What Prometheus itself notes about every scrape."""

NODE_METRICS = (
    "node_context_switches_total",
    "node_cpu_seconds_total",
    "node_disk_io_time_seconds_total",
    "node_disk_read_bytes_total",
    "node_disk_reads_completed_total",
    "node_disk_writes_completed_total",
    "node_disk_written_bytes_total",
    "node_load1",
    "node_load5",
    "node_memory_Buffers_bytes",
    "node_memory_Cached_bytes",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemFree_bytes",
    "node_memory_MemTotal_bytes",
    "node_memory_SwapFree_bytes",
    "node_memory_SwapTotal_bytes",
    "node_network_receive_bytes_total",
    "node_network_receive_drop_total",
    "node_network_receive_errs_total",
    "node_network_speed_bytes",
    "node_network_transmit_bytes_total",
    "node_network_transmit_drop_total",
    "node_network_transmit_errs_total",
    "node_procs_running",
)
"""What node_exporter tells about the whole node: CPU, memory, load, disks, network."""

ENERGY_METRICS = ("node_rapl_dram_joules_total", "node_rapl_package_joules_total")
"""What it tells where the processor counts its energy and the exporter may read that."""

CACHE_METRICS = (
    *("cache_hits_total", "cache_misses_total", "cache_ttl_expired_total"),
    *("cache_hit_rate_target", "cache_ttl_seconds"),
)
"""What a service tells of its caches that counts them by `escalade.operations`, in any recipe."""

_OWN = "escalade_"
_OWN_BUCKETS = "escalade_load_.*_bucket"
"""Left to the archive: the request log has what they round."""
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_HISTOGRAM = "(_bucket|_count|_sum)?"
_SCRAPE_UNDER_WAY_SECONDS = 1.0


def selectors(names: Sequence[str] = ()) -> list[str]:
    """Give the selectors of all that is kept.

    Parameters
    ----------
    names
        Raw metric names of the service; the base name of a histogram stands for
        its buckets, count and sum.

    Returns
    -------
    list of str
        No two of them select the same series.

    Raises
    ------
    InputError
        When a name is no metric name.
    """
    for name in names:
        if not _METRIC_NAME.fullmatch(name):
            raise InputError(
                f"{name!r} can't name a metric: expected letters, digits, _ and :, no digit first. "
                "See the metric names of the recipe."
            )
    known = {*SCRAPE_METRICS, *NODE_METRICS, *ENERGY_METRICS, *CACHE_METRICS}
    service = sorted(
        f"{name}{_HISTOGRAM}" for name in {*names} - known if not name.startswith(_OWN)
    )
    listed = "|".join([*sorted(known), *service])
    own = f'{{__name__=~"{_OWN}.*",__name__!~"{_OWN_BUCKETS}"}}'
    return [f'{{__name__=~"{listed}"}}', own]


def empty_series() -> pd.DataFrame:
    """Give the table of series.parquet without rows."""
    frame = Samples().frame()
    frame.insert(0, "step", pd.Series(dtype="int16"))
    return frame


def window_series(
    client: PrometheusClient,
    outcome: Mapping[str, Any],
    wanted: Sequence[str],
    margin_seconds: float = 2.0,
) -> pd.DataFrame:
    """Give the raw samples of a step, from before its first request to after its last.

    Parameters
    ----------
    client
        Asks the Prometheus of the cell.
    outcome
        Of the step: `started_at`, and `drained_at` or, where a step ended early,
        `window_end`; Unix seconds.
    wanted
        Selectors, see `selectors`.
    margin_seconds
        Kept before and after: the last answer shows in the service's counters only
        at the scrape that follows it.

    Returns
    -------
    DataFrame
        metric, labels, timestamp, value: as scraped, not resampled; without rows
        for a step that was not run.

    Raises
    ------
    InputError
        When the step began but has no end.
    InfrastructureError
        When Prometheus does not answer.
    """
    if outcome["started_at"] is None:
        return Samples().frame()
    end = outcome["drained_at"] or outcome["window_end"]
    if end is None:
        raise InputError(
            f"Step {outcome['step']} began but has no end: expected drained_at or window_end "
            "in its outcome."
        )
    end = min(end, time.time()) + margin_seconds
    time.sleep(max(0.0, end + _SCRAPE_UNDER_WAY_SECONDS - time.time()))
    start = min(outcome["started_at"], end) - margin_seconds
    after = math.nextafter(end, math.inf)  # the end itself belongs to it
    frames = [client.raw_samples(selector, start, after) for selector in wanted]
    order = ["metric", "labels", "timestamp"]
    return pd.concat(frames).sort_values(order, kind="stable", ignore_index=True)
