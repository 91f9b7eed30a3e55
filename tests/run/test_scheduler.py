"""Whole runs over a cloud of a few dictionaries: the order of the requests, and the outcome of each scope."""

from __future__ import annotations

import json
from collections import Counter

import anyio
import pytest

from crawler.catalog import schemas_folder
from crawler.client.client import SignedAccount
from crawler.client.error_rules import load_rules
from crawler.errors import OutputError, TransientError, unwrap_group
from crawler.normalizer.fast import reader as fast_path
from crawler.run.list_walker import MAX_WRITING
from crawler.run.scope import MAX_PENDING, Scope, describe_walks
from crawler.run.targets import SkipReason, Target, TargetPlan
from crawler.snapshot import ListWriter, Status
from crawler.testing import START, FakeProvider, answer
from tests.support.scheduler_run import (
    CATALOG,
    CONFIGS,
    FC2,
    FUNCTIONS,
    HOME,
    INSTANCES,
    SERVICES,
    Run,
    functions,
    instances,
    page,
    services,
)

GROUPS, APPS, SEARCH_INSTANCES = "opensearch_app_groups", "opensearch_apps", "opensearch_function_instances"
RULES = load_rules(schemas_folder() / "errors.toml")


def error(status, code, message=""):
    return answer(status, json.dumps({"Code": code, "Message": message, "RequestId": "R-7"}).encode())


DENIED = error(403, "AccessDenied", "not authorized")
UNSUPPORTED = error(404, "InvalidVersion")
GONE = error(404, "FunctionNotFound")


TREE = {
    (SERVICES, (), None): services("s1", "s2"),
    (FUNCTIONS, ("s1",), None): functions("f1", "f2"),
    (FUNCTIONS, ("s2",), None): functions("g1"),
    (INSTANCES, ("s1", "f1"), None): instances("i1", "i2"),
    (CONFIGS, ("s2", "g1"), None): page("configs", [{"qualifier": "LATEST"}]),
}


async def test_null_as_the_last_page_ends_a_list_and_null_as_the_first_fails_it(tmp_path):
    """F22: null is an empty page where an earlier page of the same list had a list."""
    lists = {
        (SERVICES, (), None): services("s1", "s2", token="t"),
        (SERVICES, (), "t"): page("services", None),
        (FUNCTIONS, ("s1",), None): functions("f1"),
        (FUNCTIONS, ("s2",), None): page("functions", None),
    }
    run = await Run(tmp_path, lists)()
    assert run.row(SERVICES).status == "complete"
    assert (run.row(FUNCTIONS).status, run.row(FUNCTIONS).error_code) == ("failed", "ListMissing")


async def test_a_record_without_its_key_stays_is_named_and_fails_only_the_lists_below_it(tmp_path):
    """F42."""
    lists = {
        (SERVICES, (), None): services("s1"),
        (FUNCTIONS, ("s1",), None): page("functions", [{"functionName": "f1"}, {"runtime": "go1"}, {"runtime": "go1"}]),
        (CONFIGS, ("s1", "f1"), None): page("configs", [{"qualifier": "LATEST"}, {"qualifier": None}]),
    }
    run = await Run(tmp_path, lists)()
    row = run.row(FUNCTIONS)
    assert (row.status, row.rows, row.misfits, row.duplicates, row.conflicts) == ("complete", 3, 2, 0, 0)
    assert run.scheduler.fields.misfits[FUNCTIONS] == {"functionName (missing, a part of the key)": 2}
    assert (run.row(CONFIGS).status, run.row(CONFIGS).error_code) == ("failed", "ParentNameless")
    assert run.row(SERVICES).status == "complete"


async def test_every_list_of_the_tree_is_asked_for_once(tmp_path):
    run = await Run(tmp_path, TREE)()
    assert set(run.statuses().values()) == {"complete"}
    assert [run.row(table).rows for table in FC2] == [2, 3, 2, 1]
    assert max(Counter(run.world.asked).values()) == 1
    assert len(run.world.asked) == 1 + 2 + 3 + 3
    assert run.row(INSTANCES).lists == 3
    assert run.progress.scopes_done == run.progress.scopes == 4
    assert run.progress.rows == 8


