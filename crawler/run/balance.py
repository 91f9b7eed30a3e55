"""Groups the accounts of a run into shards of about equal cost, by what the last crawl took. No I/O.

Two times bind a shard. Its CPU time: that of its accounts adds up. Its least time: the rate limits of its accounts hold
side by side, so only the slowest bucket's counts. Grouping can change the first alone. How many shards there are
decides how often the second is waited for, because a process works its shards off one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace
from math import ceil
from statistics import median
from typing import TypeVar

from crawler.catalog.model import Operation
from crawler.client.rate_limit import PACE, LimitRule, TokenBuckets, least_time_s
from crawler.run.forecast import calls_of, rows_of
from crawler.snapshot import ScopeRow
from crawler.snapshot.status import is_known

# CPU seconds of one process: medians of `python -m benchmarks.scaling`, 2026-11-30, see docs/scaling.md. Only their
# ratios matter to the groups.
SCOPE_S = 0.000_08
REQUEST_S = 0.000_45
ROW_S = 0.000_09
# An account that takes more, two and a half hours of a core, is split by region. A split has a price, because limits
# that hold for a whole account (`Throttling.User`) are then seen by several processes.
LARGEST_S = 20_000_000 * REQUEST_S
# CPU seconds of a shard beside its accounts: 16 shards of 53 tables took 5 to 6 s more than two with the same rows.
SHARD_S = 0.4
# Shards per process. With more, the last ones are small, and yesterday's costs may be off. For 2,000 accounts with
# lognormal costs and 32 processes, a run takes 1.05 of the best possible time with 8, 1.14 with 4, 1.11 with one.
SHARDS_PER_WORKER = (8, 4, 2, 1)
# More shards are better for resuming and retrying, and worth this much longer a run.
_WORTH = 1.05

# Per shard: account ID, and its regions or None for all.
Shard = list[tuple[str, tuple[str, ...] | None]]


@dataclass(frozen=True, slots=True)
class AccountTargets:
    """An account of the plan. `regions`: region → number of tables to read there."""

    account_id: str
    regions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RegionCost:
    """The cost of one region of an account: CPU seconds, and the least seconds that its slowest bucket allows."""

    region_id: str
    cpu_s: float
    least_s: float


@dataclass(frozen=True, slots=True)
class AccountCost:
    """The expected cost of an account. `is_known`: the last ledger says so; else it is an average account."""

    account_id: str
    cpu_s: float
    least_s: float
    is_known: bool
    regions: tuple[RegionCost, ...]


def estimate_costs(
    accounts: Sequence[AccountTargets],
    operations: Mapping[str, Operation],
    rules: Mapping[str, LimitRule],
    ledger: Iterable[ScopeRow] = (),
) -> list[AccountCost]:
    """Return the cost of each account, in order. `ledger`: the last crawl's rows, each looked at once and not kept.

    `operations`: table → operation of the tables to read; rows of other tables don't count. `rules` are as in
    `TokenBuckets`, with `default`. An account without a row that was read to its end costs as much as the median of
    the others. If there are none, each of its scopes is taken to be one request.
    """
    history = {account.account_id: _History(account.regions) for account in accounts}
    buckets = TokenBuckets(rules["default"], rules)
    for row in ledger:
        found, operation = history.get(row.account_id), operations.get(row.table)
        if found is not None and operation is not None and is_known(row.status):
            found.count(row, operation, buckets)
    costs = [_cost(account, history[account.account_id], buckets) for account in accounts]
    known = [cost for cost in costs if cost.is_known]
    if not known:
        return costs
    cpu_s, least_s = median(cost.cpu_s for cost in known), median(cost.least_s for cost in known)
    return [cost if cost.is_known else _average(cost, cpu_s, least_s) for cost in costs]


def balance(costs: Sequence[AccountCost], number: int) -> list[Shard]:
    """Return at most `number` shards, the heaviest first. No shard is empty; the order of `costs` doesn't matter.

    Longest processing time first: each account joins the group with the least CPU time so far. The largest group takes
    at most 4/3 of the best grouping's. An account of more than `LARGEST_S` is split into groups of regions before.
    """
    return [[(piece.account_id, piece.regions) for piece in group] for group in _group(_pieces(costs), number)]


def shard_number(workers: int, costs: Sequence[AccountCost]) -> int:
    """Return how many shards a run of `workers` processes makes: at most eight for each, 0 without an account.

    Fewer if accounts are few or small, so that the shards themselves would take long, or if the rate limits bind: then
    each further round of shards waits for its slowest account again, while one process waits for all side by side.
    """
    pieces = _pieces(costs)
    numbers = [min(workers * each, len(pieces)) for each in SHARDS_PER_WORKER]
    times = [_run_s(_group(pieces, number), workers) for number in numbers]
    return next(number for number, time_s in zip(numbers, times, strict=True) if time_s <= _WORTH * min(times))


def idle_workers(workers: int, costs: Sequence[AccountCost]) -> str:
    """Return a sentence if some of `workers` processes would have nothing to do, else ""."""
    shards = shard_number(workers, costs)
    if workers <= shards:
        return ""
    accounts = f"{len(costs)} account{'' if len(costs) == 1 else 's'}"
    made = f"make {shards} shards" if len(costs) != 1 else f"makes {shards} shard{'' if shards == 1 else 's'}"
    return f"{accounts} {made}, so {workers - shards} of {workers} workers would be idle"


class _History:
    """The figures of an account's rows in the last ledger, by the position of the region in the plan."""

    __slots__ = ("calls", "is_known", "least_s", "positions", "rows")

    def __init__(self, regions: Iterable[str]) -> None:
        self.positions = {region: position for position, region in enumerate(regions)}
        self.is_known = False
        self.rows = [0] * len(self.positions)
        self.calls: dict[str, list[int]] = {}  # by product
        self.least_s = [0.0] * len(self.positions)  # of the operations' own buckets

    def count(self, row: ScopeRow, operation: Operation, buckets: TokenBuckets) -> None:
        """Add the figures of a row, unless its region is no longer in the plan."""
        position = self.positions.get(row.region_id)
        if position is None:
            return
        self.is_known = True
        self.rows[position] += rows_of(row)
        lists, details = calls_of(operation, row)
        if operation.product not in self.calls:
            self.calls[operation.product] = [0] * len(self.positions)
        self.calls[operation.product][position] += lists + details
        least_s = least_time_s(lists, buckets.rule(operation.product, operation.action))
        if details and operation.details is not None:
            least_s = max(least_s, least_time_s(details, buckets.rule(operation.product, operation.details.action)))
        self.least_s[position] = max(self.least_s[position], least_s)


