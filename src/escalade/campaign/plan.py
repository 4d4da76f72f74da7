"""What a campaign is going to do: its cells in order, their steps, time and disk.

A cell is known by what defines its measurement. The hash of that definition is
part of the folder's name, so that a changed deployment, workload or ladder gets
a folder of its own, and a changed SLO, report or script does not.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.campaign.design import ordered
from escalade.campaign.search import searched_slos, settings_of
from escalade.errors import InputError
from escalade.files import sha256_of
from escalade.load.draw import PHASES
from escalade.load.prompts import read_prompts
from escalade.load.schedule import StepPlan
from escalade.load.trace import of_trace, read_trace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.campaign.layout import CampaignFolder
    from escalade.campaign.models import Campaign, Deployment
    from escalade.campaign.workload import Request
    from escalade.load.search import Ask, Settings
    from escalade.services.recipes import Recipe

PROTOCOL_VERSION = 1
"""Raised when the way of measuring changes so that old and new cells are not comparable."""

CELL_OVERHEAD_SECONDS = 18.0
"""Start of Prometheus, exporters, service and client, queries, archive [measured on 2 cores]."""
STEP_OVERHEAD_SECONDS = 0.5
"""From a step's drain to the next one's first arrival, without a cool-down [measured on 2 cores]."""
CALIBRATION_OVERHEAD_SECONDS = 2.0
"""Start and end of the null server, warm-up and end of its step [measured on 2 cores]."""
SCRAPE_SECONDS = 0.05
"""Of a scrape itself, and of timers: what a cool-down of one scrape interval is longer."""
CAMPAIGN_OVERHEAD_SECONDS = 12.0
"""Workflow start, KPIs, report [measured on 2 cores]."""
CLIMBS = 3
"""Up to the rate of that climb a search's client is calibrated, where no highest rate is given."""
LEAST_TRIALS = 2
"""Of a search: one that holds at the highest rate, and its confirmation."""
BYTES_PER_REQUEST = 220
BYTES_PER_SECOND_OF_CELL = 6_000
BYTES_PER_CELL = 600_000
"""Stored samples, archive and logs [measured with the demo's recipe at 1 s scrapes]."""


@dataclass(frozen=True)
class Cell:
    """One deployment, one repetition: the unit that is measured, resumed and archived."""

    name: str
    deployment: Deployment
    repetition: int
    seed: int
    definition: Mapping[str, Any]
    definition_hash: str
    steps: tuple[StepPlan, ...]
    drain_timeout_seconds: float
    ready_timeout_seconds: float
    cooldown_seconds: float
    calibration_seconds: float
    search: Settings | None = None
    """Of a cell whose steps are found one by one; `steps` then holds the first one alone."""

    @property
    def monitored(self) -> bool:
        """Whether Prometheus and exporters run beside it."""
        return self.deployment.monitoring

    @property
    def most_steps(self) -> int:
        """Number of steps, of a search at most."""
        return len(self.steps) if self.search is None else self.search.budget_trials

    @property
    def step_range(self) -> tuple[int, int]:
        """Give the least and the largest number of steps."""
        if self.search is None:
            return len(self.steps), len(self.steps)
        return min(LEAST_TRIALS, self.search.budget_trials), self.search.budget_trials

    @property
    def top_qps(self) -> float:
        """Highest rate; of a search the highest allowed, else that of its third climb."""
        if self.search is None:
            return max(step.target_qps or 0.0 for step in self.steps)
        climbed = self.search.start_qps * self.search.factor**CLIMBS
        highest = self.search.highest_qps
        return highest if math.isfinite(highest) else climbed

    @property
    def load_seconds(self) -> float:
        """Sum of warm-ups and windows, of a search at most, in s."""
        if self.search is not None:
            return self.search.budget_seconds
        return sum(step.warmup_seconds + step.window_seconds for step in self.steps)

    @property
    def window_seconds(self) -> float:
        """Sum of the windows, of a search at most, in s."""
        if self.search is not None:
            return self.load_seconds
        return sum(step.window_seconds for step in self.steps)

    @property
    def requests(self) -> int | None:
        """Number of requests, warm-up included; None where nobody knows it beforehand: in a closed loop, in a search."""
        if self.search is not None or any(step.open_ended for step in self.steps):
            return None
        return sum(step.count(phase) for step in self.steps for phase in PHASES)

    @property
    def pause_seconds(self) -> float:
        """Time from a step's drain to the next one's first arrival, in s."""
        return max(STEP_OVERHEAD_SECONDS, self.cooldown_seconds)

    @property
    def expected_seconds(self) -> float:
        """Duration when only the last step has a queue to drain, of a search at most, in s."""
        steps = self.pause_seconds * self.most_steps
        alone = self.calibration_seconds and self.calibration_seconds + CALIBRATION_OVERHEAD_SECONDS
        before = CELL_OVERHEAD_SECONDS + alone
        return before + self.load_seconds + steps + self.drain_timeout_seconds / 2

    @property
    def longest_seconds(self) -> float:
        """Duration when the service is ready at the last moment and every step drains to its end, in s."""
        every_drain = self.drain_timeout_seconds * self.most_steps
        without_drain = self.expected_seconds - self.drain_timeout_seconds / 2
        return without_drain + self.ready_timeout_seconds + every_drain

    @property
    def disk_bytes(self) -> float:
        """Expected size of the cell's results, in bytes; without the request log of a closed loop."""
        samples = self.monitored * BYTES_PER_SECOND_OF_CELL * self.expected_seconds
        return BYTES_PER_CELL + BYTES_PER_REQUEST * self._most_requests + samples

    @property
    def _most_requests(self) -> float:
        """Number of requests; of a search all at its highest rate, else that its windows are made for."""
        if self.search is None:
            return self.requests or 0
        usual = max(self.search.least_requests / self.search.window_seconds, self.search.start_qps)
        highest = self.search.highest_qps
        return self.search.budget_seconds * (highest if math.isfinite(highest) else usual)


