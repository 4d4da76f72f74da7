"""Other load generators against the same service of known times: `python benchmarks/load.py --peers`.

Each is installed, pinned, into an environment of its own under `.tools/peers`; none is a
dependency. What left at which time is read from the truth server's own log. Peers may use
all cores; Escalade's load generator has its own one, as in a campaign.
"""

from __future__ import annotations

import csv
import json
import re
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.errors import InfrastructureError
from escalade.runtime.distribution import Distribution
from instrument import TOKENS, run, truth, variation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

PLACE = Path(__file__).parents[1] / ".tools" / "peers"
TTFT_SECONDS, ITL_SECONDS = 0.05, 0.01
STREAM_RATES, PLAIN_RATES = (50, 200), (100, 1000)
_SPEED = ("--ttft-seconds", str(TTFT_SECONDS), "--itl-seconds", str(ITL_SECONDS))
_INPUT_TOKENS = 32
_TOKENIZER = """
import json, pathlib, sys
from tokenizers import Tokenizer, models, pre_tokenizers
words = {word: number for number, word in enumerate(["<unk>", "<s>", "</s>"])}
words |= {f"w{number}": number + len(words) for number in range(2000)}
made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
folder = pathlib.Path(sys.argv[1])
folder.mkdir(exist_ok=True)
made.save(str(folder / "tokenizer.json"))
settings = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>", "eos_token": "</s>"}
settings["chat_template"] = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
(folder / "tokenizer_config.json").write_text(json.dumps(settings))
"""
_LOCUSTFILE = """
from locust import FastHttpUser, constant_throughput, task

class Shipped(FastHttpUser):
    wait_time = constant_throughput(1)

    @task
    def send(self):
        self.client.get("/")
"""


@dataclass
class Seen:
    """What a tool reported, in seconds; None for what it does not."""

    ttft_p50: float | None = None
    ttft_p99: float | None = None
    itl_p50: float | None = None
    latency_p50: float | None = None
    latency_p99: float | None = None
    cpu_seconds: float | None = None


@dataclass(frozen=True)
class Streaming:
    """A tool for streamed answers: its requirement, and how it is called for a rate and a time."""

    name: str
    requirement: str
    pythons: tuple[str, ...]
    call: Callable[[Path, Path, str, float, float], Seen]


