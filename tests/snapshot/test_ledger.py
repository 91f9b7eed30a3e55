"""The ledger while it grows: packed rows are the rows that were appended, in every order that is asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.snapshot import ledger as packed
from crawler.snapshot.ledger import Ledger, ScopeRow, sorted_ledger
from crawler.snapshot.rows.kept_scopes import ScopeSet
from crawler.snapshot.status import Status, is_whole

START = datetime(2026, 11, 22, 2, tzinfo=UTC)
instants = st.none() | st.integers(0, 10**15).map(lambda us: START + timedelta(microseconds=us))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
rows = st.builds(
    ScopeRow,
    st.sampled_from(["1000000000000001", "1000000000000002"]),
    st.sampled_from(["cn-hangzhou", "cn-shanghai", "ap-southeast-1"]),
    st.sampled_from(["fc_functions", "fc_layers", "fc2_services"]),
    st.sampled_from(Status),
    written=st.booleans(),
    rows=st.integers(0, 2**62),
    walk=texts,
    error_message=texts,
    started_at=instants,
    finished_at=instants,
)


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
    keys = [(row.table, row.account_id, row.region_id) for row in ledger.in_order()]
    assert keys == [(row.table, row.account_id, row.region_id) for row in sorted_ledger(given_rows)]
    not_whole = [row for row in given_rows if not is_whole(row.status)]
    assert by_text(ledger.not_whole()) == by_text(not_whole)
    assert ledger.by_status == Counter(row.status for row in given_rows)
    assert [ledger[at] for at in range(-len(ledger), 0)] == list(ledger) == ledger[:]


def test_there_is_no_row_beyond_the_last():
    with pytest.raises(IndexError, match="a ledger of 0 rows has none at 0"):
        Ledger()[0]


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
