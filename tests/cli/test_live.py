"""The result of a crawl as people see it: short if all is well, with every problem otherwise."""

from __future__ import annotations

import io
import re
from itertools import product
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.catalog import load_catalog
from crawler.cli import crawl_summary as outcome
from crawler.cli import demo_cloud
from crawler.cli.screen import Screen
from tests.support.terminals import on_screen

TABLES = load_catalog().select(["*"], [])
LONGEST = max(TABLES, key=len)
ACCOUNTS = ("1000000000000001", "1000000000000002", "1000000000000003")
REGIONS = ("cn-hangzhou", "cn-shanghai", "ap-southeast-1")


def entry(rows=1, complete=6):
    return {"rows": rows, "bytes": 1200 * rows, "files": 5, "scopes": 6, "scopes_complete": complete}


def reason(account, region, table, *, status="denied", code="AccessDenied", message="no."):
    names = {"account_id": account, "region_id": region, "table": table, "status": status}
    names |= {"account_name": "", "accepted_reason": "", "accepted_until": "", "incomplete_since": ""}
    return {**names, "error_code": code, "error_message": message, "request_id": "R-1"}


def summary(tables, reasons=(), **more):
    return {
        "snapshot_id": "20261122T020000Z-7f3a",
        "status": "partial" if reasons else "complete",
        "uri": "./snapshots",
        "started_at": "2026-11-22T02:00:00Z",
        "seconds": 1.5,
        "rows": sum(found["rows"] for found in tables.values()),
        "tables": tables,
        "scopes": {
            "total": 6,
            "by_status": {"complete": 6},
            "not_complete": list(reasons),
            "not_complete_total": len(reasons),
            "accepted_total": 0,
        },
        "requests": 10,
        "retries": 0,
        "throttled": 0,
        "unknown_fields": {},
        "misfit_fields": {},
        "warnings": [],
        "directory": None,
        "left_out": [],
        **more,
    }


@pytest.fixture
def shown(monkeypatch):
    """The printed lines of a summary on a screen of a given width."""

    def show(value, width=100):
        return on_screen(monkeypatch, width, lambda: outcome.print_summary(value)).splitlines()

    return show


def test_of_few_tables_each_is_shown(shown):
    tables = {table: entry(rows) for rows, table in enumerate(TABLES[:20])}
    text = "\n".join(shown(summary(tables)))
    for table, found in tables.items():
        assert re.search(rf"^{table} +{found['rows']} +5 +[\d.]+ k?B +6/6$", text, re.MULTILINE)


def test_many_tables_that_are_complete_are_summed_up_in_few_lines(shown):
    tables = {table: entry(rows) for rows, table in enumerate(TABLES)}
    lines = shown(summary(tables))
    text = "\n".join(lines)
    assert len(lines) < 30
    for prefix in ("fc_", "fc2_", "opensearch_"):
        own = [found for table, found in tables.items() if table.startswith(prefix)]
        rows = f"{sum(found['rows'] for found in own):,}"
        assert re.search(
            rf"^{prefix}\* +{len(own)} +{rows} +{5 * len(own)} .* {6 * len(own)}/{6 * len(own)}$", text, re.MULTILINE
        )
    assert re.search(rf"^all +{len(TABLES)} +{sum(range(len(TABLES))):,} ", text, re.MULTILINE)
    shown_tables = [table for table in tables if re.search(rf"^{table} ", text, re.MULTILINE)]
    assert shown_tables == list(TABLES)[-len(shown_tables) :], "the largest"
    assert f"… and {len(TABLES) - len(shown_tables)} more tables, all complete" in text
    assert "Not complete" not in text


@pytest.mark.parametrize("number", [1, 9, len(TABLES)])
def test_however_many_tables_are_not_complete_all_of_them_are_shown(shown, number):
    tables = {table: entry(1000) for table in TABLES} | {table: entry(1, complete=5) for table in TABLES[:number]}
    text = "\n".join(shown(summary(tables)))
    assert all(re.search(rf"^{table} +1 .* 5/6$", text, re.MULTILINE) for table in TABLES[:number])
    assert re.search(rf"^all +{len(TABLES)} .* {6 * len(TABLES) - number}/{6 * len(TABLES)}$", text, re.MULTILINE)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_narrow_screen_loses_columns_and_no_name_or_number(shown, width):
    tables = {LONGEST: entry(123_456), "fc_functions": entry(7, complete=3)}
    lines = shown(summary(tables), width)
    assert max(map(len, lines)) <= width
    assert [line for line in lines if re.search(rf"^{LONGEST} +123,456 .*6/6$", line)]
    assert (" files" in "\n".join(lines).partition("left out")[0]) == (width > 80)
    assert ("left out, since the terminal is too narrow: files" in "\n".join(lines)) == (width == 80)


def test_terminal_of_60_columns_has_whole_numbers_and_a_mark_where_a_name_is_cut(shown):
    tables = {LONGEST: entry(123_456), "fc_functions": entry(7, complete=3)}
    lines = shown(summary(tables), 60)
    assert max(map(len, lines)) <= 60
    assert [line for line in lines if re.search(rf"^{LONGEST[:30]}\w*… +123,456 +6/6$", line)]
    assert [line for line in lines if re.search(r"^fc_functions +7 +3/6$", line)]


REASONS = st.lists(
    st.tuples(
        st.sampled_from(ACCOUNTS),
        st.sampled_from(REGIONS),
        st.sampled_from(["fc_functions", "fc_triggers", "fc_layers"]),
        st.sampled_from(["denied", "failed"]),
        st.sampled_from(["fc:ListFunctions", "fc:ListLayers"]),
    ),
    unique_by=lambda row: row[:3],
    min_size=1,
)


