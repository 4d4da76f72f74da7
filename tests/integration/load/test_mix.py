"""A mix of workloads, as the server saw it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from escalade.files import write_table
from escalade.load.plan import Part
from escalade.load.rows import read_rows
from escalade.load.schedule import StepPlan, draw_schedule

if TYPE_CHECKING:
    from pathlib import Path

CHAT = {"name": "chat", "share": 0.7, "input_tokens": 8, "output_tokens": 6}
EMBED = {"name": "embed", "share": 0.3, "input_tokens": 40, "output_tokens": 1}
PLAN = StepPlan(1, 20.0, 0.0, 1.5, "poisson", 8, 6, mix=(CHAT, EMBED))
PARTS = (
    Part("chat", "openai_chat", {"model": "m"}, 10.0),
    Part("embed", "openai_embeddings", {}, 10.0),
)


@pytest.mark.parametrize("workers", [1, 3])
def test_every_request_is_what_the_schedule_says(
    workers: int, start_truth: Any, plan_step: Any, run_workers: Any
) -> None:
    truth = start_truth("--ttft-seconds", "0.02", "--itl-seconds", "0.01")
    step = replace(
        plan_step(truth.url, 20, 1.5, workload="openai_chat", workers=workers), mix=PARTS
    )
    write_table(step.schedule, draw_schedule([PLAN], seed=5))
    table = run_workers(step)

    rows = read_rows(step.schedule, 1)
    assert rows.workload is not None
    assert table.workload.tolist() == rows.workload.tolist()
    assert (table.workload == "embed").sum() == 9
    assert table.error.isna().all()
    lines = truth.lines()
    lines["index"] = lines["id"].str.split("-").str[1].astype(int)
    paths = lines.set_index("index").path.reindex(table["index"])
    assert (paths.str.contains("embeddings").to_numpy() == (table.workload == "embed")).all()
    assert (table[table.workload == "chat"].chunk_offsets.map(len) == 6).all()
    assert (table[table.workload == "embed"].input_tokens > 30).all()


def test_workloads_of_one_kind_have_parameters_and_patience_of_their_own(
    start_truth: Any, plan_step: Any, run_workers: Any
) -> None:
    truth = start_truth("--service-seconds", "0.5")
    parts = (
        Part("quick", "plain_http", {"path": "/quick"}, 0.2),
        Part("patient", "plain_http", {"path": "/patient"}, 5.0),
    )
    mix = (CHAT | {"name": "quick"}, EMBED | {"name": "patient"})
    step = replace(plan_step(truth.url, 20, 1.5), mix=parts)
    write_table(step.schedule, draw_schedule([replace(PLAN, mix=mix)], seed=5))
    table = run_workers(step)

    assert set(table[table.workload == "quick"].error) == {"timeout"}
    assert table[table.workload == "patient"].error.isna().all()
    truth.stop()
    assert truth.lines().path.value_counts().to_dict() == {"/quick": 21, "/patient": 9}


def test_a_file_without_a_user_of_its_own_is_told(
    start_truth: Any, plan_step: Any, run: Any, tmp_path: Path
) -> None:
    own = tmp_path / "mine.py"
    own.write_text("from escalade.load.workloads.openai_chat import ChatUser\n")
    parts = (PARTS[1], Part("mine", str(own), {}, 10.0))
    step = replace(plan_step(start_truth().url, 20, 1.5), mix=parts)
    write_table(
        step.schedule, draw_schedule([replace(PLAN, mix=(EMBED, CHAT | {"name": "mine"}))], 5)
    )

    outcome = run(step).outcome
    assert outcome["outcome"] == "client_failed"
    assert any("'mine' of the mix has no user class" in line for line in outcome["log_tail"])
