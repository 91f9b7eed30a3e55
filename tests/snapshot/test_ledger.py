"""The ledger while it grows: packed rows are the rows that were appended, in every order that is asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.snapshot import ledger as packed
from crawler.snapshot.ledger import Ledger, ScopeRow, TableFigures
from crawler.snapshot.rows.kept_scopes import ScopeSet
from crawler.snapshot.status import Status, is_whole
from tests.support.ledger_rows import START, rows, scope_of


def by_text(found):
    return sorted(map(repr, map(asdict, found)))


@pytest.mark.parametrize("block", [1, 3, 256])
@settings(deadline=None, max_examples=40)
@given(given_rows=st.lists(rows, max_size=20))
def test_packed_rows_are_the_rows_that_were_appended(block, given_rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "_BLOCK_ROWS", block)
        ledger = Ledger(given_rows)
    assert by_text(ledger) == by_text(given_rows)
    assert len(ledger) == len(given_rows)
    assert list(map(scope_of, ledger)) == sorted(map(scope_of, given_rows))
    not_whole = [row for row in given_rows if not is_whole(row.status)]
    assert by_text(ledger.not_whole()) == by_text(not_whole)
    assert list(map(scope_of, ledger.not_whole(2))) == sorted(map(scope_of, not_whole))[:2]
    assert [row for batch in ledger.batches() for row in batch.to_pylist()] == list(map(asdict, ledger))
    assert ledger.by_status == Counter(row.status for row in given_rows)
    assert ledger.open_by_account == Counter(row.account_id for row in not_whole)
    assert ledger.by_table == {table: sums_of(given_rows, table) for table in {row.table for row in given_rows}}


def sums_of(rows, table):
    own = [row for row in rows if row.table == table]
    written = [row for row in own if row.written]
    return TableFigures(
        Counter(row.status for row in own),
        Counter(row.status for row in written),
        sum(row.rows for row in written),
        *(sum(getattr(row, name) for row in own) for name in ("requests", "retries", "throttled")),
    )


def test_a_packed_row_takes_little_memory():
    ledger = Ledger()
    for number in range(20_480):
        at = START + timedelta(microseconds=731 * number)
        row = ScopeRow(f"{10**15 + number % 997}", f"cn-region-{number // 997:02d}", "fc_functions", Status.COMPLETE)
        row.requests = row.lists = row.pages = 1
        row.started_at, row.finished_at, row.walk = at, at + timedelta(microseconds=81_000 + number * 7 % 997), "token"
        ledger.append(row)
    blocks = ledger._packs["fc_functions"][0]._blocks
    assert sum(len(block) for _, block in blocks) < 20 * 20_480


scopes = st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("123"), st.sampled_from("xy"))


@given(st.lists(scopes), scopes)
def test_a_set_of_scopes_has_those_that_were_added_and_no_others(added, asked):
    found = ScopeSet()
    for scope in added:
        found.add(scope)
    assert (asked in found) == (asked in added)
