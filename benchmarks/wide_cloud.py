"""A wide emulated cloud in a process of its own, so that a crawl's figures have nothing of the server's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crawler.emulator import CloudSpec

# Never a crawl's limit: per second and in a burst, for each operation in each account and region.
RATE, BURST = 10_000, 10_000


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers that a crawl has received: their number, and when the last one was ready."""

    requests: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class WideCloud:
    """A served cloud. `config` is the file of a configuration that crawls it."""

    config: Path
    _pipe: Connection

    def answers(self) -> Answers:
        """Return what was answered until now. Raises RuntimeError if nothing was asked for."""
        self._pipe.send("answers")
        found: Answers | None = self._pipe.recv()
        if found is None:
            raise RuntimeError("the crawl has sent no request")
        return found


@contextmanager
def serve_wide(accounts: int, regions: int, output: Path, config: Path) -> Iterator[WideCloud]:
    """The cloud as long as the block lasts, with an `output` for its crawl. Raises RuntimeError if it can't start."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(accounts, regions, output, config, theirs))
    process.start()
    theirs.close()
    try:
        try:
            ours.recv()
        except EOFError:
            raise RuntimeError("the emulated cloud has ended") from None
        yield WideCloud(config, ours)
    finally:
        ours.close()
        process.join()


def expected_rows(accounts: int, regions: int, config: Path) -> Mapping[str, int]:
    """Return table → the number of the cloud's own records, for the tables with any. Builds the whole cloud."""
    from crawler.cli.demo_cloud import table_counts
    from crawler.config import parse_config
    from crawler.emulator import Cloud

    parsed = parse_config(config.read_text(), source=str(config), environ={})
    return +Counter(table_counts(Cloud(_spec(accounts, regions)), parsed))


def _spec(accounts: int, regions: int) -> CloudSpec:
    from crawler.cli.emulate import wide_spec
    from crawler.emulator import CloudSpec, Rate

    rate = Rate(RATE, BURST)
    spec = CloudSpec(rate=rate, rates={"sts": rate, "resourcedirectory": rate}, log_size=1)
    return wide_spec(spec, accounts, regions, has_organization=True)


def _serve(accounts: int, regions: int, output: Path, config: Path, pipe: Connection) -> None:
    """Serve until the other end of the pipe is closed; each message on it asks for the answers."""
    from anyio.from_thread import start_blocking_portal

    from crawler.cli.emulate import write_config
    from crawler.emulator import Cloud, serve

    cloud = Cloud(_spec(accounts, regions))
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serve(cloud)) as emulator:
        text, environ = write_config(emulator, str(output), rate=RATE, burst=BURST)
        for name, value in environ.items():
            text = text.replace(f"${{{name}}}", value)
        config.touch(mode=0o600)
        config.write_text(text)
        pipe.send("ready")
        while True:
            try:
                pipe.recv()
            except EOFError:
                return
            log = cloud.requests
            pipe.send(Answers(log.counts.total(), log.entries[-1].at) if log.entries else None)
