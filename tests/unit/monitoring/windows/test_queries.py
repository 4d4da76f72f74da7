"""A queries file is checked before anything is asked, its expressions by Prometheus itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from escalade.errors import InputError
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.windows.queries import DEFAULTS, Query, Questions, check, read_questions

if TYPE_CHECKING:
    from pathlib import Path

    from unit.monitoring.windows.conftest import Recorded


def read(tmp_path: Path, text: str) -> Questions:
    path = tmp_path / "queries.yaml"
    path.write_text(text)
    return read_questions(path)


def test_a_file_adds_to_the_shipped_queries_and_may_replace_them(tmp_path: Path) -> None:
    questions = read(
        tmp_path,
        "slice_by: service\n"
        "queries:\n"
        "- {name: throughput, kind: counter, expr: requests_total, unit: 1/s}\n"
        "- {name: queue, expr: sum(queue_length), unit: requests}\n",
    )

    names = [query.name for query in questions.asked]
    assert names == [*(query.name for query in DEFAULTS), "queue"]
    assert questions.asked[0].expr == "requests_total"
    assert questions.slice_by == "service"


def test_the_shipped_queries_can_be_left_out(tmp_path: Path) -> None:
    text = "defaults: false\nqueries:\n- {name: queue, expr: up, unit: '1'}\n"

    assert [query.name for query in read(tmp_path, text).asked] == ["queue"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("querys: []", r"querys: unknown key. Did you mean 'queries'"),
        (
            "queries:\n- {nam: a, expr: up, unit: s}",
            r"queries\[0\]\.nam: unknown key. Did you mean",
        ),
        ("queries:\n- {name: a, unit: s}", r"queries\[0\]\.expr: is missing"),
        ("queries:\n- {name: A b, expr: up, unit: s}", r"queries\[0\]\.name"),
        ("queries:\n- {name: a, kind: gauge, expr: up, unit: s}", r"'expression', 'counter'"),
        ("queries:\n- {name: a, kind: share, expr: up, unit: s}", r"kind share needs `of`"),
        ("queries:\n- {name: a, of: up, expr: up, unit: s}", r"kind expression has no `of`"),
        (
            "queries:\n- {name: a, expr: up, unit: s, quantiles: [0.5]}",
            r"only a query of the kind hist",
        ),
        (
            "queries:\n- {name: a, kind: histogram, expr: up, unit: s, quantiles: [95]}",
            r"quantiles\[0\]: 95 is not accepted; expected less than 1",
        ),
        (
            "queries:\n- {name: a, expr: up, unit: s}\n- {name: a, expr: up, unit: s}",
            r"two queries have the name 'a'",
        ),
        ("defaults: false", r"nothing is asked"),
        ("queries: [", r"is no valid YAML"),
        ("- a", r"expected a mapping"),
        ("\x00", r"YAML|read"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(tmp_path, text)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_questions(tmp_path / "none.yaml")


def test_prometheus_words_on_every_wrong_expression_are_told(recorded: Recorded) -> None:
    recorded.refused = {"sum(": "parse error: unclosed left parenthesis", "rate": "not a selector"}
    questions = Questions(
        defaults=False,
        queries=(
            Query(name="fine", expr="up", unit="1"),
            Query(name="torn", expr="sum(", unit="1"),
            Query(name="wrong", kind="counter", expr="rate(up)", unit="1/s"),
        ),
    )

    with pytest.raises(InputError) as caught:
        check(PrometheusClient(recorded.url), questions, 1_790_000_500.0)

    assert "torn: " in str(caught.value)
    assert "unclosed left parenthesis" in str(caught.value)
    assert "wrong: " in str(caught.value)
    assert "Expected a selector" in str(caught.value)
    assert "fine" not in str(caught.value)


def test_what_is_asked_is_written_as_a_file_that_can_be_read(tmp_path: Path) -> None:
    questions = Questions(queries=(Query(name="queue", expr="up", unit="1"),), slice_by="service")
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump(questions.to_json()))

    assert read_questions(path).asked == questions.asked