async def test_a_page_in_the_body_of_an_error_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(fast_path, "FAST_FROM_BYTES", 0)
    body = json.dumps({"services": [{"serviceName": "s1"}], "nextToken": None}).encode()
    run = await Run(tmp_path, {(SERVICES, (), None): answer(403, body)}, (SERVICES,))()
    assert (run.row(SERVICES).status, run.row(SERVICES).rows_seen) == ("denied", 0)


async def test_children_begin_as_soon_as_their_parents_page_is_in(tmp_path):
    lists = dict(TREE)
    lists[SERVICES, (), None] = services("s1", token="t1")
    lists[SERVICES, (), "t1"] = services("s2")
    asked = []

    async def slow():
        for _ in range(200):
            await anyio.sleep(0)
        asked.extend(run.world.asked)
        return services("s2")

    lists[SERVICES, (), "t1"] = slow
    run = Run(tmp_path, lists)
    await run()
    assert {where[1] for where in asked} == set(FC2), "all levels below the first page, before the second was there"


async def test_parents_go_first_where_places_are_scarce(tmp_path):
    run = Run(tmp_path, {**TREE, (SERVICES, (), None): services(*[f"s{n}" for n in range(30)])}, concurrency=1)
    await run()
    order = [where[1] for where in run.world.asked]
    assert order[:31] == [SERVICES] + [FUNCTIONS] * 30
    assert run.world.most == 1


async def test_a_parent_not_asked_for_is_walked_and_not_written(tmp_path):
    run = await Run(tmp_path, TREE, (INSTANCES,))()
    assert (run.row(SERVICES).written, run.row(FUNCTIONS).written, run.row(INSTANCES).written) == (False, False, True)
    assert (run.row(FUNCTIONS).rows, run.row(FUNCTIONS).rows_seen, run.row(INSTANCES).rows) == (0, 3, 2)


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (DENIED, "denied", "AccessDenied"),
        (UNSUPPORTED, "unsupported", "InvalidVersion"),
        (error(400, "Odd"), "failed", "Odd"),
        (TransientError("Timeout", "x"), "failed", "Timeout"),
        (answer(body=b'{"wrong": []}'), "failed", "ListMissing"),
        (GONE, "failed", "FunctionNotFound"),
    ],
)
async def test_a_root_that_fails_takes_everything_below_with_it_without_a_request(tmp_path, failure, status, code):
    """P5."""
    run = await Run(tmp_path, {(SERVICES, (), None): failure})()
    assert set(run.statuses().values()) == {status}
    assert {row.error_code for row in run.scheduler.ledger} == {code}
    assert {where[1] for where in run.world.asked} == {SERVICES}


async def test_one_list_that_fails_fails_its_scope_and_those_below_and_no_other(tmp_path):
    """F40."""
    run = await Run(tmp_path, {**TREE, (INSTANCES, ("s1", "f2"), None): DENIED})()
    assert run.statuses() == {SERVICES: "complete", FUNCTIONS: "complete", INSTANCES: "denied", CONFIGS: "complete"}
    assert (run.row(INSTANCES).rows, run.row(CONFIGS).rows) == (0, 1)
    assert run.row(INSTANCES).request_id == "R-7"
    assert "fc:" in run.row(INSTANCES).error_message


async def test_the_worst_of_several_lists_counts(tmp_path):
    lists = {**TREE, (INSTANCES, ("s1", "f1"), None): DENIED, (INSTANCES, ("s1", "f2"), None): error(400, "Odd")}
    assert (await Run(tmp_path, lists)()).row(INSTANCES).status in {Status.DENIED, Status.FAILED}
    many = instances(*[f"i{n}" for n in range(1000)])
    run = await Run(tmp_path / "2", {**TREE, (INSTANCES, ("s1", "f1"), None): many})()
    assert (run.row(INSTANCES).status, run.row(INSTANCES).rows) == (Status.TRUNCATED, 1000)


