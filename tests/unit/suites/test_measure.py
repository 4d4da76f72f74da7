"""Measured components are kept with everything that makes them readable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from escalade.errors import InputError
from escalade.manifest import verify
from escalade.suites import stored
from escalade.suites.components import Component
from escalade.suites.measure import measure_components

if TYPE_CHECKING:
    from pathlib import Path


def component(script: str, name: str = "mine", **more: Any) -> Component:
    usual = {"iterations": 40, "least_seconds": 0, "warmup_iterations": 2, "timeout_seconds": 5}
    return Component(name=name, command=("sh", "-c", script), **{**usual, **more})


@pytest.fixture
def folder(tmp_path: Path) -> stored.ComponentsFolder:
    return stored.ComponentsFolder(tmp_path / "results" / "here" / "components")


def test_samples_outcome_tables_and_manifest_are_left(folder: stored.ComponentsFolder) -> None:
    ms = component("seq 42", values={"wait_seconds": {"scale": 0.001}})
    (outcome,) = measure_components([ms], folder)
    content = stored.write_tables(folder, ["mine"], "here")
    stored.seal(folder)

    assert outcome["status"] == "measured"
    assert outcome["environment"]["host"]["cpus"] >= 1
    samples = pd.read_parquet(folder.samples("mine"))
    assert samples["warmup"].sum() == 2
    assert samples["wait_seconds"].tolist() == pytest.approx([n / 1000 for n in range(1, 43)])
    # counted are 3..42 ms: the median of 40 lies between 22 and 23 ms
    first = pd.read_csv(folder.csv).iloc[0]
    assert (first["stat"], first["unit"], first["n"]) == ("p50", "s", 40)
    assert first["value"] == pytest.approx(0.0225)
    assert content["components"][0]["rows"][0]["value"] == pytest.approx(0.0225)
    assert verify(folder.path) == []


def test_the_same_samples_give_the_same_bytes(folder: stored.ComponentsFolder) -> None:
    measure_components([component("seq 42")], folder)
    made = [folder.summary, folder.csv, folder.parquet]
    stored.write_tables(folder, ["mine"], "here")
    first = [path.read_bytes() for path in made]
    stored.write_tables(folder, ["mine"], "here")

    assert [path.read_bytes() for path in made] == first


def test_what_goes_wrong_with_one_is_its_outcome(folder: stored.ComponentsFolder) -> None:
    several = [
        component("echo no GPU >&2; exit 69", "absent"),
        component("echo nan", "nan"),
        component("exit 4", "broken"),
        component("seq 42", "fine"),
    ]

    outcomes = measure_components(several, folder)

    assert [told["status"] for told in outcomes] == [
        "not available",
        "unusable",
        "failed",
        "measured",
    ]
    content = stored.write_tables(folder, [each.name for each in several], "here")
    absent = content["components"][0]["rows"]
    assert [(row["value"], row["quality"]) for row in absent] == [(None, "missing: no GPU")]


def test_what_is_measured_is_kept_until_it_means_something_else(
    folder: stored.ComponentsFolder,
) -> None:
    (first,) = measure_components([component("seq 42")], folder)
    (same,) = measure_components([component("seq 42")], folder)
    (other,) = measure_components([component("seq 50")], folder)
    (again,) = measure_components([component("seq 50")], folder, again=True)

    assert same == first
    assert other["started_at"] > first["started_at"]
    assert again["started_at"] > other["started_at"]


def test_a_failed_one_is_measured_again(folder: stored.ComponentsFolder) -> None:
    (first,) = measure_components([component("exit 1")], folder)
    (second,) = measure_components([component("exit 1")], folder)

    assert second["started_at"] > first["started_at"]


def test_fewer_iterations_than_asked_for_are_flagged(folder: stored.ComponentsFolder) -> None:
    slow = component(
        "while :; do echo 1; sleep 0.02; done", iterations=1000, warmup_iterations=0,
        budget_seconds=0.4,
    )  # fmt: skip
    measure_components([slow], folder)

    (entry,) = stored.write_tables(folder, ["mine"], "here")["components"]
    assert any(
        "of 1000 iterations: the budget of 0.4 s ran out" in row["quality"] for row in entry["rows"]
    )


def test_repetitions_are_started_anew_and_joined(folder: stored.ComponentsFolder) -> None:
    measure_components([component("seq 42", repetitions=3)], folder)

    (entry,) = stored.write_tables(folder, ["mine"], "here")["components"]
    joined = [row for row in entry["rows"] if row["repetition"] is None and row["stat"] == "p50"]
    assert [(row["value"], row["n"]) for row in joined] == [(pytest.approx(22.5), 3)]


def test_two_values_of_one_name_are_refused(folder: stored.ComponentsFolder) -> None:
    (outcome,) = measure_components([component("""echo '{"a-b": 1, "a.b": 2}'""")], folder)

    assert outcome["status"] == "unusable"
    assert "two have the same name: a_b, a_b" in outcome["reason"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("outcome.json gone", "does not exist"),
        ("outcome.json cut", "can't be read as JSON"),
        ("outcome.json of another kind", "has no known status"),
        ("outcome.json of the future", "has schema 99, and this version reads 1"),
        ("samples.parquet gone", "does not exist"),
        ("samples.parquet cut", "can't be read as Parquet"),
        ("samples.parquet without a column", "lacks the column"),
    ],
)
def test_damaged_results_are_named(damage: str, said: str, folder: stored.ComponentsFolder) -> None:
    measure_components([component("seq 42")], folder)
    outcome, samples = folder.outcome("mine"), folder.samples("mine")
    match damage.split(" ", 1):
        case ["outcome.json", "gone"]:
            outcome.unlink()
        case ["outcome.json", "cut"]:
            outcome.write_text(outcome.read_text()[:40])
        case ["outcome.json", "of another kind"]:
            outcome.write_text("[]")
        case ["outcome.json", "of the future"]:
            outcome.write_text(json.dumps({**json.loads(outcome.read_text()), "schema": 99}))
        case ["samples.parquet", "gone"]:
            samples.unlink()
        case ["samples.parquet", "cut"]:
            samples.write_bytes(samples.read_bytes()[:60])
        case _:
            pd.read_parquet(samples).drop(columns="warmup").to_parquet(samples)

    with pytest.raises(InputError, match=said):
        stored.write_tables(folder, ["mine"], "here")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "is no table of components"),
        ('{"components": [], "schema": 7}', "has schema 7"),
        ("{", "can't be read as JSON"),
    ],
)
def test_a_damaged_summary_is_named(text: str, said: str, folder: stored.ComponentsFolder) -> None:
    folder.path.mkdir(parents=True)
    folder.summary.write_text(text)

    with pytest.raises(InputError, match=said):
        stored.read_summary(folder)
