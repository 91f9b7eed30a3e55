"""The forecast of a crawl, from plans, limits and a ledger: numbers only."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.catalog import load_catalog
from crawler.catalog.model import Catalog, Details, Parent
from crawler.client.client import SignedAccount
from crawler.client.rate_limit import BUNCH_S, PACE, LimitRule, TokenBuckets
from crawler.run.forecast import Load, forecast
from crawler.run.targets import SkipReason, Target, TargetPlan
from crawler.snapshot import ScopeRow, Status

BUILT_IN = load_catalog()
HERE, THERE = Target("1", "cn-hangzhou"), Target("2", "cn-shanghai")
LIMITS = {"default": LimitRule(10, 2)}


def operation(table, *parents, **changes):
    """An operation of the product `shop` whose action is the table's name in capitals."""
    changes = {"product": "shop", "action": table.upper(), "path": f"/{table}", "query": {}, "details": None} | changes
    return replace(BUILT_IN.operations["fc_functions"], table=table, parents=parents, **changes)


def below(table, bind=None, **more):
    return Parent(table, {"id": "id"} if bind is None else bind, **more)


def catalog_of(*operations):
    return Catalog(BUILT_IN.products, {found.table: found for found in operations})


def plan_of(catalog, target=HERE, refusal=None):
    return TargetPlan(target, SignedAccount(target.account_id, None), tuple(catalog.operations), refusal)


def row(table, target=HERE, status=Status.COMPLETE, **counts):
    counts = {"lists": 1, "pages": 1, "requests": 1, "walk": "token"} | counts
    return ScopeRow(target.account_id, target.region_id, table, status, **counts)


def of_one(catalog, ledger=None, rules=LIMITS, **more):
    """The forecast of one target with all tables of the catalog."""
    [found] = forecast([plan_of(catalog)], catalog, rules, ledger, **more).targets
    return found


SHOP = catalog_of(
    operation("carts"), operation("customers"), operation("items", below("carts")), operation("prices", below("items"))
)


def test_without_a_last_crawl_one_request_for_each_root_list_is_sure_and_nothing_is_expected():
    found = of_one(SHOP)
    assert (found.scopes, found.minimum, found.expected) == (4, Load(2, 2, 0.0, ""), None)
    assert found.best == found.minimum


def test_a_products_requests_share_its_bucket_and_the_slowest_bucket_is_named():
    roots = [operation(f"t{n}") for n in range(7)] + [operation(f"u{n}", product="mall") for n in range(9)]
    found = of_one(catalog_of(*roots), rules={**LIMITS, "shop": LimitRule(1, 1)})
    assert found.minimum.requests == 16
    assert found.minimum.least_s == pytest.approx((7 - 1) / (1 * PACE))
    assert found.minimum.bucket == "shop"


def test_an_operations_own_limit_holds_within_its_products():
    rules = {**LIMITS, "shop.ITEMS": LimitRule(0.5, 1)}
    ledger = [row("carts"), row("items", requests=31), row("customers", requests=11)]
    found = of_one(SHOP, ledger, rules)
    assert found.expected == Load(3, 43, pytest.approx(30 / (0.5 * PACE)), "shop.ITEMS")
    generous = of_one(SHOP, ledger, {**LIMITS, "shop.ITEMS": LimitRule(1000, 100)})
    assert generous.expected == Load(3, 43, pytest.approx(41 / (10 * PACE)), "shop")


def test_targets_run_side_by_side():
    ledger = [row("carts", requests=12), row("carts", THERE, requests=52)]
    whole = forecast([plan_of(SHOP), plan_of(SHOP, THERE)], SHOP, LIMITS, ledger)
    slow = max((found.expected for found in whole.targets), key=lambda load: load.least_s)
    assert whole.minimum == Load(4, 4, 0.0, "")
    # The customers aren't in the ledger: a request in each target.
    assert whole.expected == Load(4, 12 + 52 + 2, slow.least_s, "shop")
    assert slow.least_s == pytest.approx((53 - 2) / (10 * PACE))
    assert whole.rows == {"carts": 0}


