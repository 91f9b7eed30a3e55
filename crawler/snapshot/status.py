"""Rules of statuses: from the lists of a scope to the scope, the snapshot and the exit code of the crawl."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal

from crawler.errors import CrawlError, DeniedError, ExitCode, UnsupportedError

SnapshotStatus = Literal["complete", "partial"]


class Status(StrEnum):
    """How a list or a scope ended, from best to worst.

    A scope is one table in one account and region. UNSUPPORTED: the product isn't offered or not activated there.
    TRUNCATED: the service can't return more. UNSTABLE: no two readings of a list were the same. NOT_ATTEMPTED: the
    crawl ended first.
    """

    COMPLETE = "complete"
    UNSUPPORTED = "unsupported"
    TRUNCATED = "truncated"
    UNSTABLE = "unstable"
    NOT_ATTEMPTED = "not_attempted"
    DENIED = "denied"
    FAILED = "failed"


_SEVERITY = {status: severity for severity, status in enumerate(Status)}
_WITH_ROWS = frozenset({Status.COMPLETE, Status.TRUNCATED, Status.UNSTABLE})
_WHOLE = frozenset({Status.COMPLETE, Status.UNSUPPORTED})


def has_rows(status: Status) -> bool:
    """Return whether the rows of a scope with this status are in the snapshot."""
    return status in _WITH_ROWS


def is_whole(status: Status) -> bool:
    """Return whether a scope with this status leaves nothing unknown. A complete snapshot has only such scopes."""
    return status in _WHOLE


def is_known(status: Status) -> bool:
    """Return whether a scope with this status says anything of its resources."""
    return status in _WITH_ROWS or status in _WHOLE


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst status; COMPLETE for none."""
    return max(statuses, key=_SEVERITY.__getitem__, default=Status.COMPLETE)


def status_of_error(error: CrawlError) -> Status:
    """Return the status of a list that ended with this error."""
    if isinstance(error, DeniedError):
        return Status.DENIED
    return Status.UNSUPPORTED if isinstance(error, UnsupportedError) else Status.FAILED


def combine(scope: Status, ended: Status) -> Status:
    """Return a scope's status after one more of its lists has ended; COMPLETE is the status before the first list.

    The worst counts. If one list is unsupported and another one has rows, the unsupported list is missing: FAILED. A
    scope inherits its parent's status by the same rule: the parent counts as one more list.
    """
    pair = {scope, ended}
    if Status.UNSUPPORTED in pair and not pair.isdisjoint({Status.TRUNCATED, Status.UNSTABLE}):
        return Status.FAILED
    return worst(pair)


def at_end(scope: Status, *, has_any_response: bool) -> Status:
    """Return a scope's status when all its lists have ended.

    Any response proves that the product is there. UNSUPPORTED would say that its resources are gone: FAILED.
    """
    return Status.FAILED if scope is Status.UNSUPPORTED and has_any_response else scope


def snapshot_status(scopes: Iterable[Status], directory: Status | None) -> SnapshotStatus:
    """Return the status of a snapshot with scopes of these statuses.

    `directory` is the status of the list of the organization's members, None without an organization. If that list
    isn't whole, accounts may be missing: the snapshot is partial.
    """
    knows_accounts = directory is None or is_whole(directory)
    return "complete" if knows_accounts and all(map(is_whole, scopes)) else "partial"


def can_be_latest(status: SnapshotStatus, *, is_whole_inventory: bool) -> bool:
    """Return whether LATEST and the lake's tables may move to a snapshot.

    Its status must be complete: the rows of a failed scope would look deleted. For the same reason it must be a crawl
    of the whole configuration, unless the user published a narrower one.
    """
    return status == "complete" and is_whole_inventory


def crawl_exit_code(
    scopes: Iterable[Status], directory: Status | None, *, require_complete: bool, is_unanswered: bool = False
) -> ExitCode:
    """Return the exit code of a crawl. See `snapshot_status` for `directory`.

    With FAILURE nothing is committed: no scope is whole, or not all are and `require_complete` is set. With UNREACHABLE
    nothing is committed either: no scope is whole, and a service has not answered (`is_unanswered`), so that another
    attempt may commit a snapshot.
    """
    found = set(scopes)
    if snapshot_status(found, directory) == "complete":
        return ExitCode.SUCCESS if found else ExitCode.FAILURE
    if not any(map(is_whole, found)):
        return ExitCode.UNREACHABLE if is_unanswered else ExitCode.FAILURE
    if require_complete:
        return ExitCode.FAILURE
    return ExitCode.PARTIAL
