"""All rules, in the order in which what they find is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.analysis.findings import (
    caches,
    cuda_memory,
    errors,
    instrument,
    ladder,
    limits,
    objectives,
    scenarios,
    service,
)

if TYPE_CHECKING:
    from escalade.analysis.findings.rule import Rule

RULES: tuple[Rule, ...] = (
    *service.RULES_OF_PROBLEMS[:1],
    *objectives.RULES,
    *instrument.RULES,
    *errors.RULES,
    *service.RULES_OF_PROBLEMS[1:],
    *scenarios.RULES_OF_PROBLEMS,
    *limits.RULES,
    *cuda_memory.RULES,
    *ladder.RULES,
    *scenarios.RULES,
    *service.RULES,
    *caches.RULES,
)
