"""Markdown of which nothing is lost in a comment: escaped text, tables, folds, and a limit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from escalade.report.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LIMIT = 60_000
"""Characters; a comment on GitHub holds 65,536."""
_BREAKING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|@#~])")


def escaped(text: str) -> str:
    """Write text that came from files so that it stays text in Markdown."""
    return _MARKUP.sub(r"\\\1", _BREAKING.sub(" ", text))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; its fields are escaped."""
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    lines += [f"| {' | '.join(escaped(field) for field in row)} |" for row in rows]
    return "\n".join(lines)


def folded(summary: str, inner: str) -> str:
    """Hide a part behind a line that opens it."""
    return f"<details><summary>{summary}</summary>\n\n{inner}\n\n</details>"


def within_limit(parts: Sequence[tuple[str, str]], where: str) -> str:
    """Join the parts that fit into a comment, and say which did not.

    Parameters
    ----------
    parts
        Name and text of each, the most important first; empty ones are left out.
    where
        What has all of them, as in "the page".
    """
    told, lost = "", []
    for name, text in parts:
        if not text:
            continue
        if len(told) + len(text) > LIMIT:
            lost.append(name)
        else:
            told += f"{text}\n\n"
    if lost:
        told += (
            f"Left out, since a comment has room for no more: {listed(lost)}. {where} has all.\n"
        )
    return f"{told.rstrip()}\n"
