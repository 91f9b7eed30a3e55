"""Estimates the requests of a crawl and the least time that the rate limits allow for them. No I/O.

Each target has two loads. The minimum: one request per root list. The expected load: the last crawl's requests without
its retries. Scopes that its ledger doesn't know are estimated from the rows of their parents.
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

_Calls = Counter[tuple[str, str]]  # by product and action
_ScopeKey = tuple[str, str, str]  # account, region, table


@dataclass(frozen=True, slots=True)
class Load:
    """Lists, requests, least time; `bucket` decides it: a product, `product.Action`, or "" if no burst is exceeded."""

    lists: int = 0
    requests: int = 0
    least_s: float = 0.0
    bucket: str = ""


@dataclass(frozen=True, slots=True)
class TargetForecast:
    """The forecast of a target. `expected` is None without a last crawl. A target with a skip reason sends nothing.

    Of the `scopes`, those that the last ledger lacks are `estimated` from their parents, or `unknown` and count as 0.
    """

    target: Target
    scopes: int
    is_refused: bool
    minimum: Load
    expected: Load | None = None
    estimated: int = 0
    unknown: int = 0

    @property
    def best(self) -> Load:
        """The expected load, else the minimum."""
        return self.expected or self.minimum


@dataclass(frozen=True, slots=True)
class Forecast:
    """All targets in the plan's order, and their total. Targets run concurrently, so its time is that of the slowest.

    `rows`: table → rows of the last crawl in these targets, for the tables that it knows.
    """

    targets: tuple[TargetForecast, ...]
    rows: Mapping[str, int]
    minimum: Load
    expected: Load | None

    @property
    def best(self) -> Load:
        """The expected load, else the minimum."""
        return self.expected or self.minimum


@dataclass(frozen=True, slots=True)
class _ScopeEstimate:
    """The estimate of one scope. `rows` None: unknown. `details`: requests in addition to those of the list."""

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
    """Estimate the crawl of `plans`. `ledger` is the last crawl's; the other parameters are as in `ResolvedConfig`."""
    forecaster = _Forecaster(catalog, rules, ledger, details, settings or {})
    targets = tuple(forecaster.target(plan) for plan in plans)
    expected = [found.expected for found in targets if found.expected is not None]
    return Forecast(
        targets,
        forecaster.rows(plans),
        _total([found.minimum for found in targets]),
        None if ledger is None else _total(expected),
    )


def rows_of(row: ScopeRow) -> int:
    """Return the number of rows of a scope: those in the snapshot, or those seen if it was only read."""
    return row.rows if row.written else row.rows_seen


def calls_of(operation: Operation, row: ScopeRow) -> tuple[int, int]:
    """Return the requests of a scope without retries: those of its lists, and those of its rows' details.

    A row of the ledger counts both together; its pages tell them apart.
    """
    calls = max(0, row.requests - row.retries)
    lists = min(calls, row.pages) if _had_details(operation, row) else calls
    return lists, calls - lists


def _had_details(operation: Operation, row: ScopeRow) -> bool:
    return operation.details is not None and f" + {operation.details.action}" in row.walk


def _total(loads: Sequence[Load]) -> Load:
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
        """Return one target's forecast."""
        scopes, has_history = len(plan.tables), self._known is not None
        if plan.refusal is not None:
            return TargetForecast(plan.target, scopes, True, Load(), Load() if has_history else None)
        roots = [
            self._catalog.operations[table] for table in plan.tables if not self._catalog.operations[table].parents
        ]
        minimum = self._load(Counter((operation.product, operation.action) for operation in roots), len(roots))
        if not has_history:
            return TargetForecast(plan.target, scopes, False, minimum)
        estimates = self._estimates(plan)
        bases = Counter(estimate.basis for estimate in estimates.values())
        expected = self._load(self._calls(estimates), sum(estimate.lists for estimate in estimates.values()))
        return TargetForecast(plan.target, scopes, False, minimum, expected, bases["estimated"], bases["unknown"])

    def rows(self, plans: Sequence[TargetPlan]) -> dict[str, int]:
        """Return table → known rows in these targets."""
        counts: Counter[str] = Counter()
        for plan in plans:
            for table in plan.tables:
                if (row := self._row(plan.target, table)) is not None:
                    counts[table] += rows_of(row)
        return dict(counts)

    def _row(self, target: Target, table: str) -> ScopeRow | None:
        return self._known.get((target.account_id, target.region_id, table)) if self._known else None

    def _estimates(self, plan: TargetPlan) -> dict[str, _ScopeEstimate]:
        found: dict[str, _ScopeEstimate] = {}
        for table in plan.tables:  # parents first
            operation, row = self._catalog.operations[table], self._row(plan.target, table)
            if row is not None:
                found[table] = _from_ledger(operation, row, has_details=table in self._details)
            else:
                found[table] = self._estimate(operation, found)
        return found

    def _estimate(self, operation: Operation, above: Mapping[str, _ScopeEstimate]) -> _ScopeEstimate:
        """Estimate one request per list. Parents mostly name the same lists: the one with the most stands for all."""
        if not operation.parents:
            return _ScopeEstimate("estimated", 1, 1)
        lists = [self._lists_below(parent, above[parent.table]) for parent in operation.parents]
        counted = [number for number in lists if number is not None]
        return _ScopeEstimate("estimated", max(counted), max(counted)) if counted else _ScopeEstimate("unknown", 0, 0)

    def _lists_below(self, parent: Parent, above: _ScopeEstimate) -> int | None:
        """Return the number of lists below a parent's rows; None if its rows are unknown."""
        if above.rows is None:
            return None
        own = self._settings.get(parent.setting, ())
        each = prod(len({*values, *own}) for values in parent.values.values())
        return each * _distinct(self._catalog.operations[parent.table], parent, above.rows, above.lists)

    def _calls(self, estimates: Mapping[str, _ScopeEstimate]) -> _Calls:
        calls: _Calls = Counter()
        for table, estimate in estimates.items():
            operation = self._catalog.operations[table]
            calls[operation.product, operation.action] += estimate.requests
            if operation.details is not None:
                calls[operation.product, operation.details.action] += estimate.details
        return calls

    def _load(self, calls: _Calls, lists: int) -> Load:
        """Return the load with the slowest bucket's time. An operation's calls also count for its product's bucket."""
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
    """Return the scopes that were read to their end, or as far as the service allowed."""
    return {(row.account_id, row.region_id, row.table): row for row in ledger if is_known(row.status)}


def _from_ledger(operation: Operation, row: ScopeRow, *, has_details: bool) -> _ScopeEstimate:
    """Return the estimate of a known scope. Details that the last crawl didn't ask for are one request per row."""
    rows, (requests, details) = rows_of(row), calls_of(operation, row)
    if not _had_details(operation, row):
        details = rows
    least = 0 if operation.parents else 1
    return _ScopeEstimate("known", max(least, row.lists), max(least, requests), rows, details if has_details else 0)


def _distinct(above: Operation, parent: Parent, rows: int, lists: int) -> int:
    """Return the maximum of different values that the parent's rows give. A column with several counts as one."""
    bound = set(parent.bind.values())
    if not bound:
        return min(rows, 1)
    return min(rows, lists) if bound <= set(above.parameter_columns.values()) else rows
