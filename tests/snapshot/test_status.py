"""The rules of statuses as tables: a scope's lists, its parent, the snapshot, the exit code."""

from __future__ import annotations

from functools import reduce
from itertools import product

import pytest

from crawler.errors import (
    CatalogError,
    ConfigError,
    CrawlError,
    CredentialsError,
    DeniedError,
    ExitCode,
    FatalError,
    NormalizeError,
    OutputBusyError,
    OutputError,
    PaginationError,
    ThrottledError,
    UnfinishedCommitError,
    UnreachableError,
    UnsupportedError,
)
from crawler.snapshot.status import (
    Status,
    at_end,
    combine,
    crawl_exit_code,
    has_rows,
    is_known,
    is_whole,
    snapshot_status,
    status_of_error,
    worst,
)

COMPLETE, UNSUPPORTED, TRUNCATED, UNSTABLE, NOT_ATTEMPTED, DENIED, FAILED = Status
SUCCESS, FAILURE, PARTIAL = ExitCode.SUCCESS, ExitCode.FAILURE, ExitCode.PARTIAL
UNREACHABLE = ExitCode.UNREACHABLE


@pytest.mark.parametrize(
    ("status", "rows", "whole", "known"),
    [
        (COMPLETE, True, True, True),
        (UNSUPPORTED, False, True, True),
        (TRUNCATED, True, False, True),
        (UNSTABLE, True, False, True),
        (NOT_ATTEMPTED, False, False, False),
        (DENIED, False, False, False),
        (FAILED, False, False, False),
    ],
)
def test_status_says_whether_rows_are_kept_and_whether_anything_is_unknown(status, rows, whole, known):
    assert (has_rows(status), is_whole(status), is_known(status)) == (rows, whole, known)


def test_statuses_are_ordered_from_best_to_worst():
    for n, status in enumerate(Status):
        assert worst(list(Status)[: n + 1]) is status
        assert worst(reversed(list(Status)[: n + 1])) is status
    assert worst([]) is COMPLETE


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DeniedError("Forbidden", ""), DENIED),
        (UnsupportedError("InvalidVersion", ""), UNSUPPORTED),
        (FatalError("Odd", ""), FAILED),
        (ThrottledError("Throttling", ""), FAILED),
        (PaginationError("TokenRepeated", ""), FAILED),
        (NormalizeError("ListMissing", ""), FAILED),
        (CredentialsError(""), FAILED),
    ],
)
def test_list_that_ends_with_an_error_has_the_status_of_the_error(error, status):
    assert status_of_error(error) is status


@pytest.mark.parametrize(
    ("lists", "has_any_response", "scope"),
    [
        # No list, complete lists.
        ([], False, COMPLETE),
        ([COMPLETE], True, COMPLETE),
        ([COMPLETE, COMPLETE], True, COMPLETE),
        # The worst counts, in any order.
        ([COMPLETE, TRUNCATED], True, TRUNCATED),
        ([UNSTABLE, COMPLETE, TRUNCATED], True, UNSTABLE),
        ([TRUNCATED, DENIED], True, DENIED),
        ([DENIED, COMPLETE], True, DENIED),
        ([DENIED, FAILED], False, FAILED),
        ([FAILED, DENIED], False, FAILED),
        ([TRUNCATED, NOT_ATTEMPTED], True, NOT_ATTEMPTED),
        # The product isn't there only if all lists say so.
        ([UNSUPPORTED], False, UNSUPPORTED),
        ([UNSUPPORTED, UNSUPPORTED], False, UNSUPPORTED),
        ([UNSUPPORTED, DENIED], False, DENIED),
        ([UNSUPPORTED, FAILED], False, FAILED),
        ([COMPLETE, UNSUPPORTED], True, FAILED),
        ([UNSUPPORTED, COMPLETE], True, FAILED),
        ([TRUNCATED, UNSUPPORTED], True, FAILED),
        ([UNSUPPORTED, TRUNCATED], True, FAILED),
        ([UNSTABLE, UNSUPPORTED], True, FAILED),
        # A page came before the error of the only list.
        ([UNSUPPORTED], True, FAILED),
        # A list whose parent vanished is complete and gave no page.
        ([COMPLETE, UNSUPPORTED], False, UNSUPPORTED),
    ],
)
def test_scope_has_the_status_of_its_lists(lists, has_any_response, scope):
    assert at_end(reduce(combine, lists, COMPLETE), has_any_response=has_any_response) is scope


