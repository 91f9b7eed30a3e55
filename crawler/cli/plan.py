"""What a crawl would do, without doing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import click
from rich.console import Console
from rich.text import Text

from crawler.catalog.model import Catalog
from crawler.cli.crawl_summary import directory_value, iso, left_out_values, print_left_out
from crawler.cli.inputs import load
from crawler.cli.options import OutputOptions, config_option, json_option, output_options
from crawler.cli.render import console, duration_text, rule_text, safe, show_json, status_text, table_of
from crawler.cli.signals import run_async
from crawler.cli.tables.describe import branches
from crawler.client.rate_limit import LimitRule
from crawler.config import Config
from crawler.config.resolve import limit_rules, parameter_settings
from crawler.errors import OutputError
from crawler.run.forecast import Forecast, TargetForecast, forecast
from crawler.run.output import open_place
from crawler.run.plan import CrawlPlan, make_plan
from crawler.run.session import open_session
from crawler.run.system import System
from crawler.run.targets import TargetPlan
from crawler.snapshot import Manifest, OutputLocation, ScopeRow, newest_snapshot_id, read_ledger, read_manifest

if TYPE_CHECKING:
    from crawler.catalog.model import Catalog
    from crawler.client.rate_limit import LimitRule
    from crawler.config import Config

_MAX_SHOWN = 20
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class _Last:
    """The newest snapshot, complete or not, with its ledger; or why there is none that can be read."""

    manifest: Manifest | None = None
    ledger: Sequence[ScopeRow] | None = None
    warning: str = ""


async def plan_value(config: Config, catalog: Catalog, surroundings: System | None = None) -> dict[str, Any]:
    """The plan as JSON values; `catalog` is the configuration's. Sends GetCallerIdentity and DescribeRegions only, and
    with [organization] ListAccounts and AssumeRole. Raises as `crawl_plan.make_plan` does; a last snapshot that can't
    be read is a warning."""
    surroundings = surroundings or System()
    tables = catalog.select(config.crawl.tables, config.crawl.exclude)
    details, last = catalog.select_details(config.crawl.details, tables), await _last(config, surroundings)
    async with open_session(config, catalog, surroundings) as session:
        plan = await make_plan(session, surroundings, tables)
        overhead = {name: tally.requests for name, tally in session.overhead.items()}
    rules = limit_rules(config, catalog)
    found = forecast(plan.targets, catalog, rules, last.ledger, details, parameter_settings(config))
    return {
        **_places(plan, config),
        "tables": _table_values(catalog, plan.targets, rules, found, tables),
        "rate_limits": _limit_values(catalog, plan.targets, rules, details),
        **_totals(found),
        "discovery_requests": overhead,
        "concurrency": config.crawl.concurrency,
        "last_snapshot": _last_value(last, found, surroundings.clock.now()),
        "per_target": [_target_value(target) for target in found.targets],
        "warnings": [*catalog.warnings, *_warnings(config, last, found)],
    }


async def _last(config: Config, surroundings: System) -> _Last:
    try:
        place = await open_place(config.output.uri, surroundings, config)
        return await anyio.to_thread.run_sync(_read_last, place)
    except OutputError as error:
        return _Last(warning=f"the last snapshot can't be gone by: {error}")


def _read_last(root: OutputLocation) -> _Last:
    snapshot_id = newest_snapshot_id(root)
    if not snapshot_id:
        return _Last()
    manifest = read_manifest(root, snapshot_id)
    return _Last(manifest, read_ledger(root, manifest))


def _places(plan: CrawlPlan, config: Config) -> dict[str, Any]:
    return {
        "accounts": _accounts(plan.targets),
        "targets": len(plan.targets),
        "scopes": sum(len(target.tables) for target in plan.targets),
        "directory": directory_value(plan.membership.directory),
        "left_out": left_out_values(plan.membership.left_out),
        "output": config.output.uri,
    }


def _accounts(plans: Sequence[TargetPlan]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for plan in plans:
        refusal = f"{plan.refusal.code}: {plan.refusal.message}" if plan.refusal else ""
        account_id = plan.target.account_id
        entry = found.setdefault(account_id, {"account_id": account_id, "regions": [], "refusal": refusal})
        entry["regions"].append(plan.target.region_id)
    return [{**entry, "regions": sorted(entry["regions"])} for entry in found.values()]


def _table_values(
    catalog: Catalog,
    plans: Sequence[TargetPlan],
    rules: Mapping[str, LimitRule],
    found: Forecast,
    written: Collection[str],
) -> list[dict[str, Any]]:
    """One entry a table, those that are only walked among them."""
    values, scopes = [], Counter(table for plan in plans for table in plan.tables)
    for table in scopes:
        operation = catalog.operations[table]
        values.append(
            {
                "table": table,
                "operation": f"{operation.product} {operation.action}",
                "scopes": scopes[table],
                "written": table in written,
                "parents": list(operation.parent_tables),
                "rate_limit": rule_text(catalog, table, rules),
                "last_rows": found.rows.get(table),
            }
        )
    return values


def _limit_values(
    catalog: Catalog, plans: Sequence[TargetPlan], rules: Mapping[str, LimitRule], details: Collection[str]
) -> dict[str, dict[str, float]]:
    """Every limit that holds in each account and region: the products', and those of operations within them."""
    keys: dict[str, None] = {}
    for table in dict.fromkeys(table for plan in plans for table in plan.tables):
        operation = catalog.operations[table]
        actions = [operation.action, *([operation.details.action] if operation.details and table in details else [])]
        own = [key for action in actions if (key := f"{operation.product}.{action}") in rules]
        keys.update(dict.fromkeys((operation.product, *own)))
    found = {key: rules.get(key, rules["default"]) for key in keys}
    return {key: {"rate": rule.rate, "burst": rule.burst} for key, rule in found.items()}