@pytest.mark.parametrize("other", [instances("i1"), instances(), instances(*[f"i{n}" for n in range(1000)])])
@pytest.mark.parametrize("is_first", [True, False])
async def test_a_list_that_is_not_offered_beside_one_that_is_there_is_a_failure(tmp_path, other, is_first):
    """P5: `unsupported` would say that the rows of the other lists are gone."""

    async def later():
        while run.scheduler.open_scopes[HOME, INSTANCES].lists < 2:
            await anyio.sleep(0)
        return late

    first, late = (UNSUPPORTED, other) if is_first else (other, UNSUPPORTED)
    lists = {**TREE, (INSTANCES, ("s1", "f1"), None): first, (INSTANCES, ("s1", "f2"), None): later}
    run = Run(tmp_path, lists)
    await run()
    assert (run.row(INSTANCES).status, run.row(INSTANCES).rows) == (Status.FAILED, 0)
    assert run.row(INSTANCES).error_code == "InvalidVersion"


async def test_a_page_before_the_error_shows_that_the_product_is_there(tmp_path):
    lists = {(SERVICES, (), None): services("s1", token="t"), (SERVICES, (), "t"): UNSUPPORTED}
    run = await Run(tmp_path, lists)()
    assert set(run.statuses().values()) == {"failed"}


async def test_a_list_whose_parent_vanished_is_empty_and_counted(tmp_path):
    """F39."""
    run = await Run(tmp_path, {**TREE, (INSTANCES, ("s1", "f2"), None): GONE})()
    row = run.row(INSTANCES)
    assert (row.status, row.vanished, row.rows, row.lists) == (Status.COMPLETE, 1, 2, 3)


@pytest.mark.parametrize("prefix", ["fc_", "fc2_"])
@pytest.mark.parametrize("code", ["LayerNotFound", "LayerVersionNotFound"])
async def test_f90_a_layer_that_vanished_is_counted_and_leaves_the_others_whole(tmp_path, prefix, code):
    """F90: a layer that is removed after ListLayers has no versions, and the scope is complete."""
    layers, versions = f"{prefix}layers", f"{prefix}layer_versions"
    lists = {
        layers: page("layers", [{"layerName": name, "version": 1} for name in ("L1", "L2")]),
        (versions, ("L1",), None): error(404, code),
        (versions, ("L2",), None): page("layers", [{"layerName": "L2", "version": 1}]),
    }
    row = (await Run(tmp_path, lists, (layers, versions))()).row(versions)
    assert (row.status, row.vanished, row.rows) == (Status.COMPLETE, 1, 1)


async def test_f90_a_region_without_an_operations_path_is_unsupported(tmp_path):
    """F90."""
    refusal = error(404, "PathNotSupported", "'/2023-03-30/snapshots' against 'GET' is not supported")
    row = (await Run(tmp_path, {"fc_snapshots": refusal}, ("fc_snapshots",))()).row("fc_snapshots")
    assert (row.status, row.error_code) == (Status.UNSUPPORTED, "PathNotSupported")


async def test_f90_a_code_about_the_caller_fails_a_child_list(tmp_path):
    """F90: UserNotFound doesn't say that the app group is gone, so that no row looks removed."""
    run = await Run(tmp_path, {**SEARCH, (APPS, ("g2",), None): error(404, "UserNotFound")}, (APPS,))()
    assert (run.row(APPS).status, run.row(APPS).error_code) == (Status.FAILED, "UserNotFound")


@pytest.mark.parametrize("status", [200, 400])
async def test_f91_an_error_in_xml_in_place_of_a_page_is_tried_again(tmp_path, status):
    """F91: inside HTTP 200, too, where a page in JSON is expected."""
    refusals = [answer(status, b"<Error><Code>Throttling</Code><Message>slow</Message></Error>")]

    async def respond():
        return refusals.pop() if refusals else services("s1")

    row = (await Run(tmp_path, {SERVICES: respond}, (SERVICES,))()).row(SERVICES)
    assert (row.status, row.rows, row.requests, row.throttled) == (Status.COMPLETE, 1, 2, 1)


