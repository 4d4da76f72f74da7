"""`escalade history` reads campaigns, or says why not."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from campaigns import repeated, write_campaign
from escalade.campaign.past import history_of
from escalade.cli.main import app
from escalade.errors import InputError
from escalade.manifest import write_manifest
from escalade.report.texts.history import history_table, records

if TYPE_CHECKING:
    from pathlib import Path


def campaign(path: Path, day: int) -> Path:
    cells = [
        replace(each, cell={**each.cell, "started_at": 1.7e9 + 86_400 * day})
        for each in repeated([5.0], seed=day + 1)
    ]
    return write_campaign(path, cells)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of two campaigns whose names are in the wrong order."""
    folder = tmp_path_factory.mktemp("results")
    campaign(folder / "b", 0)
    campaign(folder / "a", 1)
    return folder


@pytest.fixture(scope="module")
def found(two: Path) -> dict[str, Any]:
    return history_of([two / "a", two / "b"])


def test_the_order_is_that_of_the_measurement(found: dict[str, Any], two: Path) -> None:
    (told,) = found["histories"]

    assert [each["path"] for each in told["campaigns"]] == [str(two / "b"), str(two / "a")]


def test_the_table_has_a_line_for_each_campaign(found: dict[str, Any], two: Path) -> None:
    table = history_table(found["histories"][0])

    assert table.title.startswith("demo, workload ")
    assert table.columns[:5] == ("Measured (UTC)", "Folder", "Commit", "Runs", "Capacity")
    assert [row[:4] for row in table.rows] == [
        ("2023-11-14 22:13", str(two / "b"), "0123abcd", "1"),
        ("2023-11-15 22:13", str(two / "a"), "0123abcd", "1"),
    ]
    assert any(
        "with a value from 2 campaigns nothing is tested well" in sentence
        for sentence in table.sentences
    )


def test_a_change_point_is_marked_and_told(found: dict[str, Any]) -> None:
    told = json.loads(json.dumps(found["histories"][0]))
    told["series"][0]["change_points"] = [
        {
            "campaign": "small",
            "path": "r/a",
            "measured_at": 0.0,
            "index": 1,
            "p": 0.004,
            "word": "worse",
            "before": 5.0,
            "after": 4.0,
            "scale": "ratio",
            "effect": 0.8,
            "ci_low": 0.78,
            "ci_high": 0.82,
            "relative": -0.2,
            "changes": [{"what": "source.commit", "baseline": "a", "candidate": "b"}],
        }
    ]
    table = history_table(told)

    assert table.rows[1][4].endswith("▼ worse")
    assert table.sentences[0].replace("\N{NO-BREAK SPACE}", " ") == (
        "Capacity became worse by −20.0 % (95 % from −22.0 % to −18.0 %) with r/a of "
        "2023-11-15 22:13, p = 0.004; what else differs from the campaign before: source.commit."
    )
    (marked,) = [row for row in records({"histories": [told]}) if row["change"]]
    assert (marked["metric"], marked["change_relative"]) == ("capacity_qps", -0.2)


def call(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["history", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_every_form_can_be_read(two: Path, monkeypatch: pytest.MonkeyPatch, found: Any) -> None:
    monkeypatch.setattr("escalade.campaign.past.history_of", lambda *_, **__: found)
    folders = [str(two / "a"), str(two / "b")]

    assert json.loads(call(*folders, "--format", "json")[1])["schema"] == 1
    rows = list(csv.DictReader(io.StringIO(call(*folders, "--format", "csv")[1])))
    assert {row["deployment"] for row in rows} == {"demo"}
    said = call(*folders, "--format", "markdown")[1]
    assert "| Measured (UTC) | Folder |" in said
    assert "Measured (UTC)" in call(*folders)[1]


def damaged(folder: Path, how: str) -> Path:
    """Make a campaign that can't be used."""
    path = folder / "broken"
    if how == "no campaign":
        path.mkdir()
        return path
    campaign(path, 2)
    cell = next((path / "cells").iterdir())
    if how == "future":
        content = json.loads((path / "provenance.json").read_text())
        (path / "provenance.json").write_text(json.dumps({**content, "schema": 99}))
        write_manifest(path)
    elif how == "corrupted":
        (cell / "requests.parquet").write_bytes(b"PAR1")
    elif how == "edited":
        (path / "campaign.resolved.yaml").write_text("campaign: other")
    elif how == "no time":
        for name in ("cell.json", "windows.json"):
            content = json.loads((cell / name).read_text())
            content.pop("started_at", None)
            for step in content.get("steps", []):
                step["started_at"] = None
            (cell / name).write_text(json.dumps(content))
        write_manifest(path)
    return path


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no campaign", "is no campaign"),
        ("future", "has schema 99"),
        ("corrupted", "is not as MANIFEST.json says"),
        ("edited", "is not as MANIFEST.json says"),
        ("no time", "does not say when it was measured"),
    ],
)
def test_what_cannot_be_used_is_named_and_can_be_skipped(
    how: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("escalade.campaign.past.histories", lambda pasts, *_: list(pasts))
    good, broken = campaign(tmp_path / "good", 0), damaged(tmp_path, how)

    with pytest.raises(InputError, match=f"{said}.*--skip-broken"):
        history_of([good, broken])
    found = history_of([good, broken], skip_broken=True)
    assert [past.path for past in found["histories"]] == [str(good)]
    assert [each["path"] for each in found["skipped"]] == [str(broken)]


def test_a_copy_is_no_campaign_of_its_own(
    two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("escalade.campaign.past.histories", lambda pasts, *_: list(pasts))
    shutil.copytree(two / "a", tmp_path / "copy")

    with pytest.raises(InputError, match="hold the same measurements"):
        history_of([two / "a", tmp_path / "copy"])


def test_nothing_to_read_and_figures_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="None of the folders"):
        history_of([tmp_path / "absent"], skip_broken=True)
    with pytest.raises(InputError, match=r"--metric: .*no KPI"):
        history_of([tmp_path], ["speed"])
    with pytest.raises(InputError, match="is no folder"):
        call(str(tmp_path / "absent"))
