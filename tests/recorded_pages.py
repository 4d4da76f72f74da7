"""The recorded pages of metrics, and what queries find on them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import promql_parser
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = Path(__file__).parent / "data" / "metrics"
OF_PROMETHEUS = {"up": [{"job": "any", "instance": "any:1"}]}
"""A metric that Prometheus itself makes."""
VARIABLES = {"$__rate_interval": "1m", "$__range": "30m", "$instance": ".*"}
"""What a reader of a dashboard chose."""

Samples = Mapping[str, list[dict[str, str]]]
"""Name to the labels of each sample."""
Selected = tuple[str, list[promql_parser.Matcher]]


def recorded_samples() -> Samples:
    """Give all samples, with the labels that a scrape adds."""
    found = defaultdict(list, OF_PROMETHEUS)
    for page in sorted(PAGES.glob("*.prom")):
        added = {"job": page.stem, "instance": f"{page.stem}:1"}
        for family in text_string_to_metric_families(page.read_text(encoding="utf-8")):
            for one in family.samples:
                found[one.name].append({**one.labels, **added})
    return found


def filled_in(expression: str) -> str:
    """Put values in for the variables of a dashboard."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def unresolved(expression: str, samples: Samples) -> list[str]:
    """Say what a query asks for that no page offers; nothing where all is well."""
    tree = promql_parser.parse(filled_in(expression))
    found = _missing_series(tree, samples)
    for node in _nodes(tree):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            offered = _labels_below(node.expr, samples)
            found += [f"label {label}" for label in node.modifier.labels if label not in offered]
    return found


def offered_labels(expression: str, samples: Samples) -> set[str]:
    """Give the labels that the samples have which a query selects, and those that it makes."""
    return _labels_below(promql_parser.parse(filled_in(expression)), samples)


def _missing_series(tree: promql_parser.Expr, samples: Samples) -> list[str]:
    return [
        f"{name}{{{', '.join(f'{it.name}={it.value}' for it in matchers)}}}"
        for name, matchers in _selected(tree)
        if not any(_fits(labels, matchers) for labels in samples.get(name, []))
    ]


def _labels_below(tree: promql_parser.Expr, samples: Samples) -> set[str]:
    labels = {
        label
        for name, matchers in _selected(tree)
        for own in samples.get(name, [])
        if _fits(own, matchers)
        for label in own
    }
    for node in _nodes(tree):
        if isinstance(node, promql_parser.Call) and node.func.name == "label_replace":
            labels.add(node.args[1].val)
        if isinstance(node, promql_parser.AggregateExpr) and isinstance(
            node.param, promql_parser.StringLiteral
        ):
            labels.add(node.param.val)  # of count_values
    return labels


def _selected(tree: promql_parser.Expr) -> Iterator[Selected]:
    """Give name and matchers of each selector, one for each name that it allows."""
    for node in _nodes(tree):
        if not isinstance(node, promql_parser.VectorSelector):
            continue
        matchers = list(node.matchers.matchers)
        names = [it for it in matchers if it.name == "__name__"]
        others = [it for it in matchers if it.name != "__name__"]
        for name in [node.name] if node.name else names[0].value.split("|"):
            yield name, others


def _nodes(tree: promql_parser.Expr) -> list[promql_parser.Expr]:
    seen: list[promql_parser.Expr] = []

    def see(node: promql_parser.Expr) -> None:
        seen.append(node)

    promql_parser.walk(tree, pre_visit=see)
    return seen


def _fits(labels: dict[str, str], matchers: list[promql_parser.Matcher]) -> bool:
    return all(_agrees(it, labels.get(it.name, "")) for it in matchers)


def _agrees(matcher: promql_parser.Matcher, value: str) -> bool:
    operator = matcher.op
    if operator in (promql_parser.MatchOp.Equal, promql_parser.MatchOp.NotEqual):
        return (matcher.value == value) is (operator == promql_parser.MatchOp.Equal)
    matched = re.fullmatch(matcher.value, value) is not None
    return matched is (operator == promql_parser.MatchOp.Re)
