"""Compares the time of a crawl with the least time that the limits allow, in virtual time.

    .venv/bin/python benchmarks/limits.py

The least time of a shape is the largest of three times:
- buckets: requests ÷ rate, of the busiest account, region and product
- chain: the longest chain of requests that need each other's responses × latency
- slots: the latencies of all requests ÷ `[crawl] concurrency`, the user's own limit
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import structlog

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.virtual_cloud import (
    Latency,
    Limit,
    NoWriter,
    Records,
    ServerBucket,
    VirtualCloud,
    VirtualLoop,
    Where,
)
from crawler.catalog import load_catalog
from crawler.catalog.model import Catalog
from crawler.client.client import SignedAccount
from crawler.client.dispatcher import Dispatcher
from crawler.client.rate_limit import LimitRule, TokenBuckets
from crawler.normalizer import Normalizer
from crawler.normalizer.redaction import Redaction
from crawler.run.admission import Workload
from crawler.run.progress import CrawlProgress
from crawler.run.scheduler import Scheduler
from crawler.run.targets import TargetPlan, interleave
from crawler.snapshot import Ledger
from crawler.testing import FakeProvider, LoopClock, client_over

_Result = TypeVar("_Result")

RULES = {"default": LimitRule(20, 5), "fc": LimitRule(50, 10), "fc-open": LimitRule(50, 10)}
SLOW = Latency(2.0, 0.2)


def in_virtual_time(work: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    """Run `work` to its end in an event loop whose time passes only while all tasks wait."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work())
    finally:
        loop.close()


@dataclass(frozen=True)
class Shape:
    """A cloud and a crawl of it. `chain_s`: the longest chain of requests that wait for each other, at mean latency."""

    name: str
    accounts: int
    regions: Sequence[str]
    tables: Sequence[str]
    records: Records
    chain_s: float
    concurrency: int = 64
    slow: Mapping[str, Latency] = field(default_factory=dict)
    rules: Mapping[str, LimitRule] = field(default_factory=lambda: RULES)
    limits: Callable[[Where], Limit | None] | None = None


@dataclass(frozen=True)
class Outcome:
    """The figures of a crawl of a shape. Times are in virtual seconds, except `cpu_s`."""

    shape: Shape
    time_s: float
    requests: int
    refused: int
    rows: int
    buckets_s: float
    slots_s: float
    cpu_s: float
    ledger: Ledger

    @property
    def least_s(self) -> float:
        return max(self.buckets_s, self.shape.chain_s, self.slots_s)

    @property
    def ratio(self) -> float:
        return self.time_s / self.least_s


def crawl(shape: Shape, catalog: Catalog, *, seed: int = 1) -> Outcome:
    """Crawl a shape in virtual time."""
    begun = time.process_time()
    cloud = VirtualCloud(
        catalog, shape.records, shape.limits or partial(_right_limit, shape), slow=shape.slow, seed=seed
    )
    writer = NoWriter()
    scheduler, time_s = in_virtual_time(lambda: _crawl(shape, catalog, cloud, writer))
    return Outcome(
        shape,
        time_s,
        cloud.arrived.total(),
        cloud.refused.total(),
        sum(row.rows for row in scheduler.ledger),
        max(count / _rule(shape, where[2]).rate for where, count in cloud.arrived.items()),
        cloud.waited_s / shape.concurrency,
        time.process_time() - begun,
        scheduler.ledger,
    )


def _rule(shape: Shape, product: str) -> LimitRule:
    return shape.rules.get(product, shape.rules["default"])


def _right_limit(shape: Shape, where: Where) -> Limit:
    """Return the limit that the crawl is configured for."""
    rule = _rule(shape, where[2])
    return ServerBucket(rule.rate, rule.burst)


async def _crawl(shape: Shape, catalog: Catalog, cloud: VirtualCloud, writer: NoWriter) -> tuple[Scheduler, float]:
    clock = LoopClock()
    dispatcher = Dispatcher(shape.concurrency, clock)
    rules = dict(shape.rules)
    hosts = {key: f"{key}.{{account_id}}.{{region}}.aliyuncs.com" for key in catalog.products}
    buckets = TokenBuckets(rules.pop("default"), rules)
    client = client_over(cloud, hosts, limiter=dispatcher, clock=clock, buckets=buckets)
    needed = catalog.with_parents(shape.tables)
    targets = interleave({str(10**15 + n): tuple(shape.regions) for n in range(shape.accounts)})
    plans = [TargetPlan(target, SignedAccount(target.account_id, FakeProvider()), needed) for target in targets]
    redaction = Redaction("mask", "keep", None)
    normalizers = {table: Normalizer(catalog.operations[table], redaction, "s") for table in needed}
    scheduler = Scheduler(
        Workload(catalog, plans, shape.tables),
        client,
        dispatcher,
        normalizers,
        writer,  # type: ignore[arg-type]
        clock,
        CrawlProgress(),
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dispatcher.run)
        begun_at = anyio.current_time()
        await scheduler.run()
        time_s = anyio.current_time() - begun_at
        tasks.cancel_scope.cancel()
    return scheduler, time_s


