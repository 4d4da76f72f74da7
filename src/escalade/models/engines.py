"""Reads the pages of metrics of engines, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests
from prometheus_client.parser import text_string_to_metric_families

from escalade.errors import InputError
from escalade.gpu.headroom import CACHE_USE, Engine, cache_use

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.models.heads import Head

_SECONDS = 5.0
_ASKED = ("requests_total", "output_tokens_total")
"""What counts as use, the better first."""


def engine_at(text: str) -> Engine:
    """Read an engine as it is written: `URL` of its page, or `URL@GPU,GPU`.

    Raises
    ------
    InputError
        When it is no URL.
    """
    url, at, gpus = text.rpartition("@") if "@" in text.rpartition("/")[2] else (text, "", "")
    if not url.startswith(("http://", "https://")):
        raise InputError(
            f"--engine {text!r}: expected the URL of its page of metrics, as in "
            "http://127.0.0.1:8000/metrics, and @0,1 behind it for its GPUs."
        )
    return Engine(url, tuple(name for name in gpus.split(",") if name) if at else ())


def asked(engine: Engine) -> Engine:
    """Ask an engine for the use of its cache; what went wrong stands in the answer."""
    page, problem = _page(engine.url)
    if page is None:
        return Engine(engine.url, engine.gpus, None, problem)
    try:
        use = cache_use(page)
    except ValueError as error:
        return Engine(engine.url, engine.gpus, None, f"no page of metrics ({error})")
    if use is None:
        return Engine(
            engine.url, engine.gpus, None, f"shows none of {', '.join(CACHE_USE)}: no such engine"
        )
    return Engine(engine.url, engine.gpus, use)


def use_of(heads: Sequence[Head]) -> dict[str, float | None]:
    """Count what each model was asked since it was loaded, in the order of loading.

    All are counted alike, by requests, or else by the tokens that they gave; where neither can be
    had of all of them, each is None.
    """
    pages = {head.name: _page(head.metrics_url)[0] if head.metrics_url else None for head in heads}
    for wanted in _ASKED:
        counts = {
            head.name: _counted(pages[head.name], (head.metric_names or {}).get(wanted))
            for head in heads
        }
        if all(count is not None for count in counts.values()):
            return counts
    return dict.fromkeys(pages)


def _counted(page: str | None, metric: str | None) -> float | None:
    if page is None or metric is None:
        return None
    try:
        values = [
            sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == metric
        ]
    except ValueError:
        return None
    return sum(values) if values else None


def _page(url: str) -> tuple[str | None, str]:
    try:
        answer = requests.get(url, timeout=_SECONDS)
        answer.raise_for_status()
    except requests.RequestException as error:
        return None, f"does not answer ({type(error).__name__})"
    return answer.text, ""
