"""Samples of DCGM's exporter become ours: names, units, labels, and the GPUs of the service alone."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families

from escalade.campaign.dcgm_series import by_our_names
from recorded_pages import PAGES

GPU = {"index": 3, "uuid": "GPU-20000000-bbbb", "name": "A100"}
SCRAPED = {"instance": "n1:9400", "job": "gpu"}


def row(metric: str, value: float, **labels: str) -> dict[str, Any]:
    text = json.dumps({**SCRAPED, **labels}, sort_keys=True, separators=(",", ":"))
    return {"metric": metric, "labels": text, "timestamp": 1.0, "value": value}


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows).assign(step=1)


def page() -> pd.DataFrame:
    """Give the stored page of DCGM's exporter as Prometheus would have it."""
    text = (PAGES / "dcgm_exporter.prom").read_text(encoding="utf-8")
    return frame(
        *(
            row(sample.name, sample.value, **sample.labels)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ),
        row("up", 1.0),
    )


def test_a_page_of_dcgm_becomes_ours() -> None:
    found = by_our_names(page(), [GPU])

    assert dict(zip(found.metric, found.value, strict=True)) == {
        "escalade_gpu_clock_hertz": pytest.approx(1.41e9),
        "escalade_gpu_memory_free_bytes": 35690 * 2**20,
        "escalade_gpu_memory_used_bytes": 4845 * 2**20,
        "escalade_gpu_power_watts": 409.5,
        "escalade_gpu_temperature_celsius": 61,
        "escalade_gpu_utilization_ratio": pytest.approx(0.97),
        "up": 1,
    }
    [labels] = {text for text in found.labels if "uuid" in text and "clock" not in text}
    assert json.loads(labels) == {
        **SCRAPED,
        "gpu": "3",
        "uuid": "GPU-20000000-bbbb",
        "name": "A100",
    }
    assert list(found.columns) == ["metric", "labels", "timestamp", "value", "step"]


def test_energy_is_in_joules_and_another_jobs_gpu_is_left_out() -> None:
    energy = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"

    found = by_our_names(
        frame(row(energy, 2_500, UUID=GPU["uuid"]), row(energy, 9_000, UUID="GPU-other")), [GPU]
    )

    assert found.metric.tolist() == ["escalade_gpu_energy_joules_total"]
    assert found.value.tolist() == [2.5]


def test_samples_of_others_stay_as_they_are() -> None:
    samples = frame(row("up", 1.0), row("escalade_gpu_power_watts", 5.0, gpu="0"))

    assert by_our_names(samples, [GPU]) is samples
