"""What a crawl will send, and the least time in which the rate limits let it leave. No I/O.

Two loads are told for every target. What is sure before anything was asked: one request for each root list. And what
to expect: what the last crawl took, less its retries, which were its luck; what its ledger doesn't know is estimated
from the rows of the parents that it knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from crawler.catalog.model import Catalog, Operation, Parent
from crawler.client.rate_limit import LimitRule, TokenBuckets, least_time_s
from crawler.run.targets import Target, TargetPlan
from crawler.snapshot import ScopeRow
from crawler.snapshot.status import is_known

_Calls = Counter[tuple[str, str]]  # of a product and one of its actions
_ScopeKey = tuple[str, str, str]  # account, region, table


@dataclass(frozen=True, slots=True)
class Load:
    """Lists, the requests that they take, and the least time for them.

    `bucket` is the limit that makes it so: a product, or `product.Action`; empty where no burst is exceeded.
    """

    lists: int = 0
    requests: int = 0
    least_s: float = 0.0
    bucket: str = ""


@dataclass(frozen=True, slots=True)
class TargetForecast:
    """One account in one region. `expected` is None where there is no last crawl to go by.

    Of the `scopes`, `estimated` aren't in the last crawl's ledger and were made out from their parents, and `unknown`
    can't be: they count as nothing. A refused target sends nothing.
    """

    target: Target
    scopes: int
    is_refused: bool
    sure: Load
    expected: Load | None = None
    estimated: int = 0
    unknown: int = 0

    @property
    def best(self) -> Load:
        """What is expected, else what is sure."""
        return self.expected or self.sure


@dataclass(frozen=True, slots=True)
class Forecast:
    """All targets, in the plan's order, and the whole: targets run side by side, so its time is the slowest one's.

    `rows` is table → rows that the last crawl found in these targets, for the tables that it knows.
    """

    targets: tuple[TargetForecast, ...]
    rows: Mapping[str, int]
    sure: Load
    expected: Load | None

    @property
    def best(self) -> Load:
        """What is expected, else what is sure."""
        return self.expected or self.sure


@dataclass(frozen=True, slots=True)
class _Outlook:
    """What is expected of one scope. `rows` None: nobody knows; `details` are requests beside those of the list."""

    basis: Literal["known", "estimated", "unknown"]
    lists: int
    requests: int
    rows: int | None = None
    details: int = 0


def forecast(
    plans: Sequence[TargetPlan],
    catalog: Catalog,
    rules: Mapping[str, LimitRule],
    ledger: Iterable[ScopeRow] | None = None,
    details: Collection[str] = (),
    settings: Mapping[str, Sequence[str]] | None = None,
) -> Forecast:
    """What the crawl of these plans will take.

    `rules` as in `limits.limit_rules`; `ledger` is the last crawl's, None without one; `details` names the tables
    whose records are asked for one by one; `settings` are the configuration's own values of parameters, by key.
    """
    forecaster = _Forecaster(catalog, rules, ledger, details, settings or {})
    targets = tuple(forecaster.target(plan) for plan in plans)
    expected = [found.expected for found in targets if found.expected is not None]
    return Forecast(
        targets,
        forecaster.rows(plans),
        _side_by_side([found.sure for found in targets]),
        None if ledger is None else _side_by_side(expected),
    )


def rows_of(row: ScopeRow) -> int:
    """How many rows a scope has: those in the snapshot, or those seen where it was only walked."""
    return row.rows if row.written else row.rows_seen


def _side_by_side(loads: Sequence[Load]) -> Load:
    slowest = max(loads, key=lambda load: load.least_s, default=Load())
    lists, requests = sum(load.lists for load in loads), sum(load.requests for load in loads)
    return Load(lists, requests, slowest.least_s, slowest.bucket)


class _Forecaster:
    def __init__(
        self,
        catalog: Catalog,
        rules: Mapping[str, LimitRule],
        ledger: Iterable[ScopeRow] | None,
        details: Collection[str],
        settings: Mapping[str, Sequence[str]],
    ) -> None:
        self._catalog = catalog
        self._buckets = TokenBuckets(rules["default"], rules)
        self._known: dict[_ScopeKey, ScopeRow] | None = None if ledger is None else _known_rows(ledger)
        self._details = frozenset(details)
        self._settings = settings

    def target(self, plan: TargetPlan) -> TargetForecast:
        """One target's forecast."""
        scopes, has_history = len(plan.tables), self._known is not None
        if plan.refusal is not None:
            return TargetForecast(plan.target, scopes, True, Load(), Load() if has_history else None)
        roots = [
            self._catalog.operations[table] for table in plan.tables if not self._catalog.operations[table].parents
        ]
        sure = self._load(Counter((operation.product, operation.action) for operation in roots), len(roots))
        if not has_history:
            return TargetForecast(plan.target, scopes, False, sure)
        outlooks = self._outlooks(plan)
        bases = Counter(outlook.basis for outlook in outlooks.values())
        expected = self._load(self._calls(outlooks), sum(outlook.lists for outlook in outlooks.values()))
        return TargetForecast(plan.target, scopes, False, sure, expected, bases["estimated"], bases["unknown"])

    def rows(self, plans: Sequence[TargetPlan]) -> dict[str, int]:
        """Table → rows that are known in these targets."""
        counts: Counter[str] = Counter()
        for plan in plans:
            for table in plan.tables:
                if (row := self._row(plan.target, table)) is not None:
                    counts[table] += rows_of(row)
        return dict(counts)

    def _row(self, target: Target, table: str) -> ScopeRow | None:
        return self._known.get((target.account_id, target.region_id, table)) if self._known else None

    def _outlooks(self, plan: TargetPlan) -> dict[str, _Outlook]:
        found: dict[str, _Outlook] = {}
        for table in plan.tables:  # parents first
            operation, row = self._catalog.operations[table], self._row(plan.target, table)
            if row is not None:
                found[table] = _as_last_time(operation, row, has_details=table in self._details)
            else:
                found[table] = self._estimate(operation, found)
        return found

    def _estimate(self, operation: Operation, above: Mapping[str, _Outlook]) -> _Outlook:
        """One request a list: how many pages it has is unknown.

        Several parents mostly name the same lists, so that the one that names the most stands for all.
        """
        if not operation.parents:
            return _Outlook("estimated", 1, 1)
        lists = [self._lists_below(parent, above[parent.table]) for parent in operation.parents]
        counted = [number for number in lists if number is not None]
        return _Outlook("estimated", max(counted), max(counted)) if counted else _Outlook("unknown", 0, 0)

    def _lists_below(self, parent: Parent, above: _Outlook) -> int | None:
        """How many lists hang from a parent's rows; None where its rows aren't known."""
        if above.rows is None:
            return None
        own = self._settings.get(parent.setting, ())
        each = prod(len({*values, *own}) for values in parent.values.values())
        return each * _distinct(self._catalog.operations[parent.table], parent, above.rows, above.lists)

    def _calls(self, outlooks: Mapping[str, _Outlook]) -> _Calls:
        calls: _Calls = Counter()
        for table, outlook in outlooks.items():
            operation = self._catalog.operations[table]
            calls[operation.product, operation.action] += outlook.requests
            if operation.details is not None:
                calls[operation.product, operation.details.action] += outlook.details
        return calls

    def _load(self, calls: _Calls, lists: int) -> Load:
        """The slowest bucket's time: each product's takes all its calls, each operation's own is within it."""
        by_product: Counter[str] = Counter()
        for (product, _), number in calls.items():
            by_product[product] += number
        times = [(least_time_s(n, self._buckets.rule(key)), key) for key, n in by_product.items()]
        for (product, action), number in calls.items():
            rule = self._buckets.rule(product, action)
            times.append((least_time_s(number, rule), f"{product}.{action}"))
        least_s, bucket = max(times, key=lambda found: found[0], default=(0.0, ""))
        return Load(lists, calls.total(), least_s, bucket if least_s else "")


def _known_rows(ledger: Iterable[ScopeRow]) -> dict[_ScopeKey, ScopeRow]:
    """The scopes that were walked to their end, or to where the service had nothing more to say."""
    return {(row.account_id, row.region_id, row.table): row for row in ledger if is_known(row.status)}


def _as_last_time(operation: Operation, row: ScopeRow, *, has_details: bool) -> _Outlook:
    """A ledger's row counts the requests for its list and for its records' details together: pages tell them apart."""
    calls, rows = row.requests - row.retries, rows_of(row)
    had_details = operation.details is not None and f" + {operation.details.action}" in row.walk
    requests = min(calls, row.pages) if had_details else calls
    details = calls - requests if had_details else rows
    least = 0 if operation.parents else 1
    return _Outlook("known", max(least, row.lists), max(least, requests), rows, details if has_details else 0)


def _distinct(above: Operation, parent: Parent, rows: int, lists: int) -> int:
    """How many different values the parent's rows can give at most; a column that holds several counts as one."""
    bound = set(parent.bind.values())
    if not bound:
        return min(rows, 1)
    return min(rows, lists) if bound <= set(above.parameter_columns.values()) else rows
