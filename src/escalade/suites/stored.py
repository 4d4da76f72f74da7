"""What component benchmarks leave: raw samples, an outcome each, and the tables made of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from escalade.analysis.scenarios.components import COLUMNS, component_rows, missing_row, values_of
from escalade.errors import InputError
from escalade.files import read_json, read_table, replacing, write_json, write_table
from escalade.manifest import write_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SCHEMA = 1
MEASURED, UNAVAILABLE, UNUSABLE, FAILED = "measured", "not available", "unusable", "failed"
STATUSES = (MEASURED, UNAVAILABLE, UNUSABLE, FAILED)
_NEEDED = ("repetition", "start", "iteration", "arrived_seconds", "warmup")


@dataclass(frozen=True)
class ComponentsFolder:
    """`results/<name>/components`."""

    path: Path

    @property
    def summary(self) -> Path:
        """Environment, outcomes and rows in one file; what the report reads."""
        return self.path / "components.json"

    @property
    def csv(self) -> Path:
        """The rows as CSV."""
        return self.path / "components.csv"

    @property
    def parquet(self) -> Path:
        """The rows as Parquet."""
        return self.path / "components.parquet"

    def samples(self, component: str) -> Path:
        """Every iteration of a component, warm-up included."""
        return self.path / component / "samples.parquet"

    def outcome(self, component: str) -> Path:
        """How a component's measurement ended; it exists when that is over."""
        return self.path / component / "outcome.json"

    def log(self, component: str) -> Path:
        """Lines that its program wrote to standard error."""
        return self.path / component / "log.txt"

    def outcomes(self) -> list[dict[str, Any]]:
        """Read the outcome of every component that has one, by name.

        Raises
        ------
        InputError
            When one can't be read, or was written by a later version.
        """
        paths = sorted(self.path.glob("*/outcome.json"))
        return [read_outcome(path) for path in paths]


def read_outcome(path: Path) -> dict[str, Any]:
    """Read how a component's measurement ended.

    Raises
    ------
    InputError
        When it can't be read, or is of a schema that this version does not know.
    """
    content = read_json(path, "outcome of a component")
    if not isinstance(content, dict) or content.get("status") not in STATUSES:
        raise InputError(
            f"outcome of a component: {path} has no known status. Remove its folder and measure it again."
        )
    if content.get("schema") != SCHEMA:
        raise InputError(
            f"outcome of a component: {path} has schema {content.get('schema')!r}, and this version "
            f"reads {SCHEMA}. Use the version of Escalade that wrote it, or measure it again."
        )
    return content


def write_tables(folder: ComponentsFolder, names: Sequence[str], title: str) -> dict[str, Any]:
    """Make components.json, .csv and .parquet of the stored samples of `names`; give the first.

    Nothing in them comes from a clock or from this machine: the same samples give the same bytes.

    Raises
    ------
    InputError
        When a component's files are missing, damaged or of a later version.
    """
    entries = [_entry(folder, name) for name in names]
    rows = [row for entry in entries for row in entry["rows"]]
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"repetition": "Int64", "n": "int64"})
    for column in ("value", "ci_low", "ci_high", "n_eff"):
        frame[column] = frame[column].astype(float)
    write_table(folder.parquet, frame)
    with replacing(folder.csv) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")
    content = {"schema": SCHEMA, "name": title, "components": [_plain(entry) for entry in entries]}
    write_json(folder.summary, content)
    return content


def seal(folder: ComponentsFolder) -> None:
    """Cover everything in the folder with its SHA-256."""
    write_manifest(folder.path)


def read_summary(folder: ComponentsFolder) -> dict[str, Any]:
    """Read components.json.

    Raises
    ------
    InputError
        When it is missing, damaged, or of a later version.
    """
    content = read_json(folder.summary, "component benchmarks")
    if not isinstance(content, dict) or not isinstance(content.get("components"), list):
        raise InputError(
            f"{folder.summary} is no table of components: it lacks the key `components`."
        )
    if content.get("schema") != SCHEMA:
        raise InputError(
            f"{folder.summary} has schema {content.get('schema')!r}, and this version reads {SCHEMA}. "
            "Use the version of Escalade that wrote it, or measure again."
        )
    return content


def _entry(folder: ComponentsFolder, name: str) -> dict[str, Any]:
    outcome = read_outcome(folder.outcome(name))
    if outcome["status"] != MEASURED:
        return {**outcome, "rows": [missing_row(name, outcome["status"], outcome["reason"])]}
    metrics = outcome["metrics"]
    needed = [*_NEEDED, *(metric["name"] for metric in metrics)]
    samples = read_table(folder.samples(name), f"samples of component {name}", needed)
    columns = {column: samples[column].to_numpy() for column in needed}
    remarks = [repetition["remarks"] for repetition in outcome["repetitions"]]
    rows = [
        row
        for metric in metrics
        for row in component_rows(name, metric, values_of(columns, metric["name"]), remarks)
    ]
    return {**outcome, "rows": rows}


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    """Give an entry without what JSON has no word for: None stands for NaN and for no bound."""
    rows = [{key: _json(value) for key, value in row.items()} for row in entry["rows"]]
    environment = dict(entry.get("environment", {}))
    environment.pop("software", None)  # a hundred packages, which outcome.json names
    return {**entry, "environment": environment, "rows": rows}


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
