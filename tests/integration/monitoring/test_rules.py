"""Every alert by the real promtool: it fires, not just below its limit, and not without data."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from escalade.monitoring.limits import Limits
from escalade.monitoring.rules import alerts, render
from escalade.monitoring.service_names import ServiceNames
from escalade.runtime import tools

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = Limits()
NAMES = ServiceNames.of(
    [{"queue_length": "llamacpp:requests_deferred", "requests_total": "truth_requests_total"}]
)
AT = 'job="service", instance="n1:8000"'
GPU = 'job="gpu", instance="n1:9400", gpu="0", uuid="GPU-a", name="H100"'
DCGM = 'job="dcgm", instance="n1:9401", gpu="0", UUID="GPU-a"'
CACHE = 'instance="n1:8000", job="service", cache_type="llm"'
LONG = 120
"""Samples, of ten seconds each: twenty minutes."""


@dataclass(frozen=True)
class Case:
    """What Prometheus sees, and what an alert then says of it.

    `series` maps selectors to values in promtool's notation, where `0+5x3` is 0 5 10 15; there is
    a sample every ten seconds. `fires` has the labels of each alert and its summary.
    """

    name: str
    alert: str
    series: dict[str, str]
    at: str = "6m"
    fires: list[tuple[dict[str, str], str]] = field(default_factory=list)


def held(value: float) -> str:
    return f"{value}+0x{LONG}"


def growing(by: float) -> str:
    return f"0+{by}x{LONG}"


def vram(free: str, of: str) -> str:
    return f"{free} of the memory of GPU 0 at {of} is free, less than 20%"


AT_LABELS = {"job": "service", "instance": "n1:8000"}
GPU_LABELS = {"job": "gpu", "instance": "n1:9400", "gpu": "0", "uuid": "GPU-a", "name": "H100"}
IN_PIECES = "is in pieces: an allocation failed within five minutes although enough was free"
ANSWERED = "are answered by the llm cache at n1:8000"
FAST = {"instance": "n1:8000", "mode": "fast", "cache_type": "llm"}
CASES = [
    Case(
        "a target that can't be scraped for a minute",
        "TargetDown",
        {f"up{{{AT}}}": "1x5 0x60"},  # down from 60 s on
        at="2m",
        fires=[(AT_LABELS, "service at n1:8000 can't be scraped")],
    ),
    Case("a target down for less", "TargetDown", {f"up{{{AT}}}": "1x5 0x60"}, at="110s"),
    Case("a target that is up", "TargetDown", {f"up{{{AT}}}": "1x60"}),
    Case("no target at all", "TargetDown", {"node_load1": "1x60"}),
    Case(
        "19 % of a GPU's memory is free",
        "VRAMHeadroomLow",
        {
            f"escalade_gpu_memory_free_bytes{{{GPU}}}": held(19e9),
            f"escalade_gpu_memory_total_bytes{{{GPU}}}": held(100e9),
        },
        fires=[(GPU_LABELS, vram("19%", "n1:9400"))],
    ),
    Case(
        "just 20 % is free",
        "VRAMHeadroomLow",
        {
            f"escalade_gpu_memory_free_bytes{{{GPU}}}": held(20e9),
            f"escalade_gpu_memory_total_bytes{{{GPU}}}": held(100e9),
        },
    ),
    Case(
        "it is not known how much is free",
        "VRAMHeadroomLow",
        {f"escalade_gpu_memory_total_bytes{{{GPU}}}": held(100e9)},
    ),
    Case(
        "it was low for less than five minutes",
        "VRAMHeadroomLow",
        {
            f"escalade_gpu_memory_free_bytes{{{GPU}}}": held(19e9),
            f"escalade_gpu_memory_total_bytes{{{GPU}}}": held(100e9),
        },
        at="4m50s",
    ),
    Case(
        "19 % by DCGM, which alone shows this GPU",
        "VRAMHeadroomLow",
        {
            f"DCGM_FI_DEV_FB_FREE{{{DCGM}}}": held(1900),
            f"DCGM_FI_DEV_FB_USED{{{DCGM}}}": held(8100),
        },
        fires=[
            (
                {"job": "dcgm", "instance": "n1:9401", "gpu": "0", "UUID": "GPU-a"}
                | {"uuid": "GPU-a"},
                vram("19%", "n1:9401"),
            )
        ],
    ),
    Case(
        "a GPU that both exporters show alerts once",
        "VRAMHeadroomLow",
        {
            f"escalade_gpu_memory_free_bytes{{{GPU}}}": held(19e9),
            f"escalade_gpu_memory_total_bytes{{{GPU}}}": held(100e9),
            f"DCGM_FI_DEV_FB_FREE{{{DCGM}}}": held(1900),
            f"DCGM_FI_DEV_FB_USED{{{DCGM}}}": held(8100),
        },
        fires=[(GPU_LABELS, vram("19%", "n1:9400"))],
    ),
    Case(
        "51 requests wait",
        "LLMQueueBuildup",
        {f"llamacpp:requests_deferred{{{AT}}}": held(51)},
        fires=[(AT_LABELS, "51 requests wait at n1:8000, more than 50")],
    ),
    Case(
        "51 wait at a service without a recipe",
        "LLMQueueBuildup",
        {f"llm_queue_length{{{AT}}}": held(51)},
        fires=[(AT_LABELS, "51 requests wait at n1:8000, more than 50")],
    ),
    Case("50 wait", "LLMQueueBuildup", {f"llamacpp:requests_deferred{{{AT}}}": held(50)}),
    Case(
        "51 wait for less than two minutes",
        "LLMQueueBuildup",
        {f"llm_queue_length{{{AT}}}": held(51)},
        at="110s",
    ),
    Case("no queue is shown", "LLMQueueBuildup", {f"up{{{AT}}}": held(1)}),
    Case(
        "two workers send 66 requests a second",
        "RequestRateAboveThreshold",
        {
            'escalade_load_sent_total{worker="0", step="1"}': growing(330),
            'escalade_load_sent_total{worker="1", step="1"}': growing(330),
        },
        fires=[({}, "66 requests/s, more than 65")],
    ),
    Case(
        "64.9 a second are sent",
        "RequestRateAboveThreshold",
        {'escalade_load_sent_total{worker="0", step="1"}': growing(649)},
    ),
    Case(
        "a service counts 70, of which the load generator sent 10",
        "RequestRateAboveThreshold",
        {
            'escalade_load_sent_total{worker="0", step="1"}': growing(100),
            f"truth_requests_total{{{AT}}}": growing(700),
        },
        fires=[(AT_LABELS, "70 requests/s at n1:8000, more than 65")],
    ),
    Case("nothing counts requests", "RequestRateAboveThreshold", {f"up{{{AT}}}": held(1)}),
    Case(
        "a fragmentation event",
        "CudaFragmentation",
        {f"swarm_cuda_fragmentation_events_total{{{AT}}}": "0x20 1x60"},  # at 210 s
        at="4m",
        fires=[
            (
                AT_LABELS,
                f"CUDA memory at n1:8000 {IN_PIECES}",
            )
        ],
    ),
    Case(
        "events of both kinds, under the names of two conventions",
        "CudaFragmentation",
        {
            f'escalade_cuda_fragmentation_events_total{{kind="oom", {AT}}}': "0x20 1x60",
            f'escalade_cuda_fragmentation_events_total{{kind="retry", {AT}}}': "0x20 4x60",
            f"swarm_cuda_fragmentation_events_total{{{AT}}}": "0x20 5x60",
        },
        at="4m",
        fires=[(AT_LABELS, f"CUDA memory at n1:8000 {IN_PIECES}")],
    ),
    Case(
        "allocations that succeeded when they were tried again",
        "CudaFragmentation",
        {f'escalade_cuda_fragmentation_events_total{{kind="retry", {AT}}}': growing(10)},
    ),
    Case(
        "an event of long ago",
        "CudaFragmentation",
        {f"swarm_cuda_fragmentation_events_total{{{AT}}}": "0x5 1x120"},  # at 60 s
        at="8m",
    ),
    Case(
        "no event",
        "CudaFragmentation",
        {f"swarm_cuda_fragmentation_events_total{{{AT}}}": held(7)},
    ),
    Case("no counter of events", "CudaFragmentation", {f"up{{{AT}}}": held(1)}),
    Case(
        "59 of 100 requests are answered by the cache",
        "CacheHitRateLow",
        {
            f'cache_hits_total{{mode="fast", {CACHE}}}': growing(59),
            f'cache_misses_total{{mode="fast", {CACHE}}}': growing(41),
        },
        at="15m",
        fires=[
            (
                FAST,
                f"59% of the requests in mode fast {ANSWERED}, less than its target",
            )
        ],
    ),
    Case(
        "61 of 100 are",
        "CacheHitRateLow",
        {
            f'cache_hits_total{{mode="fast", {CACHE}}}': growing(61),
            f'cache_misses_total{{mode="fast", {CACHE}}}': growing(39),
        },
        at="15m",
    ),
    Case(
        "70 of 100 are, in a mode whose service asks for 80 %",
        "CacheHitRateLow",
        {
            f'cache_hits_total{{mode="exact", {CACHE}}}': growing(70),
            f'cache_misses_total{{mode="exact", {CACHE}}}': growing(30),
            'cache_hit_rate_target{mode="exact", instance="n1:8000", job="service"}': held(0.8),
        },
        at="15m",
        fires=[
            (
                FAST | {"mode": "exact"},
                f"70% of the requests in mode exact {ANSWERED}, less than its target",
            )
        ],
    ),
    Case(
        "59 of 100 are, in a mode whose service asks for 50 %",
        "CacheHitRateLow",
        {
            f'cache_hits_total{{mode="fast", {CACHE}}}': growing(59),
            f'cache_misses_total{{mode="fast", {CACHE}}}': growing(41),
            'cache_hit_rate_target{mode="fast", instance="n1:8000", job="service"}': held(0.5),
        },
        at="15m",
    ),
    Case(
        "a mode without a target",
        "CacheHitRateLow",
        {
            f'cache_hits_total{{mode="creative", {CACHE}}}': growing(1),
            f'cache_misses_total{{mode="creative", {CACHE}}}': growing(99),
        },
        at="15m",
    ),
    Case(
        "90 lookups in ten minutes",  # 60 × (0.5 + 1)
        "CacheHitRateLow",
        {
            f'cache_hits_total{{mode="fast", {CACHE}}}': growing(0.5),
            f'cache_misses_total{{mode="fast", {CACHE}}}': growing(1),
        },
        at="15m",
    ),
    Case(
        "it is not known how many were missed",
        "CacheHitRateLow",
        {f'cache_hits_total{{mode="fast", {CACHE}}}': growing(59)},
        at="15m",
    ),
]


def as_unit_test(case: Case, limits: Limits) -> dict[str, Any]:
    """Give the case as promtool's unit test."""
    known = {alert.name: alert for alert in alerts(limits, NAMES)}
    alert = known[case.alert]
    expected = [
        {
            "exp_labels": {"severity": alert.severity, **labels},
            "exp_annotations": {"summary": summary, "action": alert.action},
        }
        for labels, summary in case.fires
    ]
    return {
        "name": case.name,
        "interval": "10s",
        "input_series": [
            {"series": series, "values": values} for series, values in case.series.items()
        ],
        "alert_rule_test": [
            {"eval_time": case.at, "alertname": case.alert, "exp_alerts": expected}
        ],
    }