def environment(name: str, requirement: str, pythons: Sequence[str]) -> Path:
    """Give the folder of a peer's programs, installed on first use.

    Raises
    ------
    InfrastructureError
        When no such Python is here, or it can't be installed.
    """
    folder = PLACE / name
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text() == requirement:
        return folder / "bin"
    python = next((path for each in pythons if (path := _working(each))), None)
    if python is None:
        raise InfrastructureError(f"{name} needs one of {', '.join(pythons)}")
    print(f"Installing {requirement} into {folder} …", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for command in (
        [python, "-m", "venv", str(folder)],
        [str(folder / "bin" / "pip"), "install", "--quiet", requirement],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InfrastructureError(f"{name} can't be installed: {done.stderr[-300:]}")
    stamp.write_text(requirement)
    return folder / "bin"


def _working(python: str) -> str | None:
    """Give the path of a Python that runs; version managers leave ones that don't."""
    path = shutil.which(python)
    if path is None:
        return None
    tried = subprocess.run([path, "-c", ""], capture_output=True, check=False)
    return path if tried.returncode == 0 else None


def called(command: Sequence[str], folder: Path) -> float:
    """Run a tool to its end; give the CPU time of all that it started, in s.

    Raises
    ------
    InfrastructureError
        When it fails.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with (folder / "output.log").open("w") as log:
        done = subprocess.run(
            command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, timeout=300, check=False
        )
    if done.returncode:
        raise InfrastructureError(
            f"{command[0]} failed: {(folder / 'output.log').read_text()[-400:]}"
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def aiperf(programs: Path, folder: Path, url: str, qps: float, seconds: float) -> Seen:
    """Run aiperf at a constant rate; it counts tokens as the server does."""
    words = _tokenizer(programs, folder)
    sizes = {
        "--request-rate": qps,
        "--request-count": round(qps * seconds),
        "--synthetic-input-tokens-mean": _INPUT_TOKENS,
        "--synthetic-input-tokens-stddev": 0,
        "--output-tokens-mean": TOKENS,
        "--output-tokens-stddev": 0,
    }
    command = [str(programs / "aiperf"), "profile", "-m", "truth", "--url", url, "--streaming"]
    command += ["--endpoint-type", "chat", "--tokenizer", str(words), "--ui", "none"]
    command += ["--arrival-pattern", "constant", "--use-server-token-count", "--no-gpu-telemetry"]
    command += ["--no-server-metrics", "--artifact-dir", str(folder / "out")]
    cpu = called([*command, *(str(word) for pair in sizes.items() for word in pair)], folder)
    told = json.loads((folder / "out" / "profile_export_aiperf.json").read_text())
    ttft, itl = told["time_to_first_token"], told["inter_token_latency"]
    return Seen(ttft["p50"] / 1e3, ttft["p99"] / 1e3, itl["p50"] / 1e3, cpu_seconds=cpu)


def inference_perf(programs: Path, folder: Path, url: str, qps: float, seconds: float) -> Seen:
    """Run inference-perf at what it calls a constant rate."""
    words = _tokenizer(programs, folder)
    count = round(qps * seconds)
    lengths = {
        name: {"min": size, "max": size, "mean": size, "std_dev": 0, "total_count": 2 * count}
        for name, size in (("input_distribution", _INPUT_TOKENS), ("output_distribution", TOKENS))
    }
    settings = {
        "api": {"type": "completion", "streaming": True},
        "server": {"type": "vllm", "model_name": "truth", "base_url": url, "ignore_eos": True},
        "tokenizer": {"pretrained_model_name_or_path": str(words)},
        "data": {"type": "random", **lengths},
        "load": {
            "type": "constant",
            "interval": 1,
            "num_workers": 1,
            "stages": [{"rate": qps, "duration": round(seconds)}],
        },
        "report": {"request_lifecycle": {"summary": True, "per_stage": False}},
        "storage": {"local_storage": {"path": str(folder / "out")}},
    }
    (folder / "settings.yaml").write_text(json.dumps(settings))
    cpu = called([str(programs / "inference-perf"), "--config_file", "settings.yaml"], folder)
    told = json.loads((folder / "out" / "summary_lifecycle_metrics.json").read_text())
    latency = told["successes"]["latency"]
    ttft, itl = latency["time_to_first_token"], latency["inter_token_latency"]
    return Seen(ttft["median"], ttft["p99"], itl["median"], cpu_seconds=cpu)


def _tokenizer(programs: Path, folder: Path) -> Path:
    """Make a tokenizer of whole words: peers load one, and the hubs are not asked."""
    subprocess.run([str(programs / "python"), "-c", _TOKENIZER, str(folder / "words")], check=True)
    return folder / "words"


STREAMING = (
    Streaming("aiperf", "aiperf==0.13.0", ("python3.11", "python3.12", "python3"), aiperf),
    Streaming(
        "inference-perf", "inference-perf==0.7.0", ("python3.12", "python3.13"), inference_perf
    ),
)


def escalade(folder: Path, url: str, qps: float, seconds: float, **changes: Any) -> Seen:
    """Run a step of ours at a constant rate."""
    log, outcome = run(folder, url, qps, seconds, arrivals="constant", **changes)
    first = log.first_chunk_at - log.planned_at
    streamed = [np.diff(offsets) for offsets in log.chunk_offsets if len(offsets) > 1]
    latency = (log.ended_at - log.planned_at).quantile([0.5, 0.99]).tolist()
    return Seen(
        first.quantile(0.5),
        first.quantile(0.99),
        float(np.median(np.concatenate(streamed))) if streamed else None,
        *latency,
        cpu_seconds=outcome["client"]["cpu_seconds"],
    )


def shipped_locust(folder: Path, url: str, qps: float, seconds: float) -> Seen:
    """Run locust as it ships: as many users as requests a second, each at one a second."""
    (folder / "locustfile.py").write_text(_LOCUSTFILE)
    command = [sys.executable, "-m", "locust", "-f", "locustfile.py", "--headless", "--host", url]
    command += ["-u", str(round(qps)), "-r", str(round(qps)), "-t", f"{seconds:g}s", "--csv", "out"]
    cpu = called(command, folder)
    with (folder / "out_stats.csv").open() as file:
        total = next(row for row in csv.DictReader(file) if row["Name"] == "Aggregated")
    median, high = (float(total[name]) / 1e3 for name in ("50%", "99%"))
    return Seen(latency_p50=median, latency_p99=high, cpu_seconds=cpu)


def hey(folder: Path, url: str, qps: float, seconds: float) -> Seen:
    """Run hey, of the distribution's packages: a rate limit on each of its 20 connections."""
    program = PLACE / "hey" / "usr" / "bin" / "hey"
    if not program.exists():
        Distribution(PLACE / "lists").unpack("hey", PLACE / "hey")
    workers = 20
    command = [
        str(program),
        "-c",
        str(workers),
        "-q",
        f"{qps / workers:g}",
        "-z",
        f"{seconds:g}s",
        url,
    ]
    cpu = called(command, folder)
    told = (folder / "output.log").read_text()
    found = {share: re.search(rf"{share}%\s+in ([\d.]+) secs", told) for share in (50, 99)}
    median, high = (float(found[share][1]) if found[share] else None for share in (50, 99))
    return Seen(latency_p50=median, latency_p99=high, cpu_seconds=cpu)


def streams(folder: Path, seconds: float) -> None:
    """Print the table of streamed answers."""
    print(
        f"\nStreams of {TOKENS} tokens, the first after {TTFT_SECONDS * 1e3:g} ms, then one every "
        f"{ITL_SECONDS * 1e3:g} ms; even gaps. Rate and gaps by the server's log; times as each tool "
        "reports them, less the server's own; CPU of a further request, without start-up.\n"
    )
    print(
        "| tool | target, 1/s | rate error | gap CV | TTFT p50 / p99 off, ms | ITL p50 off, ms | CPU per request, ms |"
    )
    print("|---|---|---|---|---|---|---|")
    for qps in STREAM_RATES:
        for name, call in _streaming_tools():
            here = folder / f"{name}-{qps}"
            try:
                short = _one(here / "short", call, qps, seconds)
                long = _one(here / "long", call, qps, 2 * seconds)
            except InfrastructureError as error:
                print(f"| {name} | {qps} | not run: {str(error)[:120]} | | | | |", flush=True)
                continue
            more = len(long[1]) - len(short[1])
            cpu = (float(long[0].cpu_seconds or 0) - float(short[0].cpu_seconds or 0)) / more
            print(_stream_row(name, qps, *long, cpu), flush=True)


def _streaming_tools() -> list[tuple[str, Callable[[Path, str, float, float], Seen]]]:
    def ours(folder: Path, url: str, qps: float, seconds: float) -> Seen:
        kept = {"keep_alive": True}  # as the others keep their connections
        return escalade(folder, url, qps, seconds, workload="openai_chat", parameters=kept)

    def theirs(peer: Streaming) -> Callable[[Path, str, float, float], Seen]:
        def call(folder: Path, url: str, qps: float, seconds: float) -> Seen:
            programs = environment(peer.name, peer.requirement, peer.pythons)
            return peer.call(programs, folder, url, qps, seconds)

        return call

    return [("Escalade", ours), *((peer.requirement, theirs(peer)) for peer in STREAMING)]


def _one(
    folder: Path, call: Callable[[Path, str, float, float], Seen], qps: float, seconds: float
) -> tuple[Seen, pd.DataFrame]:
    """Run one tool against a server of its own; give what it and the server say."""
    with truth(folder, *_SPEED) as server:
        seen = call(folder, server.url, qps, seconds)
        return seen, server.lines()


def _stream_row(name: str, qps: float, seen: Seen, lines: pd.DataFrame, cpu: float) -> str:
    true = (lines.first_token - lines.arrival).quantile([0.5, 0.99])
    off = [
        "none" if value is None else f"{(value - exact) * 1e3:+.2f}"
        for value, exact in zip((seen.ttft_p50, seen.ttft_p99), true, strict=True)
    ]
    itl = "none" if seen.itl_p50 is None else f"{(seen.itl_p50 - ITL_SECONDS) * 1e3:+.2f}"
    return f"| {name} | {qps} | {_gaps(lines, qps)} | {' / '.join(off)} | {itl} | {cpu * 1e3:.2f} |"


def _gaps(lines: pd.DataFrame, qps: float) -> str:
    arrival = lines.arrival.sort_values()
    rate = (len(arrival) - 1) / (arrival.iloc[-1] - arrival.iloc[0])
    return f"{rate / qps - 1:+.3%} | {variation(arrival):.2f}"


def plain(folder: Path, seconds: float) -> None:
    """Print the table of plain requests at a fixed rate."""
    print("\nPlain requests to a server that answers at once, even gaps asked for:\n")
    print("| tool | target, 1/s | rate error | gap CV | latency p50 / p99 as reported, ms |")
    print("|---|---|---|---|---|")
    tools = {"Escalade": escalade, "locust as shipped": shipped_locust, "hey": hey}
    for qps in PLAIN_RATES:
        for name, call in tools.items():
            try:
                seen, lines = _one(folder / f"{name.split()[0]}-{qps}", call, qps, seconds)
            except InfrastructureError as error:
                print(f"| {name} | {qps} | not run: {str(error)[:120]} | | |", flush=True)
                continue
            told = " / ".join(
                "none" if value is None else f"{value * 1e3:.2f}"
                for value in (seen.latency_p50, seen.latency_p99)
            )
            print(f"| {name} | {qps} | {_gaps(lines, qps)} | {told} |", flush=True)


def compare(folder: Path, seconds: float) -> None:
    """Print both tables."""
    streams(folder / "streams", seconds)
    plain(folder / "plain", seconds)
