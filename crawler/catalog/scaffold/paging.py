"""The paging family of an operation, by the names of its parameters and of its answer's fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crawler.catalog.model import WHOLE_ANSWER, WHOLE_LIST, is_answer_name
from crawler.catalog.scaffold.comments import maximum
from crawler.catalog.scaffold.names import plain
from crawler.catalog.sdk.calls import SdkCall
from crawler.catalog.sdk.models import TypeNode

_TOKENS_IN = ("nexttoken", "marker", "pagetoken", "nextmarker", "nextpagetoken", "token")
_TOKENS_OUT = ("nexttoken", "nextmarker", "marker", "nextpagetoken", "pagetoken")
_VERSIONS = ("startversion", "nextversion")
_PAGES = ("pagenumber", "pageno", "pagenum", "currentpage", "page", "pageindex", "pagenumbers")
_SIZES = ("pagesize", "maxresults", "maxresult", "maxitems", "limit", "perpage", "size", "maxkeys")
_TOTALS = ("totalcount", "total", "totalrecordcount", "totalnum", "totalrecords", "totalitemcount", "totalsize")
_MORE = ("istruncated",)
_OFFSETS = ("offset", "start", "startkey")
# Names of an answer that only repeat the request, or count the page.
_ECHOES = ("pagerecordcount", "itemscount", "pagecount", "totalpage", "totalpages", "hasmore", "hasnext")
PAGING_NAMES = frozenset({*_TOKENS_OUT, _VERSIONS[1], *_PAGES[:3], *_SIZES[:4], *_MORE, *_ECHOES, "totalcount"})

# Usual bounds are 50 and 100, and lists of allowed page sizes have 50.
_USUAL_LIMIT = 50
_LARGEST_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class PagingDraft:
    """A `[paging]` section: its keys in order, and doubts by key."""

    keys: dict[str, str | int]
    doubts: dict[str, str]

    @property
    def parameters(self) -> set[str]:
        """The query parameters that paging sends."""
        return {str(self.keys[key]) for key in ("input_token", "page_key", "limit_key") if key in self.keys}

    @property
    def paths(self) -> set[str]:
        """The paths of the answer that paging reads."""
        return {str(self.keys[key]) for key in ("output_token", "total", "more") if key in self.keys}


def find_paging(call: SdkCall, records: tuple[str, ...]) -> PagingDraft:
    """Return the paging family of an operation whose answer has its records at `records`.

    An answer that is the one record has no pages.
    """
    if records in (WHOLE_ANSWER, WHOLE_LIST):
        pages = next((name for name in call.query if plain(name) in {*_TOKENS_IN, *_PAGES}), "")
        is_part = call.answer.kind == "list" or any(plain(name) in _TOKENS_OUT for name in call.answer.named)
        doubt = f"how does {pages} lead to the next page?" if pages and is_part else ""
        return PagingDraft({"style": "none"}, {"style": doubt} if doubt else {})
    sent = {plain(name): name for name in call.query}
    found = dict(_answered(call.answer, (), records))
    token = _first(_TOKENS_IN, sent), _first(_TOKENS_OUT, found)
    version = sent.get(_VERSIONS[0], ""), found.get(_VERSIONS[1], "")
    page, size = _first(_PAGES, sent), _first(_SIZES, sent)
    keys: dict[str, str | int]
    has_pages = bool(page and size and call.query[page].is_required)
    if all(token) and not has_pages:
        keys = {"style": "token", "input_token": token[0], "output_token": token[1]}
        size = _first((*_SIZES[1:], _SIZES[0]), sent)
    elif all(version):
        keys = {"style": "version", "input_token": version[0], "output_token": version[1]}
    elif page and size:
        keys = {"style": "page-number", "page_key": page}
    else:
        keys = {"style": "limit-only" if size else "none"}
    doubts = {}
    if size:
        keys["limit_key"], keys["limit"] = size, _USUAL_LIMIT
        if largest := maximum(call.query[size].comment):
            keys["limit"] = min(largest, _LARGEST_LIMIT)
        else:
            doubts["limit"] = "the SDK names no bound"
    if total := _first(_TOTALS, found):
        keys["total"] = total
    if keys["style"] == "token" and (more := _first(_MORE, found)):
        keys["more"] = more
    if doubt := _doubt(str(keys["style"]), sent, found):
        doubts["style"] = doubt
    return PagingDraft(keys, doubts)


def is_paged(call: SdkCall) -> bool:
    """Whether a request has a parameter of any paging."""
    return any(plain(name) in {*_TOKENS_IN, *_PAGES, *_SIZES} for name in call.query)


def fixed_paging(wire: str) -> str:
    """Return the value of a paging parameter that a request without pages must send, too; "" for another parameter."""
    name = plain(wire)
    return "1" if name in _PAGES else str(_USUAL_LIMIT) if name in _SIZES else ""


def _doubt(style: str, sent: dict[str, str], found: dict[str, str]) -> str:
    """Return why the style may be wrong: parameters of a paging that the answer or the request doesn't complete."""
    if style in {"none", "limit-only"}:
        odd = [sent[name] for name in (*_TOKENS_IN, *_PAGES, *_OFFSETS) if name in sent]
        odd += [found[name] for name in _TOKENS_OUT if name in found]
        if odd:
            return f"how does {odd[0]} lead to the next page?"
    return ""


def _first(names: tuple[str, ...], found: dict[str, str]) -> str:
    return next((found[name] for name in names if name in found), "")


def _answered(node: TypeNode, path: tuple[str, ...], records: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield (plain name, path) of an answer's scalars, the deepest first, so that the top's win in a mapping.

    Only objects above the records, and those named like paging (`PageInfo`), are searched.
    """
    for field in node.fields:
        inner = (*path, field.wire)
        if field.node.kind == "struct" and (records[: len(inner)] == inner != records or "pag" in plain(field.wire)):
            yield from _answered(field.node, inner, records)
    for field in node.fields:
        if field.node.kind not in {"struct", "list", "map"} and is_answer_name(field.wire):
            yield plain(field.wire), ".".join((*path, field.wire))
