"""Turns and think times are drawn before; later turns come when the answer before them has."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gevent
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.errors import InputError
from escalade.files import read_table, write_table
from escalade.load.arrival import Arrival
from escalade.load.clock import now
from escalade.load.crews import Crew
from escalade.load.engine import Engine
from escalade.load.payloads import Payloads
from escalade.load.prompts import read_prompts
from escalade.load.records import SCHEMA, Records
from escalade.load.rows import read_rows
from escalade.load.schedule import StepPlan, draw_schedule, schedule_sha256

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from escalade.load.plan import LoadStep

PLAN = StepPlan(1, 10.0, 0.5, 1.0, "poisson", {"uniform": [8, 16]}, 16)
TALK = {"turns": {"uniform": [1, 4]}, "think_seconds": {"uniform": [0.01, 0.05]}}


def drawn(conversation: dict[str, Any], seed: int = 3, **changes: Any) -> pd.DataFrame:
    return draw_schedule([replace(PLAN, conversation=conversation, **changes)], seed)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), most=st.integers(1, 6))
def test_each_arrival_begins_a_conversation_of_turns_in_order(seed: int, most: int) -> None:
    frame = drawn(TALK | {"turns": {"uniform": [1, most]}}, seed)
    firsts = frame[frame.turn == 1]

    assert len(firsts) == 15
    assert firsts["index"].tolist() == list(range(15))
    assert firsts.conversation.equals(firsts["index"])
    assert firsts.offset_seconds.is_monotonic_increasing
    later = frame[frame.turn > 1]
    assert np.isinf(later.offset_seconds).all()
    assert later.think_seconds.between(0.01, 0.05).all()
    for _, talk in frame.groupby("conversation"):
        assert talk.turn.tolist() == list(range(1, len(talk) + 1))
        assert len(talk) <= most
    assert frame.payload_id.is_unique


def test_a_conversation_stays_with_one_worker(tmp_path: Path) -> None:
    frame = drawn(TALK)
    write_table(tmp_path / "s.parquet", frame)
    rows = read_rows(tmp_path / "s.parquet", 1)
    parts = [rows.part(worker, 3) for worker in range(3)]

    held = [set(part.extra["conversation"].tolist()) for part in parts]
    assert sum(map(len, held)) == 15
    assert not held[0] & held[1] | held[1] & held[2]
    assert sorted(index for part in parts for index in part.index) == rows.index.tolist()
    assert schedule_sha256(frame) != schedule_sha256(draw_schedule([PLAN], 3))


def test_a_mix_may_have_conversations_in_one_of_its_workloads() -> None:
    alone = {"name": "alone", "share": 1, "input_tokens": 8, "output_tokens": 1}
    mix = (alone, alone | {"name": "talk", "conversation": TALK | {"turns": 2}})
    frame = draw_schedule([replace(PLAN, mix=mix)], 3)

    assert set(frame[frame.workload == 0].turn) == {0}
    talk = frame[frame.workload == 1]
    assert talk.turn.value_counts().to_dict() == {1: 7, 2: 7}  # 2 of 5 and 5 of 10
    assert set(frame[frame.workload == 0].conversation) == {-1}


def test_scripts_decide_the_turns(tmp_path: Path) -> None:
    file = tmp_path / "scripts.jsonl"
    scripts = [["Hello there", "And then?", "Bye"], ["One question only"]]
    file.write_text("\n".join(json.dumps({"turns": turns}) for turns in scripts))
    prompts = read_prompts(file)
    frame = drawn({"scripts": [3, 1], "think_seconds": 0.1})
    given_out = prompts.assigned(frame, 1, keep=False)

    for _, talk in given_out.groupby("conversation"):
        script = scripts[talk.payload_id.iloc[0]]
        assert len(talk) == len(script)
        assert talk.input_tokens.tolist() == [len(text.split()) for text in script]
    assert given_out[given_out.turn == 1].payload_id.value_counts().to_dict() == {0: 8, 1: 7} or (
        given_out[given_out.turn == 1].payload_id.value_counts().to_dict() == {1: 8, 0: 7}
    )
    write_table(tmp_path / "s.parquet", given_out)
    rows = read_rows(tmp_path / "s.parquet", 1)
    row = int(np.flatnonzero((rows.payload_id == 0) & (rows.extra["turn"] == 2))[0])
    arrival = Arrival(Records(rows), row, 0.0, 0, 2, 16)
    assert Payloads(1, prompts).messages(arrival) == [{"role": "user", "content": "And then?"}]


@pytest.mark.parametrize(
    "lines",
    [
        '{"turns": []}',
        '{"turns": ["a", 3]}',
        '{"turns": ["a"]}\n{"prompt": "b"}',
        '{"turns": ["a"], "prompt": "b"}',
    ],
)
def test_what_is_no_script_is_told(lines: str, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(lines)
    with pytest.raises(InputError, match="turns"):
        read_prompts(tmp_path / "p.jsonl")


@pytest.mark.parametrize(
    "conversation",
    [
        {"think_seconds": 1},
        {"turns": 2, "scripts": [1], "think_seconds": 1},
        {"turns": 2, "think_seconds": -1},
        {"turns": 2, "think_seconds": {"uniform": [3, 1]}},
        {"turns": 2, "think_seconds": {"exponential": float("nan")}},
        {"turns": 2, "think_seconds": {"values": []}},
        {"turns": 2, "think_seconds": {"normal": 1}},
    ],
)
def test_an_impossible_conversation_is_refused(conversation: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"conversation|think_seconds"):
        drawn(conversation)


def test_a_closed_loop_has_no_conversations() -> None:
    loop = {"concurrency": 2, "samples_per_query": 1, "max_requests": 10}
    with pytest.raises(InputError, match="begin at a rate"):
        replace(PLAN, target_qps=None, arrivals="closed", parameters=loop, conversation=TALK)


@pytest.fixture
def talk(load_step: LoadStep, tmp_path: Path) -> Callable[..., pd.DataFrame]:
    """Run conversations on an engine with users that run `task`; give the request log."""

    def run(task: Callable[[Arrival], None], **changes: Any) -> pd.DataFrame:
        plan = StepPlan(3, 10.0, 0.0, 0.6, "constant", 8, 16, conversation=TALK | changes)
        write_table(tmp_path / "s.parquet", draw_schedule([plan], 3))
        users: list[gevent.Greenlet] = []

        def live() -> None:
            while True:
                engine.next_arrival("User")
                arrival = engine.current()
                assert arrival is not None
                arrival.sending()
                task(arrival)

        def spawn(count: int) -> list[gevent.Greenlet]:
            users.extend(gevent.spawn(live) for _ in range(count))
            return users[-count:]

        patient = replace(load_step, drain_timeout_seconds=2.0, request_timeout_seconds=2.0)
        engine = Engine(patient, read_rows(tmp_path / "s.parquet", 3), {"User": Crew(1.0, spawn)})
        try:
            engine.drive()
        finally:
            gevent.killall(users)
        assert engine._facts()["drained"]
        return read_table(load_step.requests_file, "request log", SCHEMA.names)

    return run


def test_a_turn_is_planned_a_think_time_after_the_answer_with_all_that_was_said(
    talk: Callable[..., pd.DataFrame],
) -> None:
    histories: dict[tuple[int, int], Any] = {}

    def answer(arrival: Arrival) -> None:
        row = arrival.records.rows
        place = int(row.extra["conversation"][arrival.row]), arrival.turn
        histories[place] = arrival.history
        arrival.asked = [*arrival.history, {"role": "user", "content": f"{place}"}]
        gevent.sleep(0.01)
        arrival.says("yes")
        arrival.says(" indeed")
        arrival.answered(now(), 200, None)

    table = talk(answer, turns=3, think_seconds=0.02)
    done = table[table.error.isna()]

    assert set(table.error.dropna()) <= {"not_due"}
    for number, turns in done.groupby("conversation"):
        for (_, before), (_, row) in zip(
            list(turns.iterrows())[:-1], list(turns.iterrows())[1:], strict=True
        ):
            assert row.planned_at == pytest.approx(before.ended_at + 0.02, abs=1e-6)
            assert row.sent_at >= row.planned_at
        if len(turns) == 3:
            said = histories[int(number), 3]  # type: ignore[call-overload]
            answers = {"role": "assistant", "content": "yes indeed"}
            assert said == [
                {"role": "user", "content": f"({number}, 1)"},
                answers,
                {"role": "user", "content": f"({number}, 2)"},
                answers,
            ]
    assert (done.turn == 3).sum() >= 3
    # What would have come after the window never became due, and has no planned time.
    never = table[table.error == "not_due"]
    assert never.planned_at.isna().all()
    assert never.sent_at.isna().all()
    assert len(done) + len(never) == 18


def test_a_conversation_ends_with_a_failed_turn(talk: Callable[..., pd.DataFrame]) -> None:
    def fail_second(arrival: Arrival) -> None:
        failure = ConnectionResetError() if arrival.turn == 2 else None
        arrival.answered(now(), 0 if failure else 200, failure)

    table = talk(fail_second, turns=3, think_seconds=0.0)

    assert table[table.turn == 1].error.isna().all()
    assert set(table[table.turn == 2].error) == {"reset"}
    assert set(table[table.turn == 3].error) == {"not_due"}
