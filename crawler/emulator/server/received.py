"""A request as it came: raw target, headers and body, and what can be read out of them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote

from crawler.emulator.answers import invalid, refuse_at_gateway

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Received:
    """`target` is the request line's, not decoded; header names are in lower case."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def path(self) -> str:
        """The raw path."""
        return self.target.partition("?")[0]

    @property
    def raw_query(self) -> str:
        """The raw query, empty where there is none."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str:
        """A header's value, stripped; empty where it is missing."""
        return next((value.strip() for found, value in self.headers if found == name), "")

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        return [value.strip() for found, value in self.headers if found == name]

    def query_pairs(self) -> list[tuple[str, str]]:
        """The query's parameters, decoded; a plus sign is a space. Refuses what isn't UTF-8."""
        return _pairs(self.raw_query)

    def query(self) -> dict[str, str]:
        """The query's parameters by name. Refuses a name that comes twice."""
        pairs = self.query_pairs()
        found = dict(pairs)
        if len(found) != len(pairs):
            raise invalid("a query parameter is repeated")
        return found

    def form(self) -> dict[str, str]:
        """The parameters of a form body, none where the body isn't one."""
        if not self.header("content-type").startswith(FORM):
            return {}
        return dict(_pairs(self.body.decode("utf-8", errors="replace")))


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=200)
    except (UnicodeDecodeError, ValueError):
        raise refuse_at_gateway(400, "InvalidParameter", "The query isn't percent-encoded UTF-8.") from None


def decode(segment: str) -> str:
    """One segment of a path, decoded. Refuses what isn't UTF-8."""
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise refuse_at_gateway(400, "InvalidParameter", "The path isn't percent-encoded UTF-8.") from None


def encode(text: str) -> str:
    """RFC 3986: everything but letters, digits and `-_.~`."""
    return quote(text, safe="~")
