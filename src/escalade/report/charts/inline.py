"""Matplotlib's SVG as part of the page: its colours, identifiers of its own, and nothing that isn't seen.

Matplotlib draws with stand-in colours; here each becomes a CSS variable of the
page, so that a figure follows light and dark mode. Identifiers are numbered
anew per figure: they are unique in the page and the same every time.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from escalade.report.charts import hover
from escalade.report.charts.hover import Drawn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.figure import Figure

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_DROPPED = {f"{_SVG}metadata", f"{_SVG}style"}


@dataclass(frozen=True)
class _Words:
    """What the page writes instead of matplotlib's identifiers, colours and styles."""

    names: Mapping[str, str]
    colours: Mapping[str, str]
    styles: dict[str, str] = field(default_factory=dict)

    def style(self, given: str) -> str:
        """Give a style without its fonts, in the page's colours; a figure has few different ones."""
        if given not in self.styles:
            rules = [rule.strip() for rule in given.split(";")]
            kept = [rule for rule in rules if rule and not rule.startswith("font-family")]
            self.styles[given] = _COLOUR.sub(
                lambda found: self.colours.get(found[0], found[0]), "; ".join(kept)
            )
        return self.styles[given]


def inlined(
    text: str,
    key: str,
    named: tuple[str, str],
    figure: Figure,
    *,
    colours: Mapping[str, str],
    under: Markup,
) -> Drawn:
    """Make matplotlib's SVG fit to be put into the page.

    Parameters
    ----------
    text
        As matplotlib wrote it.
    key
        Unique in the page; all identifiers of the figure begin with it.
    named
        Title and description.
    figure
        That was drawn, with what a reader may point at in it.
    colours
        What the page calls each stand-in, as in "var(--ink)".
    under
        SVG in CSS pixels from the upper left corner, on which all else is drawn.
    """
    title, description = named
    root = ET.fromstring(text)  # noqa: S314 - written by matplotlib a moment before
    kept = [*_referenced(root), *hover.recorded_lines(figure)]
    names = {name: f"{key}-{number}" for number, name in enumerate(kept, start=1)}
    words = _Words(names, colours)
    body = "".join("".join(_written(child, words)) for child in root)
    width, height = (f"{float(length):g}" for length in figure.bbox.size)
    head = (
        f'<svg role="img" aria-labelledby="{key}-title {key}-description" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<title id="{key}-title">{escape(title)}</title>'
        f'<desc id="{key}-description">{escape(description)}</desc>'
    )
    drawn = Drawn(f"{head}{under}{body}</svg>")  # all text in it was escaped
    drawn.hover = hover.recorded(figure, names)
    return drawn


def _referenced(root: ET.Element) -> list[str]:
    """List the identifiers that are used somewhere, in the order of their use."""
    used: dict[str, None] = {}
    for element in root.iter():
        for name, value in element.attrib.items():
            found = [value[1:]] if name == _HREF else _REFERENCE.findall(value)
            used.update(dict.fromkeys(found))
    return list(used)


def _written(element: ET.Element, words: _Words) -> Iterator[str]:
    if element.tag in _DROPPED:
        return
    inside = "".join("".join(_written(child, words)) for child in element)
    text = escape(element.text) if element.text and element.text.strip() else ""
    tag = element.tag.removeprefix(_SVG)
    if tag in ("g", "defs") and not inside:
        return
    attributes = _attributes(element, words)
    if tag == "g" and not attributes:
        yield inside
        return
    yield f"<{tag}{attributes}>{text}{inside}</{tag}>"


def _attributes(element: ET.Element, words: _Words) -> str:
    names = words.names
    kept: list[tuple[str, str]] = []
    for name, given in element.attrib.items():
        value = given
        if name == "id":
            if value not in names:
                continue
            value = names[value]
        elif name == _HREF:
            name, value = "href", "#" + names[value[1:]]  # noqa: PLW2901
        elif name == "style":
            value = words.style(value)
        elif name == "transform" and value.startswith("rotate(-0 "):
            continue
        if "url(" in value:
            value = _REFERENCE.sub(lambda found: f"url(#{names[found[1]]})", value)
        if "." in value:
            value = _LONG_NUMBER.sub(_shortened, value)
        kept.append((name, " ".join(value.split())))
    return "".join(f' {name}="{escape(value)}"' for name, value in kept if value)


def _shortened(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}"
