"""Numbers, units and names as a reader expects to see them.

A number is printed with as many digits as its interval supports; what is not
known is printed as a dash, never as 0.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DASH = "–"
NOTHING = "—"
NO_BREAK = "\N{NO-BREAK SPACE}"
_THOUSANDS = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
_TINY, _TOO_MANY = 1e-6, 6
"""A number below this that would need more decimals than that is written with its power of ten."""
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]+"
)

_SAID = re.compile(
    r"^\S+ .*?, (?:95 % \[[^]]*\]|without interval), (?:limit|at least) [^;]*(?:; )?"
)

TITLES = {
    "abandoned_ratio": "Abandoned",
    "arrival_rate_qps": "Arrival rate",
    "cache_expired": "Expired cache entries",
    "cache_hit_ratio": "Cache hits",
    "cache_lookups": "Cache lookups",
    "cached_token_ratio": "Cached input tokens",
    "calibration_qps": "Rate of the calibration",
    "client_added_seconds": "Time that the client adds",
    "client_backlog": "Client backlog",
    "concurrency": "Queries in flight, asked for",
    "client_ceiling_qps": "Ceiling of the client",
    "client_clock_error_seconds": "Error of the client's clocks",
    "client_cpu_ratio": "Client CPU",
    "client_resolution_seconds": "Client resolution",
    "client_server_agreement_ratio": "Client and server agree",
    "client_suspended_seconds": "Client stopped for",
    "cuda_capacity_events": "CUDA memory did not suffice",
    "cuda_fragmentation_events": "CUDA memory was in pieces",
    "cuda_fragmentation_ratio": "CUDA memory idle in pieces",
    "dispatch_lag_seconds": "Dispatch lag",
    "energy_joules_per_request": "Energy per request",
    "energy_joules_per_token": "Energy per output token",
    "error_ratio": "Errors",
    "event_loop_lag_seconds": "Event-loop lag",
    "failed_requests": "Failed requests",
    "gap_cv": "Variation of gaps, sent",
    "goodput_qps": "Goodput",
    "gpu_memory_used_bytes": "GPU memory",
    "gpu_power_watts": "GPU power",
    "gpu_utilization_ratio": "GPU utilisation",
    "idle_power_watts": "Power when idle",
    "input_tokens": "Input tokens per request",
    "itl_seconds": "Inter-token latency",
    "kv_cache_usage_ratio": "KV cache in use",
    "late_ratio": "Late sends",
    "latency_seconds": "End-to-end latency",
    "latency_trimmed_seconds": "Latency without outliers",
    "long_prompt_slowdown_ratio": "Slow-down by long prompts",
    "model_memory_declared_bytes": "Model memory, declared",
    "model_memory_measured_bytes": "Model memory, measured",
    "neighbour_cpu_ratio": "Neighbours on the service's CPUs",
    "node_cpu_ratio": "Node CPU",
    "node_memory_used_bytes": "Node memory",
    "noted": "Noted by the workload",
    "offered_load_erlangs": "Offered load",
    "offered_qps": "Offered rate",
    "operation_latency_seconds": "Latency by operation",
    "output_tokens": "Output tokens per request",
    "output_tokens_per_second": "Output tokens",
    "output_tokens_per_second_per_core": "Output tokens per core",
    "output_tokens_per_second_per_gpu": "Output tokens per GPU",
    "output_tokens_per_second_per_node": "Output tokens per node",
    "output_tokens_per_second_per_user": "Output tokens per user",
    "power_watts": "Power",
    "planned_gap_cv": "Variation of gaps, planned",
    "prometheus_cpu_cores": "Prometheus CPU",
    "query_latency_seconds": "Query latency",
    "queue_length": "Queue length",
    "ready_seconds": "Ready after",
    "recall_at_k": "Recall at k",
    "received_bytes_per_second": "Received",
    "requests_in_flight": "Requests in flight",
    "requests_in_system": "Requests in the system",
    "requests_running": "Requests being served",
    "samples": "Samples",
    "samples_per_second": "Samples per second",
    "scrape_coverage_ratio": "Scrape coverage",
    "scrape_gap_seconds": "Longest scrape gap",
    "sent_bytes_per_second": "Sent",
    "server_input_tokens_per_second": "Input tokens, by the server",
    "server_output_tokens_per_second": "Output tokens, by the server",
    "server_requests_per_second": "Requests, by the server",
    "service_cpu_cores": "Service CPU",
    "service_memory_bytes": "Service memory",
    "service_memory_growth_bytes_per_second": "Service memory, growth",
    "steal_ratio": "CPU steal",
    "stressor_cpu_cores": "CPU of the stressors",
    "target_qps": "Target rate",
    "throughput_qps": "Throughput",
    "tpot_seconds": "Time per output token",
    "turns_not_due": "Turns that never came",
    "ttft_seconds": "Time to first token",
    "turnaround_ratio": "Turnaround, share of time",
    "turnaround_seconds": "Turnaround",
}

_SECONDS = ((1e-3, 1e6, "µs"), (0.1, 1e3, "ms"), (math.inf, 1.0, "s"))
_BYTES = (
    (2.0**10, 1.0, "B"),
    (2.0**20, 2.0**-10, "KiB"),
    (2.0**30, 2.0**-20, "MiB"),
    (math.inf, 2.0**-30, "GiB"),
)
_LADDERS = {
    "s": _SECONDS,
    "seconds": _SECONDS,
    "B": _BYTES,
    "bytes": _BYTES,
    "bytes/s": tuple((below, by, f"{label}/s") for below, by, label in _BYTES),
    "ratio": ((math.inf, 100.0, "%"),),
}
_LABELS = {
    "": "",
    "1": "",
    "1/s": "/s",
    "cores": "cores",
    "qps": "requests/s",
    "requests/s": "requests/s",
    "tokens/s": "tokens/s",
}


@dataclass(frozen=True)
class Scale:
    """How a quantity is shown: multiply by `factor`, write `label` behind it."""

    factor: float
    label: str

    def apply(self, value: float) -> float:
        """Give `value` in the unit of the label."""
        return value * self.factor


def scale_for(unit: str, values: Iterable[float]) -> Scale:
    """Choose one scale for `values` so that the largest reads well (ms, MiB, %)."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if unit in _LADDERS:
        if largest == 0.0:
            largest = 1.0
        return next(Scale(by, label) for below, by, label in _LADDERS[unit] if largest < below)
    return Scale(1.0, _LABELS.get(unit, clean(unit)))


