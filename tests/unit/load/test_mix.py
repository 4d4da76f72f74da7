"""Several workloads share a step by a draw that is stored with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.errors import InputError
from escalade.files import write_table
from escalade.load.crews import Crew
from escalade.load.engine import Engine
from escalade.load.mix import draw_mix
from escalade.load.plan import Part, read_plan, write_plan
from escalade.load.prompts import PromptSet
from escalade.load.rows import read_rows
from escalade.load.schedule import StepPlan, draw_schedule, schedule_sha256

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.load.plan import LoadStep

CHAT = {"name": "chat", "share": 0.7, "input_tokens": 8, "output_tokens": {"uniform": [10, 20]}}
EMBED = {"name": "embed", "share": 0.3, "input_tokens": 100, "output_tokens": 1}
LEFT = CHAT | {"abandon": {"share": 0.5, "after_tokens": 3}}
PLAN = StepPlan(1, 10.0, 2.0, 8.0, "poisson", 8, 16)


@given(
    shares=st.lists(st.floats(0.01, 100), min_size=2, max_size=6),
    counts=st.lists(st.integers(0, 300), min_size=1, max_size=3),
)
def test_each_workload_has_its_share_of_each_stretch(
    shares: list[float], counts: list[int]
) -> None:
    mix = [EMBED | {"name": str(n), "share": share} for n, share in enumerate(shares)]
    drawn = draw_mix(mix, counts, [1])["workload"]

    for stretch, count in zip(np.split(drawn, np.cumsum(counts)[:-1]), counts, strict=True):
        found = np.bincount(stretch, minlength=len(mix))
        assert found.sum() == count
        assert (np.abs(found - np.array(shares) / sum(shares) * count) < 1).all()


def test_lengths_and_abandonment_are_those_of_each_workload() -> None:
    frame = draw_schedule([replace(PLAN, mix=[LEFT, EMBED])], seed=3)
    window = frame[frame.phase == "window"]
    chat, embed = window[window.workload == 0], window[window.workload == 1]

    assert (len(chat), len(embed)) == (56, 24)
    assert set(embed.input_tokens) == {100}
    assert set(chat.input_tokens) == {8}
    assert chat.output_tokens.between(10, 20).all()
    assert chat.output_tokens.nunique() > 5
    assert (chat.abandon_tokens == 3).sum() == 28
    assert set(embed.abandon_tokens) == {0}
    # When requests come is no matter of what they are.
    plain = draw_schedule([PLAN], seed=3)
    assert frame.offset_seconds.equals(plain.offset_seconds)
    assert schedule_sha256(frame) != schedule_sha256(plain)


def test_a_stored_mix_is_shared_among_workers_row_by_row(tmp_path: Path) -> None:
    write_table(tmp_path / "s.parquet", draw_schedule([replace(PLAN, mix=[CHAT, EMBED])], seed=3))
    rows = read_rows(tmp_path / "s.parquet", 1)
    parts = [rows.part(worker, 3) for worker in range(3)]

    assert rows.workload is not None
    assert set(rows.workload) == {"chat", "embed"}
    merged = {
        int(index): name
        for part in parts
        for index, name in zip(part.index, part.workload, strict=True)  # type: ignore[arg-type]
    }
    assert [merged[index] for index in rows.index] == rows.workload.tolist()


@pytest.mark.parametrize(
    "mix", [[CHAT, CHAT], [CHAT, EMBED | {"share": 0}], [CHAT, EMBED | {"input_tokens": -1}]]
)
def test_an_impossible_mix_is_refused(mix: list[dict[str, Any]]) -> None:
    with pytest.raises(InputError, match=r"mix|tokens"):
        replace(PLAN, mix=mix)


def test_prompts_of_a_workload_go_to_its_rows_alone() -> None:
    frame = draw_schedule([replace(PLAN, mix=[CHAT, EMBED])], seed=3)
    own = frame.workload == 1
    prompts = PromptSet(([{"role": "user", "content": "a b c"}],) * 5, (None,) * 5)
    given = prompts.assigned(frame, 1, keep=False, own=own)

    assert set(given[own].payload_id) == set(range(5))
    assert set(given[own].input_tokens) == {3}
    assert given[~own].equals(frame[~own])
    assert given.dtypes.equals(frame.dtypes)
    assert given.attrs == frame.attrs


def test_a_plan_keeps_the_workloads_of_its_mix(load_step: LoadStep, tmp_path: Path) -> None:
    mix = (
        Part("chat", "openai_chat", {"model": "m"}, 5.0, tmp_path / "p.jsonl"),
        Part("embed", "openai_embeddings", {}, 1.0, prefix={"tokens": 3, "groups": 1}),
    )
    write_plan(tmp_path / "plan.json", replace(load_step, mix=mix), None)

    step, _ = read_plan(tmp_path / "plan.json")
    assert step.mix == mix
    assert step.parts == mix
    assert [part.workload for part in load_step.parts] == ["plain_http"]


def test_every_workload_is_sent_by_the_users_of_its_own_file(
    load_step: LoadStep, tmp_path: Path
) -> None:
    write_table(tmp_path / "s.parquet", draw_schedule([replace(PLAN, mix=[CHAT, EMBED])], seed=3))
    rows = read_rows(tmp_path / "s.parquet", 1)
    crews = {
        name: Crew(1.0, lambda _: [], parts=frozenset({part}))
        for name, part in {"Chat": 0, "Other": 0, "Embed": 1}.items()
    }
    engine = Engine(load_step, rows, crews)

    sent_by = {id(crew): name for name, crew in crews.items()}
    names = [sent_by[id(crew)] for crew in engine._crew_of]
    assert {name for name, part in zip(names, rows.part_of, strict=True) if part} == {"Embed"}
    of_chat = {name for name, part in zip(names, rows.part_of, strict=True) if not part}
    assert of_chat == {"Chat", "Other"}
