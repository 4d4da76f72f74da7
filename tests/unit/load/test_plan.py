"""The file between the driver and the load generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from escalade.errors import InputError
from escalade.files import read_json, write_json
from escalade.load.plan import LoadStep, read_plan, workload_file, write_plan

if TYPE_CHECKING:
    from pathlib import Path


def test_a_plan_comes_back_as_it_was(load_step: LoadStep, tmp_path: Path) -> None:
    for progress in (tmp_path / "progress.json", None):
        write_plan(tmp_path / "plan.json", load_step, progress)

        assert read_plan(tmp_path / "plan.json") == (load_step, progress)


@pytest.mark.parametrize("change", [{"step": None}, {"step": {"host": None}}, {"progress": 7}])
def test_a_damaged_plan_is_named(
    change: dict[str, object], load_step: LoadStep, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, load_step, None)
    write_json(path, read_json(path, "plan") | change)

    with pytest.raises(InputError, match=r"plan\.json"):
        read_plan(path)


def test_bundled_workloads_and_locustfiles_are_found(tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    own.touch()

    assert workload_file("openai_chat").name == "openai_chat.py"
    assert workload_file(str(own)) == own.resolve()


@pytest.mark.parametrize("name", ["openai", "/nowhere/mine.py", "", "__init__"])
def test_an_unknown_workload_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match="openai_chat, openai_completions, "):
        workload_file(name)
