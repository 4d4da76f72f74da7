"""The life of a Prometheus of one's own, a cell's or a session's: start, targets, archive, end."""

from __future__ import annotations

import math
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

from escalade.errors import InfrastructureError
from escalade.files import tail, write_text
from escalade.monitoring.archive import CONFIGURATION, DATA, open_archive, pack_snapshot
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.faults import BadQueryError, PrometheusError, UnreachableError
from escalade.monitoring.prometheus_state import PrometheusState
from escalade.monitoring.renderer import render, says
from escalade.runtime import tools
from escalade.runtime.endpoints import free_port
from escalade.runtime.scratch import make_scratch
from escalade.runtime.steps import StepSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from escalade.monitoring.client import TargetHealth
    from escalade.monitoring.registry import Registry, Target
    from escalade.runtime.allocation import AllocationState
    from escalade.runtime.launcher import Launcher
    from escalade.runtime.steps import StepState

__all__ = [
    "STEP_NAME",
    "PrometheusState",
    "archive",
    "await_up",
    "open_archive",
    "reload",
    "scrapes",
    "start",
    "stop",
]

STEP_NAME = "prometheus"
"""Name of the step in the allocation."""

_PORT_TRIES = 5
_LOOK_SECONDS = 0.05
_STOP_SECONDS = 10.0
_PORT_TAKEN = "address already in use"


def start(
    launcher: Launcher,
    allocation: AllocationState,
    *,
    folder: Path,
    registry: Registry,
    log: Path,
    local: str | None = None,
    scrape_interval_seconds: float = 1.0,
    ready_timeout_seconds: float = 60.0,
    port: int = 0,
    rule_files: Sequence[Path] = (),
) -> PrometheusState:
    """Start a Prometheus and wait until it is ready.

    Parameters
    ----------
    launcher, allocation
        Where it runs: on the client's place, as the step `STEP_NAME`.
    folder
        Its own folder, for configuration and data.
    registry
        What it scrapes. The first samples come about five seconds after it is
        ready: see `await_up`.
    log
        Of its output.
    local
        Folder on the node's own disk for its data, which is removed when it ends; in
        `folder` by default.
    scrape_interval_seconds
        Between two samples of a series.
    ready_timeout_seconds
        How long it may take to load what it has.
    port
        On the place's address; a free one when 0.
    rule_files
        Rules that it evaluates.

    Returns
    -------
    PrometheusState
        To be kept for the functions below.

    Raises
    ------
    InfrastructureError
        When it ends, is not ready in time, or finds its port taken; the message
        has the last lines of its log. Nothing of it is left running.
    ToolMissingError
        When there is no Prometheus on this machine.
    """
    folder, log = folder.resolve(), log.resolve()  # the step has another working directory
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = allocation.client
    scratch = None
    if local is not None:
        scratch = launcher.call(allocation, place, make_scratch, local, allocation.id)
    config, data = folder / CONFIGURATION, Path(scratch or folder) / DATA
    write_text(config, render(registry, scrape_interval_seconds, rule_files))
    binary = str(tools.find("prometheus").path)
    lookback = _lookback(scrape_interval_seconds)
    for _ in range(1 if port else _PORT_TRIES):
        own = port or launcher.call(allocation, place, free_port, place.address)
        address = f"{place.address}:{own}"
        spec = StepSpec(
            STEP_NAME,
            (binary, *_arguments(config, data, address, lookback)),
            role="prometheus",
            log=log,
            cpus=place.cpus or None,
            on=place,
            stop_seconds=_STOP_SECONDS,
            scratch=scratch,
        )
        with PrometheusClient(f"http://{address}", retries=0) as client:
            pid = _launch(
                launcher,
                allocation,
                spec,
                client=client,
                data=data,
                timeout=ready_timeout_seconds,
            )
            if pid is not None:
                version = client.build_info()["version"]
                files = str(config), str(data), str(log)
                return PrometheusState(client.url, pid, version, *files, scrape_interval_seconds)
    if port:
        raise InfrastructureError(
            f"Port {port} of {place.address} is taken by another program (`ss -ltnp` names it). "
            "Ask for another port, or for 0: then a free one is taken."
        )
    raise InfrastructureError(
        f"Prometheus found {_PORT_TRIES} ports on {place.address} taken, one after the other, that were "
        f"free a moment before: something opens ports very fast there.{_end_of(log)}"
    )


