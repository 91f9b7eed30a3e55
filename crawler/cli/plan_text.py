"""The text of `plan`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from crawler.catalog.model import Catalog
from crawler.cli.crawl_summary import print_not_offered, print_skipped_members
from crawler.cli.gap_text import print_accepted
from crawler.cli.plan_values import unasked_text
from crawler.cli.render import console, counted, duration_text, print_aligned, safe, status_text
from crawler.cli.screen import Screen
from crawler.cli.tables.describe import tree_rows
from crawler.text import account_label

_MAX_SHOWN = 20
_DAY_S = 86_400


def print_plan(value: Mapping[str, Any], catalog: Catalog) -> None:
    """Print the plan. `catalog` must be the one of `plan_value`."""
    out = console()
    _print_accounts(out, value["accounts"])
    print_skipped_members(out, value["directory"], value["left_out"])
    _print_hosts(out, value["hosts"])
    print_not_offered(out, value["not_offered"])
    if unasked := unasked_text(value["products_not_asked"]):
        out.print(safe(f"{unasked[0].upper()}{unasked[1:]}."), soft_wrap=True)
    _print_targets(out, value)
    _print_tables(out, value, catalog)
    print_accepted(out, value["accepted"], "scopes")
    for warning in value["warnings"]:
        out.print(Text("warning ", "yellow") + safe(warning), soft_wrap=True)
    _print_totals(out, value)


def _print_accounts(out: Screen, accounts: Sequence[Mapping[str, Any]]) -> None:
    """Print the accounts. Those that can't be crawled come first."""
    rows = [
        (
            account_label(entry["account_id"], entry["account_name"]),
            len(entry["regions"]),
            safe(entry["refusal"], "red") if entry["refusal"] else " ".join(entry["regions"]),
        )
        for entry in sorted(accounts, key=lambda entry: not entry["refusal"])
    ]
    print_aligned(out, ("account", "regions", ""), rows[:_MAX_SHOWN], numbers=("regions",), folding=("",))
    _print_more(out, len(rows), "accounts")


def _print_hosts(out: Screen, hosts: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
    """Print where the requests go: one row for each form of a product's URL."""
    rows = [(product, url, len(ids), " ".join(ids)) for product, urls in hosts.items() for url, ids in urls.items()]
    columns = ("product", "host", "regions", "")
    print_aligned(out, columns, rows, numbers=("regions",), folding=("",), expendable=("regions", ""))


def _print_targets(out: Screen, value: Mapping[str, Any]) -> None:
    """Print the slowest targets. The crawl takes as long as the first one."""
    has_history = value["last_snapshot"] is not None
    basis = "expected" if has_history else "at_least"
    asked = [target for target in value["per_target"] if not target["refused"]]
    names = {entry["account_id"]: entry["account_name"] for entry in value["accounts"]}
    slowest = sorted(asked, key=lambda target: (-_seconds(target), -target[f"requests_{basis}"]))
    rows = [
        (
            account_label(target["account_id"], names[target["account_id"]]),
            target["region_id"],
            f"{target[f'lists_{basis}']:,}",
            f"{target['requests_at_least']:,}",
            f"{target['requests_expected']:,}" if has_history else "?",
            duration_text(_seconds(target)),
            target["bucket"] or "",
        )
        for target in slowest[:_MAX_SHOWN]
    ]
    columns = ("account", "region", "lists", "at least", "expected", "least time", "limited by")
    title = "Requests per account and region" + (", slowest first" if len(rows) > 1 else "")
    expendable = ("limited by", "lists", "at least") if has_history else ("limited by", "lists", "expected")
    print_aligned(out, columns, rows, title=title, numbers=columns[2:6], expendable=expendable)
    _print_more(out, len(slowest), "accounts and regions")


def _seconds(target: Mapping[str, Any]) -> float:
    expected: float | None = target["expected_seconds"]
    return float(target["least_seconds"]) if expected is None else expected


def _print_more(out: Screen, number: int, noun: str) -> None:
    if number > _MAX_SHOWN:
        out.print(f"… and {number - _MAX_SHOWN:,} more {noun}; --json lists all.")


def _print_tables(out: Screen, value: Mapping[str, Any], catalog: Catalog) -> None:
    """Print the tables as a tree, with the row counts of the last snapshot."""
    entries = {entry["table"]: entry for entry in value["tables"]}
    rows = []
    for node in tree_rows(catalog, entries):
        entry = entries[node.table]
        name = safe(node.table, "" if entry["written"] else "dim")
        last = "?" if entry["last_rows"] is None else f"{entry['last_rows']:,}"
        note = "" if entry["written"] else "requested, not written"
        rows.append((Text(node.lead, "dim") + name, entry["scopes"], last, note))
    title = "Tables; a table below another one has one list per row of it"
    columns = ("table", "scopes", "last rows", "")
    print_aligned(out, columns, rows, title=title, numbers=columns[1:3], folding=("",), expendable=("", "scopes"))


def _print_totals(out: Screen, value: Mapping[str, Any]) -> None:
    size = f"{counted(value['targets'], 'target')}, {counted(value['scopes'], 'scope')}"
    out.print(Text(size, "bold"), safe(f"into {value['output']}"), soft_wrap=True)
    out.print(
        f"At least {counted(value['least_requests'], 'request')} for the root lists, which take "
        f"{duration_text(value['least_seconds'])} or more under the rate limits. Lists below them are additional: one "
        "or more per row of their parents.",
        soft_wrap=True,
    )
    _print_previous(out, value)
    discovery = ", ".join(f"{number:,} {name}" for name, number in value["discovery_requests"].items() if number)
    out.print(
        f"Plus requests to identify accounts and regions: {discovery} (this command sent them, too).",
        soft_wrap=True,
    )
    requests = value["least_requests"] if value["last_snapshot"] is None else value["expected_requests"]
    limits = "; ".join(f"{key} {rule['rate']:g}/s, burst {rule['burst']}" for key, rule in value["rate_limits"].items())
    out.print(f"Rate limits per account and region: {limits}.", soft_wrap=True)
    verb = "takes" if requests == 1 else "take"
    out.print(
        f"With {value['concurrency']} concurrent requests, {counted(requests, 'request')} {verb} "
        f"{duration_text(requests / value['concurrency'])} per second of response time.",
        soft_wrap=True,
    )


def _print_previous(out: Screen, value: Mapping[str, Any]) -> None:
    """Print the estimate from the last snapshot."""
    last = value["last_snapshot"]
    if last is None:
        out.print("There is no snapshot yet to estimate their number.", soft_wrap=True)
        return
    least, requests = duration_text(value["expected_seconds"]), counted(value["expected_requests"], "request")
    out.print(
        f"Expected: {requests}, which take {least} or more; estimated from snapshot",
        safe(f"{last['snapshot_id']}, {_age_text(last['age_seconds'])} old,"),
        status_text(last["status"]) + ".",
        soft_wrap=True,
    )
    known, estimated, unknown = (last[f"{kind}_scopes"] for kind in ("known", "estimated", "unknown"))
    parts = [f"{known:,} are known from that snapshot"]
    if estimated:
        parts.append(f"{estimated:,} estimated with one request per list")
    if unknown:
        parts.append(f"{unknown:,} not included (their parents' row counts are unknown)")
    if len(parts) > 1:
        out.print(f"Of {counted(known + estimated + unknown, 'scope')}, {', '.join(parts)}.", soft_wrap=True)


def _age_text(seconds: float) -> str:
    return duration_text(seconds) if seconds < 2 * _DAY_S else f"{seconds // _DAY_S:.0f} days"
