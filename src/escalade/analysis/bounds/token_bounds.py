"""Bounds of generating tokens: memory bandwidth of the decoding, arithmetic of prompts and tokens.

Decoding reads the weights once for each step, whatever number of sequences shares it, and for each
sequence its keys and values (roofline: Williams, Waterman and Patterson 2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from escalade.analysis.bounds.bound import ARITHMETIC, MEMORY, Bound, Input, said
from escalade.analysis.kpis.request_kpis import OVER_SATURATED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.analysis.bounds.bound_inputs import Measured, Sources

BANDWIDTH, FLOPS = "memory_bandwidth_bytes_per_second", "flops_per_second"
_DIGEST = 12
_TOO_SLOW = (
    "the bandwidth was measured too low or is given too low, caches hold a part of the model, or "
    "several tokens come of one step"
)
_TOO_FEW = "kernels on small integers can be faster than float32, or prompts were cached"


def cpu_bandwidth(sources: Sources) -> tuple[Input, list[Input]]:
    """Give the memory bandwidth of the service's CPUs, and their last-level cache where known."""
    cpu, unit = sources.bounds.get("cpu"), "bytes/s"
    measured = _measured(cpu, BANDWIDTH, "read", unit)
    found = sources.of(BANDWIDTH, unit, measured, str(sources.bounds.get("cpu_note") or ""))
    size = (cpu or {}).get("last_level_cache_bytes")
    named = "the kernel's word on the CPUs that were measured"
    return found, [Input("last_level_cache_bytes", size, "bytes", named)] if size else []


def token_rows(cell: Measured) -> list[dict[str, Any]]:
    """Give the bounds of a cell that generates tokens: of each step, and with all slots in use."""
    model = Model.of(cell)
    return [*_memory_rows(cell, model), *_arithmetic_rows(cell, model)]


@dataclass(frozen=True)
class Model:
    """What the bounds of a model are made of."""

    bandwidth: Input
    cache: list[Input]
    flops: Input
    read: Input
    kept: Input | None
    slots: Input
    active: Input
    output: Input | None

    @classmethod
    def of(cls, cell: Measured) -> Model:
        """Gather the inputs of a cell."""
        declared, sources = cell.declared["tokens"], cell.sources
        if declared.get("device") == "gpu":
            note = str(sources.bounds.get("gpus_note") or "")
            bandwidth = sources.of(
                BANDWIDTH, "bytes/s", _theoretical(sources, BANDWIDTH, "bytes/s"), note
            )
            flops = sources.of(FLOPS, "FLOP/s", _theoretical(sources, FLOPS, "FLOP/s"), note)
            cache: list[Input] = []
        else:
            bandwidth, cache = cpu_bandwidth(sources)
            measured = _measured(sources.bounds.get("cpu"), FLOPS, "float32", "FLOP/s")
            note = str(sources.bounds.get("cpu_note") or "")
            flops = sources.of(FLOPS, "FLOP/s", measured, note)
        own = "active_parameters" in declared
        header = cell.data.bounds.get("model") or {}
        return cls(
            bandwidth,
            cache,
            flops,
            read=_of_model(cell, "model_bytes", "read_bytes_per_token", "bytes"),
            kept=_kept(cell),
            slots=_slots(declared),
            active=_of_model(cell, "active_parameters", "active_parameters", ""),
            output=None
            if own or not header
            else Input(
                "output_parameters",
                float(header["output_parameters"]),
                "",
                f"{_file(cell, header)}: a prompt needs them once, for its last token",
            ),
        )

    @property
    def weights_of_prompts(self) -> float:
        """Weights that a token of a prompt is multiplied with: all but those that choose a token."""
        left_out = self.output.value if self.output else 0.0
        return (self.active.value or 0.0) - (left_out or 0.0)

    @property
    def multiplied(self) -> list[Input]:
        """The weights that tokens are multiplied with."""
        return [self.active, *([self.output] if self.output else [])]

    def fits_in_cache(self) -> str:
        """Say that the model fits in the last-level cache, if it does."""
        size = self.cache[0].value if self.cache else None
        if not size or not self.read.value or self.read.value > size:
            return ""
        return (
            f"the model ({said(self.read.value, 'bytes')}) fits in the last-level cache "
            f"({said(size, 'bytes')}), so tokens need not read it from memory"
        )

    def rate(self, sequences: float, context: float | None) -> float | None:
        """Give the tokens per second of `sequences` that share each read of the weights."""
        if not self.bandwidth.value or not self.read.value or self.fits_in_cache():
            return None
        each = (self.kept.value or 0.0) * (context or 0.0) if self.kept else 0.0
        return sequences * self.bandwidth.value / (self.read.value + sequences * each)

    @property
    def inputs(self) -> list[Input]:
        """What the memory bounds have in common."""
        return [self.bandwidth, self.read, *([self.kept] if self.kept else []), *self.cache]


