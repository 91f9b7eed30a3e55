"""Reads pages by the fast path and by the exact path, and compares everything that they give."""

from __future__ import annotations

from datetime import UTC, datetime

from crawler.errors import CrawlError
from crawler.normalizer import Normalizer, RowContext
from crawler.normalizer.pending import UndecodedPage
from tests.support.record_strategies import CATALOG, KEEPS

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def context(operation, at=NOW):
    return RowContext("1", "r", at, {wire: f"p-{wire}" for wire in operation.parameters})


def outcome(normalizer, body, where):
    """The result of reading a page: all its fields, or the error."""
    try:
        return normalizer.read(body, where)
    except CrawlError as error:
        return (type(error), str(error), getattr(error, "code", ""))


def assert_same(quick, slow, paths, *, may_refuse=False):
    if not isinstance(slow, tuple):
        is_quick = isinstance(quick.rows, UndecodedPage) and not may_refuse
        batch = quick.rows.source.decode_fast([quick.rows]) if is_quick else quick.batch
        batch.validate(full=True)
        assert batch.schema.equals(slow.batch.schema, check_metadata=True)
        assert batch.to_pylist() == slow.batch.to_pylist()
        assert list(quick.keys) == list(slow.keys)
        assert list(quick.digests) == list(slow.digests)
        assert (quick.token, quick.total, quick.seen) == (slow.token, slow.total, slow.seen)
        assert (type(quick.token), type(quick.total)) == (type(slow.token), type(slow.total))
        assert quick.unknown == slow.unknown
        assert (quick.coerced, quick.misfits) == (slow.coerced, slow.misfits)
        for each in paths:
            assert bound(quick, each) == bound(slow, each)
    else:
        assert quick == slow


def bound(page, paths):
    try:
        return page.parent_keys(paths)
    except CrawlError as error:
        return str(error)


def bindings(operation):
    """How the lists below this one's rows are asked for."""
    children = (CATALOG.operations[name] for name in CATALOG.children(operation.table))
    return [
        list(parent.bind.values()) for child in children for parent in child.parents if parent.table == operation.table
    ]


def check(operation, bodies, redaction=KEEPS, *, may_refuse=False):
    """Read pages in a row both ways; return which of them the fast path read.

    `may_refuse`: the decoder may leave a page to the exact path.
    """
    quick = Normalizer(operation, redaction, "s")
    slow = Normalizer(operation, redaction, "s", is_fast=False)
    found = []
    for body in bodies:
        page, reference = (outcome(each, body, context(operation)) for each in (quick, slow))
        assert_same(page, reference, bindings(operation), may_refuse=may_refuse)
        found.append(isinstance(getattr(page, "rows", None), UndecodedPage))
    return found
