"""A real ladder on a truth server finds the capacity that is known: the whole instrument, live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import CellData
from escalade.analysis.verdicts.judge import judge
from escalade.files import read_table, write_table
from escalade.load.records import SCHEMA
from escalade.load.schedule import StepPlan, draw_schedule
from escalade.load.step import LoadStep, run_step
from escalade.monitoring.collector import empty_series
from truths import INPUT_TOKENS, OUTPUT_TOKENS, overload_qps, truths

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from escalade.load.generator import LoadGenerator

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(600)]

SHARES = (0.4, 0.6, 0.75, 0.9, 1.25)
"""Rates of the ladder, relative to the capacity."""
SLOTS = ("--slots", "4", "--service-seconds", "0.05")
OPTIONS = {
    "M/D/4": SLOTS,
    "M/M/4": (*SLOTS, "--service", "exponential"),
    "batching": (
        *("--batch-sequences", "16", "--step-seconds", "0.01"),
        *("--sequence-seconds", "0.0005", "--prefill-seconds", "0.0001"),
    ),
    "collapse": (*SLOTS, "--collapse-beyond", "20", "--collapse-factor", "3"),
}


def climbed(
    kind: str, url: str, folder: Path, forker: LoadGenerator, *, seconds: float, seed: int
) -> dict[str, Any]:
    """Run a ladder and give its row of `capacity` in verdicts.json."""
    truth = truths()[kind]
    lengths = (INPUT_TOKENS, {"uniform": list(OUTPUT_TOKENS)})
    plans = [
        StepPlan(step, share * truth.capacity_qps, 3.0, seconds, "poisson", *lengths)
        for step, share in enumerate(SHARES, start=1)
    ]
    schedule = folder / "schedule.parquet"
    write_table(schedule, draw_schedule(plans, seed))
    chat = kind == "batching"
    outcomes, logs = [], []
    for plan in plans:
        step = LoadStep(
            schedule=schedule,
            step=plan.step,
            repetition=1,
            seed=seed,
            host=url,
            workload="openai_chat" if chat else "plain_http",
            parameters={"model": "truth"} if chat else {},
            folder=folder / str(plan.step),
            scratch=folder / "scratch",
            drain_timeout_seconds=120.0,
            request_timeout_seconds=120.0,
            log=folder / "client.log",
        )
        outcomes.append(run_step(step, forker, lambda: None))
        logs.append(read_table(step.requests_file, "request log", SCHEMA.names))
    data = CellData(
        cell={"schema": 1, "cell": f"live_{seed}", "deployment": "live", "repetition": 1},
        windows={"schema": 1, "scrape_interval_seconds": 1.0, "steps": outcomes},
        requests=pd.concat(logs, ignore_index=True),
        series=empty_series(),
        environment={"metric_names": {}, "agreement": None, "gpus": [], "gpu_note": None},
    )
    row: dict[str, Any] = judge(cell_kpis(data, [truth.slo]), [data], [truth.slo])["capacity"][0]
    return row


@pytest.mark.parametrize("kind", ["M/D/4", "M/M/4", "batching"])
def test_a_live_ladder_finds_a_known_capacity(
    kind: str, start_truth: Callable[..., Any], tmp_path: Path, forker: LoadGenerator
) -> None:
    truth = truths()[kind]
    found: list[dict[str, Any]] = []
    for seed in (1, 2):  # neighbours may take the cores
        server = start_truth(*OPTIONS[kind])
        found.append(
            climbed(kind, server.url, tmp_path / str(seed), forker, seconds=25.0, seed=seed)
        )
        server.stop()
        row = found[-1]
        if row["capacity_qps"] is None or row["slo_capacity_qps"] is None:
            continue
        off = abs(row["capacity_qps"] / truth.capacity_qps - 1)
        slo_off = abs(row["slo_capacity_qps"] / truth.slo_qps - 1)
        # 1,000 to 2,500 answers in a window: 2 to 3 % by chance alone, and a p95 varies more
        if off < 0.05 and slo_off < 0.15:
            return
    if all("after their planned time" in row["reason"] for row in found):
        pytest.skip("the machine is too busy to tell: steps are INVALID, requests left late")
    pytest.fail(f"twice not {truth.capacity_qps:.3g} and {truth.slo_qps:.3g} requests/s: {found}")


def test_a_live_collapse_is_flagged(
    start_truth: Callable[..., Any], tmp_path: Path, forker: LoadGenerator
) -> None:
    server = start_truth(*OPTIONS["collapse"])

    row = climbed("collapse", server.url, tmp_path, forker, seconds=15.0, seed=1)

    if not row["collapse"] and "after their planned time" in row["reason"]:
        pytest.skip("the machine is too busy to tell: steps are INVALID, requests left late")
    assert row["collapse"], row
    assert row["ci_low"] > 1.5 * overload_qps(truths()["collapse"])
