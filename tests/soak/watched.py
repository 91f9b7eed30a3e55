"""`python -m tests.soak.watched REPORT.json crawl …`: runs the command and reports the resources that it leaks.

The report has the peak of its memory; the files that were open before the command was imported, at most (sampled four
times a second) and at exit; the tasks that were pending when the event loop's main function had returned; and the
threads that were alive at exit.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from tests.support.process_memory import peak_kb

EVERY_S = 0.25


def open_files() -> list[str]:
    """Return the open files of this process."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:
            continue
    return found


def _warm_up() -> None:
    """Make and close an event loop: from the first one on, libuv keeps a pair of pipes open."""
    with suppress(ImportError):
        import uvloop

        uvloop.new_event_loop().close()


class Watch:
    """Samples in its own thread, and writes the report at exit."""

    def __init__(self, report: Path) -> None:
        self._report = report
        _warm_up()
        self._at_start = open_files()
        self._most = len(self._at_start)
        self._pending: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def start(self) -> None:
        """Start to sample."""
        runners = vars(asyncio.runners)
        cancel_all = runners["_cancel_all_tasks"]

        def counted(loop: asyncio.AbstractEventLoop) -> None:
            self._pending += [str(task.get_coro()) for task in asyncio.all_tasks(loop)]
            cancel_all(loop)

        runners["_cancel_all_tasks"] = counted
        self._thread.start()
        atexit.register(self._write)

    def _sample(self) -> None:
        while not self._ended.wait(EVERY_S):
            self._most = max(self._most, len(open_files()))

    def _write(self) -> None:
        import orjson

        self._ended.set()
        self._thread.join()
        at_end = open_files()
        found = {
            "peak_kb": peak_kb("self"),
            "files_at_start": len(self._at_start),
            "files_at_most": max(self._most, len(at_end)),
            "files_left": sorted(set(at_end) - set(self._at_start)),
            "tasks_left": self._pending,
            "threads_left": [each.name for each in threading.enumerate() if each is not threading.main_thread()],
        }
        self._report.write_bytes(orjson.dumps(found))


def main() -> None:
    """Run the command with the remaining arguments."""
    report = Path(sys.argv.pop(1))
    Watch(report).start()
    from crawler.cli import main as command

    command()


if __name__ == "__main__":
    main()