# --- the shapes ---


def functions_only(count: int) -> Records:
    """Regions of `count` functions with nothing below them."""
    functions = [{"functionName": f"f{n:06d}"} for n in range(count)]
    return lambda table: functions if table == "fc_functions" else ()


def functions_with_triggers(count: int) -> Records:
    """Regions of `count` functions with a trigger each."""
    functions = [{"functionName": f"f{n:06d}"} for n in range(count)]
    triggers = [{"triggerName": "t"}]
    below = {"fc_triggers": triggers, "fc_aliases": [{"aliasName": "a"}]}
    return lambda table: functions if table == "fc_functions" else below.get(table, ())


def tree(*widths: int) -> Records:
    """Return the A/B tests of OpenSearch: `widths` are the app groups, the scenes in each, and so on."""
    levels = [
        ("opensearch_app_groups", "name"),
        ("opensearch_ab_test_scenes", "id"),
        ("opensearch_ab_test_groups", "id"),
        ("opensearch_ab_test_experiments", "id"),
    ]
    lists = {table: [{key: f"{key}{n}"} for n in range(w)] for (table, key), w in zip(levels, widths, strict=True)}
    return lambda table: lists.get(table, ())


def numbered(count: int) -> Records:
    """Return regions of `count` user analyzers, which are listed by page numbers and read twice."""
    analyzers = [{"name": f"a{n:05d}", "id": str(n)} for n in range(count)]
    return lambda table: analyzers if table == NUMBERED else ()


def regions(count: int) -> list[str]:
    return [f"cn-r{n:02d}" for n in range(count)]


FC_FEW = ("fc_functions", "fc_layers", "fc_custom_domains", "fc_aliases", "fc_triggers")
NUMBERED = "opensearch_user_analyzers"
TREE = "opensearch_ab_test_fixed_flow_dividers"


def shapes() -> list[Shape]:
    """Return the shapes of the report."""
    few = functions_with_triggers(2)
    return [
        Shape(
            "1 account, 50,000 functions, the list alone", 1, regions(1), ["fc_functions"], functions_only(50_000), 40.0
        ),
        Shape(
            "1 account, 5,000 functions, four tables below",
            1,
            regions(1),
            ["fc_functions", "fc_aliases", "fc_triggers", "fc_function_versions", "fc_vpc_bindings"],
            functions_with_triggers(5_000),
            50 * 0.08,
        ),
        Shape("200 accounts × 20 regions with few", 200, regions(20), FC_FEW, few, 0.16),
        Shape("the same, 1,000 slots", 200, regions(20), FC_FEW, few, 0.16, concurrency=1000),
        Shape(
            "8 regions of 5,000 functions, the list alone, one region at 2 s per call",
            1,
            regions(8),
            ["fc_functions"],
            functions_only(5000),
            50 * 2.0,
            slow={"cn-r03": SLOW},
        ),
        Shape(
            "8 regions of 500 functions, two tables below, one region at 2 s per call",
            1,
            regions(8),
            FC_FEW,
            functions_with_triggers(500),
            6 * 2.0,
            slow={"cn-r03": SLOW},
        ),
        Shape(
            "8 regions of 1,000 functions, two tables below, one region at 2 s per call, 256 slots",
            1,
            regions(8),
            FC_FEW,
            functions_with_triggers(1000),
            11 * 2.0,
            concurrency=256,
            slow={"cn-r03": SLOW},
        ),
        Shape("1 account, a numbered list of 9,950 rows", 1, regions(1), [NUMBERED], numbered(9_950), 0.8),
        Shape("5 levels of parents, wide", 2, regions(3), [TREE], tree(20, 2, 2, 3), 5 * 0.08),
        Shape("5 levels of parents, narrow", 1, regions(1), [TREE], tree(1, 1, 1, 1), 5 * 0.08),
    ]


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    catalog = load_catalog()
    wanted = sys.argv[1:]
    print("| shape | requests | throttled | buckets s | chain s | slots s | took s | ratio | CPU s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for number, shape in enumerate(shapes()):
        if wanted and str(number) not in wanted:
            continue
        found = crawl(shape, catalog)
        print(
            f"| {shape.name} | {found.requests:,} | {found.refused} | {found.buckets_s:.1f} | {shape.chain_s:.1f} "
            f"| {found.slots_s:.1f} | {found.time_s:.1f} | {found.ratio:.3f} | {found.cpu_s:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
