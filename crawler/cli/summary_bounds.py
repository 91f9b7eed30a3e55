"""Bounds the summary of a crawl: journald, Docker and CRI cut or split a line of the log from 16 KiB on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from crawler.clock import iso_utc

if TYPE_CHECKING:
    from crawler.snapshot.causes import Cause

# Below 16 KiB, with room for what a logger puts before the line.
MAX_LINE_BYTES = 15 * 1024
MAX_SCOPES = 50
MAX_GROUPS = 50
_ACCOUNTS, _REGIONS, _TABLES, _WARNING_CHARACTERS = 5, 10, 10, 500
# The lists of a summary, those that are shortened first in front.
_SHORTENED = (
    ("scopes", "not_complete"),
    ("accepted",),
    ("misfit_fields",),
    ("unknown_fields",),
    ("left_out",),
    ("warnings",),
    ("selection", "accounts"),
    ("selection", "tables"),
    ("selection", "regions"),
    ("not_offered",),
    ("tables",),
    ("scopes", "groups"),
)


def group_values(causes: Iterable[Cause]) -> list[dict[str, Any]]:
    """Return the largest groups of scopes that aren't whole as JSON values: at most `MAX_GROUPS`."""
    return [_group_value(cause) for _, cause in zip(range(MAX_GROUPS), causes, strict=False)]


def _group_value(cause: Cause) -> dict[str, Any]:
    return {
        "status": str(cause.status),
        "error_code": cause.error_code,
        "message": cause.message,
        "messages": cause.messages,
        "scopes": cause.scopes,
        "incomplete_since": iso_utc(cause.incomplete_since) if cause.incomplete_since is not None else None,
        "accounts": len(cause.accounts),
        "account_ids": sorted(cause.accounts)[:_ACCOUNTS],
        "account_names": [cause.accounts[account] for account in sorted(cause.accounts)[:_ACCOUNTS]],
        "regions": len(cause.regions),
        "region_ids": sorted(cause.regions)[:_REGIONS],
        "tables": len(cause.tables),
        "table_names": sorted(cause.tables)[:_TABLES],
    }


def with_few_scopes(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary with the first scopes that aren't whole only; the groups and the ledger have all."""
    scopes = summary["scopes"]
    return {**summary, "scopes": {**scopes, "not_complete": scopes["not_complete"][:MAX_SCOPES]}}


def fit_line(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a summary whose JSON fits into a line of a log. `omitted` counts what was left out, by the list's name."""
    fitting = dict(value)
    if _size(fitting) <= MAX_LINE_BYTES:
        return fitting
    omitted: dict[str, int] = {}
    for prefix, part in (("", fitting), ("run.", fitting.get("run"))):
        if isinstance(part, dict):
            at = fitting
            if prefix:
                fitting["run"] = at = dict(part)
            at["warnings"] = [str(text)[:_WARNING_CHARACTERS] for text in at.get("warnings", ())]
            for path in _SHORTENED:
                if _size(fitting) + _size(omitted) > MAX_LINE_BYTES:
                    _shorten(fitting, omitted, at, path, prefix)
    fitting["omitted"] = omitted
    return fitting


def _shorten(
    line: Mapping[str, Any], omitted: dict[str, int], at: dict[str, Any], path: tuple[str, ...], prefix: str
) -> None:
    """Shorten one list of `at`, which is the line or a part of it, until the line fits or the list is empty."""
    holder: Any = at
    for step in path[:-1]:
        holder = holder.get(step)
        if not isinstance(holder, dict):
            return
    whole = holder.get(path[-1])
    if not isinstance(whole, list | dict) or not whole:
        return
    if len(path) > 1:
        at[path[0]] = holder = dict(holder)
    ranked = _ranked(path, whole)
    kept = len(ranked)
    while kept and _size(line) + _size(omitted) > MAX_LINE_BYTES:
        kept //= 2
        holder[path[-1]] = ranked[:kept] if isinstance(whole, list) else dict(ranked[:kept])
        omitted[prefix + ".".join(path)] = len(ranked) - kept


def _ranked(path: tuple[str, ...], whole: Any) -> list[Any]:
    """Return the entries, those that say the most first: of tables the incomplete ones, then the largest."""
    if isinstance(whole, list):
        return whole
    entries = list(whole.items())
    if path != ("tables",):
        return entries
    return sorted(entries, key=lambda entry: (entry[1]["scopes_complete"] == entry[1]["scopes"], -entry[1]["rows"]))


def _size(value: Any) -> int:
    from crawler.cli.echo import json_text

    return len(json_text(value).encode("ascii", "backslashreplace"))  # stderr may have no other characters