def _memory_rows(cell: Measured, model: Model) -> list[dict[str, Any]]:
    if model.rate(1.0, 0.0) is None:
        subject = "tokens per second"
        missing = Bound(
            *("token_rate", MEMORY, subject, None, "tokens/s"),
            inputs=model.inputs,
            reason=model.fits_in_cache(),
        )
        return [missing.row(cell.where())]
    rows = []
    for step in cell.steps:
        rows += _of_one_sequence(cell, model, step)
        rows += _of_all_sequences(cell, model, step)
    return rows + _with_all_slots(cell, model)


def _of_one_sequence(cell: Measured, model: Model, step: int) -> list[dict[str, Any]]:
    taken = cell.value(step, "tpot_seconds", "p50")
    if not taken:
        return []
    context = _context(cell, step)
    bound = Bound(
        *("token_rate_per_sequence", MEMORY, "tokens of one sequence, median"),
        *(model.rate(1.0, context.value), "tokens/s"),
        inputs=[*model.inputs, context],
        beyond=_TOO_SLOW,
    )
    slowest = _upper(cell, step, "tpot_seconds", "p50")
    return [bound.row(cell.where(step), 1 / taken, slowest, cell.note(step))]


def _of_all_sequences(cell: Measured, model: Model, step: int) -> list[dict[str, Any]]:
    attained = cell.value(step, "output_tokens_per_second")
    flight = cell.value(step, "requests_in_flight", "mean")
    if attained is None or not flight:
        return []
    flight /= cell.copies  # each copy reads the weights for its own sequences
    of_each = f" / {cell.copies} replicas" if cell.copies > 1 else ""
    limited = model.slots.value is not None and model.slots.value < flight
    used = Input(
        "sequences",
        model.slots.value if limited else flight,
        "",
        model.slots.source
        if limited
        else f"kpis: requests_in_flight mean{of_each}, below the slots",
    )
    context = _context(cell, step)
    in_each = " in each replica" if cell.copies > 1 else ""
    bound = Bound(
        *("token_rate", MEMORY, f"tokens of all sequences, {used.value:.3g} in use{in_each}"),
        *(_on_all(cell, model.rate(used.value or 0.0, context.value)), "tokens/s"),
        inputs=[*model.inputs, *cell.of_copies, used, context],
        beyond=_TOO_SLOW,
    )
    low = cell.low(step, "output_tokens_per_second")
    return [bound.row(cell.where(step), attained, low, cell.note(step))]


def _with_all_slots(cell: Measured, model: Model) -> list[dict[str, Any]]:
    """Hold the best valid step against the bound with all slots in use."""
    rates = {
        step: rate
        for step in cell.steps
        if step not in cell.invalid
        and (rate := cell.value(step, "output_tokens_per_second")) is not None
    }
    if not rates:
        return []
    best = max(rates, key=rates.__getitem__)
    context = _context(cell, best)
    slots = model.slots.value
    bound = Bound(
        *("token_rate", MEMORY, "tokens of all slots, best valid step"),
        *(None if slots is None else _on_all(cell, model.rate(slots, context.value)), "tokens/s"),
        inputs=[*model.inputs, *cell.of_copies, model.slots, context],
        beyond=_TOO_SLOW,
    )
    if slots is None:
        return [bound.row(cell.where())]
    return [bound.row(cell.where(), rates[best], cell.low(best, "output_tokens_per_second"))]


def _arithmetic_rows(cell: Measured, model: Model) -> list[dict[str, Any]]:
    """Bound prompts, and whole requests, by two operations for each weight and token."""
    if not model.flops.value or not model.active.value:
        missing = Bound(
            *("prompt_rate", ARITHMETIC, "tokens of prompts per second", None, "tokens/s"),
            inputs=[model.flops, model.active],
        )
        return [missing.row(cell.where())]
    rows = []
    for step in cell.steps:
        asked = cell.value(step, "input_tokens", "mean")
        if asked is not None:
            cached = cell.value(step, "cached_token_ratio") or 0.0
            read = Input(
                "uncached_input_tokens",
                asked * (1 - cached),
                "tokens",
                "kpis: input_tokens mean × (1 − cached_token_ratio)",
            )
            rows += [*_of_prompts(cell, model, step, read), *_of_requests(cell, model, step, read)]
    return rows


def _of_prompts(cell: Measured, model: Model, step: int, read: Input) -> list[dict[str, Any]]:
    """Hold the reading of prompts, all tokens by all time to first token, against the arithmetic."""
    first = cell.value(step, "ttft_seconds", "mean")
    if not first or OVER_SATURATED in cell.quality(step, "ttft_seconds", "mean"):
        return []
    bound = Bound(
        *("prompt_rate", ARITHMETIC, "tokens of a prompt until the first token"),
        *((model.flops.value or 0.0) / (2 * model.weights_of_prompts), "tokens/s"),
        inputs=[model.flops, *model.multiplied],
        beyond=_TOO_FEW,
    )
    attained = (read.value or 0.0) / first
    return [bound.row(cell.where(step), attained, note=cell.note(step))]


