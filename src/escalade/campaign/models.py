"""The configuration of a campaign, as a user writes it.

Every field says its unit in its name and its meaning in its description;
`config/schema.json` is generated from these models. Unknown keys are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from escalade.campaign.bounds import Bounds
from escalade.campaign.declared import Comparison, check_comparison
from escalade.campaign.design import Pairs, check_paired
from escalade.campaign.failure import Failure, check_failure
from escalade.campaign.load import Load
from escalade.campaign.objectives import Slo, check_objectives
from escalade.campaign.presets import with_suite
from escalade.campaign.prices import Prices
from escalade.campaign.search import check_search
from escalade.campaign.slurm import Slurm
from escalade.campaign.stability import Stability
from escalade.campaign.standards import Standards, check_standards
from escalade.campaign.stress import Stress, check_stress
from escalade.campaign.targets import Target, check_targets
from escalade.campaign.workload import Seconds, Workload
from escalade.services.validation import Name, Section
from escalade.suites.components import Component, refuse_same_names

_WHERE_GIVEN = (
    *("suite", "standards", "failure", "stability", "targets"),
    *("components", "pairs", "comparison", "profiling"),
)
"""Sections of a campaign that are left out of what is written down where they say nothing."""


_USUAL = {"replicas": 1, "failover": False}
"""Of a deployment; left out of what is written down, so that cells keep the hash that they had before these keys."""


class Deployment(Section):
    """One service under test: a recipe with its parameters."""

    name: Name
    """Name of the deployment in results and report."""
    recipe: Name
    """Name of a file in config/recipes, without its ending."""
    models: tuple[str, ...] = ()
    """Names from the model catalogue (config/models.yaml), for recipes that load models."""
    profile: str = "laptop"
    """Memory budget from the model catalogue that the models have to fit into."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the recipe; what is left out has the recipe's default."""
    ready_timeout_seconds: Seconds | None = None
    """How long the service may take until it is ready; the recipe's limit by default."""
    replicas: Annotated[int, Field(ge=1, le=64)] = 1
    """Copies of the service, each with its own port; requests go to them in turn (docs/load.md). Nodes, CPUs and GPUs of the
    service are shared out among them."""
    failover: bool = False
    """With replicas: send a request whose connection is refused once more, to the next copy. By default it fails."""
    monitoring: bool = True
    """`off` starts neither Prometheus nor exporters, and scrapes nothing: for finding out what measuring itself costs.
    What is made of samples is then missing, with that reason."""
    stress: Stress | None = None
    """A program that contends with the service for its machine; it is compared with a deployment that is the same without."""

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        if content.get("monitoring", False):  # cells keep the hash that they had before this key
            del content["monitoring"]
        for name in ("replicas", "failover"):
            if content.get(name) == _USUAL[name]:  # the same
                del content[name]
        if content.get("stress") is None:  # the same
            content.pop("stress", None)
        return content

    @model_validator(mode="after")
    def _fails_over_to_another(self) -> Deployment:
        if self.failover and self.replicas == 1:
            raise ValueError(
                f"deployment {self.name!r} has failover, and no other copy to turn to; give "
                "replicas: 2 or more"
            )
        return self


DCGM_PORT = 9400
"""Of DCGM's exporter, unless its site says another."""


class Monitoring(Section):
    """What Prometheus does in each cell."""

    scrape_interval_seconds: Annotated[float, Field(ge=0.1, le=60)] = 1.0
    """Time between two scrapes of every target."""
    dcgm_port: Annotated[int, Field(ge=1, le=65535)] | None = DCGM_PORT
    """Where DCGM's exporter listens on nodes with GPUs. One that tells all GPUs of the job, and reads them as often as it is
    scraped, is scraped in place of our own (docs/gpu.md); null: never."""

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        if (
            content.get("dcgm_port") == DCGM_PORT
        ):  # cells keep the hash that they had before this key
            del content["dcgm_port"]
        return content


class Profiling(Section):
    """Read the GPUs of each cell finely, beside the scrapes; docs/profiler.md."""

    interval_ms: Annotated[int, Field(ge=50, le=60_000)] = 250
    """Between two readings of a GPU."""