async def test_f91_a_403_of_a_proxy_names_no_permission(tmp_path):
    """F91: the page of a firewall is a failure, and its message doesn't ask for a RAM action."""
    page_of_proxy = answer(403, b"<html><body>Blocked</body></html>")
    row = (await Run(tmp_path, {SERVICES: page_of_proxy}, (SERVICES,))()).row(SERVICES)
    assert (row.status, row.error_code) == (Status.FAILED, "Http403")
    assert "fc:" not in row.error_message


def groups(*names):
    return answer(body=json.dumps({"result": [{"name": name} for name in names], "totalCount": len(names)}).encode())


def search_instances(*names):
    items = [{"instanceName": name} for name in names]
    return answer(body=json.dumps({"Result": items, "totalCount": len(items)}).encode())


KNOWN = ("ctr", "pop", "hot", "hint", "suggest", "category_prediction")


SEARCH = {
    GROUPS: groups("g1", "g2"),
    APPS: answer(body=b'{"result": []}'),
    (APPS, ("g1",), None): answer(
        body=json.dumps({"result": [{"id": "1", "domain": {"functions": {"algo": ["ctr", "own"]}}}]}).encode()
    ),
    SEARCH_INSTANCES: search_instances(),
}


async def test_the_union_of_function_names_is_asked_for_once_each(tmp_path):
    settings = {"opensearch.functions": ("mine", "ctr")}
    run = await Run(tmp_path, SEARCH, (SEARCH_INSTANCES,), settings=settings)()
    asked = sorted(names for _, table, names, _ in run.world.asked if table == SEARCH_INSTANCES)
    assert asked == sorted([*[("g1", n) for n in {*KNOWN, "mine", "own"}], *[("g2", n) for n in {*KNOWN, "mine"}]])
    assert set(run.statuses().values()) == {"complete"}


async def test_a_guess_that_is_not_there_is_not_counted_as_vanished(tmp_path):
    lists = {**SEARCH, SEARCH_INSTANCES: error(404, "Instance.NotExist")}
    run = await Run(tmp_path, lists, (SEARCH_INSTANCES,))()
    row = run.row(SEARCH_INSTANCES)
    assert (row.status, row.vanished) == (Status.COMPLETE, 1), "only the name that an app reports"


async def test_a_child_of_two_parents_is_no_better_than_either(tmp_path):
    run = await Run(tmp_path, {**SEARCH, (APPS, ("g2",), None): DENIED}, (SEARCH_INSTANCES,))()
    assert run.statuses() == {GROUPS: "complete", APPS: "denied", SEARCH_INSTANCES: "denied"}


async def test_a_scope_that_is_doomed_asks_no_more(tmp_path):
    """Neither lists that wait, nor walks that have begun, nor calls between two attempts."""
    waits = anyio.Event()

    async def denied():
        await waits.wait()
        return DENIED

    async def endless():
        waits.set()
        for _ in range(30):
            await anyio.sleep(0)
        return functions("x", token=f"t{len(run.world.asked)}")

    lists = {FUNCTIONS: endless, (SERVICES, (), None): services(*[f"s{n}" for n in range(100)])}
    lists[FUNCTIONS, ("s0",), None] = denied
    run = Run(tmp_path, lists)
    await run()
    assert run.statuses() == {SERVICES: "complete", FUNCTIONS: "denied", INSTANCES: "denied", CONFIGS: "denied"}
    assert len(run.world.asked) <= 1 + 8


async def test_pending_lists_are_bounded(tmp_path):
    """P11: A parent waits while too many lists below it are pending."""
    most = 0
    pages = {}
    for n in range(25):
        token = f"t{n + 1}" if n < 24 else None
        pages[SERVICES, (), f"t{n}" if n else None] = services(*[f"s{n}-{m}" for m in range(100)], token=token)
    run = Run(tmp_path, pages, (FUNCTIONS,))

    async def watching():
        nonlocal most
        found = run.scheduler.open_scopes.get((HOME, FUNCTIONS))
        most = max(most, found.pending if found else 0)
        return functions()

    pages[FUNCTIONS] = watching
    await run()
    assert run.row(FUNCTIONS).lists == 2500
    assert MAX_PENDING * 0.5 < most <= MAX_PENDING + 100