def promtool(folder: Path, cases: list[Case], limits: Limits = LIMITS) -> tuple[int, str]:
    """Run unit tests of the rules; give the exit status and what was said."""
    (folder / "rules.yaml").write_text(render(alerts(limits, NAMES)))
    content = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "10s",
        "tests": [as_unit_test(case, limits) for case in cases],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump(content))
    done = subprocess.run(
        [tools.ensure("promtool").path, "test", "rules", "test.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def test_every_alert_fires_at_its_limit_and_at_nothing_else(tmp_path: Path) -> None:
    for alert in alerts(LIMITS, NAMES):
        fires = [bool(case.fires) for case in CASES if case.alert == alert.name]
        assert fires.count(True) >= 1
        assert fires.count(False) >= 2  # just below, and without data

    status, said = promtool(tmp_path, CASES)

    assert status == 0, said


def test_promtool_tells_a_limit_that_was_moved(tmp_path: Path) -> None:
    waiting = [case for case in CASES if case.alert == "LLMQueueBuildup" and case.fires]

    status, said = promtool(tmp_path, waiting, Limits(queue_length=52))

    assert status == 1
    assert "alertname: LLMQueueBuildup" in said


def test_the_rules_are_ones_that_prometheus_takes(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(render(alerts(LIMITS, NAMES)))

    check = [tools.ensure("promtool").path, "check", "rules", path]
    done = subprocess.run(check, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS: 6 rules found" in done.stdout
