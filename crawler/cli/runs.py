"""`snapshots commit` and `snapshots watch`: a run that several processes share."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.cli.crawl import begin_crawling, print_result, run_to_result
from crawler.cli.echo import print_json, print_line, tell_summary
from crawler.cli.inputs import load, locate_output, reading
from crawler.cli.options import CommonOptions, common_options, config_option, json_option, uri_option
from crawler.cli.signals import CrawlSignals, cancel_on_signal

if TYPE_CHECKING:
    from rich.text import Text

    from crawler.cli.screen import Screen
    from crawler.config import Config
    from crawler.run.result import CrawlResult
    from crawler.run.system import System
    from crawler.snapshot.shards.documents import JoinedRun
    from crawler.snapshot.shards.runs import JoinedHead, RunState, ShardState

_LOOK_S = 5.0
_SHOWN = 20
_ORDER = ("lost", "running", "missing", "reported")


@click.command("commit")
@click.argument("name", metavar="RUN")
@click.option("--partial", "is_partial", is_flag=True, help="Give up the shards that have no report.")
@config_option
@uri_option
@json_option
@common_options
@click.pass_obj
def commit(
    common: CommonOptions, name: str, is_partial: bool, config_file: Path | None, uri: str | None, as_json: bool
) -> int:
    """Commit the snapshot of a run whose shards have their reports.

    RUN is the key of the run, the ID of its snapshot, or its date (UTC). The last process of a run commits by itself;
    this command is for a run whose last process was stopped, or which has lost a shard for good.

    Exit codes: those of crawl. 1 also if shards have no report.
    """
    from crawler.config.secrets import register_secrets
    from crawler.run.system import System

    common.exit_state.begin_crawl()
    config = load(config_file, uri).with_overrides(output=uri)
    system = System()
    register_secrets(config, system.secrets, config.proxy.url)
    common.start_logging(system.secrets)
    signals = begin_crawling(common)
    found = _commit(config, name, common, signals, system, is_partial=is_partial)
    from crawler.run.result import CrawlResult

    if isinstance(found, CrawlResult):
        return print_result(found, config, common, as_json=as_json, command="commit")
    signals.decide(found.exit_code)
    return _print_joined(found, common, as_json=as_json)


def _print_joined(joined: JoinedRun, common: CommonOptions, *, as_json: bool) -> int:
    """Print what became of a run that was over before, and return its exit code."""
    value = {name: getattr(joined, name) for name in ("snapshot_id", "status", "exit_code", "key")}
    level = "warning" if joined.exit_code else "info"
    tell_summary(
        common, value, lambda: print_line(joined_sentence(joined)), command="commit", as_json=as_json, level=level
    )
    return joined.exit_code


def joined_sentence(joined: JoinedRun | JoinedHead) -> str:
    """Return what became of a run that is over."""
    what = f"snapshot {joined.snapshot_id} is {joined.status}"
    return f"The run {joined.key} is over: {'nothing was committed' if joined.status == 'none' else what}."


def _commit(
    config: Config, name: str, common: CommonOptions, signals: CrawlSignals, system: System, *, is_partial: bool
) -> CrawlResult | JoinedRun:
    from crawler.cli.notifications import notify_result
    from crawler.cli.retention import prune_after_crawl
    from crawler.run.progress import CrawlMonitor
    from crawler.run.result import CrawlResult
    from crawler.run.shared_crawl import commit_run

    monitor = CrawlMonitor(on_result=lambda result: signals.decide(result.exit_code))

    async def main() -> CrawlResult | JoinedRun:
        return await cancel_on_signal(signals, lambda: commit_run(config, name, system, monitor, partial=is_partial))

    found = run_to_result(main, lambda: monitor, common)
    if isinstance(found, CrawlResult):
        found = prune_after_crawl(config, found, common.exit_state, signals)
        notify_result(config, found, common.exit_state, signals, found.started_at)
    return found


@click.command("watch")
@click.argument("name", metavar="[RUN]", required=False)
@click.option("--once", is_flag=True, help="Show the run once.")
@config_option
@uri_option
@json_option
@common_options
@click.pass_obj
def watch(
    common: CommonOptions, name: str | None, once: bool, config_file: Path | None, uri: str | None, as_json: bool
) -> int:
    """Show how far the shards of a run are, until it is over.

    RUN is the key of the run, the ID of its snapshot, or its date (UTC). Default: the newest. With --json, show it once
    as JSON.

    Exit codes: those of the crawl once the run is over; 0 with --once and --json.
    """
    common.exit_state.when_stopped = "Stopped watching; the run goes on."
    with reading():
        location = locate_output(common, config_file, uri)
        shown = ""
        while True:
            run = _read(location, name)
            if as_json:
                print_json(_value(run))
                return 0
            text = _text(run)
            if text != shown:
                _print(run)
                shown = text
            if run.joined is not None and not once:
                return _code(run)
            if once:
                return 0
            _sleep()


def _sleep() -> None:
    import time

    time.sleep(_LOOK_S)


def _read(location: Any, name: str | None) -> RunState:
    from crawler.errors import UnknownRunError
    from crawler.snapshot.shards.runs import read_runs

    runs = read_runs(location, name)
    if name is None:  # a process that was refused has left a run without a plan
        runs = [run for run in runs if run.snapshot_id or run.problem or (run.planner and run.planner.is_alive)]
    if not runs:
        which = f"no run {name!r}" if name else "no run"
        raise UnknownRunError(f"{location} has {which}; `crawl --workers` and `crawl --shard` make one")
    return runs[0]


def _code(run: RunState) -> int:
    from crawler.errors import ExitCode

    assert run.joined is not None
    codes = {"complete": ExitCode.SUCCESS, "partial": ExitCode.PARTIAL}
    return codes.get(run.joined.status, run.joined.exit_code or ExitCode.FAILURE)


def _value(run: RunState) -> dict[str, Any]:
    import msgspec

    value: dict[str, Any] = msgspec.to_builtins(asdict(run))
    return value


def _text(run: RunState) -> str:
    return repr([(shard.status, shard.last.figures if shard.last else None) for shard in run.shards]) + repr(run.joined)


def _print(run: RunState) -> None:
    from crawler.cli.render import console, counted, safe
    from crawler.clock import iso_utc

    out = console()
    if run.joined is not None:
        out.print(safe(joined_sentence(run.joined)), soft_wrap=True)
        return
    began = f", began {iso_utc(run.started_at)}" if run.started_at else ""
    out.print(safe(f"{run.name[0].upper()}{run.name[1:]}{began}", "bold"), soft_wrap=True)
    if run.problem:
        out.print(safe(run.problem, "red"), soft_wrap=True)
    if not run.shards:
        out.print(_planning_text(run), soft_wrap=True)
        return
    counts = {status: sum(shard.status == status for shard in run.shards) for status in _ORDER}
    out.print(
        safe(f"{counted(len(run.shards), 'shard')}: " + ", ".join(f"{n} {status}" for status, n in counts.items() if n))
    )
    shards = sorted((shard for shard in run.shards if shard.status != "reported"), key=lambda s: _ORDER.index(s.status))
    if shards:
        _print_shards(out, shards[:_SHOWN])
    if len(shards) > _SHOWN:
        out.print(f"… and {len(shards) - _SHOWN} more")


def _planning_text(run: RunState) -> Text:
    """Return what is known of a run without a plan."""
    from crawler.cli.render import safe

    planner = run.planner
    if planner is None or not planner.is_alive:
        return safe("It has no plan, and no process makes one: `crawl --shard` with its key does.")
    return safe(f"Process {planner.pid} on {planner.host} is planning it.")


def _print_shards(out: Screen, shards: list[ShardState]) -> None:
    from crawler.cli.render import duration_text, print_aligned, safe

    rows = []
    for shard in shards:
        last = shard.last
        figures = last.figures if last is not None else {}
        rows.append(
            (
                str(shard.number),
                shard.status,
                f"{last.attempt}" if last else "",
                safe(last.host) if last else "",
                f"{duration_text(last.age_s)} ago" if last else "",
                f"{figures.get('scopes_done', '')}/{figures.get('scopes', '')}" if figures else "",
            )
        )
    columns = ("shard", "status", "attempt", "host", "seen", "scopes")
    print_aligned(out, columns, rows, numbers=("attempt", "scopes"), expendable=("host", "attempt"))