def known(value: object) -> float:
    """Give `value` as a float, NaN for anything that is not a finite number."""
    if isinstance(value, bool) or value is None:
        return math.nan
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def bound(value: object) -> float:
    """Give an interval's bound: like `known`, but an infinite one means "not bounded" and stays."""
    return float(value) if isinstance(value, float) and math.isinf(value) else known(value)


def bounds(low: object, high: object) -> tuple[float, float]:
    """Give an interval as JSON holds it: a bound that is None beside a known one is infinite."""
    both = known(low), known(high)
    if math.isnan(both[0]) and math.isfinite(both[1]):
        return -math.inf, both[1]
    if math.isfinite(both[0]) and math.isnan(both[1]):
        return both[0], math.inf
    return both


def plain(value: float, decimals: int | None = None) -> str:
    """Write a number with three significant digits, or with the given decimals: "2.78e−16" where all would be zeros."""
    if not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    used = max(0, _decimals(value, 3) if decimals is None else decimals)
    if abs(value) < _TINY and used > _TOO_MANY:
        return _with_power(value)
    text = f"{value:,.{used}f}"
    if decimals is None and "." in text:
        text = text.rstrip("0").rstrip(".")
    if not text.strip("-0."):
        text = text.lstrip("-")
    return text.replace(",", _THOUSANDS).replace("-", MINUS)


def _with_power(value: float) -> str:
    digits, power = f"{value:.2e}".split("e")
    text = f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
    return text.replace("-", MINUS)


def change(share: float) -> str:
    """Write a relative change in per cent, with its sign: "+3.1 %", "−25.0 %"."""
    if not math.isfinite(share):
        return NOTHING
    return f"{100 * share:+.1f}{NO_BREAK}%".replace("-", MINUS)


def rate(value: float) -> str:
    """Write an arrival rate without its unit, exactly as the plan names it: 0.5, 2, 2.25."""
    if not math.isfinite(value):
        return NOTHING
    return f"{value:.6g}" if abs(value) < 1e6 else plain(value)


def amount(value: float, low: float, high: float, unit: str, scale: Scale | None = None) -> str:
    """Write a value with unit and interval: "0.61 s [0.55, 0.70]"."""
    if not math.isfinite(value):
        return NOTHING
    scale = scale or scale_for(unit, (value,))
    return _joined(span(value, low, high, scale), scale.label)


def single(value: float, unit: str, scale: Scale | None = None) -> str:
    """Write a value with its unit and no interval: "1.5 s"."""
    if not math.isfinite(value):
        return NOTHING
    scale = scale or scale_for(unit, (value,))
    return with_unit(plain(scale.apply(value)), scale.label)