@pytest.mark.parametrize(
    ("parent", "child", "below"),
    [
        (COMPLETE, COMPLETE, COMPLETE),
        (COMPLETE, DENIED, DENIED),
        (UNSUPPORTED, COMPLETE, UNSUPPORTED),
        (TRUNCATED, COMPLETE, TRUNCATED),
        (UNSTABLE, TRUNCATED, UNSTABLE),
        (TRUNCATED, UNSTABLE, UNSTABLE),
        (NOT_ATTEMPTED, TRUNCATED, NOT_ATTEMPTED),
        (DENIED, COMPLETE, DENIED),
        (DENIED, FAILED, FAILED),
        (FAILED, COMPLETE, FAILED),
        # Some of the parent's rows are there, so the child's product is, too.
        (TRUNCATED, UNSUPPORTED, FAILED),
        (UNSUPPORTED, TRUNCATED, FAILED),
    ],
)
def test_child_inherits_the_status_of_its_parent(parent, child, below):
    assert combine(child, parent) is below


def test_neither_a_list_nor_a_parent_makes_a_scope_better():
    for scope, other in product(Status, Status):
        assert combine(scope, other) is combine(other, scope)
        assert worst([scope, other, combine(scope, other)]) is combine(scope, other)


@pytest.mark.parametrize(
    ("scopes", "directory", "require_complete", "snapshot", "exit_code"),
    [
        ([COMPLETE], None, False, "complete", SUCCESS),
        ([COMPLETE, UNSUPPORTED], None, True, "complete", SUCCESS),
        ([UNSUPPORTED], None, False, "complete", SUCCESS),
        # Some scopes are not whole: partial, as long as one of them is.
        ([COMPLETE, TRUNCATED], None, False, "partial", PARTIAL),
        ([COMPLETE, UNSTABLE], None, False, "partial", PARTIAL),
        ([UNSUPPORTED, NOT_ATTEMPTED], None, False, "partial", PARTIAL),
        ([COMPLETE, DENIED, FAILED], None, False, "partial", PARTIAL),
        ([COMPLETE, FAILED], None, True, "partial", FAILURE),
        ([TRUNCATED], None, False, "partial", FAILURE),
        ([DENIED, FAILED], None, False, "partial", FAILURE),
        # No scope at all.
        ([], None, False, "complete", FAILURE),
        # Accounts may be missing where the list of members isn't whole.
        ([COMPLETE], COMPLETE, False, "complete", SUCCESS),
        ([COMPLETE], UNSTABLE, False, "partial", PARTIAL),
        ([COMPLETE], DENIED, False, "partial", PARTIAL),
        ([COMPLETE], FAILED, True, "partial", FAILURE),
        ([COMPLETE, FAILED], COMPLETE, False, "partial", PARTIAL),
    ],
)
def test_snapshot_and_exit_code_follow_from_the_scopes(scopes, directory, require_complete, snapshot, exit_code):
    assert snapshot_status(scopes, directory) == snapshot
    assert crawl_exit_code(scopes, directory, require_complete=require_complete) is exit_code


@pytest.mark.parametrize(
    ("scopes", "require_complete", "exit_code"),
    [
        ([FAILED], False, UNREACHABLE),
        ([FAILED, DENIED], False, UNREACHABLE),
        ([FAILED, DENIED], True, UNREACHABLE),
        ([FAILED, COMPLETE], False, PARTIAL),
        ([FAILED, COMPLETE], True, FAILURE),
    ],
)
def test_without_an_answer_nothing_was_judged(scopes, require_complete, exit_code):
    found = crawl_exit_code(scopes, None, require_complete=require_complete, is_unanswered=True)
    assert found is exit_code


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (CrawlError, 1),
        (FatalError, 1),
        (ConfigError, 2),
        (CatalogError, 2),
        (OutputError, 4),
        (UnfinishedCommitError, 4),
        (OutputBusyError, 11),
        (CredentialsError, 12),
        (UnreachableError, 13),
    ],
)
def test_error_has_the_exit_code_of_the_command_that_it_ends(error, exit_code):
    assert error.exit_code == exit_code


def test_exit_codes_are_the_documented_ones():
    assert sorted(ExitCode) == [0, 1, 2, 3, 4, 11, 12, 13, 70, 129, 130, 141, 143]
    assert f"{ExitCode.OUTPUT_BUSY}" == "11"
