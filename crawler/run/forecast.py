"""Estimates the requests of a crawl and the least time that the rate limits allow for them. No I/O.

Each target has two loads. The minimum: one request per root list. The expected load: the last crawl's requests without
its retries. Scopes that its ledger doesn't know are estimated from the rows of their parents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, NamedTuple

from crawler.catalog.model import Catalog, Operation, Parent
from crawler.client.rate_limit import LimitRule, TokenBuckets, least_time_s
from crawler.run.targets import Target, TargetPlan
from crawler.snapshot import ScopeRow
from crawler.snapshot.status import is_known

_Calls = Counter[tuple[str, str]]  # by product and action
# The columns of a ledger that a forecast reads, in addition to the scope and its status.
LEDGER_COLUMNS = ("written", "rows", "rows_seen", "lists", "pages", "requests", "retries", "walk")


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
    known = None if ledger is None else _KnownScopes(ledger, plans)
    forecaster = _Forecaster(catalog, rules, known, details, settings or {})
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
    """Return the requests of a scope without retries: those of its lists, and those of its rows' details."""
    return _split(operation, max(0, row.requests - row.retries), row.pages, row.walk)


def _split(operation: Operation, calls: int, pages: int, walk: str) -> tuple[int, int]:
    """Return the requests of lists and of details. A row of the ledger counts both together; its pages tell which."""
    lists = min(calls, pages) if _had_details(operation, walk) else calls
    return lists, calls - lists


def _had_details(operation: Operation, walk: str) -> bool:
    return operation.details is not None and f" + {operation.details.action}" in walk


def _total(loads: Sequence[Load]) -> Load:
    slowest = max(loads, key=lambda load: load.least_s, default=Load())
    lists, requests = sum(load.lists for load in loads), sum(load.requests for load in loads)
    return Load(lists, requests, slowest.least_s, slowest.bucket)


class _KnownScope(NamedTuple):
    """The figures of a scope in the last ledger: its rows, its requests without retries, its lists and its pages."""

    rows: int
    calls: int
    lists: int
    pages: int
    walk: str


class _KnownScopes:
    """The planned scopes that were read to their end, or as far as the service allowed.

    Of ten million, most have the same figures: each takes a reference, and equal figures are one object.
    """

    def __init__(self, ledger: Iterable[ScopeRow], plans: Sequence[TargetPlan]) -> None:
        targets = {(plan.target.account_id, plan.target.region_id): number for number, plan in enumerate(plans)}
        figures: dict[_KnownScope, _KnownScope] = {}
        self._targets = targets
        self._tables: dict[str, list[_KnownScope | None]] = {
            table: [None] * len(plans) for table in {table for plan in plans for table in plan.tables}
        }
        for row in ledger:
            number, scopes = targets.get((row.account_id, row.region_id)), self._tables.get(row.table)
            if number is not None and scopes is not None and is_known(row.status):
                known = _KnownScope(rows_of(row), row.requests - row.retries, row.lists, row.pages, row.walk)
                scopes[number] = figures.setdefault(known, known)

    def get(self, target: Target, table: str) -> _KnownScope | None:
        """Return the figures of a planned scope; None if the ledger doesn't have it, or knows nothing of it."""
        return self._tables[table][self._targets[target.account_id, target.region_id]]


class _Forecaster:
    def __init__(
        self,
        catalog: Catalog,
        rules: Mapping[str, LimitRule],
        known: _KnownScopes | None,
        details: Collection[str],
        settings: Mapping[str, Sequence[str]],
    ) -> None:
        self._catalog = catalog
        self._buckets = TokenBuckets(rules["default"], rules)
        self._known = known
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
                if (known := self._scope(plan.target, table)) is not None:
                    counts[table] += known.rows
        return dict(counts)

    def _scope(self, target: Target, table: str) -> _KnownScope | None:
        return self._known.get(target, table) if self._known is not None else None

    def _estimates(self, plan: TargetPlan) -> dict[str, _ScopeEstimate]:
        found: dict[str, _ScopeEstimate] = {}
        for table in plan.tables:  # parents first
            operation, known = self._catalog.operations[table], self._scope(plan.target, table)
            if known is not None:
                found[table] = _from_ledger(operation, known, has_details=table in self._details)
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


def _from_ledger(operation: Operation, known: _KnownScope, *, has_details: bool) -> _ScopeEstimate:
    """Return the estimate of a known scope. Details that the last crawl didn't ask for are one request per row."""
    rows, (requests, details) = known.rows, _split(operation, known.calls, known.pages, known.walk)
    if not _had_details(operation, known.walk):
        details = rows
    least = 0 if operation.parents else 1
    return _ScopeEstimate("known", max(least, known.lists), max(least, requests), rows, details if has_details else 0)


def _distinct(above: Operation, parent: Parent, rows: int, lists: int) -> int:
    """Return the maximum of different values that the parent's rows give. A column with several counts as one."""
    bound = set(parent.bind.values())
    if not bound:
        return min(rows, 1)
    return min(rows, lists) if bound <= set(above.parameter_columns.values()) else rows
