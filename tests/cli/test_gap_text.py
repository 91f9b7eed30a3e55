"""Incomplete scopes as text: accounts by name, many tables as a phrase, accepted gaps apart, ages."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from crawler.catalog import load_catalog
from crawler.cli.gap_text import accounts_text, causes, print_accepted, print_groups, print_scopes, tables_text
from crawler.cli.screen import Screen
from crawler.text import account_label, gap_note

TABLES = load_catalog().select(["*"], [])
FC = [table for table in TABLES if table.startswith("fc_")]
OPENSEARCH = [table for table in TABLES if table.startswith("opensearch_")]
ACCOUNT = "1000000000000004"
NOW = datetime(2026, 12, 1, 2, tzinfo=UTC)


def reason(table, region="cn-hangzhou", account=ACCOUNT, *, name="", message="no.", **more):
    found = {"account_id": account, "account_name": name, "region_id": region, "table": table, "status": "denied"}
    found |= {"error_code": "NoRole", "error_message": message, "request_id": "", "incomplete_since": ""}
    return {**found, "accepted_reason": "", "accepted_until": "", **more}


def lines_of(reasons, **more):
    out = io.StringIO()
    print_scopes(Screen(out), reasons, **more)
    return out.getvalue().splitlines()


def test_groups_of_a_wide_estate_count_all_accounts_regions_and_tables():
    """The list of scopes ends after the first thousand, whose accounts and tables aren't all."""
    group = {"status": "denied", "error_code": "Forbidden.RAM", "message": "no.", "messages": 3, "scopes": 50600}
    group |= {"incomplete_since": "2026-11-28T02:00:00Z", "accounts": 200, "account_ids": [ACCOUNT]}
    group |= {"account_names": ["payments"], "regions": 1, "region_ids": ["cn-hangzhou"], "tables": 23}
    group |= {"table_names": OPENSEARCH[:2]}
    out = io.StringIO()
    print_groups(Screen(out), [group], NOW)
    assert out.getvalue().splitlines()[:6] == [
        "Not complete: 50,600 scopes",
        "denied  Forbidden.RAM: no.",
        "        and 2 other messages with this code",
        "        since 2026-11-28, 3 days",
        f"        payments ({ACCOUNT}) and 199 more accounts in cn-hangzhou",
        f"        {', '.join(OPENSEARCH[:2])} and 21 more tables",
    ]


def test_a_whole_account_is_one_cause_although_a_region_lacks_a_product():
    rows = [reason(table, name="payments") for table in TABLES]
    rows += [reason(table, "cn-shanghai", name="payments") for table in TABLES if table not in OPENSEARCH]
    lines = lines_of(rows, known=TABLES)
    assert lines[:4] == [
        f"Not complete: {len(rows)} scopes",
        "denied  NoRole: no.",
        f"        payments ({ACCOUNT}) in cn-hangzhou, cn-shanghai",
        f"        all {len(TABLES)} tables",
    ]


def test_regions_in_which_different_tables_of_a_product_are_denied_stay_apart():
    rows = [reason(table) for table in FC[:4]] + [reason(table, "cn-shanghai") for table in FC[1:5]]
    found = [(regions, tables) for _, regions, tables, *_ in causes(rows)]
    assert found == [(("cn-hangzhou",), tuple(FC[:4])), (("cn-shanghai",), tuple(FC[1:5]))]


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        (TABLES, f"all {len(TABLES)} tables"),
        (FC, f"all {len(FC)} fc_* tables"),
        ([*FC, "opensearch_apps"], f"all {len(FC)} fc_* tables, opensearch_apps"),
        (FC[:2], ", ".join(FC[:2])),
        (FC[1:], ", ".join(FC[1:])),
    ],
)
def test_all_tables_of_a_product_are_a_phrase(tables, text):
    assert tables_text(tables, TABLES) == text


def test_few_tables_are_named_even_if_they_are_all():
    assert tables_text(["fc_functions", "fc_layers"], ["fc_functions", "fc_layers"]) == "fc_functions, fc_layers"


def test_a_message_names_the_account_and_is_no_template():
    rows = [reason("fc_layers", message=f"The credentials of account {ACCOUNT} belong to account 1000000000000002.")]
    text = "\n".join(lines_of(rows))
    assert f"The credentials of account {ACCOUNT} belong to account 1000000000000002." in text
    assert "<" not in text


def test_accepted_gaps_stand_apart_with_reason_date_and_age():
    accepted = {"accepted_reason": "not ours", "accepted_until": "2027-03-31"}
    old = {"incomplete_since": "2026-11-03T02:00:00Z"}
    lines = lines_of([reason("fc_layers", **old), reason("fc_aliases", **old, **accepted)], at=NOW)
    assert lines[0] == "Not complete: 1 scope"
    assert lines[2].strip() == "since 2026-11-03, 28 days"
    assert lines[6] == "Accepted gaps: 1 scope"
    assert lines[8].strip() == "since 2026-11-03, 28 days; accepted until 2027-03-31: not ours"


def test_notes_and_labels_are_short():
    assert gap_note(None, NOW) == gap_note(NOW, NOW) == ""
    assert gap_note(datetime(2026, 11, 30, 1, tzinfo=UTC), NOW) == "since 2026-11-30, 1 day"
    assert account_label("1", "") == "1"
    assert account_label("1", "prod") == "prod (1)"
    accounts = [str(number) for number in range(12)]
    assert accounts_text(accounts, {"0": "a"}) == "a (0), 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more accounts"


def test_names_and_reasons_steer_no_terminal():
    """T26."""
    hostile = "\x1b[2J[red]"
    rows = [reason("fc_layers", name=hostile, accepted_reason=hostile, accepted_until="2027-03-31")]
    assert account_label("1", hostile) == "\\x1b[2J[red] (1)"
    text = "\n".join(lines_of(rows))
    written = io.StringIO()
    out = Screen(written)
    rule = {"account": "*", "region": "*", "table": "*", "until": "2027-03-31", "reason": hostile, "scopes": 3}
    print_accepted(out, [rule], "scopes")
    for shown in (text, written.getvalue()):
        assert "\x1b" not in shown
        assert "[red]" in shown
