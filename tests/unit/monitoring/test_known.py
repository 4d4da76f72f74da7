"""What Prometheus knows of targets, metrics, rules and alerts is read, or said to be malformed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from escalade.errors import InputError
from escalade.monitoring import faults
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.known import Alert, MetricFacts, RuleState, unix

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.monitoring.conftest import StandIn

TARGET = {
    "discoveredLabels": {
        "__address__": "a:1",
        "__metrics_path__": "/metrics",
        "job": "node",
    },
    "labels": {"instance": "a:1", "job": "node"},
    "health": "down",
    "lastError": "connection refused",
    "lastScrape": "2026-11-23T00:00:00.123456789Z",
    "lastScrapeDuration": 0.25,
}
RULE = {
    "name": "Down",
    "type": "alerting",
    "query": "up == 0",
    "health": "ok",
    "state": "firing",
    "alerts": [],
}
ALERT = {
    "labels": {"alertname": "Down", "job": "node"},
    "annotations": {"summary": "it is down"},
    "state": "firing",
    "activeAt": "2026-11-23T00:00:00Z",
    "value": "0e+00",
}


@pytest.fixture
def client(stand_in: StandIn) -> PrometheusClient:
    return PrometheusClient(stand_in.url, timeout=5, retries=0)


def giving(data: Any) -> Callable[..., tuple[int, bytes]]:
    return lambda *_: (200, json.dumps({"status": "success", "data": data}).encode())


def test_a_target_has_the_time_of_its_last_scrape(
    stand_in: StandIn, client: PrometheusClient
) -> None:
    never = TARGET | {"lastScrape": "0001-01-01T00:00:00Z", "health": "unknown", "lastError": ""}
    stand_in.answer = giving({"activeTargets": [TARGET, never]})

    first, second = client.targets()

    assert (first.last_scrape, first.last_scrape_seconds) == (1795392000.123456, 0.25)
    assert (second.last_scrape, second.last_scrape_seconds) == (None, None)


def test_times_of_go_are_read_in_any_zone() -> None:
    assert unix("2026-11-23T01:00:00+01:00") == 1795392000
    assert unix("2026-11-23T00:00:00.5Z") == 1795392000.5


def test_metadata_rules_alerts_and_values_are_read(
    stand_in: StandIn, client: PrometheusClient
) -> None:
    stand_in.answer = giving({"up": [{"type": "gauge", "help": "Up.", "unit": ""}], "none": []})
    assert client.metadata("up") == {"up": MetricFacts("gauge", "Up.", "")}
    stand_in.answer = giving({"groups": [{"name": "g", "rules": [RULE]}]})
    assert client.rules() == [RuleState("g", "Down", "alerting", "up == 0", "ok", "", "firing")]
    stand_in.answer = giving({"alerts": [ALERT]})
    (alert,) = client.alerts()
    assert alert == Alert(
        "Down", "firing", ALERT["labels"], ALERT["annotations"], 1795392000.0, "0e+00"
    )
    stand_in.answer = giving(["a", "b"])
    assert client.label_values("job", '{step="3"}', start=1.5) == ["a", "b"]
    assert [path for path, _ in stand_in.asked] == [
        "/api/v1/metadata?metric=up",
        "/api/v1/rules",
        "/api/v1/alerts",
        "/api/v1/label/job/values?match%5B%5D=%7Bstep%3D%223%22%7D&start=1.5",
    ]


def test_a_label_name_is_never_part_of_a_path(client: PrometheusClient) -> None:
    with pytest.raises(InputError, match="can't name a label"):
        client.label_values("../../admin/tsdb/delete_series")


@pytest.mark.parametrize("data", [None, 3, [1], {"groups": 3}, {"alerts": [{}]}, {"x": 3}])
def test_what_is_no_such_list_is_malformed(
    stand_in: StandIn, client: PrometheusClient, data: Any
) -> None:
    stand_in.answer = giving(data)

    for ask in (client.targets, client.rules, client.alerts):
        with pytest.raises(faults.MalformedAnswerError, match=r"Is this a Prometheus 2.x or 3.x"):
            ask()
    if data is None or data == 3:
        for ask in (client.metadata, lambda: client.label_values("job")):
            with pytest.raises(faults.MalformedAnswerError):
                ask()


def test_a_prometheus_that_loads_its_data_says_to_ask_again(
    stand_in: StandIn, client: PrometheusClient
) -> None:
    stand_in.answer = lambda *_: (503, b"Service Unavailable")

    with pytest.raises(faults.PrometheusError, match=r"HTTP 503.*Ask again in a moment"):
        client.rules()


def test_its_clock_can_be_read(stand_in: StandIn, client: PrometheusClient) -> None:
    stand_in.answer = giving({"resultType": "scalar", "result": [5.5, "5.5"]})

    assert client.now() == 5.5
