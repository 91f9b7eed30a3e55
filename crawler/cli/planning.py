"""What a crawl would do, without doing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from crawler.catalog import Catalog
from crawler.cli.render import console, duration_text, rule_text, safe, table_of
from crawler.config import Config
from crawler.ratelimit import LimitRule, least_time_s
from crawler.run import make_plans, open_catalog
from crawler.scheduler import TargetPlan
from crawler.session import Surroundings, limit_rules, open_session


async def plan_value(config: Config, surroundings: Surroundings | None = None) -> dict[str, Any]:
    """The plan as JSON values. Sends GetCallerIdentity and DescribeRegions only. Raises as `run.make_plans` does."""
    surroundings, catalog = surroundings or Surroundings(), open_catalog(config)
    tables = catalog.select(config.crawl.tables, config.crawl.exclude)
    async with open_session(config, catalog, surroundings) as session:
        plans = await make_plans(session, surroundings, tables)
        overhead = {name: tally.requests for name, tally in session.overhead.items()}
    rules = limit_rules(config, catalog)
    return {
        "accounts": _accounts(plans),
        "targets": len(plans),
        "scopes": sum(len(plan.tables) for plan in plans),
        "tables": [_table_value(catalog, plans, table, rules, written=table in tables) for table in _all_tables(plans)],
        "least_requests": sum(_root_lists(catalog, plan) for plan in plans),
        "least_seconds": round(max((_least_s(catalog, plan, rules) for plan in plans), default=0.0), 1),
        "discovery_requests": overhead,
        "output": config.output.uri,
    }


def _accounts(plans: Sequence[TargetPlan]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for plan in plans:
        refusal = f"{plan.refusal[0]}: {plan.refusal[1]}" if plan.refusal else ""
        account_id = plan.target.account_id
        entry = found.setdefault(account_id, {"account_id": account_id, "regions": [], "refusal": refusal})
        entry["regions"].append(plan.target.region_id)
    return [{**entry, "regions": sorted(entry["regions"])} for entry in found.values()]


def _all_tables(plans: Sequence[TargetPlan]) -> list[str]:
    return list(dict.fromkeys(table for plan in plans for table in plan.tables))


def _table_value(
    catalog: Catalog, plans: Sequence[TargetPlan], table: str, rules: Mapping[str, LimitRule], *, written: bool
) -> dict[str, Any]:
    operation = catalog.operations[table]
    return {
        "table": table,
        "operation": f"{operation.product} {operation.action}",
        "scopes": sum(table in plan.tables for plan in plans),
        "written": written,
        "parents": list(operation.parent_tables),
        "rate_limit": rule_text(catalog, table, rules),
    }


def _root_lists(catalog: Catalog, plan: TargetPlan) -> int:
    return sum(not catalog.operations[table].parents for table in plan.tables) if plan.refusal is None else 0


def _least_s(catalog: Catalog, plan: TargetPlan, rules: Mapping[str, LimitRule]) -> float:
    """One request for each root list, in each product's bucket."""
    lists = Counter(catalog.operations[t].product for t in plan.tables if not catalog.operations[t].parents)
    return max((least_time_s(n, rules.get(key, rules["default"])) for key, n in lists.items()), default=0.0)


def print_plan(value: Mapping[str, Any]) -> None:
    """The plan for people."""
    out = console()
    accounts = [
        (
            entry["account_id"],
            len(entry["regions"]),
            safe(entry["refusal"], "red") if entry["refusal"] else " ".join(entry["regions"]),
        )
        for entry in value["accounts"]
    ]
    out.print(table_of(("account", "regions", ""), accounts, numbers=("regions",)))
    rows = [
        (
            safe(entry["table"], "" if entry["written"] else "dim"),
            entry["operation"],
            entry["scopes"],
            "a list per row of " + ", ".join(entry["parents"]) if entry["parents"] else "one list",
            entry["rate_limit"],
            "" if entry["written"] else "walked, not written",
        )
        for entry in value["tables"]
    ]
    out.print(table_of(("table", "operation", "scopes", "each", "rate limit", ""), rows, numbers=("scopes",)))
    out.print(
        Text(f"{value['targets']} targets, {value['scopes']} scopes", "bold"),
        safe(f"into {value['output']}"),
        soft_wrap=True,
    )
    out.print(
        f"At least {value['least_requests']:,} requests for the root lists, in {duration_text(value['least_seconds'])} "
        "or more by the rate limits; lists below them come on top, one or more for each row of their parents.",
        soft_wrap=True,
    )
