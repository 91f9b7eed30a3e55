"""The scheduler over a small world of answers, without a network."""

from __future__ import annotations

import json
from itertools import zip_longest
from math import inf
from urllib.parse import parse_qsl, unquote, urlsplit

import anyio

from crawler.catalog import load_catalog
from crawler.client.client import SignedAccount
from crawler.client.dispatcher import Dispatcher
from crawler.client.retry import RetryPolicy
from crawler.normalizer import Normalizer
from crawler.normalizer.redaction import Redaction
from crawler.run.admission import Workload
from crawler.run.progress import CrawlProgress
from crawler.run.scheduler import Scheduler
from crawler.run.targets import Target, TargetPlan
from crawler.snapshot import FolderDestination, ScopeRow, SnapshotWriter
from crawler.testing import START, FakeClock, FakeProvider, LoopClock, answer, client_over

CATALOG = load_catalog()


SERVICES, FUNCTIONS, INSTANCES, CONFIGS = (
    "fc2_services",
    "fc2_functions",
    "fc2_instances",
    "fc2_function_async_invoke_configs",
)
FC2 = (SERVICES, FUNCTIONS, INSTANCES, CONFIGS)
HOME = Target("1000000000000001", "cn-hangzhou")


def page(key, items, token=None, **more):
    return answer(body=json.dumps({key: items, "nextToken": token, **more}).encode())


def services(*names, token=None):
    return page("services", [{"serviceName": name} for name in names], token)


def functions(*names, token=None):
    return page("functions", [{"functionName": name} for name in names], token)


def instances(*names):
    return page("instances", [{"instanceId": name} for name in names])


EMPTY = {SERVICES: services(), FUNCTIONS: functions(), INSTANCES: instances(), CONFIGS: page("configs", [])}


class World:
    """A cloud: (table, path parameters, token) → an answer, an error, or a coroutine function; else an empty list.

    `asked` has every request in order: account, region, table, path parameters and token.
    """

    def __init__(self, lists) -> None:
        self.lists = lists
        self.asked: list[tuple] = []
        self.queries: list[tuple] = []
        self.under_way = 0
        self.most = 0

    def of(self, table):
        return [where for _, named, *where in self.asked if named == table]

    async def send(self, request):
        url = urlsplit(request.url)
        action = request.headers["x-acs-action"]
        query = dict(parse_qsl(url.query))
        table = next(name for name, of in CATALOG.operations.items() if of.action == action and fits(of.path, url.path))
        steps, template = url.path.split("/"), CATALOG.operations[table].path.split("/")
        names = tuple(unquote(step) for step, name in zip(steps, template, strict=True) if name.startswith("{"))
        where = (table, names, query.get("nextToken", query.get("pageNumber")))
        self.asked.append((url.hostname.split(".")[0], *where))
        self.queries.append((table, query))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await anyio.sleep(0)
            found = self.lists.get(where, self.lists.get(table, EMPTY.get(table)))
            if callable(found):
                found = await found()
            if isinstance(found, BaseException):
                raise found
            return found
        finally:
            self.under_way -= 1


def fits(template, path):
    """Whether a path is one of an operation's: the fixed steps are the same."""
    pairs = list(zip_longest(template.split("/"), path.split("/")))
    return all(step == given or (step is not None and step.startswith("{")) for step, given in pairs)


class Run:
    """A crawl of `lists` for `tables`: `ledger` by table (of the first target), the requests, and the counts."""

    def __init__(self, folder, lists, tables=FC2, *, plans=None, concurrency=8, settings=None, sender=None):
        self.world = World(lists)
        self.folder = folder
        self.concurrency = concurrency
        self.clock = FakeClock()
        self.dispatcher = Dispatcher(concurrency, LoopClock())
        self.client = client_over(
            sender or self.world,
            dict.fromkeys(("fc-open", "fc", "opensearch"), "{account_id}.{region}.fc.aliyuncs.com"),
            limiter=self.dispatcher,
            clock=self.clock,
            policy=RetryPolicy(max_attempts=3),
            random=0.0,
        )
        needed = CATALOG.with_parents(tables)
        self.plans = plans or [TargetPlan(HOME, SignedAccount(HOME.account_id, FakeProvider()), needed)]
        self.tables = tables
        self.progress = CrawlProgress()
        self.settings = settings or {}

    async def __call__(self, deadline_s=inf):
        schemas = {table: CATALOG.operations[table].schema for table in CATALOG.operations}
        destination = await FolderDestination.begin(self.folder, "20261122T020000Z-0001", START)
        self.writer = SnapshotWriter(destination, schemas)
        redaction = Redaction("mask", "keep", None)
        self.scheduler = Scheduler(
            Workload(CATALOG, self.plans, self.tables, settings=self.settings),
            self.client,
            self.dispatcher,
            {table: Normalizer(CATALOG.operations[table], redaction, "s") for table in CATALOG.operations},
            self.writer,
            self.clock,
            self.progress,
        )
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.dispatcher.run)
                with anyio.fail_after(120):
                    await self.scheduler.run(deadline_s)
                for _ in range(20):
                    await anyio.sleep(0)
                tasks.cancel_scope.cancel()
        finally:
            await self.writer.abandon()
        assert self.dispatcher._free == self.concurrency
        assert not self.scheduler.open_scopes
        assert len(self.scheduler.ledger) == sum(len(plan.tables) for plan in self.plans)
        return self

    def row(self, table, target=HOME) -> ScopeRow:
        (found,) = [
            row
            for row in self.scheduler.ledger
            if (row.table, row.account_id, row.region_id) == (table, target.account_id, target.region_id)
        ]
        return found

    def statuses(self):
        return {row.table: str(row.status) for row in self.scheduler.ledger}