def test_in_a_refused_target_nothing_is_sent():
    refusal = SkipReason("InvalidCredentials", "The key is disabled.")
    for ledger in (None, [row("carts", requests=9)]):
        whole = forecast([plan_of(SHOP, refusal=refusal)], SHOP, LIMITS, ledger)
        assert whole.minimum == whole.best == Load()
        assert whole.targets[0].is_refused
        assert (whole.expected is None) == (ledger is None)


@pytest.mark.parametrize("status", [Status.COMPLETE, Status.TRUNCATED, Status.UNSTABLE, Status.UNSUPPORTED])
def test_what_was_walked_to_its_end_is_expected_to_take_what_it_took_less_retries(status):
    ledger = [row("carts", status=status, lists=1, requests=9, retries=2, rows=5)]
    found = of_one(catalog_of(operation("carts")), ledger)
    assert (found.expected.lists, found.expected.requests, found.estimated) == (1, 7, 0)


@pytest.mark.parametrize("status", [Status.DENIED, Status.FAILED, Status.NOT_ATTEMPTED])
def test_what_ended_early_tells_nothing(status):
    ledger = [row("carts", rows=3), row("items", status=status, requests=1, lists=1)]
    found = of_one(SHOP, ledger)
    assert (found.estimated, found.unknown) == (2, 1), "customers and items; prices can't be"
    assert found.expected.requests == 1 + 1 + 3


def test_an_unknown_child_takes_a_request_for_each_row_and_known_value_and_its_own_children_are_unknown():
    more = below("carts", values={"kind": ("a", "b"), "size": ("s", "m", "l")}, setting="shop.kinds")
    catalog = catalog_of(operation("carts"), operation("items", more), operation("prices", below("items")))
    ledger = [row("carts", rows=5)]
    found = of_one(catalog, ledger)
    assert (found.expected.requests, found.estimated, found.unknown) == (1 + 5 * 2 * 3, 1, 1)
    # The setting adds to each parameter; a duplicate is requested once.
    settings = {"shop.kinds": ("a", "z"), "other": ("y",)}
    assert of_one(catalog, ledger, settings=settings).expected.requests == 1 + 5 * 3 * 5


def test_rows_of_a_parent_that_was_only_walked_count_as_well():
    catalog = catalog_of(operation("carts"), operation("items", below("carts")))
    ledger = [row("carts", rows=0, rows_seen=8, written=False)]
    whole = forecast([plan_of(catalog)], catalog, LIMITS, ledger)
    assert whole.expected.requests == 1 + 8
    assert whole.rows == {"carts": 8}


def test_of_several_parents_the_one_that_names_the_most_lists_stands_for_all():
    items = operation("items", below("carts", values={"kind": ("a", "b")}), below("customers"))
    catalog = catalog_of(operation("carts"), operation("customers"), items)
    assert of_one(catalog, [row("carts", rows=4), row("customers", rows=5)]).expected.lists == 2 + 8
    assert of_one(catalog, [row("carts", rows=4), row("customers", rows=9)]).expected.lists == 2 + 9
    assert of_one(catalog, [row("customers", rows=9)]).expected.lists == 2 + 9


@pytest.mark.parametrize(
    ("bind", "lists"),
    [
        pytest.param({"id": "id", "shop": "shop_name"}, 12, id="a column of its own"),
        pytest.param({"shop": "shop_name"}, 3, id="only what the parent was asked with"),
        pytest.param({}, 1, id="nothing"),
    ],
)
def test_rows_that_give_the_same_values_are_one_list(bind, lists):
    carts = operation("carts", below("shops"), path="/{shopName}/carts")
    catalog = catalog_of(operation("shops"), carts, operation("items", below("carts", bind)))
    ledger = [row("shops", rows=3), row("carts", lists=3, requests=4, rows=12)]
    assert of_one(catalog, ledger).expected.lists == 1 + 3 + lists
    empty = [row("shops", rows=3), row("carts", lists=3, requests=3, rows=0)]
    assert of_one(catalog, empty).expected.lists == 1 + 3


DETAILED = catalog_of(operation("carts", details=Details("GETCART", "/carts/{id}", "shop:GetCart", {"id": "id"})))


