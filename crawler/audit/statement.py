"""A SQL statement of the user, with the label that messages use for it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from crawler.errors import ConfigError

_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL to run: the user's `text` between `lead` and `tail`. Messages call it `label`.

    Raises ConfigError for text that contains a NUL or isn't UTF-8.
    """

    text: str
    label: str = "the SQL"
    lead: str = ""
    tail: str = ""

    def __post_init__(self) -> None:
        if _NO_TEXT.search(self.text):
            raise ConfigError(f"{self.label} isn't text: it contains a NUL or bytes that aren't UTF-8")

    @property
    def sql(self) -> str:
        """The complete SQL."""
        return f"{self.lead}{self.text}{self.tail}"

    def locate(self, position_bytes: int) -> str:
        """Return line and column in the user's text for a position in the SQL; empty if outside of that text."""
        own = self.text.encode()
        at = position_bytes - len(self.lead.encode())
        if not 0 <= at <= len(own):
            return ""
        before = own[:at].decode(errors="ignore")
        return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"
