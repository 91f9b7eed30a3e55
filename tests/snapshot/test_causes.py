"""Scopes that aren't whole are grouped by their cause, in memory and from a file alike."""

from __future__ import annotations

import pytest

from crawler.snapshot import Ledger, ScopeRow, Status
from crawler.snapshot.causes import Causes, plain_reason

ID = "1000000000000001"
# The marks in place of an account and a region.
A, R = "\ue000", "\ue001"


def row(message, *, account=ID, region="cn-hangzhou", table="fc_layers", status=Status.DENIED, code="NoPermission"):
    made = ScopeRow(account, region, table, status)
    made.error_code, made.error_message = code, message
    return made


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        ("", ""),
        (ID, A),
        (f"user of {ID} in cn-hangzhou: denied", f"user of {A} in {R}: denied"),
        (f"{ID}0 and 9{ID} and x-{ID}", f"{ID}0 and 9{ID} and x-{ID}"),
        ("cn-hangzhou-finance isn't cn-hangzhou", f"cn-hangzhou-finance isn't {R}"),
        ("fcv3.cn-hangzhou.aliyuncs.com", f"fcv3.{R}.aliyuncs.com"),
        (f"Its parent fc_functions is denied: no {ID}", f"no {A}"),
    ],
)
def test_a_reason_names_its_own_place_by_a_word(message, plain):
    assert plain_reason(row(message)) == plain


def test_scopes_of_one_cause_are_one_group_and_the_largest_comes_first():
    accounts = [f"{int(ID) + number}" for number in range(3)]
    rows = [row(f"denied to {account}", account=account) for account in accounts]
    rows += [row("fc:ListX", table=table, code="Forbidden") for table in ("fc_tags", "fc_layers")]
    first, second = Causes(rows)
    assert (first.scopes, sorted(first.accounts), first.message) == (3, accounts, f"denied to {ID}")
    assert (second.scopes, second.tables) == (2, {"fc_tags", "fc_layers"})


def test_an_accepted_gap_is_no_cause():
    accepted = row("denied")
    accepted.accepted_until = "2027-03-31"
    assert Ledger([accepted]).causes == []


@pytest.mark.parametrize(
    ("code", "unanswered"), [("DnsFailed", True), ("Timeout", True), ("Unreachable", True), ("NoPermission", False)]
)
def test_a_cause_without_an_answer_may_end_otherwise_next_time(code, unanswered):
    [cause] = Causes([row("x", code=code, status=Status.FAILED)])
    assert cause.is_unanswered is unanswered
