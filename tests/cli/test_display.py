"""The live display of a running crawl, on screens of two widths and on a real terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from crawler.cli.crawl import ProgressSteps
from crawler.cli.live import AccountBars, Folded, view
from crawler.cli.screen import Screen
from crawler.run.progress import CrawlMonitor, CrawlProgress, ShardsProgress

ROOT = Path(__file__).parents[2]


def monitor(**more):
    progress = CrawlProgress(scopes=40, scopes_done=10, rows=1234)
    progress.by_account.update({"1000000000000001": 30, "1000000000000002": 10})
    progress.done_by_account["1000000000000001"] = 10
    return CrawlMonitor(progress=progress, **more)


def lines(watch, width):
    screen = Console(width=width, file=open(os.devnull, "w"), record=True, highlight=False)  # noqa: SIM115
    screen.print(view(watch, 10.0))
    screen.file.close()
    return [line.rstrip() for line in screen.export_text().splitlines()]


def test_a_narrow_screen_cuts_the_bars_and_no_account():
    for width in (44, 60, 120):
        [first] = [line for line in lines(monitor(), width) if line.startswith("1000000000000001 ")]
        assert first.endswith(" 10/30 scopes")
        assert len(first) <= min(width, 70)


def test_one_process_has_no_line_of_shards():
    watch = monitor()
    watch.progress.table = "fc_functions"
    shown = lines(watch, 120)
    assert shown[0] == "10/40 scopes · 1,234 rows · fc_functions"
    assert shown[-1].startswith("0 requests")
    assert len(shown) == 4
    assert "shard" not in "\n".join(shown)


def test_workers_add_one_line():
    shards = ShardsProgress(16, 3, lambda: 2, running={4: 1, 3: 1})
    before, after = lines(monitor(), 120), lines(monitor(shards=shards), 120)
    assert after[0] == "10/40 scopes · 1,234 rows"
    assert after == [*before[:-1], "2 workers · 3 of 16 shards done · at work on 3, 4", before[-1]]


@pytest.mark.parametrize("width", [60, 120])
def test_shards_that_are_restarted_or_lost_are_named(width):
    shards = ShardsProgress(32, 20, lambda: 1, running={21: 2}, restarted={21, 5}, lost={7})
    shown = lines(monitor(shards=shards), width)
    assert max(map(len, shown)) <= width
    text = " ".join(" ".join(shown).split())
    assert "1 worker · 20 of 32 shards done · at work on 21 · restarted 5, 21 · lost 7" in text


def test_many_workers_keep_the_line_short():
    shards = ShardsProgress(512, 0, lambda: 64, running=dict.fromkeys(range(64), 1))
    (line,) = [line for line in lines(monitor(shards=shards), 120) if "workers" in line]
    assert line == "64 workers · 0 of 512 shards done · at work on 0, 1, 2, 3, 4, 5, 6, 7, 56 more"


# A run of three shards by two real children, of which the first is killed once.
SCRIPT = """
import anyio, os, signal, sys
from crawler.cli.live import live_display
from crawler.run.engine.coordinate import run_shards
from crawler.run.engine.processes import ProcessLauncher
from crawler.run.progress import CrawlMonitor
from crawler.telemetry import logs

logs.configure("console", "warning")

async def main():
    monitor = CrawlMonitor()
    monitor.progress.by_account["1"] = 40
    launcher = ProcessLauncher([sys.executable, "-S", "-E", sys.argv[1], sys.argv[2]], os.environ, 2)
    async def on_dead(shard): pass
    async with live_display(monitor):
        await run_shards(launcher, range(4), monitor, total=4, on_dead=on_dead)
        await anyio.sleep(0.2)