def read_back(lines):
    """(account, region, table, status, action) of every scope that the lines speak of."""
    found = []
    for number, line in enumerate(lines):
        if cause := re.fullmatch(r"(denied|failed) +Forbidden: (\S+) isn't allowed\.", line):
            accounts, _, regions = lines[number + 1].strip().partition(" in ")
            parts = (accounts, regions, lines[number + 2].strip())
            found += [(*scope, *cause.groups()) for scope in product(*(part.split(", ") for part in parts))]
    return found


@given(REASONS)
def test_scopes_that_share_a_reason_stand_together_and_none_is_lost_or_made_up(rows):
    reasons = [
        reason(*scope, status=status, code="Forbidden", message=f"{action} isn't allowed.")
        for *scope, status, action in rows
    ]
    written = io.StringIO()
    outcome.print_scopes(Screen(written), reasons)
    lines = written.getvalue().splitlines()
    assert sorted(read_back(lines)) == sorted(rows)
    assert lines[0] == f"Not complete: {len(rows)} scope{'s' if len(rows) > 1 else ''}"


def test_scopes_that_a_manifest_does_not_list_are_counted(shown):
    value = summary({}, [reason(ACCOUNTS[0], REGIONS[0], "fc_layers")])
    value["scopes"]["not_complete_total"] = 12_345
    lines = shown(value)
    assert "Not complete: 12,345 scopes" in lines
    assert "… and 12,344 more; the ledger has all: `query` shows it as _scopes." in lines


def test_groups_stand_for_the_scopes_that_a_manifest_does_not_list(shown):
    value = summary({}, [reason(ACCOUNTS[0], REGIONS[0], "fc_layers")])
    group = {"status": "denied", "error_code": "Forbidden", "message": "no", "messages": 1, "scopes": 12_345}
    group |= {"incomplete_since": "", "accounts": 200, "account_ids": [ACCOUNTS[0]], "account_names": [""]}
    group |= {"regions": 1, "region_ids": [REGIONS[0]], "tables": 1, "table_names": ["fc_layers"]}
    value["scopes"] |= {"not_complete_total": 12_345, "accepted_total": 0, "groups": [group]}
    lines = shown(value)
    assert lines.count("Not complete: 12,345 scopes") == 1
    assert f"        {ACCOUNTS[0]} and 199 more accounts in {REGIONS[0]}" in lines


def test_a_reason_that_names_its_own_place_is_the_same_in_every_place(shown):
    reasons = [
        reason(
            account, region, table, message=f"{parent}no 'fc:ListFunctions' on 'acs:fc:{region}:{account}:*', {other}"
        )
        for account in ACCOUNTS[:2]
        for region in REGIONS
        for other in [ACCOUNTS[2]]
        for table, parent in (("fc_functions", ""), ("fc_triggers", "Its parent fc_functions is denied: "))
    ]
    lines = shown(summary({}, reasons), 120)
    start = lines.index("Not complete: 12 scopes")
    assert lines[start + 1 : start + 4] == [
        f"denied  AccessDenied: no 'fc:ListFunctions' on 'acs:fc:{min(REGIONS)}:{ACCOUNTS[0]}:*', {ACCOUNTS[2]}",
        f"        {', '.join(ACCOUNTS[:2])} in {', '.join(sorted(REGIONS))}",
        "        fc_functions, fc_triggers",
    ]


def test_more_causes_than_fit_on_a_screen_are_all_shown(shown):
    reasons = [reason(str(10**15 + n), "cn-hangzhou", "fc_functions", message=f"cause {n}.") for n in range(300)]
    text = "\n".join(shown(summary({}, reasons)))
    assert all(f"AccessDenied: cause {n}.\n        {10**15 + n} in cn-hangzhou\n" in text for n in range(300))


def test_missing_keys_are_named_and_other_misfits_are_summed(shown):
    missing = "RunId (missing, a part of the key)"
    value = summary(
        {}, misfit_fields={"opensearch_function_tasks": {missing: 2, "Progress": 3}, "fc_aliases": {"x": 1}}
    )
    text = "\n".join(shown(value))
    assert re.search(r"opensearch_function_tasks +RunId \(missing, a part of the key\) +2$", text, re.MULTILINE)
    assert "4 values don't fit the schemas (kept in _extra); --json lists their fields." in text
    assert "Progress" not in text


def test_unknown_fields_that_are_too_many_are_counted(shown):
    value = summary({}, unknown_fields={"fc_functions": {f"new{n:02}": n for n in range(50)}})
    text = "\n".join(shown(value))
    assert "new39" in text
    assert "new40" not in text
    assert "… and 10 more; --json lists all." in text


def test_what_the_server_says_cannot_move_the_cursor(shown):
    """T26."""
    reasons = [reason(ACCOUNTS[0], REGIONS[0], "fc_functions", code="\x1b[2J", message="[red]\x1b]0;x\x07\nno")]
    text = "\n".join(shown(summary({"fc_functions": entry()}, reasons)))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]" in text


def test_the_demo_says_what_differs_from_its_cloud(capsys):
    manifest = SimpleNamespace(tables={"fc_functions": SimpleNamespace(rows=3), "fc_layers": SimpleNamespace(rows=0)})
    demo_cloud.print_comparison(manifest, {"fc_functions": 4, "fc_layers": 0, "fc_triggers": 1200}, "snapshots")
    out = capsys.readouterr().out
    assert "✗ fc_functions has 3 rows; the built-in cloud has 4 records." in out
    assert "✗ fc_triggers has 0 rows; the built-in cloud has 1,200 records." in out
    assert "fc_layers" not in out
    assert "✓" not in out