def _cost(account: AccountTargets, history: _History, buckets: TokenBuckets) -> AccountCost:
    regions = []
    for position, (region, tables) in enumerate(account.regions.items()):
        if history.is_known:
            calls = {product: counts[position] for product, counts in history.calls.items()}
            cpu_s = tables * SCOPE_S + sum(calls.values()) * REQUEST_S + history.rows[position] * ROW_S
            times = (least_time_s(number, buckets.rule(product)) for product, number in calls.items())
            least_s = max(history.least_s[position], *times, 0.0)
        else:
            cpu_s = tables * (SCOPE_S + REQUEST_S)
            least_s = tables / (buckets.rule("default").rate * PACE)
        regions.append(RegionCost(region, cpu_s, least_s))
    return _sum(account.account_id, regions, is_known=history.is_known)


def _average(cost: AccountCost, cpu_s: float, least_s: float) -> AccountCost:
    """Return an unknown account's cost: an average account's, divided among its regions by their tables."""
    times = cpu_s / cost.cpu_s if cost.cpu_s else 0.0
    regions = [RegionCost(region.region_id, region.cpu_s * times, least_s) for region in cost.regions]
    return _sum(cost.account_id, regions, is_known=False)


def _sum(account_id: str, regions: Sequence[RegionCost], *, is_known: bool) -> AccountCost:
    cpu_s = sum(region.cpu_s for region in regions)
    least_s = max((region.least_s for region in regions), default=0.0)
    return AccountCost(account_id, cpu_s, least_s, is_known, tuple(regions))


@dataclass(frozen=True, slots=True)
class _Piece:
    """An account, or one with some of its regions."""

    account_id: str
    regions: tuple[str, ...] | None
    cpu_s: float
    least_s: float


_Part = TypeVar("_Part", _Piece, RegionCost)


def _pieces(costs: Iterable[AccountCost]) -> list[_Piece]:
    """Return what shards are made of, the largest first."""
    pieces = [piece for cost in costs for piece in _split(cost)]
    return sorted(pieces, key=lambda piece: (-piece.cpu_s, -piece.least_s, piece.account_id, piece.regions or ()))


def _split(cost: AccountCost) -> list[_Piece]:
    number = min(ceil(cost.cpu_s / LARGEST_S), len(cost.regions))
    if number <= 1:
        return [_Piece(cost.account_id, None, cost.cpu_s, cost.least_s)]
    groups = _group(sorted(cost.regions, key=lambda region: (-region.cpu_s, region.region_id)), number)
    return [
        _Piece(cost.account_id, tuple(sorted(region.region_id for region in group)), _cpu_s(group), _least_s(group))
        for group in groups
    ]


def _group(parts: Sequence[_Part], number: int) -> list[list[_Part]]:
    """Divide `parts`, the largest first, into at most `number` groups; return the one that takes longest first."""
    groups: list[list[_Part]] = [[] for _ in range(min(number, len(parts)))]
    loads = [(0.0, 0, position) for position in range(len(groups))]
    heapify(loads)
    for part in parts:
        cpu_s, size, position = loads[0]
        groups[position].append(part)
        heapreplace(loads, (cpu_s + part.cpu_s, size + 1, position))
    return sorted(groups, key=_time_s, reverse=True)


def _run_s(groups: Iterable[Sequence[_Part]], workers: int) -> float:
    """Return the seconds until all groups are done if each of the workers takes the next one when it is free."""
    free_at = [0.0] * workers
    for group in groups:
        heapreplace(free_at, free_at[0] + _time_s(group) + SHARD_S)
    return max(free_at)


def _time_s(group: Sequence[_Part]) -> float:
    return max(_cpu_s(group), _least_s(group))


def _cpu_s(group: Sequence[_Part]) -> float:
    return sum(part.cpu_s for part in group)


def _least_s(group: Sequence[_Part]) -> float:
    return max((part.least_s for part in group), default=0.0)
