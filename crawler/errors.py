"""Every error that the crawler raises, and what each one means for the rest of a crawl.

The type of an `ApiError` is its recovery policy: whoever catches one need not look at the code. Messages say what
happened, where, and what to do; they never hold a URL with a query, a header or a secret. Foreign exceptions become
one of these at one door each: `transport` for the network, `snapshot` for the disk, `config` for TOML.
"""

from __future__ import annotations

from enum import IntEnum
from os import sep
from pathlib import PurePath
from traceback import extract_tb
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of the commands. `diff --exit-code` has its own: 0 same, 1 different, 3 unknown."""

    SUCCESS = 0  # a crawl: it committed a complete snapshot
    FAILURE = 1  # a crawl: it committed nothing
    USAGE = 2
    PARTIAL = 3  # a crawl: it committed a partial snapshot
    OUTPUT = 4
    OUTPUT_BUSY = 11
    CREDENTIALS = 12
    INTERRUPTED = 130
    TERMINATED = 143


class CrawlError(Exception):
    """The root: anything that the crawler raises on purpose. `exit_code` is that of a command that ends with it."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILURE


class ConfigError(CrawlError):
    """The configuration or a command's arguments can't be used. Raised before any request is sent."""

    exit_code = ExitCode.USAGE


class CatalogError(CrawlError):
    """A file under `schemas/` (or a user's own) is malformed. Raised before any request is sent."""

    exit_code = ExitCode.USAGE


class CredentialsError(CrawlError):
    """A provider has no usable credentials: nothing is set, or what is set was refused."""

    exit_code = ExitCode.CREDENTIALS


class ApiError(CrawlError):
    """The cloud answered, or failed to, and the call has no result.

    `code` is the service's error code, or one of ours where the service gave none (`ConnectionFailed`, `Timeout`,
    `InvalidResponse` …). `http_status` is 0 where no answer came. `retry_after_s` is the server's own hint, in
    seconds, None where it gave none.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        http_status: int = 0,
        request_id: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.http_status = http_status
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class ThrottledError(ApiError):
    """Too many requests. Wait, slow this bucket, try again."""


class TransientError(ApiError):
    """The service or the network failed for a moment. Try again."""


class ResignError(ApiError):
    """The signature's nonce or date was refused. Sign anew (after correcting the clock), try again."""


class ReauthError(ApiError):
    """The session token has expired. Refresh the credentials, try again."""


class DeniedError(ApiError):
    """The credentials lack a permission. Final for this operation."""


class UnsupportedError(ApiError):
    """The product isn't offered or activated there. Final, and not a failure."""


class VanishedError(ApiError):
    """The resource that a child list hangs from is gone. Final, and not a failure for a child list."""


class InvalidArgumentError(ApiError):
    """A parameter was refused: a page size that is too large, a token that has expired. Final for these parameters."""


class FatalError(ApiError):
    """Anything else. Final."""


class PaginationError(CrawlError):
    """A list didn't page as its family does: a repeated token, a missing list key, no end."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class NormalizeError(CrawlError):
    """A page can't be turned into rows without losing something, so its scope fails."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class QueryError(CrawlError):
    """SQL over a snapshot failed while it ran: a value that can't be converted, no memory left."""


class OutputError(CrawlError):
    """The snapshot can't be written or read. Nothing was committed by the crawl that raised it."""

    exit_code = ExitCode.OUTPUT


class OutputBusyError(OutputError):
    """Another crawl holds the output."""

    exit_code = ExitCode.OUTPUT_BUSY


def bare(error: BaseException) -> BaseException:
    """The first error inside a group of errors, and in the groups inside it; any other error as it is."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def describe_defect(error: BaseException) -> str:
    """A sentence for a defect of ours: its kind and its place, not its text, which may hold anything."""
    error = bare(error)
    ours = [frame for frame in extract_tb(error.__traceback__) if f"{sep}crawler{sep}" in frame.filename]
    place = f" at {PurePath(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return f"A defect in acs-inventory: {type(error).__name__}{place}."


class UnfinishedCommitError(OutputError):
    """The snapshot is decided and whole, but not in place; the next crawl's beginning puts it there."""
