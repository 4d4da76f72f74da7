"""Cells whose hardware and model are known, for tests of upper bounds."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from escalade.analysis.bounds.rows import bound_rows
from unit.analysis.builders import cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.measured.cell import CellData


KERNEL = {"median": 9e9, "lowest": 8e9, "passes": 10, "method": "dot product"}
CPU: dict[str, Any] = {
    "at": 1_700_000_000.0,  # 2023-11-14 22:13:20 UTC
    "node": "n1",
    "threads": 2,
    "array_bytes": 128_000_000,
    "last_level_cache_bytes": 32_000_000,
    "read": {**KERNEL, "best": 10e9},
    "float32": {**KERNEL, "best": 200e9},
}
MODEL: dict[str, Any] = {
    "name": "m",
    "file": "m.gguf",
    "format": "GGUF 3",
    "read_bytes_per_token": 100_000_000,
    "active_parameters": 150_000_000,
    "output_parameters": 50_000_000,
    "cache_bytes_per_token": 1_000_000,
}
TOKENS: dict[str, Any] = {
    "recipe": {"tokens": {"device": "cpu", "sequences": 4}},
    "cpu": CPU,
    "cpu_note": None,
    "model": MODEL,
    "model_note": None,
}
STEP = {
    ("input_tokens", "mean"): 80.0,
    ("output_tokens", "mean"): 40.0,
    ("tpot_seconds", "p50"): 0.025,
    ("ttft_seconds", "mean"): 0.4,
    ("throughput_qps", "value"): 2.0,
    ("output_tokens_per_second", "value"): 60.0,
    ("requests_in_flight", "mean"): 2.0,
}


def of(bounds: Mapping[str, Any], **environment: Any) -> CellData:
    return replace(cell(**environment), bounds=bounds)


def kpis_of(
    data: CellData,
    *steps: Mapping[tuple[str, str], float],
    low: float = math.nan,
    quality: str = "ok",
) -> pd.DataFrame:
    rows = [
        {
            "cell": data.name,
            "deployment": data.deployment,
            "step": number,
            "metric": metric,
            "stat": stat,
            "value": value,
            "ci_low": low,
            "ci_high": math.nan,
            "quality": quality,
            "source": "requests.parquet",
        }
        for number, step in enumerate(steps, start=1)
        for (metric, stat), value in step.items()
    ]
    columns = ["cell", "deployment", "step", "metric", "stat", "value", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=[*columns, "quality", "source"])


def rows_for(
    data: CellData,
    *steps: Mapping[tuple[str, str], float],
    gates: Sequence[Mapping[str, Any]] = (),
    given: Mapping[str, float] | None = None,
    low: float = math.nan,
    quality: str = "ok",
) -> list[dict[str, Any]]:
    return bound_rows(
        kpis_of(data, *steps, low=low, quality=quality), [data], gates, [], given or {}
    )


def one(rows: Sequence[dict[str, Any]], name: str, step: int | None) -> dict[str, Any]:
    (found,) = [row for row in rows if (row["name"], row["step"]) == (name, step)]
    return found


def inputs_of(row: Mapping[str, Any]) -> dict[str, Any]:
    return {each["name"]: each["value"] for each in row["inputs"]}
