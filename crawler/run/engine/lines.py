"""What a child process writes to stderr, as events. No I/O.

A child may write anything: a crash ends it within a line, and C libraries write text of their own. Each text that isn't
a JSON object becomes a line of the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from crawler.errors import ExitCode
from crawler.run.engine.base import PROGRESS, SHARD_ENDED, SUMMARY, ShardEvent
from crawler.text import clean_message

# The first progress of a shard of 10,000 accounts has 300 kB.
MOST_LINE_BYTES = 1024 * 1024


class ChildLines:
    """Reads what one child writes, and knows the shard that it was given last.

    `result`: the child's line about the end of that shard, None before it. `error`: the sentence with which the shard
    or the child ended, or "".
    """

    def __init__(self) -> None:
        self.shard = 0
        self.result: Mapping[str, Any] | None = None
        self.error = ""
        self._rest = b""
        self._is_skipping = False

    def begin(self, shard: int) -> None:
        """Note that the child was given a shard."""
        self.shard, self.result, self.error = shard, None, ""

    def read(self, data: bytes) -> Iterator[ShardEvent]:
        """Yield the events of the lines that `data` completes. The end of a shard is no event, see `end`."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            whole, self._rest = self._rest + line, b""
            if self._is_skipping or len(whole) > MOST_LINE_BYTES:
                self._is_skipping = False
                yield self._text(f"A line of more than {MOST_LINE_BYTES} bytes was left out.")
            else:
                yield from self._event(whole)
        self._rest += b"" if self._is_skipping else rest
        if len(self._rest) > MOST_LINE_BYTES:
            self._rest, self._is_skipping = b"", True

    def end(self, exit_code: int | None, because: str = "") -> ShardEvent:
        """Return the end of the attempt. `exit_code` is the child's, negative for a signal, None while it runs.

        The code of the shard's own result comes first. `because` follows the reason, if the child has no result.
        """
        # 0 without a result: the child has left before its shard was done.
        code = exit_code if exit_code is not None and exit_code > 0 else None
        reason = f"{describe_exit(exit_code)}{because}"
        if self.result is not None:
            code = self._result_code()
            reason = describe_exit(code)
        values = {"host": "", **(self.result or {}), "error": self.error, "code": code, "reason": reason}
        return ShardEvent(self.shard, "ended", values)

    @property
    def is_done(self) -> bool:
        """Whether the shard has ended with the code 0."""
        return self.result is not None and self._result_code() == ExitCode.SUCCESS

    def _result_code(self) -> int:
        code = (self.result or {}).get("exit_code")
        return code if isinstance(code, int) and not isinstance(code, bool) else ExitCode.FAILURE

    def _event(self, line: bytes) -> Iterator[ShardEvent]:
        values = _object_of(line)
        if values is None:
            if line.strip():
                yield self._text(line.decode("utf-8", "backslashreplace"))
            return
        match values.get("event"):
            case event if event == PROGRESS:
                yield ShardEvent(self.shard, "progress", values)
            case event if event == SHARD_ENDED:
                if values.get("shard") == self.shard:
                    self.result = values
                    self._note_error(values)
            case event if event == SUMMARY:
                self._note_error(values)
            case _:
                yield ShardEvent(self.shard, "log", values)

    def _note_error(self, values: Mapping[str, Any]) -> None:
        if isinstance(error := values.get("error"), str) and error:
            self.error = error

    def _text(self, text: str) -> ShardEvent:
        return ShardEvent(self.shard, "log", {"event": "stderr", "level": "warning", "message": clean_message(text)})


def describe_exit(exit_code: int | None) -> str:
    """Return how a process ended, for a sentence: `signal 9`, `exit code 1`. Negative codes are signals."""
    if exit_code is None:
        return "an unknown end"
    return f"exit code {exit_code}" if exit_code >= 0 else f"signal {-exit_code}"


def _object_of(line: bytes) -> dict[str, Any] | None:
    """Return a JSON object with an event's name; None for other text."""
    try:
        values = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return None
    return values if isinstance(values, dict) and isinstance(values.get("event"), str) else None
