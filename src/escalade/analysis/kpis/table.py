"""All KPIs of a cell, as one tidy table, and the wide view of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from escalade.analysis.kpis.calibration_kpis import calibration_readings
from escalade.analysis.kpis.catalogue import BY_NAME, METRICS, QUEUED, TRIMMED, TRIMMED_STAT
from escalade.analysis.kpis.clue_kpis import clue_readings
from escalade.analysis.kpis.energy import energy_readings, idle_of, idle_readings
from escalade.analysis.kpis.interactivity import interactivity_readings
from escalade.analysis.kpis.noted_kpis import noted_metrics, noted_readings
from escalade.analysis.kpis.part_kpis import part_readings, without_parts_objectives
from escalade.analysis.kpis.readings import COLUMNS, Reading, label_of, missing, plain, rows_of
from escalade.analysis.kpis.request_kpis import flagged, request_readings
from escalade.analysis.kpis.series_kpis import GPU_METRICS, no_gpu, series_readings
from escalade.analysis.kpis.steps import measured_steps, why_unmeasured
from escalade.analysis.kpis.trimmed import trimmed_reading
from escalade.analysis.measured.levels import CONCURRENCY, RATE, SAMPLES, foreign, level_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.cell import CellData, Slo

PLACE = {metric.name: place for place, metric in enumerate(METRICS)}
PER_STEP = tuple(metric.name for metric in METRICS if not (metric.per_cell or metric.where_used))
SERVICE_UNKNOWN = "the service was not described: it never became ready"

SUMMARY = {
    "offered_qps": ("offered_qps", "value"),
    "throughput_qps": ("throughput_qps", "value"),
    "error_ratio": ("error_ratio", "value"),
    "latency_p50_seconds": ("latency_seconds", "p50"),
    "latency_p95_seconds": ("latency_seconds", "p95"),
    "latency_p99_seconds": ("latency_seconds", "p99"),
    "service_cpu_cores": ("service_cpu_cores", "mean"),
    "node_cpu_ratio": ("node_cpu_ratio", "mean"),
    "gpu_utilization_ratio": ("gpu_utilization_ratio", "mean"),
}
"""Columns of metrics_summary.csv, from metric and statistic; of several GPUs the mean."""
TRIMMED_COLUMN = "latency_mean_trimmed_3sigma_seconds"
"""Column that only campaigns have whose standards ask for it."""


def cell_kpis(data: CellData, slos: Sequence[Slo] = (), *, trimmed: bool = False) -> pd.DataFrame:
    """Reduce one cell to its KPI table.

    Parameters
    ----------
    data
        The cell, as measured.
    slos
        Goodput has one row per SLO on latency or time to first token.
    trimmed
        Whether the mean without answers beyond three standard deviations is wanted beside it.

    Returns
    -------
    DataFrame
        One row per step, metric and statistic (and target, GPU, model or SLO,
        named in `source`); step 0 is the whole cell. `value` is NaN unless
        `quality` is "ok" or begins with "flagged". Bounds may be infinite.

    Raises
    ------
    NoDataError
        When the request log or the samples lack a column.
    """
    measured = measured_steps(data, slos)
    whole = _start_readings(data.environment)
    if data.calibration is not None:
        whole += calibration_readings(data.calibration)
    whole += idle_readings(data)
    idle = idle_of(data)
    rows = [reading.row(_where(data, 0, math.nan)) for reading in whole]
    for outcome in data.steps:
        number = int(outcome["step"])
        ran = why_unmeasured(outcome) is None
        step = next(measured) if ran else None
        readings = _step_readings(data, outcome, step)
        readings += [trimmed_reading(step)] if trimmed and step is not None else []
        readings += energy_readings(step, idle, _rates(readings)) if step is not None else []
        where = _where(data, number, level_of(outcome).qps)
        rows += [reading.row(where) for reading in sorted(readings, key=_place)]
    return _table(rows)


def _rates(readings: Sequence[Reading]) -> dict[str, float]:
    """Give how much a step as a whole answered, as energy is divided by it."""
    wanted = ("throughput_qps", "output_tokens_per_second")
    return {
        each.metric: each.estimate.value
        for each in readings
        if each.metric in wanted and not each.label
    }


def _step_readings(
    data: CellData, outcome: Mapping[str, Any], step: MeasuredStep | None
) -> list[Reading]:
    if step is not None:
        whole = without_parts_objectives(step)
        of_requests = request_readings(whole)
        return [
            *of_requests,
            *interactivity_readings(whole, of_requests),
            *(
                flagged(reading, step) if reading.metric in QUEUED else reading
                for reading in noted_readings(step)
            ),
            *series_readings(step),
            *clue_readings(step),
            *part_readings(step),
        ]
    level = level_of(outcome)
    own = [name for name in PER_STEP if name not in foreign(level)]
    wanted = (*own, *noted_metrics(data.requests))
    readings = missing(wanted, why_unmeasured(outcome) or "the step has no window")
    if level.name != RATE:  # such a step is known by its level, whether or not it ran
        readings.append(plain(level.name, level.value, ""))
    if data.environment.get("gpus"):
        return readings
    return [
        *(each for each in readings if each.metric not in GPU_METRICS),
        no_gpu(data.environment),
    ]


def _place(reading: Reading) -> tuple[int, str, int]:
    stats = BY_NAME[reading.metric].stats
    return PLACE[reading.metric], reading.label, stats.index(reading.stat)


def _where(data: CellData, step: int, target_qps: float) -> dict[str, Any]:
    return {
        "cell": data.name,
        "deployment": data.deployment,
        "repetition": data.repetition,
        "step": step,
        "target_qps": target_qps,
    }


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = ["target_qps", "value", "ci_low", "ci_high", "n_eff"]
    return frame.astype(
        dict.fromkeys(numbers, "float64") | dict.fromkeys(["repetition", "step", "n"], "int64")
    )


def _start_readings(environment: Mapping[str, Any]) -> list[Reading]:
    service = environment.get("service") or {}
    models = service.get("models") or []
    memory = ("model_memory_declared_bytes", "model_memory_measured_bytes")
    readings = [plain("ready_seconds", service.get("ready_seconds"), SERVICE_UNKNOWN)]
    if not service:
        return [*readings, *missing(memory, SERVICE_UNKNOWN)]
    for metric, key in zip(memory, ("declared_bytes", "measured_bytes"), strict=True):
        for model in models:
            found = plain(metric, model.get(key), f"{key} of the model is not known")
            readings.append(
                Reading(
                    metric, "value", found.estimate, label_of({"model": str(model.get("name"))})
                )
            )
    return readings


def summary(kpis: pd.DataFrame) -> pd.DataFrame:
    """Give metrics_summary: one row per cell and step, one column per figure, unit in its name.

    A campaign without rates has `concurrency` or `samples` beside the empty `target_qps`.
    What is missing or not estimable is NaN; flagged figures are there, and the
    last column names them.
    """
    kpis = rows_of(kpis)
    rows = [
        _summary_row(
            dict(zip(("cell", "deployment", "repetition", "step", "target_qps"), key, strict=True)),
            group,
        )
        for key, group in kpis[kpis["step"] > 0].groupby(
            ["cell", "deployment", "repetition", "step", "target_qps"], sort=False, dropna=False
        )
    ]
    levels = [name for name in (CONCURRENCY, SAMPLES) if (kpis["metric"] == name).any()]
    where = ["cell", "deployment", "repetition", "step", "target_qps", *levels]
    extra = [TRIMMED_COLUMN] if (kpis["metric"] == TRIMMED).any() else []
    columns = [*where, *SUMMARY, *extra, "flagged"]
    return pd.DataFrame(rows, columns=columns)


def _summary_row(where: dict[str, Any], group: pd.DataFrame) -> dict[str, Any]:
    flagged = []
    levels = {name: (name, "value") for name in (CONCURRENCY, SAMPLES)}
    extra = {TRIMMED_COLUMN: (TRIMMED, TRIMMED_STAT)}
    for column, (metric, stat) in (SUMMARY | levels | extra).items():
        rows = group[(group["metric"] == metric) & (group["stat"] == stat)]
        where[column] = float(rows["value"].mean()) if len(rows) else math.nan
        if rows["quality"].str.startswith("flagged").any():
            flagged.append(column)
    return {**where, "flagged": " ".join(flagged)}