def _totals(found: Forecast) -> dict[str, Any]:
    sure, expected = found.sure, found.expected
    return {
        "least_requests": sure.requests,
        "least_seconds": round(sure.least_s, 1),
        "expected_requests": expected.requests if expected else None,
        "expected_seconds": round(expected.least_s, 1) if expected else None,
    }


def _last_value(last: _Last, found: Forecast, now: datetime) -> dict[str, Any] | None:
    """Which snapshot was gone by, and how many of the plan's scopes it knows."""
    if last.manifest is None:
        return None
    asked = [target for target in found.targets if not target.is_refused]
    estimated, unknown = sum(target.estimated for target in asked), sum(target.unknown for target in asked)
    return {
        "snapshot_id": last.manifest.snapshot_id,
        "status": last.manifest.status,
        "finished_at": iso(last.manifest.finished_at),
        "age_seconds": max(0, round((now - last.manifest.finished_at).total_seconds())),
        "known_scopes": sum(target.scopes for target in asked) - estimated - unknown,
        "estimated_scopes": estimated,
        "unknown_scopes": unknown,
    }


def _target_value(found: TargetForecast) -> dict[str, Any]:
    sure, expected = found.sure, found.expected
    return {
        "account_id": found.target.account_id,
        "region_id": found.target.region_id,
        "refused": found.is_refused,
        "scopes": found.scopes,
        "estimated_scopes": found.estimated,
        "unknown_scopes": found.unknown,
        "lists_at_least": sure.lists,
        "lists_expected": expected.lists if expected else None,
        "requests_at_least": sure.requests,
        "requests_expected": expected.requests if expected else None,
        "least_seconds": round(sure.least_s, 1),
        "expected_seconds": round(expected.least_s, 1) if expected else None,
        "bucket": found.best.bucket or None,
    }


def _warnings(config: Config, last: _Last, found: Forecast) -> list[str]:
    warnings = [last.warning] if last.warning else []
    deadline_s, least_s = config.crawl.deadline_s, found.best.least_s
    if deadline_s and least_s > deadline_s:
        warnings.append(
            f"[crawl] deadline is {duration_text(deadline_s)}, and by the rate limits the crawl takes "
            f"{duration_text(least_s)} or more: it would end before it is complete"
        )
    return warnings


def print_plan(value: Mapping[str, Any], catalog: Catalog) -> None:
    """The plan for people. `catalog` is the one that it was made with."""
    out = console()
    _print_accounts(out, value["accounts"])
    print_left_out(out, value["directory"], value["left_out"])
    _print_targets(out, value)
    _print_tables(out, value, catalog)
    for warning in value["warnings"]:
        out.print(Text("warning ", "yellow") + safe(warning), soft_wrap=True)
    _print_totals(out, value)


def _print_accounts(out: Console, accounts: Sequence[Mapping[str, Any]]) -> None:
    """Those that can't be crawled come first, since something is to be done about them."""
    rows = [
        (
            entry["account_id"],
            len(entry["regions"]),
            safe(entry["refusal"], "red") if entry["refusal"] else " ".join(entry["regions"]),
        )
        for entry in sorted(accounts, key=lambda entry: not entry["refusal"])
    ]
    out.print(table_of(("account", "regions", ""), rows[:_MAX_SHOWN], numbers=("regions",)))
    _print_more(out, len(rows), "accounts")


def _print_targets(out: Console, value: Mapping[str, Any]) -> None:
    """The slowest targets. A crawl takes as long as the first of them."""
    has_history = value["last_snapshot"] is not None
    basis = "expected" if has_history else "at_least"
    asked = [target for target in value["per_target"] if not target["refused"]]
    slowest = sorted(asked, key=lambda target: (-_seconds(target), -target[f"requests_{basis}"]))
    rows = [
        (
            target["account_id"],
            target["region_id"],
            f"{target[f'lists_{basis}']:,}",
            f"{target['requests_at_least']:,}",
            f"{target['requests_expected']:,}" if has_history else "?",
            duration_text(_seconds(target)),
            target["bucket"] or "",
        )
        for target in slowest[:_MAX_SHOWN]
    ]
    columns = ("account", "region", "lists", "at least", "as last time", "least time", "by the limit of")
    title = "Requests in each account and region" + (", the slowest first" if len(rows) > 1 else "")
    out.print(table_of(columns, rows, title=title, numbers=columns[2:6]))
    _print_more(out, len(slowest), "accounts and regions")