class Execution(Section):
    """How the campaign is carried out; nothing here changes what is measured."""

    launcher: Literal["local", "slurm"] = "local"
    """Where processes run: `local` means on this machine, `slurm` in jobs of a cluster."""
    site: Name | None = None
    """Which cluster is meant, by the name of its description (profiles/NAME/site.yaml, or your site file)."""
    slurm: Slurm = Slurm()
    """How jobs are asked for; used by the launcher `slurm` only. Sites give the defaults."""
    parallel_cells: Annotated[int, Field(ge=1, le=64)] = 1
    """Number of lanes; cells in parallel on one machine disturb each other."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 2
    """How often a cell whose service failed is measured before it is left as failed."""
    results: str = "results"
    """Folder of the results, one subfolder per campaign."""

    @property
    def client_nodes(self) -> int:
        """Number of nodes that send the requests."""
        apart = self.launcher == "slurm" and self.slurm.topology != "shared"
        return self.slurm.client.nodes if apart else 1

    @model_serializer(mode="wrap")
    def _without_what_nobody_reads(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        if self.launcher == "local" and self.slurm == Slurm():
            del content["slurm"]
        return content


def _windows_without_a_suite(schema: dict[str, Any]) -> None:
    """Ask for the windows of a ladder where no suite gives them."""
    given = {"required": ["suite"], "properties": {"suite": {"type": "string"}}}
    rungs = {"items": {"required": ["window_seconds"]}}
    schema |= {
        "if": given,
        "else": {"properties": {"load": {"properties": {"ladder": rungs}}}},
    }


class Campaign(Section):
    """One configuration file: one results folder and one report."""

    model_config = ConfigDict(json_schema_extra=_windows_without_a_suite)

    campaign: Name
    """Name of the campaign and of its results folder."""
    description: str = ""
    """One sentence for the report's head."""
    suite: Literal["quick", "ci", "full"] | None = None
    """A preset for repetitions, warm-ups, windows, rungs and standards; the keys that you write win."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    """Arrivals and prompts are drawn from it."""
    deployments: Annotated[tuple[Deployment, ...], Field(min_length=1)]
    """The services under test."""
    repetitions: Annotated[int, Field(ge=1, le=1000)] = 1
    """Independent runs of every deployment, each with its own start of the service."""
    design: Literal["rounds", "paired"] = "rounds"
    """rounds: all deployments of a repetition before the next one. paired: two deployments in the order ABBA BAAB,
    compared pair by pair; repetitions is then the number of pairs."""
    pairs: Pairs | None = None
    """With design: paired. What of the comparison decides."""
    workload: Workload = Workload()
    """What one request is."""
    load: Load
    """When requests are sent."""
    slos: tuple[Slo, ...] = ()
    """Service-level objectives."""
    targets: tuple[Target, ...] = ()
    """Table of performance targets for the report; they never count for the exit code."""
    standards: Standards | None = None
    """What every step is held to; by default nothing is checked."""
    failure: Failure | None = None
    """Kill the service at a given time, and see what is lost and how long it takes; by default nobody does."""
    stability: Stability | None = None
    """Look for memory that leaks and latency that drifts; by default nobody does."""
    components: tuple[Component, ...] = ()
    """Component benchmarks that are measured when all cells are over; docs/components.md."""
    comparison: Comparison | None = None
    """What decides when the campaign is compared with another one; no part of what is measured."""
    monitoring: Monitoring = Monitoring()
    """What Prometheus does."""
    profiling: Profiling | None = None
    """Read the GPUs finely, for the timelines of the report; by default only the scrapes do."""
    execution: Execution = Execution()
    """How the campaign is carried out."""
    bounds: Bounds = Bounds()
    """What the hardware can do, for upper bounds."""
    prices: Prices = Prices()
    """What hours cost, for the price of serving; by default those of the site."""

    @model_serializer(mode="wrap")
    def _without_what_is_not_given(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        for name in _WHERE_GIVEN:
            if not content[name]:
                del content[name]
        if self.design == "rounds":
            del content["design"]
        if self.bounds == Bounds():
            del content["bounds"]
        if self.prices == Prices():
            del content["prices"]
        return content

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, content: Any) -> Any:
        return with_suite(content)

    @model_validator(mode="after")
    def _consistent(self) -> Campaign:
        _refuse_duplicates("deployments", [deployment.name for deployment in self.deployments])
        check_paired(self)
        _refuse_duplicates("slos", [slo.name for slo in self.slos])
        _refuse_duplicates("targets", [target.name for target in self.targets])
        refuse_same_names(self.components)
        check_stress(self)
        check_failure(self)
        check_targets(self)
        check_standards(self)
        check_objectives(self)
        check_comparison(self)
        self._enough_workers()
        if self.load.search is not None:
            check_search(self.load, self.load.search, self.slos)
            return self
        leaving = [self.workload.abandon, *(part.abandon for part in self.workload.mix or ())]
        if self.load.samples_per_query > 1 and any(leaving):
            raise ValueError(
                "load.samples_per_query is above 1, and clients leave (abandon): a query that lacks "
                "an answer has no latency; leave abandon out"
            )
        if self.load.scenario == "server" and not any(slo.stat == "p99" for slo in self.slos):
            raise ValueError(
                "load.scenario is server, whose result is the rate up to which a p99 holds; add "
                "a slo with stat: p99"
            )
        return self

    def _enough_workers(self) -> None:
        """Insist on a worker for every node that sends."""
        nodes = self.execution.client_nodes
        if nodes > 1 and self.load.run_as == "job":
            raise ValueError(
                f"execution.slurm.client has nodes: {nodes}, and with load.run_as: job the load is "
                "a job of one node: leave nodes or run_as out"
            )
        if nodes > self.load.workers:
            raise ValueError(
                f"execution.slurm.client has nodes: {nodes}, and load.workers is "
                f"{self.load.workers}: every node of the client sends, so raise load.workers to "
                f"{nodes} or more, or lower nodes"
            )


def _refuse_duplicates(what: str, names: list[str]) -> None:
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"{what} have to differ in name; twice there: {', '.join(doubled)}")