def await_up(state: PrometheusState, registry: Registry, timeout: float) -> float:
    """Wait until every target of the registry has been scraped well.

    Parameters
    ----------
    state
        The Prometheus.
    registry
        The targets to wait for; others are not looked at.
    timeout
        Seconds in all. A new target is first scraped up to six seconds after the
        start or the reload.

    Returns
    -------
    float
        Seconds waited.

    Raises
    ------
    InfrastructureError
        When a target is not up in time: names each one with Prometheus' last
        error. When Prometheus is gone: with the end of its log.
    """
    began = time.monotonic()
    with PrometheusClient(state.url) as client:
        while True:
            try:
                missing = _missing(registry, client.targets())
            except UnreachableError as error:
                raise InfrastructureError(f"{error}{_end_of(Path(state.log))}") from error
            waited = time.monotonic() - began
            if not missing:
                return waited
            if waited >= timeout:
                raise InfrastructureError(_not_up(missing, registry, timeout))
            time.sleep(_LOOK_SECONDS)


def reload(
    state: PrometheusState,
    registry: Registry,
    rule_files: Sequence[Path] = (),
    check: Callable[[Path], None] = lambda _: None,
) -> None:
    """Give Prometheus other targets, and make sure that it took them.

    Parameters
    ----------
    state
        The Prometheus.
    registry
        All its targets from now on.
    rule_files
        All its rules.
    check
        Looks at the new file before it takes the place of the old one.

    Raises
    ------
    InfrastructureError
        When it refuses the configuration or goes on with another one; the file is
        then the old one again.
    """
    config = Path(state.config)
    before = config.read_text(encoding="utf-8")
    text = render(registry, state.scrape_interval_seconds, rule_files)
    new = config.with_name(f".{config.name}.{secrets.token_hex(4)}.new")
    try:
        write_text(new, text)
        check(new)
    finally:
        new.unlink(missing_ok=True)
    write_text(config, text)
    try:
        _take(state, config)
    except (BadQueryError, PrometheusError) as error:
        write_text(config, before)
        raise InfrastructureError(
            f"New targets were not taken: {error}{_end_of(Path(state.log))}"
        ) from error


def scrapes(state: PrometheusState, registry: Registry, rule_files: Sequence[Path] = ()) -> bool:
    """Tell whether Prometheus goes by these targets and rules.

    Raises
    ------
    InfrastructureError
        When it does not answer.
    """
    with PrometheusClient(state.url) as client:
        loaded = client.loaded_configuration()
    return says(loaded, render(registry, state.scrape_interval_seconds, rule_files))


def call_here(function: Callable[..., object], *arguments: object) -> object:
    """Call a function on this machine."""
    return function(*arguments)


def archive(
    state: PrometheusState, destination: Path, there: Callable[..., object] = call_here
) -> None:
    """Write all data that Prometheus has into an archive, for `open_archive`.

    Parameters
    ----------
    state
        The Prometheus, running: it writes a snapshot, which is consistent and
        includes what is still in memory.
    destination
        The archive, `….tar.zst`.
    there
        Calls a function on the node of Prometheus, whose data may be on its own disk.

    Raises
    ------
    InfrastructureError
        When Prometheus is gone or the disk is full; `destination` is as before.
    """
    with PrometheusClient(state.url) as client:
        try:
            snapshot = client.snapshot()
        except PrometheusError as error:
            raise InfrastructureError(
                f"The data of Prometheus could not be archived: {error}{_end_of(Path(state.log))}"
            ) from error
    there(pack_snapshot, state.data, snapshot, state.config, str(destination.resolve()))


