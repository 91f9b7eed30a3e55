"""A child process of a launcher that does what is scripted for its shard. It shares no code with the crawler.

Run with a folder as its argument: the file `<shard>` there has one action for each attempt, one a line; the file
`<shard>.begun` gets a line with the process ID for each attempt.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

folder = Path(sys.argv[1])
shard = attempt = 0


def say(event, **values):
    os.write(2, json.dumps({"event": event, "shard": shard, "attempt": attempt, **values}).encode() + b"\n")


def progress(**values):
    say("progress", scopes=10, **values)


def wait():
    while True:
        time.sleep(60)


def done(code=0, **more):
    say("shard_ended", exit_code=code, **more)


def act(action):
    name, _, argument = action.partition(" ")
    match name:
        case "work":
            say("page_read", level="info", timestamp="2026-01-01", self="x", pages=3)
            progress(scopes_done=10, rows=100, requests=20, throttled=2, retries=1, not_complete=1, accounts={"1": 10})
            say("summary", level="info", exit_code=0)
            done()
        case "debug":
            say("detail", level="debug")
            done()
        case "signal":
            progress(scopes_done=4, rows=40, requests=9, accounts={"1": 4})
            os.write(2, b'{"event": "progress", "shard": 1, "sc')
            os.kill(os.getpid(), int(argument))
        case "exit":
            say("summary", level="error", exit_code=int(argument), error=f"the sentence of {argument}")
            sys.exit(int(argument))
        case "fail":  # the shard's own end, then the process's
            done(int(argument))
            say("summary", level="error", exit_code=int(argument), error=f"the sentence of {argument}")
            sys.stdin.buffer.read()
            sys.exit(int(argument))
        case "stay":  # says that it failed, and stays
            done(int(argument))
            wait()
        case "garbage":
            os.write(2, b'\xff\xfe\x00 Fatal \x1b[2Jerror\n[1]\n{}\n{"event": 7}\n\n' + b"[" * 100_000 + b"\n")
            os.write(2, b'{"event": "progress", "scopes_done": -1}\n{"event": "progress", "rows": "many"}\n')
            os.write(2, b'{"event": "shard_ended", "shard": 999, "exit_code": 0}\n')
            done()
        case "long":
            for _ in range(3):
                os.write(2, b'{"event": "' + b"x" * 1_500_000 + b'"}\n')
            done()
        case "flood":
            for _ in range(12_000):
                say("page_read", level="info")
            done()
        case "nothing" | "hang":
            if name == "hang":
                progress(scopes_done=2)
            wait()
        case "polite":  # notes how it is ended
            signal.signal(signal.SIGTERM, lambda *_: (folder / "terminated").touch())
            done()
            sys.stdin.buffer.read()
            (folder / "left").touch()
            sys.exit()
        case "steps":  # writes progress for each new text in the file
            seen = ""
            while seen != "end":
                found = (folder / "step").read_text() if (folder / "step").exists() else ""
                if found not in ("", seen, "end"):
                    progress(rows=int(found) + 1)
                seen = found
                time.sleep(0.002)
            done()
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            progress()
            wait()
        case "deaf":  # a process of its own keeps the pipe open
            holder = subprocess.Popen(["sleep", "1000"])
            (folder / "holder").write_text(str(holder.pid))
            progress()
            os.kill(os.getpid(), signal.SIGKILL)
        case "close":
            os.close(2)
            wait()
        case "last":  # done, and then it dies without a shard
            done()
            sys.exit(int(argument))
        case _:
            raise AssertionError(action)


for line in sys.stdin.buffer:
    shard = int(line)
    begun = folder / f"{shard}.begun"
    with begun.open("a") as log:
        log.write(f"{os.getpid()}\n")
    attempt = len(begun.read_text().splitlines())
    actions = (folder / str(shard)).read_text().splitlines()
    act(actions[min(attempt, len(actions)) - 1])
