"""Scopes that aren't whole, as text: grouped by cause, accounts with their names, many tables as one phrase."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table

from crawler.cli.render import counted, print_aligned, safe, status_text
from crawler.cli.screen import Screen
from crawler.text import account_label, gap_note

# One value per field of a scope, as `crawl_summary.reason_value` returns it.
Reason = Mapping[str, str]
# The accounts, regions and tables that share a cause, and the cause: one status, one reason, and one note.
ScopeGroup = tuple[tuple[str, ...], ...]
_ACCOUNTS, _REGIONS, _TABLES, _WHY = 0, 1, 2, 4
_PARENT = re.compile(r"Its parent \w+ is \w+: ")
# In place of an account and a region while reasons are compared. No service sends characters of this range.
_ACCOUNT_MARK, _REGION_MARK = "\ue000", "\ue001"
_MAX_ACCOUNTS = 10
_MAX_RULES = 40
# Fewer tables of a product are named one by one.
_LEAST_SUMMED = 4


def print_gaps(
    out: Screen,
    reasons: Sequence[Reason],
    groups: Sequence[Mapping[str, Any]],
    *,
    total: int,
    accepted: int,
    known: Iterable[str],
    at: datetime,
) -> None:
    """Print the incomplete scopes: one by one if `reasons` are all of them, else by the groups of the summary."""
    if total > len(reasons) and groups:
        print_groups(out, groups, at)
        reasons, total = [row for row in reasons if row.get("accepted_until")], accepted
    print_scopes(out, reasons, total=total, known=known, at=at)


def print_scopes(
    out: Screen,
    reasons: Sequence[Reason],
    title: str = "Not complete",
    total: int = 0,
    *,
    known: Iterable[str] = (),
    at: datetime | None = None,
) -> None:
    """Print incomplete scopes with their reasons, the accepted ones last. Scopes with the same reason are grouped.

    `total` is larger than the number of reasons if these are only the first. `known` are all tables of the snapshot,
    and `at` is its start, from which the age of a gap counts.
    """
    tables = {*known, *(row["table"] for row in reasons)}
    accepted = [row for row in reasons if row.get("accepted_until")]
    others = [row for row in reasons if not row.get("accepted_until")]
    more = max(total - len(reasons), 0)
    # Which of the scopes beyond the first are accepted is in the ledger only.
    _print_group(out, others, title, tables, at, 0 if accepted else more)
    _print_group(out, accepted, "Accepted gaps", tables, at, more if accepted else 0)


def _print_group(
    out: Screen, reasons: Sequence[Reason], title: str, tables: Collection[str], at: datetime | None, more: int
) -> None:
    if not reasons:
        return
    names = {row["account_id"]: row.get("account_name", "") for row in reasons}
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for accounts, regions, affected, (status,), (why,), (note,) in causes(reasons, at):
        grid.add_row(status_text(status), safe(why))
        if note:
            grid.add_row("", safe(note))
        grid.add_row("", safe(f"{accounts_text(accounts, names)} in {', '.join(regions)}"))
        grid.add_row("", safe(tables_text(affected, tables), "bold"))
    number = len(reasons) + more
    out.print(safe(f"{title}: {counted(number, 'scope')}", "bold"))
    out.print(grid)
    if more:
        out.print(f"… and {more:,} more; the ledger has all: `query` shows it as _scopes.")
    out.print()


def print_groups(out: Screen, groups: Sequence[Mapping[str, Any]], at: datetime) -> None:
    """Print incomplete scopes by the groups of a summary, which count all of them. `at` is the start of the crawl."""
    if not groups:
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for group in groups:
        code, others = group["error_code"], group["messages"] - 1
        why = f"{code}: {group['message']}" if code else group["message"]
        grid.add_row(status_text(group["status"]), safe(why))
        if others:
            grid.add_row("", safe(f"and {counted(others, 'other message')} with this code"))
        if note := _note(group, at):
            grid.add_row("", safe(note))
        labels = [account_label(*pair) for pair in zip(group["account_ids"], group["account_names"], strict=True)]
        accounts = _first_text(labels, group["accounts"], "account")
        grid.add_row("", safe(f"{accounts} in {_first_text(group['region_ids'], group['regions'], 'region')}"))
        grid.add_row("", safe(_first_text(group["table_names"], group["tables"], "table"), "bold"))
    out.print(safe(f"Not complete: {counted(sum(group['scopes'] for group in groups), 'scope')}", "bold"))
    out.print(grid)
    out.print("The ledger has each of them: `query` shows it as _scopes.")
    out.print()


def _first_text(names: Sequence[str], number: int, noun: str) -> str:
    more = number - len(names)
    return f"{', '.join(names)} and {counted(more, f'more {noun}')}" if more > 0 else ", ".join(names)


def print_accepted(out: Screen, rules: Sequence[Mapping[str, Any]], number_column: str) -> None:
    """Print the rules of `[[accepted]]`. `number_column` is the name of the column with the number of scopes."""
    rows = [
        (rule["account"], rule["region"], rule["table"], rule["until"], f"{rule['scopes']:,}", rule["reason"])
        for rule in rules[:_MAX_RULES]
    ]
    if not rows:
        return
    columns = ("account", "region", "tables", "until", number_column, "reason")
    title = "Rules of [[accepted]]: their gaps count as complete"
    print_aligned(out, columns, rows, title=title, numbers=(number_column,), folding=("reason",), names=("tables",))
    if len(rules) > _MAX_RULES:
        out.print(f"… and {len(rules) - _MAX_RULES:,} more rules; --json lists all.")


def accounts_text(accounts: Sequence[str], names: Mapping[str, str]) -> str:
    """Return the accounts with their names, and the number of those beyond ten."""
    shown = ", ".join(account_label(account, names.get(account, "")) for account in accounts[:_MAX_ACCOUNTS])
    more = len(accounts) - _MAX_ACCOUNTS
    return f"{shown} and {more:,} more accounts" if more > 0 else shown


def tables_text(tables: Collection[str], known: Collection[str]) -> str:
    """Return the names of tables, or `all 53 tables` and `all 17 fc_* tables` if they are all of those known."""
    if len(tables) >= _LEAST_SUMMED and set(tables) >= set(known):
        return f"all {len(tables)} tables"
    of_product: dict[str, set[str]] = defaultdict(set)
    for table in known:
        of_product[_prefix(table)].add(table)
    found: dict[str, list[str]] = defaultdict(list)
    for table in tables:
        found[_prefix(table)].append(table)
    parts: list[str] = []
    for prefix, names in found.items():
        is_all = len(names) >= _LEAST_SUMMED and set(names) >= of_product[prefix]
        parts += [f"all {len(names)} {prefix}_* tables"] if is_all else names
    return ", ".join(parts)


def causes(reasons: Iterable[Reason], at: datetime | None = None) -> list[ScopeGroup]:
    """Group incomplete scopes by cause: one cause often affects many tables, regions and accounts."""
    ordered = sorted(reasons, key=lambda row: (row["account_id"], row["region_id"]))
    found: list[ScopeGroup] = [
        (
            (row["account_id"],),
            (row["region_id"],),
            (row["table"],),
            (row["status"],),
            (_why(row),),
            (_note(row, at),),
        )
        for row in ordered
    ]
    found = _with_all_products(_merged(_merged(found, _TABLES), _REGIONS))
    return [_named(cause) for cause in _merged(found, _ACCOUNTS)]


def _note(row: Reason, at: datetime | None) -> str:
    since = row.get("incomplete_since", "")
    accepted = row.get("accepted_until", ""), row.get("accepted_reason", "")
    return gap_note(datetime.fromisoformat(since) if since else None, at, *accepted)


def _merged(found: Iterable[ScopeGroup], index: int) -> list[ScopeGroup]:
    """Merge causes that differ at this index only."""
    merged: dict[tuple[ScopeGroup, ScopeGroup], list[str]] = {}
    for cause in found:
        merged.setdefault((cause[:index], cause[index + 1 :]), []).extend(cause[index])
    return [(*before, tuple(values), *after) for (before, after), values in merged.items()]


def _with_all_products(found: Sequence[ScopeGroup]) -> list[ScopeGroup]:
    """Merge the causes of an account that differ by products only: not every region has each product."""
    groups: dict[tuple[ScopeGroup, ScopeGroup], list[ScopeGroup]] = {}
    for cause in found:
        groups.setdefault((cause[:_REGIONS], cause[_TABLES + 1 :]), []).append(cause)
    merged: list[ScopeGroup] = []
    for (account, rest), group in groups.items():
        regions = tuple(dict.fromkeys(region for cause in group for region in cause[_REGIONS]))
        tables = tuple(dict.fromkeys(table for cause in group for table in cause[_TABLES]))
        if len(group) > 1 and all(_has_whole_products(cause[_TABLES], tables) for cause in group):
            merged.append((*account, tuple(sorted(regions)), tables, *rest))
        else:
            merged += group
    return merged


def _has_whole_products(tables: Collection[str], all_tables: Collection[str]) -> bool:
    """Return whether the tables are all of their products."""
    prefixes = set(map(_prefix, tables))
    return set(tables) == {table for table in all_tables if _prefix(table) in prefixes}


def _prefix(table: str) -> str:
    return table.partition("_")[0]


def _why(row: Reason) -> str:
    """Return the reason without the parent's name, and with marks in place of the scope's account and region."""
    message = _PARENT.sub("", row["error_message"], count=1)
    for key, mark in (("account_id", _ACCOUNT_MARK), ("region_id", _REGION_MARK)):
        message = re.sub(rf"(?<![\w-]){re.escape(row[key])}(?![\w-])", mark, message)
    return f"{row['error_code']}: {message}" if row["error_code"] else message


def _named(cause: ScopeGroup) -> ScopeGroup:
    """Return the cause with an account and a region in its reason: of several, the first."""
    why = cause[_WHY][0]
    for index, mark in ((_ACCOUNTS, _ACCOUNT_MARK), (_REGIONS, _REGION_MARK)):
        why = why.replace(mark, cause[index][0])
    return (*cause[:_WHY], (why,), *cause[_WHY + 1 :])
