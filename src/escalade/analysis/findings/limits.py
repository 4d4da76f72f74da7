"""Rules on what limits the service: a word, a reason and an option for each bottleneck."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from escalade.analysis.capacity import resources
from escalade.analysis.capacity.bottleneck import FOUND, UNDECIDED
from escalade.analysis.capacity.figures import Evidence
from escalade.analysis.findings.rule import ADVICE, LIMIT, PROBLEM, Hit, Rule
from escalade.analysis.findings.subject import SHOWN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from escalade.analysis.findings.rule import Answer
    from escalade.analysis.findings.subject import Subject


def limited(subject: Subject, *, resource: str) -> Answer:
    """Fire when a resource is the bottleneck of any cell."""
    rows = [
        row
        for row in subject.section("bottlenecks")
        if row["outcome"] == FOUND and row["resource"] == resource
    ]
    if not rows:
        return None
    several = f" (so in {len(rows)} of {len(subject.cells)} cells)" if len(rows) > 1 else ""
    return Hit(
        f"{rows[0]['words']}{several}", _evidence(rows, resource), _option(subject, resource)
    )


def _evidence(rows: list[Mapping[str, Any]], resource: str) -> tuple[Evidence, ...]:
    found = [
        _read(each)
        for row in rows
        for part in row["ranking"]
        if part["resource"] == resource or part["outcome"] == "full"
        for each in part["evidence"]
    ]
    return tuple(found[:SHOWN])


def _read(row: Mapping[str, Any]) -> Evidence:
    numbers = {key: math.nan if row[key] is None else float(row[key]) for key in ("value", "limit")}
    return Evidence(**{**row, **numbers})


def _option(subject: Subject, resource: str) -> tuple[str, ...]:
    """Name the parameter of the recipe that sets a limit, with what it is now."""
    names: Mapping[str, tuple[str, ...]] = {
        resources.SLOTS: resources.SLOT_PARAMETERS,
        resources.THREAD: (resources.THREAD_PARAMETER,),
    }
    set_here = subject.cells[0].parameters if subject.cells else {}
    for name in names.get(resource, ()):
        if name in set_here:
            return (f"raise the parameter `{name}` of the deployment, now {set_here[name]}",)
    return ()


def undecided(subject: Subject) -> Answer:
    """Fire when no cell's bottleneck could be told, though the knee was reached."""
    rows = subject.section("bottlenecks")
    reached = [row for row in rows if row["outcome"] in (FOUND, UNDECIDED)]
    if not reached or any(row["outcome"] == FOUND for row in reached):
        return None
    evidence = [_read(each) for part in reached[0]["ranking"] for each in part["evidence"]]
    return Hit(str(reached[0]["words"]), tuple(evidence[:SHOWN]))


RULES = (
    Rule(
        "limited-by-memory",
        PROBLEM,
        "The node swaps",
        "memory is the bottleneck of a cell: used swap grew at the knee",
        "Every other figure at the knee is that of a machine that waits for its swap.",
        "Service, caches and the rest of the node need more memory than there is.",
        (
            "give the allocation more memory, or the service less to hold (slots, context, buffers, a smaller model)",
        ),
        partial(limited, resource=resources.MEMORY),
    ),
    Rule(
        "limited-by-slots",
        LIMIT,
        "A configured limit holds the service back, not the hardware",
        "slots are the bottleneck of a cell: all are taken, others wait, and CPU and GPU are not full",
        "The machine could do more at once than the service lets it.",
        "It works on so many requests together, and each takes its time whatever else is free.",
        (
            "raise it until CPU, GPU or memory is full, or time per token suffers",
            "mind the memory: each slot has its own context",
        ),
        partial(limited, resource=resources.SLOTS),
    ),
    Rule(
        "limited-by-cpu",
        LIMIT,
        "The service is bound by its CPUs",
        "the CPUs of the service's allocation are the bottleneck of a cell",
        "Capacity is cores / CPU time per request: more slots or threads would only share it out.",
        "Each request costs CPU time, and there is no more of it.",
        (
            "give the service more or faster cores, or replicas on other nodes",
            "lower what a request costs: a smaller or more quantised model, shorter prompts and answers, larger batches",
        ),
        partial(limited, resource=resources.CPU),
    ),
    Rule(
        "limited-by-threads",
        LIMIT,
        "The service uses fewer threads than it has cores",
        "the threads of the service are the bottleneck of a cell, and cores are idle beside them",
        "Cores that the allocation pays for do nothing.",
        "A setting says how many threads compute, or the work is done by one (an event loop, a lock of the interpreter).",
        ("start several processes or replicas on this node",),
        partial(limited, resource=resources.THREAD),
    ),
    Rule(
        "limited-by-gpu",
        LIMIT,
        "The service is bound by its GPU",
        "the GPU is the bottleneck of a cell",
        "A kernel ran nearly all the time, and ever more as the load grew.",
        "Each request costs time of the GPU. Whether memory bandwidth or compute is used up the upper bounds say.",
        (
            "use larger batches while a kernel's time hardly grows with them",
            "use a smaller or more quantised model, or more GPUs",
        ),
        partial(limited, resource=resources.GPU),
    ),
    Rule(
        "limited-by-kv-cache",
        LIMIT,
        "The KV cache is full",
        "the KV cache is the bottleneck of a cell",
        "Requests wait, or are computed again, since there is no room for their context.",
        "Each token of prompt and answer takes memory for as long as its request lasts.",
        (
            "give the cache more memory (a larger share of the GPU, a quantised cache, a smaller model)",
            "shorten the context that is kept for a request",
        ),
        partial(limited, resource=resources.KV_CACHE),
    ),
    Rule(
        "limited-by-network",
        LIMIT,
        "The network link is full",
        "the network is the bottleneck of a cell",
        "Answers wait for the link, however fast the service is.",
        "Each request moves so many bytes, and the link carries no more.",
        (
            "use a faster network between client and service",
            "send less: compression, smaller objects",
        ),
        partial(limited, resource=resources.NETWORK),
    ),
    Rule(
        "limited-by-disk",
        LIMIT,
        "The disk is full of work",
        "the disk is the bottleneck of a cell",
        "Requests wait for reads and writes.",
        "What is asked for does not fit in memory, or everything is written through.",
        ("give the service more memory for its cache", "use a faster disk, or several"),
        partial(limited, resource=resources.DISK),
    ),
    Rule(
        "limit-unknown",
        ADVICE,
        "What limits the service can't be told",
        "the knee was reached, and the bottleneck is unknown in every cell",
        "Throughput stops following, but what was measured does not decide why.",
        "A figure is missing, a resource looks busy at any load, or the limit is none of those that are watched.",
        (
            "change one thing at a time, slots first, and see whether the capacity follows",
            "add a low rung: how a resource's use grows with the load decides",
            "map the service's own gauges in the recipe (`requests_running`, `queue_length`, `kv_cache_usage_ratio`)",
        ),
        undecided,
    ),
)
