"""A page as tests read it: its tags, identifiers, addresses and words."""

from __future__ import annotations

import html.parser

VOID = {"meta", "link", "br", "path", "circle", "rect", "use", "input", "img", "hr"}


class Reader(html.parser.HTMLParser):
    """Collects tags, identifiers, addresses and text, and whether tags close as they open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.identifiers: list[str] = []
        self.addresses: list[str] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self._open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.identifiers.append(value or "")
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                self.addresses.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("style", "script"):
            self.text.append(data)

    @property
    def words(self) -> str:
        """The page's text in one line."""
        spaced = " ".join(" ".join(self.text).split())
        return spaced.replace("\N{NO-BREAK SPACE}", " ")
