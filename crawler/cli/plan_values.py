"""The JSON values of `plan`: targets, tables, rate limits, and the requests that a crawl would send."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio.to_thread
import msgspec

from crawler.catalog.model import Catalog
from crawler.cli.crawl_summary import directory_value, skipped_member_values
from crawler.cli.render import duration_text, rule_text
from crawler.client.rate_limit import LimitRule
from crawler.clock import iso_utc
from crawler.config import Config
from crawler.config.resolve import ResolvedConfig
from crawler.errors import OutputError
from crawler.run.accepted import AcceptedRules
from crawler.run.forecast import LEDGER_COLUMNS, Forecast, TargetForecast, forecast
from crawler.run.output import open_location
from crawler.run.plan import CrawlPlan, make_plan
from crawler.run.regions import host_patterns
from crawler.run.selection import selection_of
from crawler.run.session import Session, open_session
from crawler.run.system import System
from crawler.run.targets import TargetPlan
from crawler.snapshot import Manifest, OutputLocation, StoredLedger, list_snapshots, read_ledger, read_manifest
from crawler.snapshot.ledger_file import KNOWN


@dataclass(frozen=True, slots=True)
class _PreviousSnapshot:
    """The newest snapshot, complete or not, with its ledger; or a warning that it can't be read."""

    manifest: Manifest | None = None
    ledger: StoredLedger | None = None
    warning: str = ""


async def plan_value(resolved: ResolvedConfig, system: System | None = None) -> dict[str, Any]:
    """Return the plan as JSON values.

    Sends only GetCallerIdentity and DescribeRegions, and with [organization] ListAccounts and AssumeRole. Raises the
    errors of `run.plan.make_plan`. If the previous snapshot can't be read, the plan has a warning.
    """
    system = system or System()
    config, catalog, rules = resolved.config, resolved.catalog, resolved.limit_rules
    previous = await _load_previous(config, system)
    async with open_session(resolved, system) as session:
        plan = await make_plan(session)
        overhead = {name: tally.requests for name, tally in session.overhead.items()}
        places = _place_values(plan, session)
    previous, found = _forecast(resolved, plan.targets, previous)
    accepted, accepted_warnings = _accepted_values(config, plan.targets, system.clock.now())
    return {
        **_target_values(plan, config),
        **places,
        # --table narrows this plan only: it isn't news that it leaves products out.
        "products_not_asked": {} if _is_narrowed_to_tables(resolved) else unasked_values(resolved),
        "tables": _table_values(catalog, plan.targets, rules, found, resolved.tables),
        "rate_limits": _limit_values(catalog, plan.targets, rules, resolved.details),
        **_totals(found),
        "accepted": accepted,
        "discovery_requests": overhead,
        "concurrency": config.crawl.concurrency,
        "last_snapshot": _previous_value(previous, found, system.clock.now()),
        "per_target": [_target_value(target) for target in found.targets],
        "warnings": [*catalog.warnings, *session.warnings, *_warnings(config, previous, found), *accepted_warnings],
    }


async def _load_previous(config: Config, system: System) -> _PreviousSnapshot:
    try:
        location = await open_location(config.output.uri, system, config)
        return await anyio.to_thread.run_sync(_read_previous, location)
    except OutputError as error:
        return _unusable(error)


def _unusable(error: OutputError) -> _PreviousSnapshot:
    return _PreviousSnapshot(warning=f"the previous snapshot can't be used for the estimate: {error}")


def _read_previous(root: OutputLocation) -> _PreviousSnapshot:
    """Read the newest snapshot that no option narrowed; a narrowed one if there are only such."""
    found = list_snapshots(root)
    chosen = next((entry for entry in found if entry.selection is None), found[0] if found else None)
    if chosen is None:
        return _PreviousSnapshot()
    manifest = read_manifest(root, chosen.snapshot_id)
    return _PreviousSnapshot(manifest, read_ledger(root, manifest))


def _forecast(
    resolved: ResolvedConfig, plans: Sequence[TargetPlan], previous: _PreviousSnapshot
) -> tuple[_PreviousSnapshot, Forecast]:
    """Return the forecast, and the snapshot that it uses: none if its ledger can't be read."""
    rows = previous.ledger.rows(LEDGER_COLUMNS, KNOWN) if previous.ledger is not None else None
    terms = resolved.details, resolved.parameter_settings
    try:
        return previous, forecast(plans, resolved.catalog, resolved.limit_rules, rows, *terms)
    except OutputError as error:
        return _unusable(error), forecast(plans, resolved.catalog, resolved.limit_rules, None, *terms)


def _is_narrowed_to_tables(resolved: ResolvedConfig) -> bool:
    selection = selection_of(resolved)
    return selection is not None and selection.tables is not None


def unasked_values(resolved: ResolvedConfig) -> dict[str, dict[str, Any]]:
    """Return the products of which no table is read: key → title, number of tables, the pattern that chooses them."""
    catalog, found = resolved.catalog, {}
    for product in catalog.unasked_products(resolved.tables):
        pattern = f"{product.prefix}*"
        tables = sum(catalog.operations[table].selection == "default" for table in catalog.matching(pattern))
        found[product.key] = {"title": product.title, "tables": tables, "pattern": pattern}
    return found


