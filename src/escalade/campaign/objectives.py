"""Service-level objectives, as a user writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from escalade.analysis.kpis.catalogue import BY_NAME, RATES, WAITING
from escalade.services.validation import Name, Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.measured.cell import Slo as JudgedSlo
    from escalade.campaign.models import Campaign

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_OF_WHOLE_STEPS = (
    *("recall_at_k", "samples_per_second"),
    *("received_bytes_per_second", "sent_bytes_per_second"),
)
"""Metrics that the workloads of a mix don't have rows of their own of."""


class Slo(Section):
    """A service-level objective on one statistic of one metric."""

    name: Name
    """Name in the verdicts."""
    metric: Literal[
        "latency_seconds",
        "ttft_seconds",
        "itl_seconds",
        "tpot_seconds",
        "error_ratio",
        "throughput_qps",
        "goodput_qps",
        "output_tokens_per_second",
        "samples_per_second",
        "recall_at_k",
        "received_bytes_per_second",
        "sent_bytes_per_second",
    ]
    """What is judged; latencies count from the planned send."""
    stat: Literal["p50", "p90", "p95", "p99", "mean", "value"] = "p90"
    """Which statistic of it: a percentile or the mean of times; what has one statistic takes that one."""
    limit: Positive | None = None
    """The value must not be above this, in the metric's unit: for times and error_ratio."""
    at_least: Positive | None = None
    """The value must not be below this, in the metric's unit: for rates and recall_at_k."""
    of: str | None = None
    """For goodput_qps: name of the SLO whose limit makes an answer a good one; needed where several could."""
    at_qps: Positive | None = None
    """The step where it has to hold. Only SLOs that name it count for the exit code; others judge every step."""
    workload: str | None = None
    """Name of a workload of a mix, whose requests alone it judges; all of them by default."""

    @property
    def bound(self) -> float:
        """The limit, or the least value."""
        bound = self.at_least if self.limit is None else self.limit
        assert bound is not None  # noqa: S101 - `_one_bound` has seen to it
        return bound

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        for name in ("limit", "at_least", "of", "workload"):
            if content[name] is None:
                del content[name]
        return content

    @model_validator(mode="before")
    @classmethod
    def _only_statistic(cls, content: Any) -> Any:
        """Fill in the statistic of a metric that has but one."""
        metric = BY_NAME.get(str(content.get("metric"))) if isinstance(content, dict) else None
        if metric is None or "stat" in content or len(metric.stats) > 1:
            return content
        return {**content, "stat": metric.stats[0]}

    @model_validator(mode="after")
    def _statistic_fits(self) -> Slo:
        there = [stat for stat in BY_NAME[self.metric].stats if stat != "max"]
        if self.stat not in there:
            raise ValueError(
                f"{self.metric} has no statistic {self.stat!r}: it goes with {', '.join(there)}"
            )
        return self

    @model_validator(mode="after")
    def _one_bound(self) -> Slo:
        wanted = "limit" if BY_NAME[self.metric].direction == "lower" else "at_least"
        other = "at_least" if wanted == "limit" else "limit"
        side = "low" if wanted == "limit" else "high"
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            raise ValueError(
                f"{self.metric} is to be {side}: give the slo {self.name!r} {wanted}, and no {other}"
            )
        if BY_NAME[self.metric].unit == "ratio" and wanted == "at_least" and self.bound > 1:
            raise ValueError(f"{self.metric} is at most 1, and at_least is {self.bound:g}")
        return self


def goodput_of(slo: Slo, slos: Sequence[Slo]) -> Slo | None:
    """Give the objective whose limit makes an answer a good one; None unless the metric is goodput.

    Raises
    ------
    ValueError
        When the objective that is named can't, or none is named and not just one can.
    """
    if slo.metric != "goodput_qps":
        if slo.of is not None:
            raise ValueError(f"slo {slo.name!r} has `of`, which is for goodput_qps; leave it out")
        return None
    timed = [
        each for each in slos if each.metric in WAITING and slo.workload in (None, each.workload)
    ]
    names = ", ".join(each.name for each in timed) or "there is none"
    fitting = [each for each in timed if slo.of in (None, each.name)]
    if len(fitting) == 1:
        return fitting[0]
    raise ValueError(
        f"slo {slo.name!r} judges the rate of good answers; `of` names the slo on {' or '.join(WAITING)} "
        f"that says what a good one is: {names}"
    )


def judged_slos(slos: Sequence[Slo], among: Sequence[Slo]) -> list[JudgedSlo]:
    """Give objectives as the analysis takes them.

    Parameters
    ----------
    slos
        Those to judge.
    among
        All of the campaign: one on goodput is about the same workload as the one it names.
    """
    return [_judged(slo, goodput_of(slo, among)) for slo in slos]


def _judged(slo: Slo, good: Slo | None) -> JudgedSlo:
    from escalade.analysis.measured.cell import Slo as Judged  # noqa: PLC0415 - a plan does without

    return Judged(
        name=slo.name,
        metric=slo.metric,
        stat=slo.stat,
        limit=slo.bound,
        at_qps=slo.at_qps,
        workload=slo.workload if good is None else good.workload,
        at_least=slo.at_least is not None,
        of=None if good is None else good.name,
    )


def check_objectives(campaign: Campaign) -> None:
    """Insist on objectives that some step of the ladder could keep.

    Raises
    ------
    ValueError
        When one names a rate, a workload or an objective that the campaign lacks, or a rate of
        answers that no step asks for.
    """
    rates = [step.target_qps for step in campaign.load.ladder if step.target_qps is not None]
    parts = [part.name for part in campaign.workload.mix or ()]
    for slo in campaign.slos:
        goodput_of(slo, campaign.slos)
        if slo.at_qps is not None and not rates and campaign.load.search is None:
            raise ValueError(
                f"slo {slo.name!r} has at_qps, but with arrivals: {campaign.load.arrivals} the "
                "service sets the rate; leave at_qps out"
            )
        if slo.workload is not None and slo.workload not in parts:
            raise ValueError(
                f"slo {slo.name!r} judges the workload {slo.workload!r}, which is none of a mix: "
                f"{', '.join(parts) or 'there is no mix'}"
            )
        if slo.workload is not None and slo.metric in _OF_WHOLE_STEPS:
            raise ValueError(
                f"slo {slo.name!r} names a workload, and {slo.metric} is that of whole steps; "
                "leave workload out"
            )
        if slo.at_qps is not None and rates and slo.at_qps not in rates:
            raise ValueError(
                f"slo {slo.name!r} has at_qps {slo.at_qps}, which is no step of the ladder {rates}"
            )
        asked = [slo.at_qps] if slo.at_qps is not None else rates
        if slo.metric in RATES and asked and max(asked) < slo.bound:
            raise ValueError(
                f"slo {slo.name!r} asks for {slo.bound:g} answers/s at least, and the steps it "
                f"judges are offered {max(asked):g} requests/s at most"
            )
