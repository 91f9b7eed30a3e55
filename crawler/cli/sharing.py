"""The options by which several processes share a crawl, and the way in which `crawl` crawls by them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.cli import process
from crawler.errors import CannotResumeError

if TYPE_CHECKING:
    from crawler.cli.options import CommonOptions
    from crawler.config import Config
    from crawler.run.engine.base import Launcher
    from crawler.run.progress import CrawlMonitor
    from crawler.run.result import CrawlResult
    from crawler.run.system import System
    from crawler.snapshot.shards.documents import RunPlan

MOST_WORKERS = 256
MOST_SHARDS = 10_000
MOST_KEY_CHARACTERS = 256
# Variables in which orchestrators tell a process which one of many it is, all from 0.
INDEX_VARIABLES = (
    "JOB_COMPLETION_INDEX",
    "AWS_BATCH_JOB_ARRAY_INDEX",
    "CLOUD_RUN_TASK_INDEX",
    "SLURM_ARRAY_TASK_ID",
)
# A child of this command reads the numbers of its shards from stdin.
FROM_STDIN = -1
_SHARD = re.compile(r"(auto|stdin|[0-9]{1,9})/([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Shard:
    """`--shard`: the number of the shard, or `FROM_STDIN`, and how many the run has."""

    number: int
    total: int


class WorkersType(click.ParamType[int]):
    """A number of worker processes, or `auto`."""

    name = "workers"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """See `click.ParamType.convert`."""
        if value == "auto":
            from crawler.run.engine.cpus import usable_cpus

            return usable_cpus()
        if not re.fullmatch(r"[0-9]{1,3}", str(value)) or not 1 <= int(value) <= MOST_WORKERS:
            self.fail(f"{value!r} is neither a number from 1 to {MOST_WORKERS} nor auto.", parameter, context)
        return int(value)


class ShardType(click.ParamType[Shard]):
    """A shard of a run: its number from 0, or `auto`, and the number of shards."""

    name = "shard"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """See `click.ParamType.convert`."""
        found = _SHARD.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is neither I/N, such as 0/4, nor auto/N.", parameter, context)
        total = int(found[2])
        if not 1 <= total <= MOST_SHARDS:
            self.fail(f"{value!r}: a run has 1 to {MOST_SHARDS:,} shards.", parameter, context)
        if found[1] == "stdin":
            return Shard(FROM_STDIN, total)
        source, text = ("", found[1]) if found[1] != "auto" else _index(os.environ)
        if not text:
            self.fail(f"auto needs one of the variables {', '.join(INDEX_VARIABLES)}; none is set.", parameter, context)
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) >= total:
            named = f"{source}={text!r}" if source else text
            self.fail(f"shard {named} isn't one of the {total} shards, 0 to {total - 1}.", parameter, context)
        return Shard(int(text), total)


class KeyType(click.ParamType[str]):
    """The key of a run."""

    name = "key"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """See `click.ParamType.convert`."""
        if not 1 <= len(value) <= MOST_KEY_CHARACTERS or not value.isprintable():
            self.fail(f"a run's key has 1 to {MOST_KEY_CHARACTERS} printable characters.", parameter, context)
        return value


def _index(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the first variable with an index, and the index; two empty texts without any."""
    return next(((name, environ[name]) for name in INDEX_VARIABLES if environ.get(name)), ("", ""))


def child_options(context: click.Context, common: CommonOptions) -> list[str]:
    """Return the options of a `crawl` that its children need, too."""
    given = context.params
    found: list[str] = []
    if given.get("config_file") is not None:
        # A worker of Dask has another working folder.
        found += ["--config", str(Path.cwd() / given["config_file"])]
    for option, name in (("--output", "uri"), ("--format", "output_format")):
        if given.get(name) is not None:
            found += [option, given[name]]
    for option, name in (("--account", "accounts"), ("--region", "regions"), ("--table", "tables")):
        for value in given.get(name) or ():
            found += [option, value]
    if given.get("publish"):
        found.append("--publish")
    return [*found, "--log-format", "json", "--log-level", common.effective_level]