def _seconds(target: Mapping[str, Any]) -> float:
    expected: float | None = target["expected_seconds"]
    return float(target["least_seconds"]) if expected is None else expected


def _print_more(out: Console, number: int, what: str) -> None:
    if number > _MAX_SHOWN:
        out.print(f"… and {number - _MAX_SHOWN:,} more {what}; --json has them all.")


def _print_tables(out: Console, value: Mapping[str, Any], catalog: Catalog) -> None:
    """Tables as a tree, and what the last snapshot has of them."""
    entries = {entry["table"]: entry for entry in value["tables"]}
    rows = []
    for branch in branches(catalog, entries):
        entry = entries[branch.table]
        name = safe(branch.table, "" if entry["written"] else "dim")
        last = "?" if entry["last_rows"] is None else f"{entry['last_rows']:,}"
        note = "" if entry["written"] else "walked, not written"
        rows.append((Text(branch.lead, "dim") + name, entry["scopes"], last, note))
    title = "Tables; below another one, a list for each of its rows"
    columns = ("table", "scopes", "last rows", "")
    out.print(table_of(columns, rows, title=title, numbers=columns[1:3]))


def _print_totals(out: Console, value: Mapping[str, Any]) -> None:
    places = f"{value['targets']:,} targets, {value['scopes']:,} scopes"
    out.print(Text(places, "bold"), safe(f"into {value['output']}"), soft_wrap=True)
    out.print(
        f"At least {value['least_requests']:,} requests for the root lists, in {duration_text(value['least_seconds'])} "
        "or more by the rate limits; lists below them come on top, one or more for each row of their parents.",
        soft_wrap=True,
    )
    _print_last(out, value)
    besides = ", ".join(f"{number:,} {name}" for name, number in value["discovery_requests"].items() if number)
    out.print(f"Besides, to find out who the accounts are and where: {besides}, as this plan has sent.", soft_wrap=True)
    requests = value["least_requests"] if value["last_snapshot"] is None else value["expected_requests"]
    limits = "; ".join(f"{key} {rule['rate']:g}/s, burst {rule['burst']}" for key, rule in value["rate_limits"].items())
    out.print(f"Rate limits in each account and region: {limits}.", soft_wrap=True)
    out.print(
        f"At most {value['concurrency']} requests are in flight: for every second that an answer takes, "
        f"{requests:,} of them take {duration_text(requests / value['concurrency'])}.",
        soft_wrap=True,
    )


def _print_last(out: Console, value: Mapping[str, Any]) -> None:
    """What the last snapshot makes of it."""
    last = value["last_snapshot"]
    if last is None:
        out.print("There is no snapshot to go by, which would tell how many those are.", soft_wrap=True)
        return
    least = duration_text(value["expected_seconds"])
    out.print(
        f"As last time: {value['expected_requests']:,} requests, in {least} or more, by snapshot",
        safe(f"{last['snapshot_id']}, {_age_text(last['age_seconds'])} old,"),
        status_text(last["status"]) + ".",
        soft_wrap=True,
    )
    parts = [f"It knows {last['known_scopes']:,} of the scopes"]
    if last["estimated_scopes"]:
        parts.append(f"estimated, with one request a list: {last['estimated_scopes']:,}")
    if last["unknown_scopes"]:
        parts.append(f"not counted, since it doesn't know their parents' rows either: {last['unknown_scopes']:,}")
    if len(parts) > 1:
        out.print("; ".join(parts) + ".", soft_wrap=True)


def _age_text(seconds: float) -> str:
    return duration_text(seconds) if seconds < 2 * _DAY_S else f"{seconds // _DAY_S:.0f} days"


@click.command()
@config_option
@click.option("--account", "accounts", multiple=True, metavar="ID", help="Only this account; repeatable.")
@click.option("--region", "regions", multiple=True, metavar="ID", help="Only this region; repeatable.")
@click.option("--table", "patterns", multiple=True, metavar="PATTERN", help="Only tables that match; repeatable.")
@json_option
@output_options
@click.pass_obj
def plan(
    output: OutputOptions,
    config_file: Path | None,
    accounts: tuple[str, ...],
    regions: tuple[str, ...],
    patterns: tuple[str, ...],
    as_json: bool,
) -> None:
    """What a crawl would do: targets, tables, rate limits, and the least time that they allow.

    Tells the requests of each account and region: those that are sure, and what they come to by the counts of the last
    snapshot in [output]. Asks only who the accounts and the organization's members are and where the products are.
    """
    from crawler.cli import plan as planning
    from crawler.config.resolve import open_catalog

    config = load(config_file).with_overrides(accounts=accounts, regions=regions, tables=patterns)
    output.start_logging()
    catalog = open_catalog(config)
    value = run_async(lambda: planning.plan_value(config, catalog))
    if as_json:
        show_json(value)
    else:
        planning.print_plan(value, catalog)