def unasked_text(unasked: Mapping[str, Mapping[str, Any]]) -> str:
    """Return which products aren't asked for and how to add them, as a sentence; empty without any."""
    if not unasked:
        return ""
    products = ", ".join(
        f"{entry['title']} ({entry['tables']} table{'s' * (entry['tables'] != 1)})" for entry in unasked.values()
    )
    patterns = ", ".join(f'"{entry["pattern"]}"' for entry in unasked.values())
    return f"not asked for: {products}; [crawl] tables chooses them by {patterns}"


def _target_values(plan: CrawlPlan, config: Config) -> dict[str, Any]:
    return {
        "accounts": _account_values(plan.targets),
        "targets": len(plan.targets),
        "scopes": sum(len(target.tables) for target in plan.targets),
        "directory": directory_value(plan.membership.directory),
        "left_out": skipped_member_values(plan.membership.left_out),
        "output": config.output.uri,
    }


def _place_values(plan: CrawlPlan, session: Session) -> dict[str, Any]:
    """Return where the requests go: product → URL pattern → regions, and the regions that a product doesn't have."""
    operations, places = (
        session.catalog.operations,
        {(target.target.region_id, target.tables) for target in plan.targets},
    )
    regions: dict[str, set[str]] = {product: set() for product in plan.products}
    for region_id, tables in places:
        for product in {operations[table].product for table in tables}:
            regions[product].add(region_id)
    patterns = {key: host_patterns(session.resolved.endpoints, key, found) for key, found in regions.items()}
    return {
        "hosts": {product: {url: list(ids) for url, ids in urls.items()} for product, urls in patterns.items()},
        "not_offered": {product: list(ids) for product, ids in plan.not_offered.items()},
    }


def _account_values(plans: Sequence[TargetPlan]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for plan in plans:
        refusal = f"{plan.refusal.code}: {plan.refusal.message}" if plan.refusal else ""
        account_id = plan.target.account_id
        entry = found.setdefault(
            account_id, {"account_id": account_id, "account_name": plan.account_name, "regions": [], "refusal": refusal}
        )
        entry["regions"].append(plan.target.region_id)
    return [{**entry, "regions": sorted(entry["regions"])} for entry in found.values()]


def _table_values(
    catalog: Catalog,
    plans: Sequence[TargetPlan],
    rules: Mapping[str, LimitRule],
    found: Forecast,
    written: Collection[str],
) -> list[dict[str, Any]]:
    """Return one entry per table, including parents that are requested but not written."""
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
    """Return the limits per account and region: those of products, and those of single operations within them."""
    keys: dict[str, None] = {}
    for table in dict.fromkeys(table for plan in plans for table in plan.tables):
        operation = catalog.operations[table]
        actions = [operation.action, *([operation.details.action] if operation.details and table in details else [])]
        own = [key for action in actions if (key := f"{operation.product}.{action}") in rules]
        keys.update(dict.fromkeys((operation.product, *own)))
    found = {key: rules.get(key, rules["default"]) for key in keys}
    return {key: {"rate": rule.rate, "burst": rule.burst} for key, rule in found.items()}


def _accepted_values(
    config: Config, plans: Sequence[TargetPlan], now: datetime
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rules of `[[accepted]]` that hold, with the scopes that they match, and the warnings about rules."""
    rules = AcceptedRules(config.accepted, now.astimezone(UTC).date())
    places = [(plan.target.account_id, plan.target.region_id, plan.tables) for plan in plans]
    values: list[dict[str, Any]] = msgspec.to_builtins(rules.entries(rules.matched(places)))
    unmatched = rules.unmatched_warnings(places) if config.in_file is None else []
    return values, [*rules.date_warnings(), *unmatched]


def _totals(found: Forecast) -> dict[str, Any]:
    sure, expected = found.minimum, found.expected
    return {
        "least_requests": sure.requests,
        "least_seconds": round(sure.least_s, 1),
        "expected_requests": expected.requests if expected else None,
        "expected_seconds": round(expected.least_s, 1) if expected else None,
    }


def _previous_value(previous: _PreviousSnapshot, found: Forecast, now: datetime) -> dict[str, Any] | None:
    """Return the snapshot of the estimate, and the number of the plan's scopes that it knows."""
    if previous.manifest is None:
        return None
    asked = [target for target in found.targets if not target.is_refused]
    estimated, unknown = sum(target.estimated for target in asked), sum(target.unknown for target in asked)
    return {
        "snapshot_id": previous.manifest.snapshot_id,
        "status": previous.manifest.status,
        "finished_at": iso_utc(previous.manifest.finished_at),
        "age_seconds": max(0, round((now - previous.manifest.finished_at).total_seconds())),
        "known_scopes": sum(target.scopes for target in asked) - estimated - unknown,
        "estimated_scopes": estimated,
        "unknown_scopes": unknown,
    }


def _target_value(found: TargetForecast) -> dict[str, Any]:
    sure, expected = found.minimum, found.expected
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


def _warnings(config: Config, previous: _PreviousSnapshot, found: Forecast) -> list[str]:
    warnings = [previous.warning] if previous.warning else []
    deadline_s, least_s = config.crawl.deadline_s, found.best.least_s
    if deadline_s and least_s > deadline_s:
        warnings.append(
            f"[crawl] deadline is {duration_text(deadline_s)}, but the rate limits allow the crawl in "
            f"{duration_text(least_s)} at the earliest: it would be incomplete"
        )
    return warnings