def _of_requests(cell: Measured, model: Model, step: int, read: Input) -> list[dict[str, Any]]:
    """Hold the throughput against the operations that a request's prompt and answer take."""
    served = cell.value(step, "throughput_qps")
    came = cell.value(step, "output_tokens", "mean")
    if served is None or came is None or cell.mixed:
        return []
    # the pass that reads the prompt gives the first token; each further one takes a pass of its own
    passed = (read.value or 0.0) + came - 1
    chosen = came * (model.output.value or 0.0) if model.output else 0.0
    operations = 2 * (model.weights_of_prompts * passed + chosen)
    flops = model.flops.value or 0.0
    answer = Input("output_tokens", came, "tokens", "kpis: output_tokens mean")
    bound = Bound(
        *("request_rate", ARITHMETIC, "requests, for their prompts and tokens"),
        *(_on_all(cell, flops / operations if operations > 0 else None), "requests/s"),
        inputs=[model.flops, *cell.of_copies, *model.multiplied, read, answer],
        beyond=_TOO_FEW,
    )
    low = cell.low(step, "throughput_qps")
    return [bound.row(cell.where(step), served, low, cell.note(step))]


def _on_all(cell: Measured, value: float | None) -> float | None:
    """Give what all nodes with copies of the service can do, of what one can; copies of a node share it."""
    return None if value is None else cell.nodes * value


def _context(cell: Measured, step: int) -> Input:
    """Give the mean length of a sequence while it is being answered: the prompt, half of the answer."""
    asked, came = (cell.value(step, name, "mean") for name in ("input_tokens", "output_tokens"))
    if asked is None or came is None:
        return Input("context_tokens", None, "tokens", "the service does not count tokens")
    source = "kpis: input_tokens mean + output_tokens mean / 2"
    return Input("context_tokens", asked + came / 2, "tokens", source)


def _upper(cell: Measured, step: int, metric: str, stat: str) -> float | None:
    """Give the lower end of a rate from the upper end of its time; 0 where nothing bounds the time."""
    high = cell.high(step, metric, stat)
    return None if high is None else 1 / high


def _slots(declared: Mapping[str, Any]) -> Input:
    if "sequences" in declared:
        return Input(
            "sequences", float(declared["sequences"]), "", "recipe: bounds.tokens.sequences"
        )
    how = (
        "give bounds.tokens.sequences in the recipe: how many sequences share a read of the weights"
    )
    return Input("sequences", None, "", how)


def _of_model(cell: Measured, key: str, fact: str, unit: str) -> Input:
    """Give a figure of the model: the recipe's, else that of the file's header."""
    declared, header = cell.declared["tokens"], cell.data.bounds.get("model")
    if key in declared:
        return Input(key, float(declared[key]), unit, f"recipe: bounds.tokens.{key}")
    if header:
        return Input(key, float(header[fact]), unit, _file(cell, header))
    note = cell.data.bounds.get("model_note")
    how = f"give bounds.tokens.{key} in the recipe"
    return Input(key, None, unit, f"{note}; {how}" if note else how)


def _kept(cell: Measured) -> Input | None:
    """Give what a token of context adds to the cache; None: the bound goes without it, and stays one."""
    declared, header = cell.declared["tokens"], cell.data.bounds.get("model") or {}
    name, unit = "cache_bytes_per_token", "bytes"
    if name in declared:
        return Input(name, float(declared[name]), unit, f"recipe: bounds.tokens.{name}")
    size = header.get(name)
    if size is None:
        return None
    return Input(name, float(size), unit, f"{_file(cell, header)}, as 16-bit values")


def _file(cell: Measured, header: Mapping[str, Any]) -> str:
    models = (cell.data.environment.get("service") or {}).get("models") or ()
    digest = next((str(m["sha256"]) for m in models if m.get("name") == header["name"]), None)
    digested = f", SHA-256 {digest[:_DIGEST]}…" if digest else ""
    return f"header of {header['file']} ({header['format']}{digested})"


def _measured(cpu: Mapping[str, Any] | None, name: str, kernel: str, unit: str) -> Input | None:
    """Give what was measured on the service's CPUs, with how and when."""
    if not cpu or kernel not in cpu:
        return None
    found = cpu[kernel]
    at = datetime.fromtimestamp(float(cpu["at"]), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    cores = f"{cpu['threads']} thread{'s' * (cpu['threads'] != 1)}"
    spread = f"median {said(found['median'], unit)}, lowest {said(found['lowest'], unit)}"
    arrays = f", arrays of {said(cpu['array_bytes'], 'bytes')}" if kernel != "float32" else ""
    source = (
        f"measured here on {cpu.get('node', 'this node')} at {at} before the service started: best of "
        f"{found['passes']} passes ({spread}), {found['method']}, {cores}{arrays}"
    )
    return Input(name, float(found["best"]), unit, source)


def _theoretical(sources: Sources, name: str, unit: str) -> Input | None:
    """Add up what the GPUs can do by their data; None when one of them does not tell."""
    found = sources.bounds.get("gpus") or []
    values = [gpu.get(name) for gpu in found]
    if not values or any(value is None for value in values):
        return None
    names = ", ".join(str(gpu["name"]) for gpu in found)
    clock = (
        "memory clock × bus width" if unit == "bytes/s" else "16-bit products at the highest clock"
    )
    return Input(name, float(sum(values)), unit, f"theoretical, of {names}: {clock}")