@pytest.mark.parametrize(
    ("counts", "without", "with_details"),
    [
        pytest.param({"requests": 3, "pages": 3, "rows": 250}, 3, 253, id="not asked for last time"),
        pytest.param(
            {"requests": 255, "pages": 3, "rows": 250, "retries": 2, "walk": "token + GETCART"}, 3, 253, id="asked for"
        ),
        pytest.param(
            {"requests": 4, "pages": 3, "rows": 250, "walk": "token + GETCART"}, 3, 4, id="denied from the first on"
        ),
        pytest.param({"requests": 1, "pages": 1, "rows": 0, "walk": "token + GETCART"}, 1, 1, id="no record"),
    ],
)
def test_details_take_a_request_a_row_beside_those_of_the_list(counts, without, with_details):
    ledger = [row("carts", **counts)]
    assert of_one(DETAILED, ledger).expected.requests == without
    rules = {"default": LimitRule(1000, 1000), "shop.GETCART": LimitRule(1, 1)}
    found = of_one(DETAILED, ledger, rules, details={"carts"})
    assert (found.minimum.requests, found.expected.requests) == (1, with_details)
    assert found.expected.least_s == pytest.approx(max(0, with_details - without - 1) / PACE)


def test_other_targets_in_the_ledger_say_nothing_of_these():
    other = Target(HERE.account_id, THERE.region_id)
    ledger = [row("carts", target, requests=99, rows=7) for target in (THERE, other)]
    whole = forecast([plan_of(SHOP)], SHOP, LIMITS, ledger)
    assert (whole.expected.requests, whole.rows) == (2, {})


counts = st.integers(0, 400)
ledger_rows = st.builds(
    lambda table, target, status, lists, requests, retries, rows: row(
        table, target, status, lists=lists, pages=requests, requests=requests + retries, retries=retries, rows=rows
    ),
    st.sampled_from(tuple(SHOP.operations)),
    st.sampled_from((HERE, THERE)),
    st.sampled_from(Status),
    *[counts] * 4,
)
rules = st.fixed_dictionaries(
    {"default": st.builds(LimitRule, st.floats(0.5, 200), st.integers(1, 20))},
    optional={
        key: st.builds(LimitRule, st.floats(0.5, 200), st.integers(1, 20)) for key in ("shop", "shop.CARTS", "shop.X")
    },
)


@given(st.lists(ledger_rows, unique_by=lambda r: (r.account_id, r.table)), rules)
def test_what_is_expected_is_never_less_than_what_is_sure_and_the_whole_is_its_targets(ledger, limits):
    plans = [plan_of(SHOP), plan_of(SHOP, THERE)]
    whole = forecast(plans, SHOP, limits, ledger)
    for found in whole.targets:
        assert found.expected.requests >= found.minimum.requests
        assert found.expected.lists >= found.minimum.lists
        assert found.expected.least_s >= found.minimum.least_s
        known = sum(r.account_id == found.target.account_id for r in ledger)
        assert found.scopes - known <= found.estimated + found.unknown <= found.scopes
    assert whole.expected.requests == sum(found.expected.requests for found in whole.targets)
    assert whole.expected.least_s == max(found.expected.least_s for found in whole.targets)
    assert forecast(plans[::-1], SHOP, limits, ledger[::-1]).targets[::-1] == whole.targets


calls = st.dictionaries(st.sampled_from(("carts", "customers")), st.integers(1, 120), min_size=2)


@given(calls, rules, st.randoms(use_true_random=False))
def test_the_limiters_buckets_need_the_least_time_or_more_in_whatever_order_requests_come(numbers, limits, random):
    catalog = catalog_of(operation("carts"), operation("customers"))
    found = of_one(catalog, [row(table, requests=number) for table, number in numbers.items()], limits)
    queue = list(Counter(numbers).elements())
    random.shuffle(queue)
    buckets, now = TokenBuckets(limits["default"], limits), 1000.0
    for table in queue:
        pair = buckets.pair("1", "cn-hangzhou", "shop", table.upper())
        now = max([now, *(bucket.ready_at(now) for bucket in pair)])
        for bucket in pair:
            bucket.charge(now)
    assert found.expected.least_s <= now - 1000.0 + 1e-6
    if found.expected.bucket == "shop" and "shop.CARTS" not in limits:
        assert found.expected.least_s == pytest.approx(now - 1000.0, abs=BUNCH_S + 1e-6)
