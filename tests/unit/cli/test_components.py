"""The command group `components`."""

from __future__ import annotations

import csv
import io
import json
import shutil
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from escalade.cli.main import app
from escalade.errors import InputError
from escalade.suites.shipped import SHIPPED

if TYPE_CHECKING:
    from pathlib import Path

FILE = """
components:
  - name: steps
    command: [seq, "42"]
    values: {wait_seconds: {scale: 0.001}}
    iterations: 40
    warmup_iterations: 2
    least_seconds: 0
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text(FILE)
    return tmp_path


def call(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["components", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_the_list_names_every_component_and_its_parameters() -> None:
    code, said, _ = call("list")

    assert code == 0
    for name, shipped in SHIPPED.items():
        assert name in said
        assert all(parameter in said for parameter in shipped.parameters)
    assert [row["name"] for row in json.loads(call("list", "--json")[1])] == list(SHIPPED)


def test_a_file_is_measured_and_shown_in_every_form(work: Path) -> None:
    code, said, told = call("run", "--config", "my.yaml", "--name", "here")

    assert code == 0, told
    assert "steps" in said
    assert "22\N{NO-BREAK SPACE}ms [3," in said  # the median of 3..42
    assert (work / "results/here/components/MANIFEST.json").exists()
    rows = list(csv.DictReader(io.StringIO(call("show", "results/here", "--format", "csv")[1])))
    assert float(rows[0]["value"]) == pytest.approx(0.0225)
    content = json.loads(call("show", "results/here", "--format", "json")[1])
    assert content["components"][0]["status"] == "measured"
    assert call("show", "results/here", "--format", "markdown")[1].startswith("| Component | p50")


def test_two_measurements_are_compared(work: Path) -> None:
    for name, count in (("before", "42"), ("after", "62")):
        (work / "my.yaml").write_text(
            FILE.replace('command: [seq, "42"]', f"command: [sh, -c, seq {count}]")
            + "    repetitions: 4\n"
        )
        assert call("run", "--config", "my.yaml", "--name", name, "--quiet")[0] == 0
    code, said, _ = call("compare", "results/before", "results/after", "--format", "json")

    assert code == 2  # another command is another thing
    assert "another definition: command differs" in json.loads(said)["rows"][0]["reason"]
    with pytest.raises(InputError, match="are the same folder"):
        call("compare", "results/after", "results/after")
    shutil.copytree(work / "results/after", work / "results/again")
    code, said, _ = call("compare", "results/after", "results/again")
    assert code == 0
    assert "No regression shown." in said


def test_a_command_of_ones_own_is_measured(work: Path) -> None:
    code, said, _ = call("run", "--command", "echo 5", "--iterations", "6", "--warmup-seconds", "0",
                         "--quiet")  # fmt: skip

    assert code == 0
    assert "echo" in said
    assert (work / "results/machine/components/echo/samples.parquet").exists()


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("/no/such/program", 2, "can't be started"),
        ("echo nan", 2, "is not finite"),
        ("echo hello", 2, "printed no number"),
        ("sh -c 'exit 5'", 3, "ended with exit code 5"),
        ("sh -c 'echo no GPU >&2; exit 69'", 3, "No GPU"),
    ],
)
def test_exit_codes_are_those_of_the_page(work: Path, command: str, code: int, said: str) -> None:
    ended, out, err = call("run", "--command", command)

    assert ended == code
    assert said.lower() in (out + err).lower()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "nothing"), "no component 'nothing'"),
        (("run", "process_spawn", "--config", "my.yaml"), "exclude each other"),
        (("run", "--command", "'"), "can't be split"),
        (("run", "--command", " "), "is empty"),
        (("run", "process_spawn", "--iterations", "0"), "iterations"),
        (("run", "process_spawn", "--name", "campaign"), "holds a campaign"),
        (("show", "results/absent"), "does not exist"),
    ],
)
def test_bad_input_is_one_message(work: Path, words: tuple[str, ...], said: str) -> None:
    (work / "results/campaign").mkdir(parents=True)
    (work / "results/campaign/campaign.resolved.yaml").touch()

    with pytest.raises(InputError, match=said):
        call(*words)