def stop(launcher: Launcher, allocation: AllocationState) -> StepState:
    """End Prometheus, which first writes what it has in memory."""
    return launcher.stop(allocation, STEP_NAME)


def _lookback(scrape_interval_seconds: float) -> int:
    """Give how far a query looks back, in s: beyond a scrape that failed, and not much further."""
    return max(5, math.ceil(2.5 * scrape_interval_seconds))


def _arguments(config: Path, data: Path, address: str, lookback: int) -> tuple[str, ...]:
    return (
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=3650d",  # the default of 15 days would eat old data
        f"--web.listen-address={address}",
        "--web.enable-lifecycle",
        "--web.enable-admin-api",
        # A target that died while nobody scraped would else show its last value for 5 minutes.
        f"--query.lookback-delta={lookback}s",
    )


def _launch(
    launcher: Launcher,
    allocation: AllocationState,
    spec: StepSpec,
    *,
    client: PrometheusClient,
    data: Path,
    timeout: float,
) -> int | None:
    """Start the step and wait until it is ready; None when its port was taken."""
    beginning = _size(spec.log)
    launcher.start(allocation, spec)
    deadline = time.monotonic() + timeout
    while (state := launcher.state(allocation, STEP_NAME)).running:
        if client.ready() and _is_ours(client, data):
            return state.pid
        if time.monotonic() >= deadline:
            launcher.stop(allocation, STEP_NAME)
            raise InfrastructureError(
                f"Prometheus was not ready within {timeout:g} s.{_end_of(spec.log)}"
            )
        time.sleep(_LOOK_SECONDS)
    launcher.stop(allocation, STEP_NAME)  # waits until its name is free again
    if _said_since(spec.log, beginning, _PORT_TAKEN):
        return None
    raise InfrastructureError(f"Prometheus {state.describe()} at its start.{_end_of(spec.log)}")


def _take(state: PrometheusState, config: Path) -> None:
    """Have the file read and look whether it is live; "200 OK" alone would not say so."""
    with PrometheusClient(state.url) as client:
        client.reload()
        loaded = client.loaded_configuration()
    if not says(loaded, config.read_text(encoding="utf-8")):
        raise PrometheusError(f"{state.url} goes on with another configuration than {config}.")


def _is_ours(client: PrometheusClient, data: Path) -> bool:
    """Tell our Prometheus from one that took the port a moment before."""
    try:
        return client.flags().get("storage.tsdb.path") == str(data)
    except PrometheusError:
        return False


def _missing(registry: Registry, known: list[TargetHealth]) -> dict[Target, str]:
    """Give the targets that are not up, each with the reason."""
    health = {(it.job, it.address, it.path): it for it in known}
    found = {it: health.get((it.job, it.address, it.path)) for it in registry.targets}
    return {it: _reason(seen) for it, seen in found.items() if not seen or seen.health != "up"}


def _reason(seen: TargetHealth | None) -> str:
    if seen is None:
        return "not known to Prometheus yet"
    return seen.last_error or "not scraped yet"


def _not_up(missing: Mapping[Target, str], registry: Registry, timeout: float) -> str:
    listed = "\n".join(
        f"  {target.job} (http://{target.address}{target.path}): {reason}"
        for target, reason in missing.items()
    )
    return (
        f"{len(missing)} of {len(registry.targets)} targets are not up after {timeout:g} s:\n"
        f"{listed}\nSee the log of each one: it may have ended, or answer too late "
        "(a scrape may take one scrape interval)."
    )


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _said_since(log: Path, beginning: int, words: str) -> bool:
    with log.open("rb") as opened:
        opened.seek(beginning)
        return words.encode() in opened.read()


def _end_of(log: Path) -> str:
    lines = tail(log, 10)
    return f"\nThe end of its log, {log}:\n" + "\n".join(
        f"  {line}" for line in lines or ["(empty)"]
    )
