"""Outcomes of lists: the reason that a scope keeps, and the outcome that its children inherit."""

from __future__ import annotations

import pytest

from crawler.errors import CredentialsError, DeniedError, FatalError, PaginationError, UnsupportedError
from crawler.run.outcome import ScopeOutcome
from crawler.snapshot import ScopeRow, Status

COMPLETE = ScopeOutcome()
UNSUPPORTED = ScopeOutcome(Status.UNSUPPORTED, "InvalidVersion", "not offered", "R-1")
TRUNCATED = ScopeOutcome(Status.TRUNCATED, "Truncated", "1,000 records", "")
DENIED = ScopeOutcome(Status.DENIED, "AccessDenied", "not authorized", "R-2")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (
            DeniedError("AccessDenied", "not authorized", request_id="R"),
            ("denied", "AccessDenied", "fc:List: not authorized", "R"),
        ),
        (DeniedError("AccessDenied", "fc:List is missing"), ("denied", "AccessDenied", "fc:List is missing", "")),
        (UnsupportedError("InvalidVersion", "no", request_id="R"), ("unsupported", "InvalidVersion", "no", "R")),
        (FatalError("Odd", "odd", request_id="R"), ("failed", "Odd", "odd", "R")),
        (PaginationError("TokenRepeated", "loop"), ("failed", "TokenRepeated", "loop", "")),
        (CredentialsError("nothing is set"), ("failed", "CredentialsError", "nothing is set", "")),
    ],
)
def test_outcome_of_an_error_names_code_message_and_request(error, outcome):
    found = ScopeOutcome.of_error(error, "fc:List")
    assert (found.status, found.code, found.message, found.request_id) == outcome


@pytest.mark.parametrize(
    ("scope", "ended", "status", "code"),
    [
        (COMPLETE, COMPLETE, "complete", ""),
        (COMPLETE, DENIED, "denied", "AccessDenied"),
        (DENIED, TRUNCATED, "denied", "AccessDenied"),
        (DENIED, ScopeOutcome(Status.DENIED, "Other"), "denied", "AccessDenied"),
        (TRUNCATED, DENIED, "denied", "AccessDenied"),
        # The unsupported list is the missing one, so its reason counts.
        (TRUNCATED, UNSUPPORTED, "failed", "InvalidVersion"),
        (UNSUPPORTED, TRUNCATED, "failed", "InvalidVersion"),
    ],
)
def test_scope_keeps_the_first_reason_of_its_worst_list(scope, ended, status, code):
    found = scope.combined_with(ended)
    assert (found.status, found.code) == (status, code)


def test_message_is_cut_to_500_characters():
    assert COMPLETE.combined_with(ScopeOutcome(Status.FAILED, "Odd", "x" * 501)).message == "x" * 500


def test_child_inherits_the_reason_of_the_topmost_parent():
    below = COMPLETE.combined_with(DENIED.for_child("fc2_services"))
    assert (below.status, below.code, below.request_id) == (Status.DENIED, "AccessDenied", "R-2")
    assert below.message == "Its parent fc2_services is denied: not authorized"
    assert COMPLETE.combined_with(below.for_child("fc2_functions")) == below
    assert COMPLETE.for_child("fc2_services") == COMPLETE


def test_outcome_of_a_finished_scope_is_that_of_its_row():
    row = ScopeRow("1", "cn-hangzhou", "fc_layers", Status.DENIED, error_code="AccessDenied", request_id="R-2")
    row.error_message = "not authorized"
    assert ScopeOutcome.of_row(row) == DENIED
