"""The soak test on a small scale; its judge must fail for each fault that it exists to find."""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import orjson
import pyarrow as pa
import pytest

from crawler.emulator.apis.operations import BY_NAME
from crawler.emulator.faults.script import RequestIdentity
from tests.soak import __main__ as soak
from tests.soak.expected import LEFT_OUT, Expected
from tests.soak.faults import LASTING, PASSING, SoakFaults, broken
from tests.soak.figures import markdown
from tests.soak.judge import _differences, judge
from tests.soak.served import Plan, SoakCloud
from tests.soak.world import Functions, World, kinds

ROOT = Path(__file__).parents[1]
SMALL = World(accounts=3, regions=4, functions=30)
MANIFEST = SimpleNamespace(snapshot_id="s")


def options(work, title):
    return argparse.Namespace(
        accounts=3,
        regions=4,
        functions=30,
        children=1.0,
        share=0.05,
        max_delay=0.2,
        only=[title],
        work=work,
        keep=True,
        again=False,
    )


def plan_of(folder, **changes):
    paths = {name: str(folder / name) for name in ("ready", "report")}
    return Plan(**{"world": SMALL, "share": 0.0, "ahead_s": 0.0, "breaks": False, **paths, **changes})


@pytest.mark.trust
@pytest.mark.parametrize(
    ("title", "exit_code", "statuses"),
    [
        ("children", 0, {"complete": 16}),
        ("failures", 3, {"failed": 8, "complete": 3, "denied": 1}),
        ("functions", 0, {"complete": 12}),
    ],
)
def test_a_small_soak_comes_out_as_it_must_to_the_last_row(tmp_path, title, exit_code, statuses):
    world = replace(SMALL, accounts=1) if title == "children" else SMALL
    [run] = soak.soak(options(tmp_path, title))
    assert run.judged.wrong == ()
    assert (run.crawled.exit_code, run.judged.scopes, run.plan.world) == (exit_code, statuses, world)
    assert run.judged.rows["fc_functions"] == {"children": 4, "failures": 3, "functions": 12}[title] * 30
    assert run.crawled.served["faults"] or title == "failures"
    assert f"| exit code | {exit_code} |" in markdown([run], "2026-11-22")
    left = {"files_at_start": 5, "files_at_most": 9, "files_left": ["7 a"], "tasks_left": ["b"], "threads_left": []}
    bad = replace(run.crawled, exit_code=1, peak_mb=600.0, left=left, log="x: ResourceWarning: y")
    tables = [kind.table for kind in kinds()] if title == "children" else ["fc_functions"]
    found = judge(run.plan, tables, tmp_path / title / "output", bad).wrong
    assert [reason.split()[0] for reason in found] == ["the", "the", "files_left:", "tasks_left:", "ResourceWarning"]


@pytest.mark.parametrize("table", [kind.table for kind in kinds()])
@pytest.mark.parametrize("damage", ["lost", "doubled", "changed", "foreign", "all lost", "none"])
def test_one_row_that_is_not_as_it_must_be_is_seen(table, damage):
    account, region = SMALL.account_ids[1], SMALL.region_ids[2]
    expected = Expected(SMALL)
    due = expected.rows(table, account, region)
    found, row = due, due.num_rows // 2
    if damage == "lost":
        found = pa.concat_tables([due[:row], due[row + 1 :]])
    elif damage == "doubled":
        found = pa.concat_tables([due, due[row : row + 1]])
    elif damage == "changed":
        texts = due["description"].to_pylist()
        texts[row] += "!"
        found = due.set_column(due.schema.get_field_index("description"), due.schema.field("description"), [texts])
    elif damage == "foreign":
        found = pa.concat_tables([due[:row], expected.rows(table, account, SMALL.region_ids[0])[:1], due[row + 1 :]])
    found = with_left_out(found) if damage != "all lost" else None
    reasons = list(_differences(due, found, expected.key(table), MANIFEST))
    assert len(reasons) == (damage != "none")


def with_left_out(rows):
    for name in LEFT_OUT:
        rows = rows.append_column(name, pa.array(["s"] * rows.num_rows))
    return rows


def test_the_cloud_has_each_function_once_and_knows_it_by_its_name(tmp_path):
    cloud = SoakCloud(plan_of(tmp_path))
    account, region = SMALL.account_ids[0], SMALL.region_ids[0]
    functions = Functions(SMALL, account, region)
    names = [record["functionName"] for record in functions]
    assert names == sorted(set(names))
    assert len(names) == len(functions) == 30
    known = cloud.place(account, region).names
    assert all(("fc", name) in known for name in names)
    elsewhere = Functions(SMALL, account, SMALL.region_ids[1])[0]["functionName"]
    assert not any(("fc", name) in known for name in (elsewhere, "fn-000030-00000000", "fn-", "", names[0] + "x"))
    aliases = cloud.source(BY_NAME["fc.ListAliases"], account, region, (names[0],), {})
    assert all(names[0] in record["description"] for record in aliases)
    assert cloud.source(BY_NAME["fc.ListFunctions"], account, region, (), {"fcVersion": "v2"}) == []


def test_every_kind_of_fault_comes_in_its_turn_and_those_that_could_end_a_list_once_a_page():
    ended = []
    faults = SoakFaults(1.0, 1, lambda: ended.append(1))
    pages = [RequestIdentity("1", "r", "fc", "ListFunctions", page) for page in (1, 2)]
    for _ in range(40 * len(PASSING)):
        for page in pages:
            faults.effects(page)
    assert set(faults.counts) == {kind.name for kind in PASSING}
    assert [faults.counts[kind.name] for kind in PASSING if kind.once] == [1, 1, 2, 2]
    assert len(ended) == faults.counts[PASSING[-1].name] > 1
    assert faults.effects(RequestIdentity("1", "r", "sts", "AssumeRole")) == ()


def test_about_the_share_of_the_requests_meets_a_fault():
    faults = SoakFaults(0.1, 1, lambda: None)
    for number in range(5000):
        faults.effects(RequestIdentity("1", "r", "fc", "ListFunctions", number))
    assert 400 < sum(faults.counts.values()) < 600


def test_what_never_works_has_places_of_its_own():
    for world in (SMALL, World(10, 25, 1), World(1, 9, 1)):
        assert len(broken(world)) == len(LASTING)


def test_what_a_process_leaves_is_seen(tmp_path):
    program = f"""
import asyncio, threading
from pathlib import Path
from tests.soak.watched import Watch
Watch(Path({str(tmp_path / "left.json")!r})).start()
kept = open({str(tmp_path / "kept")!r}, "w")
threading.Thread(target=threading.Event().wait, daemon=True, name="stays").start()
bytearray(b"x" * (64 << 20))
async def main():
    global task
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)
    found = orjson.loads((tmp_path / "left.json").read_bytes())
    assert [name.endswith("/kept") for name in found["files_left"]] == [True]
    assert ["sleep" in name for name in found["tasks_left"]] == [True]
    assert found["threads_left"] == ["stays"]
    assert found["files_at_most"] > found["files_at_start"] >= 3
    assert 64 << 10 < found["peak_kb"] < 512 << 10
