"""The shards of a run: accounts grouped by what the last crawl took."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from heapq import heapreplace
from itertools import pairwise, product
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.catalog import load_catalog
from crawler.catalog.model import Details
from crawler.client.rate_limit import PACE, LimitRule
from crawler.run.balance import (
    LARGEST_S,
    REQUEST_S,
    ROW_S,
    SCOPE_S,
    AccountCost,
    AccountTargets,
    RegionCost,
    balance,
    estimate_costs,
    idle_workers,
    shard_number,
)
from crawler.snapshot import ScopeRow, Status

LIST = load_catalog().operations["fc_functions"]
CARTS = replace(LIST, table="carts", product="shop", action="ListCarts", parents=(), details=None)
ITEMS = replace(
    CARTS, table="items", action="ListItems", details=Details("GetItem", "/items/{id}", "shop:GetItem", {"id": "id"})
)
OPERATIONS = {"carts": CARTS, "items": ITEMS}
RULES = {"default": LimitRule(20, 5)}
FREE = {"default": LimitRule(1e6, 10**6)}


def row(account, table="carts", region="r1", status=Status.COMPLETE, **counts):
    return ScopeRow(account, region, table, status, **counts)


def targets(account, *regions):
    return AccountTargets(account, dict.fromkeys(regions or ("r1",), 2))


def account(account_id, cpu_s, least_s=0.0, regions=1):
    each = tuple(RegionCost(f"r{n}", cpu_s / regions, least_s) for n in range(regions))
    return AccountCost(str(account_id), cpu_s, least_s, True, each)


def accounts_of(weights):
    return [account(f"{n:05d}", weight) for n, weight in enumerate(weights)]


def load_of(shards, costs):
    """The CPU seconds of each shard, added up apart from the code under test."""
    by_id = {cost.account_id: cost for cost in costs}
    return [
        sum(
            by_id[name].cpu_s
            if regions is None
            else sum(region.cpu_s for region in by_id[name].regions if region.region_id in regions)
            for name, regions in shard
        )
        for shard in shards
    ]


costs_in_general = st.lists(
    st.tuples(
        st.lists(st.floats(0, 3 * LARGEST_S), min_size=1, max_size=6),
        st.floats(0, 1e5),
    ),
    max_size=30,
).map(
    lambda found: [
        AccountCost(
            f"{number}",
            sum(regions),
            least_s,
            True,
            tuple(RegionCost(f"r{n}", cpu_s, least_s) for n, cpu_s in enumerate(regions)),
        )
        for number, (regions, least_s) in enumerate(found)
    ]
)


# -- the cost of an account


def test_an_account_costs_its_scopes_its_requests_without_retries_and_its_rows():
    ledger = [row("1", rows=40, requests=9, retries=2), row("1", "items", "r2", rows=5, requests=3)]
    [cost] = estimate_costs([targets("1", "r1", "r2")], OPERATIONS, FREE, ledger)
    assert cost.is_known
    assert cost.cpu_s == pytest.approx(4 * SCOPE_S + (7 + 3) * REQUEST_S + 45 * ROW_S)
    assert [found.cpu_s for found in cost.regions] == [
        pytest.approx(2 * SCOPE_S + 7 * REQUEST_S + 40 * ROW_S),
        pytest.approx(2 * SCOPE_S + 3 * REQUEST_S + 5 * ROW_S),
    ]


def test_rows_of_a_parent_that_was_only_walked_cost_as_well():
    ledger = [row("1", rows=0, rows_seen=50, written=False, requests=1)]
    [cost] = estimate_costs([targets("1")], OPERATIONS, FREE, ledger)
    assert cost.cpu_s == pytest.approx(2 * SCOPE_S + REQUEST_S + 50 * ROW_S)


def test_the_slowest_bucket_of_all_regions_is_the_least_time():
    ledger = [
        row("1", requests=50),
        row("1", "items", requests=55),
        row("1", "carts", "r2", requests=85),
    ]
    [cost] = estimate_costs([targets("1", "r1", "r2")], OPERATIONS, RULES, ledger)
    # Both tables share the bucket of their product; regions share nothing.
    assert cost.least_s == pytest.approx((105 - 5) / (20 * PACE))
    assert cost.regions[1].least_s == pytest.approx((85 - 5) / (20 * PACE))


def test_an_operations_own_limit_counts_its_own_requests_alone():
    rules = RULES | {"shop.ListItems": LimitRule(1, 1), "shop.GetItem": LimitRule(0.5, 1)}
    lists = [row("1", requests=100), row("1", "items", requests=11, pages=11)]
    [cost] = estimate_costs([targets("1")], OPERATIONS, rules, lists)
    assert cost.least_s == pytest.approx(10 / PACE)
    details = [row("1", "items", requests=11, pages=4, walk="token + GetItem")]
    [cost] = estimate_costs([targets("1")], OPERATIONS, rules, details)
    assert cost.least_s == pytest.approx(6 / (0.5 * PACE))


@pytest.mark.parametrize("status", [Status.DENIED, Status.FAILED, Status.NOT_ATTEMPTED])
def test_an_account_that_the_last_ledger_does_not_tell_of_costs_the_median(status):
    ledger = [row(name, requests=requests) for name, requests in (("1", 10), ("2", 1000), ("3", 50_000))]
    ledger += [row("4", status=status, requests=1)]
    costs = estimate_costs([targets(name) for name in "12345"], OPERATIONS, RULES, ledger)
    assert [cost.is_known for cost in costs] == [True, True, True, False, False]
    for unknown in costs[3:]:
        assert (unknown.cpu_s, unknown.least_s) == (pytest.approx(costs[1].cpu_s), costs[1].least_s)


def test_without_a_last_crawl_an_account_costs_what_its_tables_tell():
    accounts = [AccountTargets("1", {"r1": 40, "r2": 20}), AccountTargets("2", {"r1": 30})]
    large, small = estimate_costs(accounts, OPERATIONS, RULES)
    assert large.cpu_s == pytest.approx(2 * small.cpu_s) == pytest.approx(60 * (SCOPE_S + REQUEST_S))
    assert large.least_s == pytest.approx(40 / (20 * PACE))


def test_tables_regions_and_accounts_that_left_the_plan_cost_nothing():
    ledger = [row("1", requests=1), row("1", "gone", requests=9), row("1", region="r9", requests=9)]
    ledger += [row("9", requests=9)]
    assert estimate_costs([targets("1")], OPERATIONS, RULES, ledger) == estimate_costs(
        [targets("1")], OPERATIONS, RULES, ledger[:1]
    )


def test_the_ledger_is_read_once_and_no_row_is_kept():
    alive = Counter()

    class Watched(ScopeRow):
        __slots__ = ()

        def __new__(cls, *values, **more):
            alive["now"] += 1
            alive["most"] = max(alive["most"], alive["now"])
            return super().__new__(cls)

        def __del__(self):
            alive["now"] -= 1

    ledger = (Watched(str(n % 50), "r1", "carts", Status.COMPLETE, requests=n) for n in range(5000))
    costs = estimate_costs([targets(str(n)) for n in range(50)], OPERATIONS, RULES, ledger)
    assert all(cost.is_known for cost in costs)
    assert alive["most"] <= 2


# -- the groups


@given(costs_in_general, st.integers(1, 12))
def test_every_account_and_region_is_in_exactly_one_shard(costs, number):
    shards = balance(costs, number)
    found = Counter()
    for shard in shards:
        for name, regions in shard:
            [cost] = [cost for cost in costs if cost.account_id == name]
            every = [region.region_id for region in cost.regions]
            assert regions is None or (regions and set(regions) <= set(every))
            found.update((name, region) for region in (every if regions is None else regions))
    assert found == Counter((cost.account_id, region.region_id) for cost in costs for region in cost.regions)
    assert all(shards)
    assert len(shards) <= number


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=40), st.integers(1, 9))
def test_the_largest_shard_is_within_the_bound_of_longest_processing_time_first(weights, number):
    costs = accounts_of(weights)
    loads = load_of(balance(costs, number), costs)
    # The best grouping has at least the average, the largest account, and two of the n + 1 largest in one group. The
    # last account of the largest group is no larger than half of such a pair, and joined the group with least.
    at_work, ordered = min(number, len(weights)), sorted(weights, reverse=True)
    pair = ordered[at_work - 1] + ordered[at_work] if len(ordered) > at_work else 0
    best_at_least = max(sum(weights) / at_work, ordered[0], pair)
    assert max(loads) <= best_at_least * (3 / 2 - 1 / (2 * at_work)) + 1e-9


@given(st.lists(st.integers(1, 30), min_size=1, max_size=7), st.integers(1, 3))
def test_the_largest_shard_is_at_most_four_thirds_of_the_best_grouping(weights, number):
    costs = accounts_of(weights)
    best = min(
        max(sum(weight for weight, place in zip(weights, places, strict=True) if place == n) for n in range(number))
        for places in product(range(number), repeat=len(weights))
    )
    most = max(load_of(balance(costs, number), costs))
    assert best <= most + 1e-9
    assert most <= best * (4 / 3 - 1 / (3 * number)) + 1e-9


@given(costs_in_general, st.integers(1, 12), st.randoms())
def test_the_order_of_the_accounts_does_not_matter(costs, number, chance):
    mixed = chance.sample(costs, len(costs))
    assert balance(mixed, number) == balance(costs, number)
    assert shard_number(number, mixed) == shard_number(number, costs)


@given(costs_in_general, st.integers(1, 12))
def test_the_shard_that_takes_longest_is_first(costs, number):
    shards = balance(costs, number)
    least_s = {cost.account_id: cost.least_s for cost in costs}
    times = [
        max(load, *(least_s[name] for name, _ in shard))
        for load, shard in zip(load_of(shards, costs), shards, strict=True)
    ]
    assert all(first >= second or isclose(first, second) for first, second in pairwise(times))


def test_a_rate_bound_account_puts_its_shard_first_and_takes_no_room_in_it():
    costs = [account("slow", 1, least_s=900), *(account(n, 10) for n in range(10))]
    shards = balance(costs, 2)
    assert ("slow", None) in shards[0]
    assert sorted(load_of(shards, costs)) == [50, 51]


@pytest.mark.parametrize(("times", "parts"), [(0.99, 1), (1.01, 2), (3.5, 4), (100, 8)])
def test_an_account_that_is_too_much_for_a_process_is_split_by_region(times, parts):
    cost = account("1", times * LARGEST_S, regions=8)
    shards = balance([cost], 100)
    assert len(shards) == parts
    if parts == 1:
        assert shards == [[("1", None)]]
    else:
        assert sorted(region for [(_, regions)] in shards for region in regions) == [f"r{n}" for n in range(8)]
        assert max(load_of(shards, [cost])) <= 1.2 * sum(load_of(shards, [cost])) / parts or parts == 8


def test_an_account_in_one_region_is_never_split():
    assert balance([account("1", 9 * LARGEST_S)], 4) == [[("1", None)]]


def test_no_account_makes_no_shard():
    assert balance([], 8) == []
    assert shard_number(8, []) == 0


# -- how many


def test_each_worker_gets_eight_shards_unless_accounts_are_few():
    assert shard_number(4, accounts_of([100] * 1000)) == 32
    assert shard_number(4, accounts_of([100] * 12)) == 12
    assert shard_number(1, accounts_of([100] * 1000)) == 8


def test_small_accounts_are_not_worth_a_shard_each():
    assert shard_number(4, accounts_of([0.1] * 1000)) == 16
    assert shard_number(4, accounts_of([0.01] * 1000)) == 4


def test_an_uneven_number_of_equal_accounts_is_not_divided_into_a_round_with_one_left():
    """Nine accounts for four workers: shards of one take three rounds, and so do four shards, the largest of three."""
    assert shard_number(4, accounts_of([100] * 9)) == 9
    # Ten accounts for eight workers: two rounds, whether in ten shards or in eight.
    assert shard_number(8, accounts_of([100] * 10)) == 10


def test_where_limits_bind_no_more_shards_are_made_than_run_at_once():
    """Each account takes 50 s by its limits, whatever runs beside it; eight rounds of shards would take 400 s."""
    slow = [account(n, 0.7, least_s=50) for n in range(200)]
    assert shard_number(2, slow) == 2
    # With a hundred times the work the core binds: a shard takes longer than its slowest account.
    assert shard_number(2, [account(n, 7, least_s=50) for n in range(2000)]) == 16


@pytest.mark.parametrize(("number", "workers", "sentence"), [
    (4, 8, "4 accounts make 4 shards, so 4 of 8 workers would be idle"),
    (1, 2, "1 account makes 1 shard, so 1 of 2 workers would be idle"),
    (4, 4, ""),
    (300, 8, ""),
])  # fmt: skip
def test_more_workers_than_shards_are_said(number, workers, sentence):
    assert idle_workers(workers, accounts_of([100] * number)) == sentence


# -- against other ways, with the weights that organizations have


def pulled_s(shards, costs, workers):
    """The seconds of a run in which each worker takes the next shard; `costs` are what they really take."""
    free_at = [0.0] * workers
    for load in load_of(shards, costs):
        heapreplace(free_at, free_at[0] + load)
    return max(free_at)


def by_hash(costs, number, chance):
    shards = [[] for _ in range(number)]
    for cost in costs:
        shards[chance.randrange(number)].append((cost.account_id, None))
    return shards


def weights_of(kind, number, chance):
    draw = {
        "pareto 1.2": lambda: chance.paretovariate(1.2),
        "lognormal 1.5": lambda: chance.lognormvariate(0, 1.5),
        "equal": lambda: 1.0,
    }[kind]
    return [100 * draw() for _ in range(number)]


@pytest.mark.parametrize(("kind", "number", "workers", "bound"), [
    ("pareto 1.2", 2000, 8, 1.05),
    ("lognormal 1.5", 2000, 32, 1.06),
    ("lognormal 1.5", 200, 8, 1.06),
    ("equal", 2000, 32, 1.02),
])  # fmt: skip
def test_yesterdays_costs_make_a_run_that_takes_little_more_than_the_best(kind, number, workers, bound):
    """Costs are 20 % off and 2 % of the accounts are new. Medians of 20 seeds, relative to the best possible time."""
    ratios, hashed = [], []
    for seed in range(20):
        chance = random.Random(f"{kind} {number} {seed}")
        today = accounts_of(weights_of(kind, number, chance))
        typical = sorted(cost.cpu_s for cost in today)[number // 2]
        yesterday = [
            account(cost.account_id, typical if chance.random() < 0.02 else cost.cpu_s * chance.uniform(0.8, 1.2))
            for cost in today
        ]
        best = max(sum(cost.cpu_s for cost in today) / workers, *(cost.cpu_s for cost in today))
        shards = shard_number(workers, yesterday)
        ratios.append(pulled_s(balance(yesterday, shards), today, workers) / best)
        hashed.append(pulled_s(by_hash(today, workers, chance), today, workers) / best)
    assert sorted(ratios)[10] <= bound
    assert sorted(hashed)[10] >= 1.2