@dataclass(frozen=True)
class Plan:
    """The cells of a campaign in the order in which they are measured."""

    campaign: Campaign
    cells: tuple[Cell, ...]

    def cell(self, name: str) -> Cell:
        """Give the cell of that name.

        Raises
        ------
        InputError
            When it is not planned: what defines it was edited in the middle of a run.
        """
        for cell in self.cells:
            if cell.name == name:
                return cell
        raise InputError(
            f"Cell {name} is not planned any more: the campaign, or a recipe, trace or file of "
            "prompts that it names, has changed since the run began. Start the campaign again."
        )

    @property
    def expected_seconds(self) -> float:
        """Wall time of the campaign, in s."""
        lanes = min(self.campaign.execution.parallel_cells, len(self.cells))
        return CAMPAIGN_OVERHEAD_SECONDS + sum(c.expected_seconds for c in self.cells) / lanes

    @property
    def disk_bytes(self) -> float:
        """Expected size of the results, in bytes."""
        return sum(cell.disk_bytes for cell in self.cells)

    def stale(self, folder: CampaignFolder) -> list[str]:
        """Name the cells in `folder` that this plan does not have."""
        planned = {cell.name for cell in self.cells}
        return [name for name in folder.cells_present() if name not in planned]


_DEFINING = {"nodes", "cpus", "memory_mb", "gpus", "gpu_type", "exclusive"}


def plan_campaign(campaign: Campaign, recipes: Mapping[str, Recipe]) -> Plan:
    """Lay out the cells: all deployments of repetition 1, then of repetition 2, and so on.

    Interleaving the deployments lets a slow drift of the machine fall on all of
    them alike, in a paired design also within a repetition (`escalade.campaign.design`).
    Deployments of one repetition get the same arrivals and prompts.
    """
    steps = _steps(campaign)
    common = _common(campaign, steps)
    cells = [
        _cell(
            campaign,
            deployment,
            recipes[deployment.recipe],
            repetition,
            steps=steps,
            common=common,
        )
        for repetition, deployment in ordered(campaign)
    ]
    return Plan(campaign, tuple(cells))


def _cell(
    campaign: Campaign,
    deployment: Deployment,
    recipe: Recipe,
    repetition: int,
    *,
    steps: tuple[StepPlan, ...],
    common: dict[str, Any],
) -> Cell:
    seed = _derived_seed(campaign.seed, repetition)
    search = campaign.load.search
    slos = searched_slos(campaign)
    settings = None if search is None else settings_of(campaign.load, search, slos)
    sought = {"slos": [slo.model_dump(mode="json") for slo in slos]} if slos else {}
    definition = (
        common
        | sought
        | {
            "seed": seed,
            "deployment": deployment.model_dump(
                mode="json", exclude={"name", "ready_timeout_seconds"}
            ),
            "recipe": recipe.defining(),
        }
    )
    digest = hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()
    return Cell(
        name=f"{deployment.name}_rep-{repetition}_{digest[:8]}",
        deployment=deployment,
        repetition=repetition,
        seed=seed,
        definition=definition,
        definition_hash=digest,
        steps=steps,
        drain_timeout_seconds=campaign.load.drain_timeout_seconds,
        ready_timeout_seconds=deployment.ready_timeout_seconds or recipe.probe.timeout_seconds,
        cooldown_seconds=_cooldown(campaign),
        calibration_seconds=campaign.load.calibrated_seconds,
        search=settings,
    )


def _cooldown(campaign: Campaign) -> float:
    """Give the pause asked for, or one in which a scrape of the idle service is sure to fall."""
    if campaign.load.cooldown_seconds is not None:
        return campaign.load.cooldown_seconds
    return campaign.monitoring.scrape_interval_seconds + SCRAPE_SECONDS


