"""Energy of a window, from the exporter through a real Prometheus to the KPI, against the exact integral."""

from __future__ import annotations

import contextlib
import math
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from escalade.analysis.kpis.energy import METRICS, NVML, meters
from escalade.analysis.measured.series import Samples
from escalade.analysis.measured.windows import Window
from escalade.monitoring.client import PrometheusClient
from escalade.runtime import tools
from escalade.runtime.endpoints import free_port, wait_http
from fakenvml import Of, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fakenvml import FakeGpu
    from gpus import Machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
SECONDS = 40.0


def sine_joules(gpu: FakeGpu, at: float) -> float:
    """Give the integral of a GPU's power, which is a sine, from its beginning to a time."""
    wave, passed = gpu.waves[Of.POWER], at - gpu.since
    turned = 1 - math.cos(2 * math.pi * passed / wave.period)
    return (gpu.power_mw * passed + wave.amplitude * wave.period / (2 * math.pi) * turned) / 1000


def square_joules(gpu: FakeGpu, at: float) -> float:
    """Give the same of a square wave, counted half period by half period."""
    wave, passed = gpu.waves[Of.POWER], at - gpu.since
    halves, rest = divmod(passed, wave.period / 2)
    high, low = gpu.power_mw + wave.amplitude, gpu.power_mw - wave.amplitude
    whole = (halves // 2 + halves % 2) * high + (halves // 2) * low
    return (whole * wave.period / 2 + rest * (low if halves % 2 else high)) / 1000


@contextlib.contextmanager
def scraping(url: str, folder: Path) -> Iterator[PrometheusClient]:
    """Run a Prometheus that scrapes a page each second."""
    target = url.removeprefix("http://").removesuffix("/metrics")
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 500ms}\n"
        f"scrape_configs: [{{job_name: gpu, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    own = f"127.0.0.1:{free_port()}"
    argv = [tools.ensure("prometheus").path, f"--config.file={config}"]
    options = [f"--web.listen-address={own}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([*argv, *options], stderr=log)
        try:
            wait_http(f"http://{own}/-/ready", 30, lambda: None)
            with PrometheusClient(f"http://{own}") as client:
                yield client
        finally:
            process.terminate()
            process.wait(30)


def wait_until(at: float) -> None:
    time.sleep(max(0.0, at - time.time()))


def test_energy_is_within_half_a_percent_across_a_reset_and_a_lost_scrape(
    machine: Machine, tmp_path: Path
) -> None:
    began = time.time()
    one = machine.add(power_mw=250_000, since=began)
    one.wave(Of.POWER, Shape.SINE, 150_000, 7)
    two = machine.add(power_mw=200_000, since=began)
    two.wave(Of.POWER, Shape.SQUARE, 100_000, 8)
    with (
        machine.running_exporter(tmp_path / "log") as (url, exporter),
        scraping(url, tmp_path) as client,
    ):
        begin = began + 6 + 8 * math.ceil((time.time() + 8 - began - 6) / 8)
        wait_until(begin + 10)
        exporter.send_signal(signal.SIGSTOP)
        wait_until(begin + 11.7)
        exporter.send_signal(signal.SIGCONT)
        wait_until(begin + 20)
        # the driver begins to count again; a moment earlier than now, for no counter goes below 0
        one.energy_mj = 2**64 - int(1000 * sine_joules(one, time.time() - 0.001))
        wait_until(begin + SECONDS + 2)
        names = "|".join(["up", *METRICS])
        frame = client.raw_samples(f'{{__name__=~"{names}"}}', begin - 3, begin + SECONDS + 2)
        frame.insert(0, "step", 1)
    samples, window = Samples(frame, 1.0), Window(begin, begin + SECONDS)

    [meter] = meters(samples)
    watts = meter.watts(samples, window)

    exact = sum(
        joules(gpu, window.end) - joules(gpu, window.start)
        for gpu, joules in ((one, sine_joules), (two, square_joules))
    )
    assert meter.method == NVML
    assert watts is not None
    assert watts * SECONDS == pytest.approx(exact, rel=0.005)
    up = pd.Series([level for track in samples.tracks("up") for level in track.levels])
    assert (up == 0).any()
    [counter] = samples.tracks("escalade_gpu_energy_joules_total", gpu="0")
    assert (pd.Series(counter.levels).diff() < 0).sum() == 1
