"""Removes old snapshots by rules: for `snapshots prune`, and for a crawl whose configuration has [retention]."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.cli.signals import run_async
from crawler.errors import CrawlError, describe_defect

if TYPE_CHECKING:
    from crawler.cli.exit_state import ExitState
    from crawler.cli.signals import CrawlSignals
    from crawler.config import Config
    from crawler.config.sections import RetentionSection
    from crawler.run.result import CrawlResult
    from crawler.snapshot import Lake, OutputLocation
    from crawler.snapshot.prune_plan import PrunePlan
    from crawler.snapshot.retention import KeepRules

# A removal that is interrupted is completed by the next prune or crawl.
_PRUNE_S = 1800.0


def rules_of(section: RetentionSection) -> KeepRules:
    """Return the rules of [retention]; empty ones without it."""
    from crawler.snapshot.retention import Duration, KeepRules

    return KeepRules(
        last=section.keep_last or 0,
        hourly=section.keep_hourly or 0,
        daily=section.keep_daily or 0,
        weekly=section.keep_weekly or 0,
        monthly=section.keep_monthly or 0,
        yearly=section.keep_yearly or 0,
        within=Duration.parse(section.keep_within) if section.keep_within else None,
    )


def prune_location(
    location: OutputLocation, config: Config | None, rules: KeepRules, now: datetime, *, dry_run: bool = False
) -> PrunePlan:
    """Remove the snapshots that no rule keeps, and return what was done. With `dry_run`, remove nothing.

    `config` names the catalogs with tables over the output. Raises OutputBusyError and OutputError.
    """
    from crawler.snapshot import ObjectStore
    from crawler.snapshot.bucket.prune import prune_bucket
    from crawler.snapshot.folder.prune import prune
    from crawler.snapshot.prune_plan import plan_prune

    lakes = _lakes(location, config)
    if dry_run:
        return plan_prune(location, rules, now, lakes)
    if not isinstance(location, Path):
        return run_async(lambda: prune_bucket(ObjectStore(location.place), location, rules, now, lakes))
    umask = config.output.umask_bits if config is not None else 0o077
    return prune(location, rules, now, umask, lakes=lakes)


def prune_after_crawl(
    config: Config, result: CrawlResult, state: ExitState, signals: CrawlSignals, *, bound_s: float = _PRUNE_S
) -> CrawlResult:
    """Apply [retention] after a complete crawl of the whole configuration. Return the result with `pruned`.

    A failure is a warning of the log: the crawl is committed, and its exit code stays.
    """
    from crawler.snapshot.manifest import is_unpublished_part

    rules = rules_of(config.retention)
    if rules.is_empty or result.exit_code or result.manifest is None or is_unpublished_part(result.manifest.selection):
        return result
    import structlog

    from crawler.cli.notifications import Notice, send_bounded

    removed: list[int] = []
    notice = Notice("prune_failed", partial(_prune, config, rules, removed.append), bound_s)
    if reason := send_bounded(notice, state, signals):
        structlog.get_logger().warning(notice.event, reason=reason)
    return dataclasses.replace(result, pruned=removed[0]) if removed else result


def _prune(config: Config, rules: KeepRules, note: Callable[[int], object]) -> str:
    """Prune the output of the configuration, and note how many snapshots were removed. Return why it failed."""
    from crawler.run.output import open_location
    from crawler.run.system import System

    system = System()
    try:
        location = run_async(partial(open_location, config.output.uri, system, config))
        done = prune_location(location, config, rules, datetime.now(UTC))
    except CrawlError as error:
        return system.secrets.hide(str(error))
    except Exception as error:  # noqa: BLE001 - the text of another error may hold a secret
        return describe_defect(error)
    note(len(done.removed))
    return "; ".join(done.stuck)


def _lakes(location: OutputLocation, config: Config | None) -> list[Lake]:
    """Return the lakes whose tables may name files of an output. Raises ConfigError if one is known and not found."""
    from crawler.run.output import iceberg_settings
    from crawler.snapshot import open_lake
    from crawler.snapshot.lake.known import known_lakes

    root = location if isinstance(location, Path) else location.place
    configured = iceberg_settings(config, root) if config is not None else None
    return [open_lake(settings, is_new=False) for settings in known_lakes(location, configured)]
