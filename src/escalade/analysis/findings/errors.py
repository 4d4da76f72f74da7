"""Rules on failed requests, by the class of their errors."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from escalade.analysis.capacity.figures import Evidence
from escalade.analysis.findings.rule import ADVICE, PROBLEM, Fine, Hit, Rule
from escalade.analysis.findings.subject import SHOWN
from escalade.analysis.kpis.readings import label_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from escalade.analysis.capacity.figures import Figures
    from escalade.analysis.findings.rule import Answer
    from escalade.analysis.findings.subject import Subject

TOLERATED = 0.01
"""Share of the requests of a step that may fail in one way before it is told."""
TIMEOUTS, CONNECTIONS = ("timeout", "unfinished"), ("connect", "reset")
SERVER, REFUSED = ("http_5xx",), ("http_4xx", "refused")
BROKEN, CLIENTS = ("malformed",), ("not_sent", "aborted")


def failing(subject: Subject, *, classes: tuple[str, ...], beyond: bool = False) -> Answer:
    """Fire when over 1 % of a step's requests failed in one of these ways.

    With `beyond` the steps beyond saturation are looked at, else the others.
    """
    places = list(subject.beyond() if beyond else subject.stable())
    if not places:
        return None
    found = [each for figures, step in places for each in _over(figures, step, classes)]
    names = " or ".join(classes)
    if not found:
        return None if beyond else Fine(f"hardly any request failed by {names}")
    worst = max(found, key=lambda each: each.value / each.limit)
    share = TOLERATED * worst.value / worst.limit
    words = f"{100 * share:.3g} % of the requests of step {worst.step} failed by {worst.words}"
    return Hit(words, tuple(found[:SHOWN]))


def _over(figures: Figures, step: int, classes: Iterable[str]) -> list[Evidence]:
    found = []
    for name in classes:
        label = label_of({"error": name})
        for row in figures.rows(step, "failed_requests"):
            limit = TOLERATED * row.n
            if row.source.endswith(label) and row.value > limit > 0:
                told = figures.name, step, row.value, row.unit
                found.append(Evidence("failed_requests", "value", *told, limit, row.source, name))
    return found


RULES = (
    Rule(
        "timeouts",
        PROBLEM,
        "Requests time out",
        "over 1 % of the requests of a step that is not beyond saturation failed by `timeout` or `unfinished`",
        "Their answers are lost, and the work on them is too.",
        "Some requests take far longer than the others: long prompts or answers, a lock, a pause of the service; or the limit is short.",
        (
            "raise `workload.request_timeout_seconds` to see how long they take",
            "look at which payloads time out (`payload_id` in requests.parquet)",
        ),
        partial(failing, classes=TIMEOUTS),
    ),
    Rule(
        "connection-errors",
        PROBLEM,
        "Connections fail",
        "over 1 % of the requests of a step that is not beyond saturation failed by `connect` or `reset`",
        "These requests never reached the service's work, or lost its answer.",
        "The listen queue is short, the service closes connections that are kept alive, ports or file handles run out, or a proxy is in the way.",
        (
            "raise the service's limits on connections and open files",
            "set `keep_alive: false` in the workload to see whether re-used connections are the cause",
        ),
        partial(failing, classes=CONNECTIONS),
    ),
    Rule(
        "server-errors",
        PROBLEM,
        "The service fails requests",
        "over 1 % of the requests of a step that is not beyond saturation failed by `http_5xx`",
        "The service says itself that it failed.",
        "A defect, or a resource that ran out: its log has the reason.",
        ("look at the service's log at these times",),
        partial(failing, classes=SERVER),
    ),
    Rule(
        "refused-requests",
        PROBLEM,
        "The service refuses requests",
        "over 1 % of the requests of a step that is not beyond saturation failed by `http_4xx` or `refused`",
        "The requests, as they are made here, are not what the service takes, or more than it lets one client send.",
        "A wrong model name, a prompt longer than the context, a missing right, or a limit of rate (429).",
        (
            "send one of these requests by hand and read the answer",
            "raise the recipe's `context`, or the service's limit of rate",
        ),
        partial(failing, classes=REFUSED),
    ),
    Rule(
        "broken-answers",
        PROBLEM,
        "Answers are broken",
        "over 1 % of the requests of a step that is not beyond saturation failed by `malformed`",
        "An answer came that can't be read as what was asked for.",
        "The service speaks another version of the protocol, or its stream ends early.",
        ("look at one answer as it comes (curl -N)",),
        partial(failing, classes=BROKEN),
    ),
    Rule(
        "lost-requests",
        PROBLEM,
        "The load generator lost requests",
        "over 1 % of the requests of a step that is not beyond saturation were `not_sent` or `aborted`",
        "They count as errors, but say nothing about the service.",
        "The client had no free user for them, or one of its workers ended.",
        ("raise `load.workers`", "see the log of the step in the cell's folder"),
        partial(failing, classes=CLIENTS),
    ),
    Rule(
        "fails-by-timeout-under-overload",
        ADVICE,
        "Under overload it fails late",
        "over 1 % of the requests of a step beyond saturation failed by `timeout` or `unfinished`",
        "Clients wait for nothing, and the service works on what nobody waits for any more.",
        "Nothing refuses requests while there is still time to go elsewhere.",
        ("bound the queue, or refuse by the time that a request has waited",),
        partial(failing, classes=TIMEOUTS, beyond=True),
    ),
)
