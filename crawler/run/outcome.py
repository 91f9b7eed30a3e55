"""The outcome of a list or a scope: a status with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from crawler.errors import ApiError, CrawlError, NormalizeError, PaginationError
from crawler.snapshot import ScopeRow
from crawler.snapshot.status import Status, at_end, combine, has_rows, status_of_error

_MAX_MESSAGE = 500
_INHERITED = "Its parent "


@dataclass(frozen=True, slots=True)
class ScopeOutcome:
    """A status, and the error code, message and request ID that explain it; they are empty for COMPLETE."""

    status: Status = Status.COMPLETE
    code: str = ""
    message: str = ""
    request_id: str = ""

    @classmethod
    def of_error(cls, error: CrawlError, permission: str = "") -> Self:
        """Return the outcome of a list that ended with an error. `permission` is the RAM action that the list needs."""
        status = status_of_error(error)
        match error:
            case ApiError():
                is_named = status is not Status.DENIED or permission in error.message
                message = error.message if is_named else f"{permission}: {error.message}"
                return cls(status, error.code, message, error.request_id)
            case PaginationError() | NormalizeError():
                return cls(status, error.code, error.message)
            case _:
                return cls(status, type(error).__name__, str(error))

    @classmethod
    def of_row(cls, row: ScopeRow) -> Self:
        """Return the outcome of a scope that has ended."""
        return cls(row.status, row.error_code, row.error_message, row.request_id)

    def combined_with(self, ended: ScopeOutcome) -> ScopeOutcome:
        """Return a scope's outcome after one more list has ended; see `combine`. The first of equal reasons stays."""
        status = combine(self.status, ended.status)
        if status is self.status:
            return self
        if self.status is Status.UNSUPPORTED and has_rows(ended.status):
            return replace(self, status=status)  # the unsupported list is the one that is missing
        return ScopeOutcome(status, ended.code, ended.message[:_MAX_MESSAGE], ended.request_id)

    def at_end(self, *, has_any_response: bool) -> ScopeOutcome:
        """Return a scope's outcome when all its lists have ended; see `status.at_end`."""
        return replace(self, status=at_end(self.status, has_any_response=has_any_response))

    def for_child(self, table: str) -> ScopeOutcome:
        """Return the outcome that a child inherits from a scope of `table` with this outcome."""
        if self.status is Status.COMPLETE or self.message.startswith(_INHERITED):
            return self
        return replace(self, message=f"{_INHERITED}{table} is {self.status}: {self.message}")
