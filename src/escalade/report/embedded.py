"""What the page carries for its script: the script itself, its data, and the policy that allows both."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, fields, is_dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from escalade.report import words
from escalade.report.charts.drawing import Chart
from escalade.report.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCRIPT = ("elements", "views", "sorting", "figures", "limits", "page")
"""Parts of the script, in the order in which they are put together."""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{}'"
_UNSAFE = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


@dataclass(frozen=True)
class Embedded:
    """What stands at the end of the page, and the policy that stands at its beginning."""

    script: Markup
    data: Markup
    policy: str


def embed(content: Mapping[str, Any]) -> Embedded:
    """Gather what the script needs from the page's content: figures wherever they stand, `limits`."""
    text = script()
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    figures = {chart.key: dict(chart.svg.hover) for chart in charts_in(content) if chart.svg.hover}
    return Embedded(
        Markup(text),  # noqa: S704 - files of this package
        data_block({"figures": figures, "limits": content.get("limits", [])}),
        _POLICY.format(digest),
    )


def script() -> str:
    """Put the parts of the script into one function, so that nothing of it is reachable from outside."""
    folder = resources.files("escalade.report").joinpath("script")
    parts = [folder.joinpath(f"{name}.js").read_text("utf-8") for name in SCRIPT]
    return "(() => {\n'use strict';\n" + "\n".join(parts) + "})();"


def data_block(content: Any) -> Markup:
    """Write JSON that may stand in a script element: nothing in it can end the element.

    Control characters and direction overrides are left out, as everywhere on the page.
    """
    text = json.dumps(_cleaned(content), separators=(",", ":"), allow_nan=False)
    return Markup(text.translate(_UNSAFE))  # noqa: S704 - no markup is left in it


def charts_in(content: Any) -> Iterator[Chart]:
    """Find all charts, in lists, mappings and dataclasses, in their order."""
    if isinstance(content, Chart):
        yield content
    elif isinstance(content, str | float | int | Table | None):
        return  # no chart is in what most of a page consists of
    elif isinstance(content, dict):
        for value in content.values():
            yield from charts_in(value)
    elif isinstance(content, (list, tuple)):
        for value in content:
            yield from charts_in(value)
    elif is_dataclass(content):
        for each in fields(content):
            yield from charts_in(getattr(content, each.name))


def _cleaned(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _cleaned(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_cleaned(value) for value in content]
    return words.without_control(content) if isinstance(content, str) else content
