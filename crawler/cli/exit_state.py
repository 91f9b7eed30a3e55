"""Decides the exit code and the sentence of a command from the record of its work. No other module decides them.

A crawl's code is about its snapshot. As soon as it is known, a later failure (of stdout, the log, a ping, a span, a
metrics file, or a signal) can't change it. Where stdout is the result, a result that can't be written has a code of its
own.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

from crawler.errors import CrawlError, ExitCode, describe_bad_name, describe_defect, describe_shortage


class Interrupted(BaseException):
    """Raised when a signal ends the command. `advice` is a sentence on the next step, or empty."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number
        self.advice = ""


@dataclass(slots=True)
class ExitState:
    """The record of the work that this process has done so far.

    `code` is the exit code of what was done; None until that is known. `snapshot_ids` are the committed snapshots of a
    command that `is_crawl`. `one_is_an_answer`: the command says damage, a difference or a finding by 1, so that an
    error must not. `left_running`: Python can't end in order, since a thread that was given up still runs.
    """

    code: int | None = None
    is_crawl: bool = False
    snapshot_ids: list[str] = field(default_factory=list)
    one_is_an_answer: bool = False
    when_stopped: str = "Stopped; nothing was committed."
    left_running: bool = False
    stdout_is_warned_of: bool = False

    def begin_crawl(self) -> None:
        """Begin one crawl of this process: its code isn't known yet."""
        self.is_crawl, self.code = True, None

    def commit(self, snapshot_id: str) -> None:
        """Note a committed snapshot."""
        if snapshot_id not in self.snapshot_ids:
            self.snapshot_ids.append(snapshot_id)

    def code_of(self, error: BaseException) -> int:
        """Return the exit code of a command that ends with this error."""
        if self.code is not None:
            return self.code
        if isinstance(error, Interrupted):
            return error.exit_code
        if isinstance(error, KeyboardInterrupt):
            return ExitCode.INTERRUPTED
        if describe_bad_name(error):
            return ExitCode.USAGE
        if not isinstance(error, CrawlError):
            return ExitCode.FAILURE if self.is_crawl else ExitCode.INTERNAL
        return ExitCode.INTERNAL if error.exit_code == ExitCode.FAILURE and self.one_is_an_answer else error.exit_code

    def sentence_of(self, error: BaseException) -> str:
        """Return the sentences about a command that ends with this error: what happened, and what is committed."""
        if isinstance(error, CrawlError):
            return str(error)
        if isinstance(error, Interrupted | KeyboardInterrupt):
            advice = error.advice if isinstance(error, Interrupted) else ""
            return f"{self._stopped()} {advice}".strip()
        shortage = describe_shortage(error)
        self.left_running = self.left_running or bool(shortage)  # libraries that lack memory crash at their end
        known = shortage or describe_bad_name(error)
        return " ".join(filter(None, (known or f"{describe_defect(error)} Please report it.", self._committed())))

    def final_code(self, code: int, stdout_failure: OSError | None, *, stdout_is_result: bool) -> int:
        """Return the exit code of the process. `code` is the command's own."""
        if self.code is not None:
            return self.code
        if stdout_failure is None or not stdout_is_result:
            return code
        return ExitCode.READER_GONE if stdout_failure.errno == errno.EPIPE else ExitCode.OUTPUT

    def _stopped(self) -> str:
        if not self.is_crawl:
            return self.when_stopped
        return f"Stopped. {self._committed()}" if self.snapshot_ids else "Stopped; nothing was committed."

    def _committed(self) -> str:
        if not self.is_crawl:
            return ""
        named = [f"Snapshot {snapshot_id} is committed." for snapshot_id in self.snapshot_ids]
        return " ".join(named) or "Nothing was committed."
