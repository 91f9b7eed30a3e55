"""All errors that the crawler raises, and what each one means for the rest of a crawl.

The type of an `ApiError` is its recovery policy; a handler doesn't need the code. Messages say what happened, where and
what to do. They never contain a URL with a query, a header or a secret. One package converts each kind of foreign
exception: `client.transport` for the network, `snapshot` for the disk, `config` for TOML.
"""

from __future__ import annotations

import codecs
import errno
import os
import resource
import sys
from contextlib import suppress
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
    UNREACHABLE = 13  # a crawl: the cloud can't be reached, so that nothing was judged; another attempt may help
    INTERNAL = 70  # no crawl: a defect, or a machine without memory; 1 would be damage, a difference, a problem
    HANGUP = 129
    INTERRUPTED = 130
    READER_GONE = 141  # stdout is the command's result, and its reader has closed it
    TERMINATED = 143


class CrawlError(Exception):
    """The base class of all errors that the crawler raises on purpose; `exit_code` is the code of its command."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILURE


class ConfigError(CrawlError):
    """The configuration or a command's arguments can't be used. Raised before any request is sent."""

    exit_code = ExitCode.USAGE


class CannotResumeError(ConfigError):
    """There is no unfinished crawl that this one may resume."""


class CatalogError(CrawlError):
    """A file under `schemas/` (or a user's own) is malformed. Raised before any request is sent."""

    exit_code = ExitCode.USAGE


class CredentialsError(CrawlError):
    """A provider has no usable credentials: none are set, or they were refused."""

    exit_code = ExitCode.CREDENTIALS


class UnreachableError(CredentialsError):
    """The service that gives or judges credentials has not answered. Another attempt may help."""

    exit_code = ExitCode.UNREACHABLE


class ApiError(CrawlError):
    """A call failed: with an error response, or without a response.

    `code` is the service's error code; without one, it is the crawler's own (`ConnectionFailed`, `Timeout`,
    `InvalidResponse` …). `http_status` is 0 without a response. `retry_after_s` is the server's hint in seconds, None
    without one. `host` is the host that could not be reached, "" if there is a response.
    """

    host: str = ""

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
    """Too many requests. Wait, slow down this bucket, retry."""


class TransientError(ApiError):
    """A temporary failure of the service or the network. Retry."""


class ResignError(ApiError):
    """The signature's nonce or date was refused. Sign again, by the date of `server_date` if that differs; retry.

    `server_date` is the Date header of the response, "" without one.
    """

    server_date: str = ""


class ReauthError(ApiError):
    """The session token has expired. Refresh the credentials, retry."""


# The codes of calls that got no answer: the network, a name server or a proxy has failed.
UNANSWERED_CODES = frozenset({"ConnectionFailed", "DnsFailed", "Timeout"})
# The code of the scopes of an account whose credentials STS could not judge.
UNREACHABLE_CODE = "Unreachable"


def may_answer_later(error: BaseException) -> bool:
    """Return whether a service has not judged the call, so that another attempt may get an answer.

    A redirect is no such case: a gateway stands between, and stays there.
    """
    return isinstance(error, TransientError | ThrottledError) and error.code != "RedirectRefused"


class DeniedError(ApiError):
    """The credentials lack a permission. Final for this operation."""


class UnsupportedError(ApiError):
    """The product isn't offered or activated there. Final, and not a failure."""


class VanishedError(ApiError):
    """The parent resource of a child list no longer exists. Final, and not a failure for a child list."""


class InvalidArgumentError(ApiError):
    """A parameter was refused: a page size that is too large, a token that has expired. Final for these parameters."""


class FatalError(ApiError):
    """Any other error. Final."""


class PaginationError(CrawlError):
    """A list broke the rules of its paging style: a repeated token, a missing list key, no end."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class NormalizeError(CrawlError):
    """A page can't be converted to rows without loss, so that its scope fails."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class QueryError(CrawlError):
    """A SQL query on a snapshot failed at run time: a value that can't be converted, no memory left."""


class OutputError(CrawlError):
    """The snapshot can't be written or read. Nothing was committed by the crawl that raised it."""

    exit_code = ExitCode.OUTPUT


class AlreadyCommittedError(OutputError):
    """Another process has committed the snapshot that this one was to commit."""


class OutputBusyError(OutputError):
    """Another crawl holds the output."""

    exit_code = ExitCode.OUTPUT_BUSY


class UnknownRunError(OutputError):
    """The output has no run of this name."""

    exit_code = ExitCode.USAGE


class LeaseHeldError(OutputBusyError):
    """Another process of the run is at work on what this one was to do."""


class LeaseLostError(OutputBusyError):
    """This process may go on with its part of a run no longer: its lease was not renewed in time, or another has it."""


def unwrap_group(error: BaseException) -> BaseException:
    """Return the first error inside a group of errors, through nested groups; any other error as it is."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def describe_shortage(error: BaseException) -> str:
    """Return a sentence about memory, threads or open files that the machine refused; empty for other errors."""
    error = unwrap_group(error)
    text = str(error)
    number = error.errno if isinstance(error, OSError) else 0
    # The loader's errors have no number: a shared library didn't fit into the address space.
    is_unmapped = isinstance(error, ImportError | SystemError) and _is_memory_limited()
    if isinstance(error, MemoryError) or is_unmapped or number == errno.ENOMEM:
        return "No memory is left for this process; raise its limit (ulimit -v, or the container's)."
    if isinstance(error, RuntimeError) and "can't start new thread" in text:
        return "The system refuses another thread; raise the limit of processes (ulimit -u) or of memory (ulimit -v)."
    if number in (errno.EMFILE, errno.ENFILE):
        return f"The system refuses another open file ({os.strerror(number)}); raise the limit (ulimit -n)."
    return ""


def _is_memory_limited() -> bool:
    with suppress(OSError, ValueError):
        return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
    return False


def describe_bad_name(error: BaseException) -> str:
    """Return a sentence about a path that the locale's encoding can't hold; empty for other errors."""
    error = unwrap_group(error)
    encoding = sys.getfilesystemencoding()
    if not isinstance(error, UnicodeEncodeError) or codecs.lookup(error.encoding) != codecs.lookup(encoding):
        return ""
    name = f"{error.object[:200]!a}"
    return f"The path {name} can't be encoded in this locale, whose encoding is {encoding}; set LC_ALL=C.UTF-8."


def describe_defect(error: BaseException) -> str:
    """Return a sentence about a defect of the crawler: its type and place, without its text, which may be secret."""
    error = unwrap_group(error)
    ours = [frame for frame in extract_tb(error.__traceback__) if f"{sep}crawler{sep}" in frame.filename]
    place = f", {PurePath(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return f"Internal error ({type(error).__name__}{place}): this is a bug."


class UnfinishedCommitError(OutputError):
    """The snapshot is complete and marked as committed, but not in place. The next crawl puts it there at its start."""
