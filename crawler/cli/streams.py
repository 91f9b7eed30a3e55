"""stdin, stdout and stderr of the process: always open, able to take any text, and harmless when they fail.

A stream that can't be written must not change what a command does. So the descriptor below the text remembers its first
failure instead of raising it, and ignores all that follows. Only where stdout is the command's result, each further
write raises `ResultLostError`, so that the command ends soon. `crawler.cli.exit_state` decides what a failure means.
"""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# A closed descriptor is opened in the direction that nobody asks for: reading it, or writing to it, fails as before.
_STANDARD = ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY))
# A crawl must end although the reader of its log hangs.
_PATIENCE_S = 30.0


class ResultLostError(Exception):
    """stdout is the command's result and can't be written. `stdout_failure` returns the reason."""


class Descriptor(io.RawIOBase):
    """A file descriptor to write to that remembers its first failure. With `is_result`, a failure also raises.

    With `patience_s`, a pipe that nothing is read from for so many seconds is a failure.
    """

    def __init__(self, fd: int, patience_s: float | None = None) -> None:
        self._fd = fd
        self._patience_s = patience_s if patience_s is not None and is_pipe(fd) else None
        self.failure: OSError | None = None
        self.is_result = False

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the number of the descriptor."""
        return self._fd

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._fd)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some of the data. After a failure all of it counts as written, unless the stream is a result."""
        if self.failure is None:
            try:
                return self._write(data)
            except OSError as error:
                self.failure = error
        if self.is_result:
            raise ResultLostError
        return memoryview(data).nbytes

    def close_for_good(self) -> None:
        """Lead all that is written from now on, by C libraries too, to nowhere: the last line stays the last one."""
        with suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._fd)
            os.close(null)

    def _write(self, data: ReadableBuffer) -> int:
        if self._patience_s is not None:
            # A pipe that is ready takes so many bytes without blocking.
            self._wait(self._patience_s)
            data = memoryview(data)[: select.PIPE_BUF]
        while True:
            try:
                return os.write(self._fd, data)
            except BlockingIOError:  # another process has made the pipe or terminal non-blocking
                self._wait(self._patience_s)

    def _wait(self, seconds: float | None) -> None:
        waiting = select.poll()
        waiting.register(self._fd, select.POLLOUT)
        if not waiting.poll(None if seconds is None else seconds * 1000):
            raise TimeoutError(errno.ETIMEDOUT, "its reader does not read")


def is_pipe(fd: int) -> bool:
    """Return whether a descriptor is a pipe or a socket."""
    with suppress(OSError):
        mode = os.fstat(fd).st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    return False


class TextStream(io.TextIOWrapper):
    """stdout or stderr: characters that its encoding lacks, and lone surrogates, are written as escapes.

    With `as_json`, every line is a JSON object: another line, such as a library's warning, becomes the message of one.
    """

    def __init__(self, fd: int, replaced: Any, patience_s: float | None = None) -> None:
        """`replaced` is the stream that Python made, whose encoding and buffering stay; None if `fd` was closed."""
        self.descriptor = Descriptor(fd, patience_s)
        self.binary: BinaryIO = io.BufferedWriter(self.descriptor)
        self.as_json = False
        self._line = ""
        super().__init__(
            self.binary,
            encoding=getattr(replaced, "encoding", None) or "utf-8",
            errors="backslashreplace",
            line_buffering=getattr(replaced, "line_buffering", True),
            write_through=getattr(replaced, "write_through", False),
        )

    @property
    def buffer(self) -> BinaryIO:
        """Hide the bytes from click, which would write UTF-8 to them where the encoding is ASCII."""
        raise AttributeError("use `binary`")

    def write(self, text: str | bytes, /) -> int:
        """Write text; with `as_json`, its complete lines as JSON."""
        if isinstance(text, bytes):
            if not text:  # click's question whether the stream takes bytes only
                raise TypeError("text is needed")
            text = text.decode()  # click's completion for a shell
        if not self.as_json:
            return super().write(text)
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            super().write(_json_line(line))
        return len(text)

    def settle(self) -> OSError | None:
        """Write what is buffered and return the first failure. From then on nothing is written after a failure."""
        if self._line:
            self.write("\n")
        with suppress(ResultLostError):
            self.flush()
        if self.descriptor.failure is not None:
            self.descriptor.is_result = False
            self.flush()
        return self.descriptor.failure


def _json_line(line: str) -> str:
    if line.startswith('{"') and line.endswith("}"):
        return f"{line}\n"
    if not line.strip():
        return ""
    import json

    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return json.dumps({"event": "stderr", "level": "warning", "timestamp": now, "message": line}) + "\n"


def prepare_streams() -> None:
    """Open the closed descriptors of 0, 1 and 2, and replace `sys.stdout` and `sys.stderr`. Call it before all else.

    A program that has put streams of its own in their place keeps them.
    """
    for fd, flags in _STANDARD:
        try:
            os.fstat(fd)
        except OSError:
            _open_on_null(fd, flags)
    if sys.stdout is sys.__stdout__:
        sys.stdout = stream = TextStream(1, sys.__stdout__)
        stream.descriptor.is_result = True
    if sys.stderr is sys.__stderr__:
        sys.stderr = TextStream(2, sys.__stderr__, _PATIENCE_S)


def _open_on_null(fd: int, flags: int) -> None:
    with suppress(OSError):  # a machine without /dev/null keeps it closed
        opened = os.open(os.devnull, flags)
        if opened != fd:
            os.dup2(opened, fd)
            os.close(opened)
        os.set_inheritable(fd, True)


def stdout_only_tells() -> None:
    """Declare that the command's result is elsewhere: from now on, a failure of stdout stops nothing."""
    if isinstance(sys.stdout, TextStream):
        sys.stdout.descriptor.is_result = False


def stdout_bytes() -> BinaryIO:
    """Return the bytes below stdout, after the text that was printed. Flush it before printing text again."""
    sys.stdout.flush()
    return sys.stdout.binary if isinstance(sys.stdout, TextStream) else sys.stdout.buffer


def stdout_failure() -> OSError | None:
    """Write what is buffered for stdout, and return why it couldn't be written; None if it was."""
    if isinstance(sys.stdout, TextStream):
        return sys.stdout.settle()
    sys.stdout.flush()
    return None


def failure_text(failure: OSError) -> str:
    """Return why a stream can't be written."""
    match failure.errno:
        case errno.EPIPE:
            return "its reader has closed it"
        case errno.EBADF:
            return "it is closed"
        case errno.ETIMEDOUT:
            return "its reader does not read"
        case number:
            return os.strerror(number or 0)
