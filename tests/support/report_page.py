"""Parses a page of the report as a browser does: elements, texts, and the data of its tables."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "wbr"}


@dataclass
class Page(HTMLParser):
    """A parsed page. `elements` are (name, attributes) in order; `texts` all text outside of scripts and styles."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    data: dict[str, dict] = field(default_factory=dict)

    def __post_init__(self):
        super().__init__()
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self._table = ""
        self._is_broken_word = False

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self._is_broken_word = tag == "wbr"
        self.elements.append((tag, found))
        self._table = found.get("data-table") or self._table
        if tag not in VOID:
            self._open.append((tag, found))

    def handle_endtag(self, tag):
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop()[0] == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        tag, attributes = self._open[-1] if self._open else ("", {})
        if tag == "script" and attributes.get("type") == "application/json":
            self.data[self._table] = json.loads(data)
        elif tag in {"script", "style"}:
            (self.scripts if tag == "script" else self.styles).append(data)
        elif self._is_broken_word:
            self.texts[-1] += data
        else:
            self.texts.append(data)
        self._is_broken_word = False

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def having(self, name: str, **attributes: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements with this name."""
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
        return [found for tag, found in self.elements if tag == name and wanted.items() <= found.items()]


def read_page(html: str) -> Page:
    """Parse a page. All elements must be closed, in order."""
    page = Page()
    page.feed(html)
    page.close()
    assert not page._open, page._open
    return page