anyio.run(main)
"""


def screen_after(written):
    """The text on a terminal after what was written to it: characters, line ends, one line up, a line erased."""
    rows, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", written):
        match part:
            case "\r":
                column = 0
            case "\n":
                row, column = row + 1, 0
                rows += [""] * (row == len(rows))
            case "\x1b[1A":
                row = max(0, row - 1)
            case "\x1b[2K":
                rows[row] = ""
            case _ if not part.startswith("\x1b"):
                rows[row] = rows[row][:column].ljust(column) + part + rows[row][column + len(part) :]
                column += len(part)
    return "\n".join(rows)


def written_to_terminal(command, width):
    """Run a command that must succeed, and return its stderr, which is a terminal of this width and 30 lines."""
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (30, width))
    own = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environ = {**own, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    running = subprocess.Popen(command, stderr=terminal, stdout=subprocess.DEVNULL, env=environ)
    os.close(terminal)
    written = b""
    with suppress(OSError):  # the terminal's end
        while data := os.read(screen, 65_536):
            written += data
    os.close(screen)
    assert running.wait() == 0
    return written.decode()


@pytest.mark.parametrize("width", [60, 120])
def test_the_display_on_a_terminal_shows_the_shards_and_leaves_nothing(tmp_path, width):
    for shard, actions in enumerate(["signal 9\nwork", "work", "signal 9", "work"]):
        (tmp_path / str(shard)).write_text(actions)
    child = ROOT / "tests" / "support" / "protocol_child.py"
    command = [sys.executable, "-c", SCRIPT, str(child), str(tmp_path)]
    written = written_to_terminal(command, width)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert "2 workers · 3 of 4 shards done · restarted 0 · lost 2" in " ".join(text.split())
    assert "30/40 scopes" in text
    assert max(len(line) for line in re.split(r"[\r\n]+", text)) <= width
    left = " ".join(screen_after(written).split())
    assert (left.count("shard_died"), left.count("shard_lost")) == (4, 1), "lines of the log stay"
    assert not re.search("workers|scopes", left), "and nothing else"


LOGGING = """
import anyio, structlog
from crawler.cli.live import live_display
from crawler.run.progress import CrawlMonitor
from crawler.telemetry import logs

logs.configure("console", "warning", has_colors=False)
REASON = "STS answered SignatureDoesNotMatch (request C52543CE-D941-F329-D01C-E15360029BFC): the secret is wrong."

async def main():
    monitor = CrawlMonitor()
    monitor.progress.by_account["1000000000000001"] = 40
    async with live_display(monitor):
        for _ in range(3):
            await anyio.sleep(0.2)
            structlog.get_logger().warning("account_refused", account_id="1000000000000001", reason=REASON)
        await anyio.sleep(0.2)

anyio.run(main)
"""


@pytest.mark.parametrize("width", [60, 100])
def test_log_line_during_the_display_stands_above_it_whole_and_broken_between_words(width):
    written = written_to_terminal([sys.executable, "-c", LOGGING], width)
    shown = [line.rstrip() for line in screen_after(written).splitlines()]
    assert max(map(len, shown)) <= width
    text = " ".join(" ".join(shown).split())
    reason = "STS answered SignatureDoesNotMatch (request C52543CE-D941-F329-D01C-E15360029BFC): the secret is wrong."
    assert text.count(f"account_id=1000000000000001 reason='{reason}'") == 3
    assert not [line for line in shown if "requests" in line and "account_refused" in line]


LONG = Text("payments-production-of… (1000000000000001)")


@pytest.mark.parametrize("width", range(30, 130, 5))
def test_account_bars_fit_every_width_without_cutting_a_name_or_a_number(width):
    bars = AccountBars([(LONG, 1_234, 12_345), (Text("1000000000000002"), 0, 7)])
    screen = Console(width=width, file=open(os.devnull, "w"), record=True, highlight=False)  # noqa: SIM115
    screen.print(bars)
    screen.file.close()
    text = screen.export_text()
    if width >= len(LONG):
        assert LONG.plain in text
        assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "1,234/12,345 scopes" in text
    assert "…" not in text.replace(LONG.plain, "").replace("of…", "")
    assert bool(set("━╸") & set(text)) == (width >= len(LONG) + len("1,234/12,345 scopes") + 2 + 2 + 6)


def test_each_tenth_of_the_scopes_is_a_step_once():
    steps, progress = ProgressSteps(), CrawlProgress()
    assert not steps.is_next(progress)
    progress.scopes = 40
    seen = []
    for done in range(41):
        progress.scopes_done = done
        seen += [done] if steps.is_next(progress) else []
    assert seen == list(range(4, 41, 4))


def test_the_display_that_is_printed_with_a_log_line_is_whole_too(monkeypatch):
    """rich prints the display together with a line above it, whose options forbid to fold."""
    monkeypatch.setenv("COLUMNS", "60")
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    limits = "7 requests · 99/s · 3 throttled · 14.2 s · at least 3 min 20 s left by the rate limits"
    screen = Screen(terminal)
    with Live(Folded(Group(Text(limits))), console=screen, auto_refresh=False, transient=True):
        terminal.truncate(0)
        screen.print(Text("a line of the log"))
        shown = " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()).replace("\0", "").split())
    assert shown == f"a line of the log {limits}"