def span(value: float, low: float, high: float, scale: Scale) -> tuple[str, str]:
    """Write a value and its interval, both with the digits that the interval supports.

    Returns
    -------
    tuple[str, str]
        Number and interval, as ("0.61", "[0.55, 0.70]") or ("0.61", "[0.55, ∞)");
        the interval is empty when a bound is unknown, and when there is nothing between them.
    """
    value, low, high = scale.apply(value), scale.apply(low), scale.apply(high)
    if low == high or math.isnan(low) or math.isnan(high) or (math.isinf(low) and math.isinf(high)):
        return plain(value), ""
    decimals = interval_decimals(value, low, high)
    if math.isinf(high):
        return plain(value, decimals), f"[{plain(low, decimals)}, ∞)"
    if math.isinf(low):
        return plain(value, decimals), f"(−∞, {plain(high, decimals)}]"
    return plain(value, decimals), f"[{plain(low, decimals)}, {plain(high, decimals)}]"


def interval_decimals(value: float, low: float, high: float) -> int:
    """Count decimals: two digits of the value, one of the half-width, at most four of the value."""
    size = next((abs(x) for x in (value, low, high) if math.isfinite(x) and x), 0.0)
    half = (high - low) / 2 if math.isfinite(high - low) else size
    wanted = [_decimals(half, 1)] if half > 0 else []
    if value or not wanted:
        wanted.append(_decimals(size, 2))
    return max(0, min(max(wanted), _decimals(size, 4)))


def with_unit(number: str, label: str) -> str:
    """Put a unit behind a written number; "/s" and nothing take no space."""
    if not label:
        return number
    return number + (label if label.startswith("/") else NO_BREAK + label)


def percentile(stat: str) -> float | None:
    """Give the percentile that a statistic's name stands for: "p99.9" is 99.9, "mean" is None."""
    found = re.fullmatch(r"p(\d+(?:\.\d+)?)", stat)
    return float(found[1]) if found and float(found[1]) < 100 else None


def title(metric: str) -> str:
    """Give a metric's name in words."""
    named = re.sub(r"_(seconds|bytes|ratio|qps|total)$", "", clean(metric)).replace("_", " ")
    return TITLES.get(metric) or named[:1].upper() + named[1:]


def steps(numbers: Sequence[int]) -> str:
    """Name steps in a sentence: "step 3", "steps 1 to 3 and 6"."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [
        part
        for run in runs
        for part in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else [str(n) for n in run])
    ]
    return f"step{'s' * (len(set(numbers)) != 1)} {listed(parts)}"


def listed(parts: Sequence[str]) -> str:
    """Join words as a sentence does: "a", "a and b", "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: "1 request", "20 requests"."""
    return f"{plain(number, 0)}{NO_BREAK}{noun}{'s' * (number != 1)}"


def counted_hours(hours: float, noun: str) -> str:
    """Write hours with their noun; a little is told in three digits, not as 0."""
    return f"{plain(hours)}{NO_BREAK}{noun}{'s' * (hours != 1)}"


def remaining_reason(reason: object) -> str:
    """Give a verdict's reason without value, interval and limit, which stand beside it anyway."""
    return _SAID.sub("", clean(reason or "")).rstrip(".")


def clean(text: object) -> str:
    """Give text without what is no text: control characters, direction overrides, lone surrogates."""
    told = str(text)
    # most texts are of plain letters: `isprintable` sees that many times as fast
    return (told if told.isprintable() else _CONTROL.sub(" ", told)).strip()


def without_control(text: str) -> str:
    """Give text as `clean` does, with its line breaks and tabs."""
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda found: "".join(c for c in found[0] if c in "\n\t"), text)


def sentence(text: str) -> str:
    """Give text with a capital letter first and a full stop last."""
    text = text.strip()
    if not text:
        return ""
    # "p90" and "n_eff" are names and stay as they are.
    first = text[0].upper() if text[:2].isalpha() else text[0]
    return first + text[1:] + ("" if text[-1] in ".!?" else ".")


def _joined(parts: tuple[str, str], label: str) -> str:
    number, interval = parts
    return with_unit(number, label) + (f" {interval.replace(' ', NO_BREAK)}" if interval else "")


def _decimals(value: float, digits: int) -> int:
    if value == 0 or not math.isfinite(value):
        return 0
    return digits - 1 - math.floor(math.log10(abs(value)))