@dataclass(frozen=True, slots=True)
class CrawlWay:
    """How a crawl runs: whether it resumes another one, by how many processes, and the options of those.

    `resume`: None, always, or auto: begin a new one if there is none to resume. `workers` None: as the configuration
    says.
    """

    resume: str | None = None
    workers: int | None = None
    options: Sequence[str] = ()

    async def crawl(self, config: Config, system: System | None, monitor: CrawlMonitor) -> CrawlResult:
        """Crawl once. Raises as `run.crawl` and `coordinator.crawl_with_launcher`."""
        if self.resume is None:
            return await self._crawl(config, system, monitor, resume=False)
        try:
            return await self._crawl(config, system, monitor, resume=True)
        except CannotResumeError as error:
            if self.resume != "auto":
                raise
            import structlog

            from crawler.snapshot.folder.resume import START_OVER

            reason = str(error).removeprefix("--resume: ").removesuffix(f"; {START_OVER}")
            structlog.get_logger().info("nothing_resumed", reason=reason)
        return await self._crawl(config, system, monitor, resume=False)

    async def _crawl(
        self, config: Config, system: System | None, monitor: CrawlMonitor, *, resume: bool
    ) -> CrawlResult:
        import msgspec

        from crawler.run.coordinator import crawl_with_launcher, has_unfinished_run
        from crawler.run.engine.cpus import worker_count
        from crawler.run.run import crawl

        workers = self.workers or worker_count(config.crawl.workers)
        is_shared = await has_unfinished_run(config, system) if resume else workers > 1 or config.engine is not None
        if not is_shared:
            return await crawl(config, system, monitor, resume=resume)
        if config.engine is not None:
            config = msgspec.structs.replace(config, crawl=msgspec.structs.replace(config.crawl, workers=workers))
            return await self._crawl_by_dask(config, system, monitor, resume=resume)
        from crawler.run.planning import RunSize
        from crawler.snapshot.shards.runs import PROCESSES

        @asynccontextmanager
        async def open_launcher(plan: RunPlan) -> AsyncIterator[Launcher]:
            from crawler.run.engine.processes import ProcessLauncher

            command = [sys.executable, *self._arguments(plan, "stdin")]
            yield ProcessLauncher(command, {**os.environ, **process.set_aside}, min(workers, plan.shard_count))

        size = RunSize(workers, engine=PROCESSES)
        return await crawl_with_launcher(config, size, open_launcher, system, monitor, resume=resume)

    async def _crawl_by_dask(
        self, config: Config, system: System | None, monitor: CrawlMonitor, *, resume: bool
    ) -> CrawlResult:
        from crawler.run.coordinator import crawl_with_launcher
        from crawler.run.engine.dask import open_launcher as open_dask
        from crawler.run.planning import RunSize

        plans: list[RunPlan] = []

        def command(shard: int) -> list[str]:
            return self._arguments(plans[0], str(shard))

        # The cluster tells how many processes it has, before the accounts are divided among them.
        async with open_dask(config, command) as launcher:

            @asynccontextmanager
            async def open_launcher(plan: RunPlan) -> AsyncIterator[Launcher]:
                plans.append(plan)
                yield launcher

            size = RunSize(max(1, launcher.places), engine="dask")
            return await crawl_with_launcher(config, size, open_launcher, system, monitor, resume=resume)

    def _arguments(self, plan: RunPlan, shard: str) -> list[str]:
        """Return the arguments of the Python that crawls a shard of a run."""
        number = ["--shard", f"{shard}/{plan.shard_count}", "--run", plan.key]
        return [*_import_options(), "-m", "crawler", "crawl", *self.options, *number]


def _import_options() -> list[str]:
    """Return the options of Python by which a child imports this program and nothing of the working folder.

    Only where this process was itself started by `python -m crawler` in a checkout, a child imports from there, too.
    """
    if sys.flags.safe_path:
        return ["-P"]
    with suppress(OSError):  # the working folder was removed
        if sys.path[:1] in ([""], [str(Path.cwd())]):
            return []
    return ["-P"]
