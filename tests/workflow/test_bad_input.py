"""Bad input: one screen, a documented exit code, nothing started, nothing half-written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from workplace import deployment, ladder

if TYPE_CHECKING:
    from workplace import Workplace

SCREEN_LINES = 24


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"repetition": 2}, "repetitions"),
        ({"repetitions": "two"}, "repetitions"),
        ({"load": {"ladder": []}}, "load.ladder"),
        ({"load": ladder((-1, 2))}, "target_qps"),
        ({"load": ladder((5, 2), (5, 2))}, "ascend"),
        ({"deployments": [{"name": "x", "recipe": "lama_cpp"}]}, "llama_cpp"),
        ({"deployments": [deployment("x", slot=4)]}, "slots"),
        ({"deployments": [deployment("x", slots="four")]}, "slots"),
        ({"deployments": [{**deployment("x"), "models": ["smollm2-135m"]}]}, "model"),
        ({"deployments": [{"name": "x", "recipe": "llama_cpp", "models": ["none"]}]}, "none"),
        (
            {
                "deployments": [
                    {
                        "name": "x",
                        "recipe": "llama_cpp",
                        "models": ["smollm2-135m"],
                        "profile": "none",
                    }
                ]
            },
            "none",
        ),
        (
            {"deployments": [{"name": "x", "recipe": "llama_cpp", "models": ["llama2_70b_chat"]}]},
            "llama2_70b_chat",
        ),
        ({"workload": {"kind": "openai_chatt"}}, "openai_chat"),
        ({"workload": {"kind": "missing.py"}}, "missing.py"),
        ({"workload": {"kind": "broken.py"}}, "broken.py, line 1, is no valid Python"),
        ({"workload": {"prompts": "none.jsonl"}}, "none.jsonl does not exist"),
        ({"workload": {"input_tokens": {"uniform": [9, 1]}}}, "[least, most]"),
        ({"load": {**ladder((5, 2)), "arrivals": "gamma"}}, "needs lines `gamma:`"),
        (
            {"load": {**ladder((5, 2)), "arrivals": "trace", "trace": {"file": "none.csv"}}},
            "none.csv does not exist",
        ),
    ],
)
def test_a_wrong_configuration_is_one_message(
    workplace: Workplace, changes: dict[str, Any], expected: str
) -> None:
    workplace.write(**changes)
    (workplace.folder / "broken.py").write_text("class User(:\n")

    code, output = workplace.here("run", str(workplace.config))

    assert code == 2, output
    assert expected in output
    assert str(workplace.config.name) in output
    assert "Traceback" not in output
    assert len(output.splitlines()) <= SCREEN_LINES
    assert not workplace.results.exists()
    assert workplace.processes() == []


def test_snakemake_gives_the_same_message(workplace: Workplace) -> None:
    workplace.write(repetition=2)

    answer = workplace.snakemake("-n")

    assert answer.returncode == 1
    said = answer.stdout + answer.stderr
    assert "repetitions" in said
    assert "Traceback" not in said


def test_a_missing_profile_lists_those_that_are_there(workplace: Workplace) -> None:
    workplace.write()

    code, output = workplace.here("run", str(workplace.config), "--profile", "profiles/none")

    assert code == 2
    assert "profiles/local" in output


def test_a_missing_configuration_is_told(workplace: Workplace) -> None:
    code, output = workplace.here("run", "none.yaml")

    assert code == 2
    assert "none.yaml" in output


def test_a_plan_starts_nothing(workplace: Workplace) -> None:
    workplace.write(deployments=[deployment("a"), deployment("b")], repetitions=2)

    code, output = workplace.here("plan", str(workplace.config))

    assert code == 0, output
    assert "4 cells, 8 steps" in output
    assert sorted(entry.name for entry in workplace.folder.iterdir()) == ["trial.yaml"]


def test_a_replay_of_something_else_is_refused(workplace: Workplace) -> None:
    code, output = workplace.here("replay", str(workplace.folder))

    assert code == 2
    assert "no measured campaign" in output
    assert "Traceback" not in output