async def test_a_deadline_drops_what_is_open_and_keeps_the_rest(tmp_path):
    """P10."""

    async def never():
        await anyio.sleep_forever()

    other = Target("1000000000000002", "cn-hangzhou")
    third = Target("1000000000000003", "cn-hangzhou")
    caller = SignedAccount(HOME.account_id, FakeProvider())
    needed = CATALOG.with_parents(FC2)
    plans = [TargetPlan(HOME, caller, needed), TargetPlan(other, caller, needed)]
    plans += [TargetPlan(third, caller, needed, SkipReason("AccountMismatch", "It belongs to another."))]
    lists = {**TREE, INSTANCES: never}
    run = Run(tmp_path, lists, plans=plans)
    await run(deadline_s=1.0)
    assert run.row(SERVICES).status is Status.COMPLETE
    assert run.row(CONFIGS).status is Status.COMPLETE
    assert (run.row(INSTANCES).status, run.row(INSTANCES).error_code) == (Status.NOT_ATTEMPTED, "Deadline")
    assert run.row(INSTANCES).rows == 0
    assert run.row(SERVICES, third).status is Status.FAILED


async def test_nothing_begins_after_the_deadline(tmp_path):
    """P10: The dispatcher outlives the run: lists that wait for their turn, and targets that weren't let in, stay."""

    async def never():
        await anyio.sleep_forever()

    caller = SignedAccount(HOME.account_id, FakeProvider())
    targets = [Target(f"{HOME.account_id}{n}", "cn-hangzhou") for n in range(30)]
    plans = [TargetPlan(target, caller, CATALOG.with_parents(FC2)) for target in targets]
    run = Run(tmp_path, {SERVICES: services(*"abcdefghijkl"), FUNCTIONS: never}, plans=plans)
    await run(deadline_s=0.1)
    assert len(run.world.of(FUNCTIONS)) <= 8
    assert len(run.world.of(SERVICES)) < 30
    assert Counter(run.statuses().values()).keys() <= {"complete", "not_attempted"}
    assert {str(row.status) for row in run.scheduler.ledger if row.table == FUNCTIONS} == {"not_attempted"}


@pytest.mark.parametrize("status", [Status.FAILED, Status.DENIED])
async def test_a_refused_account_ends_as_refused_without_a_request(tmp_path, status):
    refusal = SkipReason("InvalidCredentials", "The key is disabled.", status)
    plan = TargetPlan(HOME, SignedAccount(HOME.account_id, FakeProvider()), CATALOG.with_parents(FC2), refusal)
    run = await Run(tmp_path, TREE, plans=[plan])()
    assert run.world.asked == []
    assert {(row.status, row.error_code, row.error_message) for row in run.scheduler.ledger} == {
        (status, "InvalidCredentials", "The key is disabled.")
    }


async def test_a_crawl_of_nothing_ends(tmp_path):
    run = Run(tmp_path, {})
    run.plans = []
    await run()
    assert list(run.scheduler.ledger) == []


async def test_a_defect_that_one_list_shows_ends_no_other(tmp_path):
    run = await Run(tmp_path, {**TREE, (INSTANCES, ("s1", "f1"), None): ZeroDivisionError("canary")})()
    row = run.row(INSTANCES)
    assert (row.status, row.error_code) == (Status.FAILED, "Defect")
    assert "ZeroDivisionError" in row.error_message
    assert "canary" not in row.error_message
    assert run.row(CONFIGS).status is Status.COMPLETE


