"""Dashboards are whole, ask for what exporters offer, and are the same bytes each time."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard
from typer.testing import CliRunner

from escalade.cli import monitor
from escalade.cli.main import app
from escalade.cli.monitor.dashboards import recipe_names
from escalade.errors import InputError
from escalade.monitoring.dashboards import boards
from escalade.monitoring.limits import Bands, Limits
from escalade.monitoring.rules import alerts
from recorded_pages import Samples, offered_labels, recorded_samples, unresolved

NAMES = recipe_names(None)
LIMITS, BANDS = Limits(), Bands()
BOARDS: dict[str, dict[str, Any]] = {
    board.uid: json.loads(board.to_json()) for board in boards(LIMITS, BANDS, NAMES)
}
PANELS = [
    pytest.param(panel, id=f"{uid}: {panel['title']}")
    for uid, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
UNITS = {
    value for name, value in vars(units).items() if isinstance(value, str) and name[0].isupper()
}
every_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
every_panel = pytest.mark.parametrize("panel", PANELS)


def panel_of(uid: str, title: str) -> dict[str, Any]:
    (found,) = [panel for panel in BOARDS[uid]["panels"] if panel["title"] == title]
    return found


def steps_of(panel: dict[str, Any]) -> list[tuple[float | None, str]]:
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return [(step["value"], step["color"]) for step in steps]


@pytest.fixture(scope="module")
def samples() -> Samples:
    return recorded_samples()


@every_panel
def test_every_query_asks_for_what_a_recorded_page_offers(
    panel: dict[str, Any], samples: Samples
) -> None:
    assert panel["targets"]
    for target in panel["targets"]:
        assert unresolved(target["expr"], samples) == []


@every_panel
def test_every_legend_names_labels_that_the_query_has(
    panel: dict[str, Any], samples: Samples
) -> None:
    for target in panel["targets"]:
        named = set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))
        assert named <= offered_labels(target["expr"], samples)


@every_board
def test_every_mark_asks_for_what_a_recorded_page_offers(
    board: dict[str, Any], samples: Samples
) -> None:
    steps, rate = board["annotations"]["list"]

    for mark in (steps, rate):
        assert unresolved(mark["expr"], samples) == []
        assert mark["target"]["expr"] == mark["expr"]  # where Grafana 11 looks
        assert mark["target"]["interval"] == mark["step"] == "5s"
        named = set(re.findall(r"{{(\w+)}}", mark["titleFormat"]))
        assert named <= offered_labels(mark["expr"], samples)
    assert "step" in steps["titleFormat"]
    assert rate["expr"].count("> 65") == 2
    assert "65 requests/s" in rate["titleFormat"]


@pytest.mark.parametrize("alert", alerts(LIMITS, NAMES), ids=lambda alert: alert.name)
def test_every_alert_asks_for_what_a_recorded_page_offers(alert: Any, samples: Samples) -> None:
    assert unresolved(alert.expression, samples) == []
    used = set(re.findall(r"\$labels\.(\w+)", alert.summary))
    assert used <= offered_labels(alert.expression, samples)


def test_a_query_that_no_page_answers_is_told(samples: Samples) -> None:
    def wanted(expression: str) -> list[str]:
        return unresolved(expression, samples)

    assert wanted("rate(escalade_load_sent_total[$__rate_interval])") == []
    assert wanted("escalade_load_send_total") == ["escalade_load_send_total{}"]
    assert wanted('up or node_cpu_seconds_total{mode="idel"}') == [
        "node_cpu_seconds_total{mode=idel}"
    ]
    assert wanted('{__name__=~"llm_queue_length|no_such_queue"}') == ["no_such_queue{}"]
    assert wanted("sum by (index) (escalade_gpu_memory_used_bytes)") == ["label index"]


@every_panel
def test_every_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]

    assert panel["title"]
    assert re.search(r"\w.*\.$", panel["description"])
    assert defaults["unit"] in UNITS or defaults["unit"].startswith("suffix: ")
    assert defaults["noValue"] == "no data"
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@every_board
def test_every_panel_has_a_number_and_a_place_of_its_own(board: dict[str, Any]) -> None:
    numbers = [panel["id"] for panel in board["panels"]]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
    for one, other in combinations([panel["gridPos"] for panel in board["panels"]], 2):
        apart = any(
            a[axis] + a[size] <= b[axis]
            for a, b in ((one, other), (other, one))
            for axis, size in (("x", "w"), ("y", "h"))
        )
        assert apart, (one, other)


@every_board
def test_no_row_of_the_grid_has_a_hole(board: dict[str, Any]) -> None:
    covered: dict[int, int] = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        for y in range(place["y"], place["y"] + place["h"]):
            covered[y] = covered.get(y, 0) + place["w"]

    assert covered == dict.fromkeys(range(max(covered) + 1), 24)


@every_board
def test_grafana_s_own_model_reads_all_of_it(board: dict[str, Any]) -> None:
    register_default_plugins()

    read = Dashboard.from_json(board)

    assert json.loads(JSONEncoder().encode(read)) == board


def test_the_dashboards_know_each_other() -> None:
    assert list(BOARDS) == [f"escalade-{name}" for name in ("campaign", "service", "gpu", "node")]
    for board in BOARDS.values():
        assert board["tags"] == ["escalade"]
        (link,) = board["links"]
        assert (link["type"], link["tags"], link["keepTime"]) == ("dashboards", ["escalade"], True)


def test_the_thresholds_are_those_of_the_documents() -> None:
    green, yellow, red = "green", "yellow", "red"

    assert steps_of(panel_of("escalade-gpu", "VRAM used")) == [
        (None, green),
        (8e9, yellow),
        (10.5e9, red),
    ]
    assert steps_of(panel_of("escalade-node", "RAM used")) == [
        (None, green),
        (48e9, yellow),
        (60e9, red),
    ]
    assert steps_of(panel_of("escalade-gpu", "Temperature")) == [
        (None, green),
        (70, yellow),
        (85, red),
    ]
    assert steps_of(panel_of("escalade-gpu", "VRAM that is free")) == [(None, red), (0.2, green)]
    assert steps_of(panel_of("escalade-campaign", "Rate against latency")) == [
        (None, green),
        (65, red),
    ]


@pytest.mark.parametrize("uid", ["escalade-campaign", "escalade-service"])
def test_rate_and_latency_have_an_axis_each(uid: str) -> None:
    panel = panel_of(uid, "Rate against latency")

    assert panel["fieldConfig"]["defaults"]["unit"] == "reqps"
    (right,) = panel["fieldConfig"]["overrides"]
    assert right["matcher"] == {"id": "byFrameRefID", "options": "B"}
    told = {one["id"]: one["value"] for one in right["properties"]}
    assert (told["unit"], told["custom.axisPlacement"]) == ("s", "right")
    assert "0.95" in panel["targets"][1]["expr"]


def test_the_cache_modes_with_a_target_are_red_below_it() -> None:
    panel = panel_of("escalade-service", "Cache hit rate by mode (target: ≥ 60%)")

    assert [target["expr"] for target in panel["targets"]] == [
        *(f'cache_hit_rate{{mode="{mode}"}}' for mode in ("fast", "balanced", "creative")),
        'cache_hit_rate{mode!~"fast|balanced|creative"}',
    ]
    for override, query in zip(panel["fieldConfig"]["overrides"], "AB", strict=True):
        assert override["matcher"]["options"] == query
        (limit,) = [one for one in override["properties"] if one["id"] == "thresholds"]
        assert limit["value"]["steps"] == [
            {"value": None, "color": "red"},
            {"value": 0.6, "color": "green"},
        ]


def run(*arguments: str) -> str:
    done = CliRunner().invoke(monitor.app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command_writes_the_same_bytes_each_time(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    listed = run("dashboards", "--out", str(first), "--seen-at", "/etc/escalade").split()
    run("dashboards", "--out", str(second), "--seen-at", "/etc/escalade")

    written = sorted(path.relative_to(first) for path in first.rglob("*.*"))
    assert sorted(map(Path, listed)) == [first / path for path in written]
    assert len(written) == 6
    for path in written:
        assert (first / path).read_bytes() == (second / path).read_bytes()


def test_what_is_provisioned_leads_to_prometheus_and_to_the_dashboards(tmp_path: Path) -> None:
    url = "https://grafana-host:9090/prometheus"
    run("dashboards", "--out", str(tmp_path), "--datasource", url, "--scrape-interval", "15s")

    provisioning = tmp_path / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "escalade.yaml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "escalade.yaml").read_text())[
        "providers"
    ]
    assert (source["type"], source["url"]) == ("prometheus", url)
    assert source["jsonData"]["timeInterval"] == "15s"
    boards_at = Path(provider["options"]["path"])
    assert sorted(path.stem for path in boards_at.glob("*.json")) == sorted(BOARDS)
    for board in BOARDS.values():
        chosen = board["templating"]["list"][0]
        assert (chosen["query"], chosen["current"]["value"]) == ("prometheus", source["uid"])


def test_every_limit_can_be_another(tmp_path: Path) -> None:
    options = ["--rate-threshold", "120.5", "--vram-headroom", "0.1", "--queue-length", "8"]
    options += ["--cache-hit-rate", "0.5", "--vram", "60", "76", "--ram", "400", "480"]
    run("dashboards", "--out", str(tmp_path), *options, "--temperature", "75", "90")
    told = {
        panel["title"]: steps_of(panel)
        for path in (tmp_path / "dashboards").glob("*.json")
        for panel in json.loads(path.read_text())["panels"]
        if panel["type"] in ("gauge", "timeseries")
        and "thresholds" in panel["fieldConfig"]["defaults"]
    }

    assert [value for value, _ in told["VRAM used"]] == [None, 60e9, 76e9]
    assert [value for value, _ in told["RAM used"]] == [None, 400e9, 480e9]
    assert [value for value, _ in told["Temperature"]] == [None, 75, 90]
    assert [value for value, _ in told["VRAM that is free"]] == [None, 0.1]
    assert [value for value, _ in told["Queue"]] == [None, 8]
    assert [value for value, _ in told["Rate against latency"]] == [None, 120.5]


def test_the_rules_follow_the_limits(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    run("rules", "--out", str(path), "--rate-threshold", "120", "--cache-requests", "1000")

    (group,) = yaml.safe_load(path.read_text())["groups"]
    asked = {rule["alert"]: rule["expr"] for rule in group["rules"]}
    assert list(asked) == [
        *("TargetDown", "VRAMHeadroomLow", "LLMQueueBuildup"),
        *("RequestRateAboveThreshold", "CudaFragmentation", "CacheHitRateLow"),
    ]
    assert asked["RequestRateAboveThreshold"].count("> 120") == 2
    assert asked["CacheHitRateLow"].endswith(">= 1000")
    assert "llamacpp:requests_deferred" in asked["LLMQueueBuildup"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rate-threshold", "0"], "rate_qps is 0: expected a number above 0"),
        (["--vram-headroom", "20"], "vram_free_ratio is 20: expected a share"),
        (["--vram", "10.5", "8"], "vram_bytes is .*yellow first"),
        (["--datasource", "prometheus:9090"], "expected a URL as in http://host:9090"),
        (["--scrape-interval", "15"], "expected a time as in 1s or 15s"),
        (["--recipes", "/no/such/folder"], r"no recipes \(\*.yaml\)"),
    ],
)
def test_what_can_t_be_used_is_told_and_nothing_is_written(
    options: list[str], said: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match=said):
        CliRunner().invoke(
            monitor.app, ["dashboards", "--out", str(out), *options], catch_exceptions=False
        )
    assert not out.exists()


def test_the_commands_are_escalade_s() -> None:
    done = CliRunner().invoke(app, ["monitor", "--help"], catch_exceptions=False)

    assert re.search(r"dashboards .*\n.*rules ", done.output, re.DOTALL)


def test_the_page_says_of_every_alert_when_it_fires() -> None:
    page = (Path(__file__).parents[3] / "docs" / "dashboards.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `([A-Z]\w+)` \| .* \| (\w+) \| (\w+) \| .*\|$", page, re.MULTILINE)

    assert told == [(alert.name, alert.hold, alert.severity) for alert in alerts(LIMITS, NAMES)]
    assert [uid for uid in BOARDS if f"| `{uid}` |" not in page] == []