def _derived_seed(seed: int, repetition: int) -> int:
    digest = hashlib.sha256(f"{seed}/{repetition}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


def _common(campaign: Campaign, steps: tuple[StepPlan, ...]) -> dict[str, Any]:
    """Give what all cells of the campaign are defined by.

    Of a trace, of given prompts and of an own locustfile that is the content, wherever it lies.
    """
    workload = campaign.workload.model_dump(mode="json")
    for part, content in zip(campaign.workload.parts, workload.get("mix", [workload]), strict=True):
        if part.kind.endswith(".py"):
            content["kind"] = {"sha256": sha256_of(Path(part.kind))}
        if part.prompts is not None:
            content["prompts"] = {"sha256": sha256_of(Path(part.prompts))}
    load = campaign.load.model_dump(mode="json")
    load.pop("calibration_seconds", None)  # it is over before anything counts
    if campaign.load.trace is not None:
        load["trace"] = {"sha256": steps[0].parameters["sha256"]}
    return {
        "protocol": PROTOCOL_VERSION,
        "workload": workload,
        "load": load,
        "monitoring": campaign.monitoring.model_dump(mode="json"),
        **_resources(campaign),
        **({"failure": campaign.failure.model_dump(mode="json")} if campaign.failure else {}),
        **({"profiling": campaign.profiling.model_dump()} if campaign.profiling else {}),
    }


def _resources(campaign: Campaign) -> dict[str, Any]:
    """Give what the service gets of a cluster, and how many nodes send; one machine is what it is."""
    if campaign.execution.launcher == "local":
        return {}
    slurm = campaign.execution.slurm
    topologies = {"shared": ("all",), "auto": ("service", "all")}
    parts = topologies.get(slurm.topology, ("service",))
    resources: dict[str, Any] = {
        part: getattr(slurm, part).model_dump(mode="json", include=_DEFINING) for part in parts
    }
    if (nodes := campaign.execution.client_nodes) > 1:
        resources["client"] = {"nodes": nodes}
    return {"resources": resources}


def trial_plan(campaign: Campaign, step: int, ask: Ask) -> StepPlan:
    """Give a trial of a search as a step of the cell."""
    return _step_plan(
        campaign,
        step,
        (ask.qps, ask.warmup_seconds, ask.window_seconds),
        campaign.load.arrival_parameters,
    )


def _steps(campaign: Campaign) -> tuple[StepPlan, ...]:
    load = campaign.load
    if load.search is not None:
        settings = settings_of(load, load.search, searched_slos(campaign))
        return (trial_plan(campaign, 1, settings.ask(settings.start_qps, "climb")),)
    trace = None if load.trace is None else read_trace(Path(load.trace.file))
    planned = []
    for number, step in enumerate(load.ladder, start=1):
        warmup = load.warmup_seconds if step.warmup_seconds is None else step.warmup_seconds
        rates = step.target_qps, warmup, step.window_seconds
        seconds = warmup + step.window_seconds
        parameters = (
            of_trace(trace, step.target_qps or 0.0, warmup, step.window_seconds)
            if trace
            else load.parameters_of(step, seconds)
        )
        planned.append(_step_plan(campaign, number, rates, parameters))
    return tuple(planned)


def _step_plan(
    campaign: Campaign,
    number: int,
    bounds: tuple[float | None, float, float],
    parameters: Mapping[str, Any],
) -> StepPlan:
    """Plan a step of a rate, a warm-up and a window."""
    first, mix = campaign.workload.parts[0].drawn, campaign.workload.mix or ()
    qps, warmup, window = bounds
    return StepPlan(
        step=number,
        target_qps=qps,
        warmup_seconds=warmup,
        window_seconds=window,
        arrivals=campaign.load.arrivals,
        input_tokens=first["input_tokens"],
        output_tokens=first["output_tokens"],
        parameters=parameters,
        abandon={} if mix else first.get("abandon", {}),
        mix=tuple(part.drawn | _going_on(part) for part in mix),
        conversation={} if mix else _conversation(campaign.workload),
    )


def _going_on(part: Request) -> dict[str, Any]:
    conversation = _conversation(part)
    return {"conversation": conversation} if conversation else {}


def _conversation(part: Request) -> dict[str, Any]:
    """Give how the requests of a workload go on; {} when they don't."""
    scripts = None
    if part.prompts is not None:
        prompts = read_prompts(Path(part.prompts))
        scripts = [len(turns) for turns in prompts.messages] if prompts.are_scripts else None
    try:
        return part.conversation_drawn(scripts)
    except ValueError as error:
        raise InputError(f"workload: {error}") from None


def describe(cells: Sequence[Cell]) -> str:
    """Say in one line how many cells and steps there are, of a search at most."""
    steps = sum(cell.most_steps for cell in cells)
    most = "at most " if any(cell.search for cell in cells) else ""
    return f"{len(cells)} cell{'s' * (len(cells) != 1)}, {most}{steps} step{'s' * (steps != 1)}"