async def test_an_odd_name_of_a_resource_fails_its_scope_alone(tmp_path):
    body = b'{"services": [{"serviceName": "a\\u0000b"}, {"serviceName": ".."}]}'
    run = await Run(tmp_path, {(SERVICES, (), None): answer(body=body)})()
    assert (run.row(SERVICES).status, run.row(FUNCTIONS).status) == (Status.COMPLETE, Status.FAILED)
    assert run.row(FUNCTIONS).error_code == "InvalidName"


async def test_an_output_that_fails_ends_the_run(tmp_path):
    run = Run(tmp_path, TREE)

    def refuse(*_):
        raise OutputError("no space left")

    async def failing():
        run.writer.destination.disk.write = refuse
        return functions("f1")

    run.world.lists = {**TREE, (FUNCTIONS, ("s1",), None): failing}
    with pytest.raises(BaseExceptionGroup) as caught:
        await run()
    assert isinstance(unwrap_group(caught.value), OutputError)


async def test_one_key_from_two_lists_of_a_scope_is_one_row(tmp_path):
    """P7, F32."""
    pages = {(SERVICES, (), None): services("s", token="t"), (SERVICES, (), "t"): services("s", "r")}
    run = await Run(tmp_path, pages, (SERVICES,))()
    assert (run.row(SERVICES).rows, run.row(SERVICES).rows_seen, run.row(SERVICES).duplicates) == (2, 3, 1)


async def test_what_a_scope_held_is_let_go_when_it_ends(tmp_path):
    """P11."""
    kept = []
    run = Run(tmp_path, TREE)
    original = Scope.notify_capacity

    def noting(scope):
        kept.append(scope)
        original(scope)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scope, "notify_capacity", noting)
        await run()
    assert {scope.operation.table for scope in kept} == set(FC2)
    assert all((scope.started_lists, scope.running, scope.pending) == ({}, set(), 0) for scope in kept)
    assert all(scope.channel.lane.is_empty for scope in kept)


def test_walks_are_described_by_the_most_frequent_first():
    assert describe_walks({}) == ""
    assert describe_walks({"token": 7}) == "token"
    assert describe_walks({"b": 1, "token": 7, "a": 1}) == "token × 7; a × 1; b × 1"


async def test_scopes_that_are_open_at_once_are_bounded(tmp_path, monkeypatch):
    """P11: an account that throttles keeps its scopes open, and lets more targets in."""
    monkeypatch.setattr("crawler.run.admission.MAX_OPEN", 12)
    most = 0

    async def noting():
        nonlocal most
        most = max(most, len(run.scheduler.open_scopes))
        return services("s")

    caller = SignedAccount(HOME.account_id, FakeProvider())
    targets = [Target(f"{HOME.account_id}{n}", "cn-hangzhou") for n in range(20)]
    plans = [TargetPlan(target, caller, CATALOG.with_parents(FC2)) for target in targets]
    run = Run(tmp_path, {SERVICES: noting}, plans=plans, concurrency=50)
    await run()
    assert set(run.statuses().values()) == {"complete"}
    assert 12 <= most <= 12 + len(FC2) - 1


@pytest.mark.parametrize("is_below", [False, True])
async def test_where_the_disk_is_slow_nothing_more_is_asked_for(tmp_path, monkeypatch, is_below):
    """P11: each page that is read meanwhile is held, of new targets and of lists below one parent alike."""
    write, waiting, most = ListWriter.write, 0, 0

    async def slowly(*page):
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        for _ in range(200):
            await anyio.sleep(0)
        await write(*page)
        waiting -= 1

    monkeypatch.setattr(ListWriter, "write", slowly)
    caller = SignedAccount(HOME.account_id, FakeProvider())
    tables = (SERVICES, FUNCTIONS) if is_below else (SERVICES,)
    targets = [Target(f"{HOME.account_id}{n}", "cn-hangzhou") for n in range(1 if is_below else 60)]
    plans = [TargetPlan(target, caller, tables) for target in targets]
    names = [f"s{n}" for n in range(60 if is_below else 1)]
    lists = {SERVICES: services(*names), **{(FUNCTIONS, (name,), None): functions("f") for name in names}}
    run = Run(tmp_path, lists, tables, plans=plans, concurrency=4)
    await run()
    assert set(run.statuses().values()) == {"complete"}
    assert len(run.world.asked) == 60 + is_below
    assert MAX_WRITING <= most <= MAX_WRITING + 4


