"""A request as received: raw target, headers and body, and the values parsed from them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote

from crawler.emulator.responses import gateway_refusal, invalid_argument

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request. `target` is that of the request line, not decoded; header names are in lower case."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def path(self) -> str:
        """The raw path of the target."""
        return self.target.partition("?")[0]

    @property
    def raw_query(self) -> str:
        """The raw query, empty if there is none."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str:
        """Return a header's value, stripped; empty if it is missing."""
        return next((value.strip() for found, value in self.headers if found == name), "")

    def values(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value.strip() for found, value in self.headers if found == name]

    def query_pairs(self) -> list[tuple[str, str]]:
        """Return the query's parameters, decoded; a plus sign is a space. Refuses invalid UTF-8."""
        return _pairs(self.raw_query)

    def query(self) -> dict[str, str]:
        """Return the query's parameters by name. Refuses repeated names."""
        pairs = self.query_pairs()
        found = dict(pairs)
        if len(found) != len(pairs):
            raise invalid_argument("a query parameter is repeated")
        return found

    def form(self) -> dict[str, str]:
        """Return the parameters of a form body, none if the body isn't a form."""
        if not self.header("content-type").startswith(FORM):
            return {}
        return dict(_pairs(self.body.decode("utf-8", errors="replace")))


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=200)
    except (UnicodeDecodeError, ValueError):
        raise gateway_refusal(400, "InvalidParameter", "The query isn't percent-encoded UTF-8.") from None


def decode(segment: str) -> str:
    """Decode one segment of a path. Refuses invalid UTF-8."""
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise gateway_refusal(400, "InvalidParameter", "The path isn't percent-encoded UTF-8.") from None


def encode(text: str) -> str:
    """Percent-encode all characters but letters, digits and `-_.~` (RFC 3986)."""
    return quote(text, safe="~")