async def test_a_parent_without_a_name_fails_the_lists_below_it_and_not_itself(tmp_path):
    """F42."""
    nameless = page("services", [{"serviceName": "s1"}, {"serviceName": {"odd": 1}}])
    run = await Run(tmp_path, {**TREE, (SERVICES, (), None): nameless})()
    assert run.statuses() == {SERVICES: "complete", FUNCTIONS: "failed", INSTANCES: "failed", CONFIGS: "failed"}
    assert run.row(FUNCTIONS).error_code == "ParentNameless"
    assert run.row(SERVICES).rows == 2


async def test_names_of_unknown_fields_are_counted_and_have_an_end(tmp_path):
    """F42, T08."""
    lists = {(SERVICES, (), None): services("s1", token="t1"), (SERVICES, (), "t1"): services("s2")}
    for number, key in enumerate(lists):
        record = {"serviceName": f"s{number}", **{f"new{number}-{n}": 1 for n in range(700)}}
        lists[key] = page("services", [record], "t1" if number == 0 else None)
    run = await Run(tmp_path, lists, (SERVICES,))()
    names = run.scheduler.fields.unknown[SERVICES]
    assert len(names) == 1001
    assert names["…"] == 400
    assert sum(names.values()) == 1400


SCRIPTS, TAGS, SLOW = "opensearch_sort_scripts", "opensearch_tag_resources", "opensearch_slow_query_categories"


def groups(*names):
    records = [{"name": name, "id": f"1{name}"} for name in names]
    return answer(body=json.dumps({"result": records, "totalCount": len(records)}).encode())


def result(*records):
    return answer(body=json.dumps({"requestId": "R", "result": list(records)}).encode())


async def test_a_code_that_means_no_such_list_is_an_empty_list(tmp_path):
    lists = {
        (GROUPS, (), "1"): groups("g"),
        (APPS, ("g",), None): result({"id": "1"}, {"id": "2"}),
        (SCRIPTS, ("g", "1"), None): error(400, "InvalidAppSpec", "the specification has no scripts"),
        (SCRIPTS, ("g", "2"), None): result({"scriptName": "s"}),
    }
    run = await Run(tmp_path, lists, (SCRIPTS,))()
    row = run.row(SCRIPTS)
    assert (row.status, row.rows, row.lists, row.vanished) == ("complete", 1, 2, 0)


async def test_any_other_code_fails_the_scope(tmp_path):
    lists = {
        (GROUPS, (), "1"): groups("g"),
        (APPS, ("g",), None): result({"id": "1"}),
        (SCRIPTS, ("g", "1"), None): error(400, "InvalidApp"),
    }
    row = (await Run(tmp_path, lists, (SCRIPTS,))()).row(SCRIPTS)
    assert (row.status, row.error_code) == ("failed", "InvalidApp")


async def test_a_parents_value_goes_into_the_query_and_tells_lists_apart(tmp_path):
    lists = {(GROUPS, (), "1"): groups("a", "b"), TAGS: result()}
    run = await Run(tmp_path, lists, (TAGS,))()
    asked = [query for table, query in run.world.queries if table == TAGS]
    assert asked == [{"resourceType": "instance", "resourceId": f'["1{name}"]'} for name in "ab"]
    assert run.row(TAGS).lists == 2


async def test_a_span_of_time_ends_with_the_crawls_begin(tmp_path):
    lists = {(GROUPS, (), "1"): groups("a", "b"), SLOW: answer(body=b'{"result": {}}')}
    run = await Run(tmp_path, lists, (SLOW,))()
    end = int(START.timestamp())
    spans = [query for table, query in run.world.queries if table == SLOW]
    assert spans == [{"start": str(end - 86_400), "end": str(end)}] * 2
    assert str(run.row(SLOW).status) == "complete"
