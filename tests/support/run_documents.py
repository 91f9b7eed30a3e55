"""The documents of a run of two shards, as its processes write them."""

from __future__ import annotations

from crawler.snapshot import PartFile
from crawler.snapshot.layout import ATTEMPT_LEDGER, part_path, run_folder
from crawler.snapshot.manifest import CrawlSelection, DirectoryEntry, SkippedMember
from crawler.snapshot.shards.documents import JoinedRun, PlannedAccount, RunPlan, ShardAccount, ShardReport
from crawler.snapshot.status import Status
from tests.support.snapshot_fakes import ACCOUNT, NEW, OTHER, START

KEY = "nightly"
FOLDER = run_folder(KEY)
NAME = f"{FOLDER}/s00001.report.json"
TABLE = "fc_functions"

PLAN = RunPlan(
    snapshot_id=NEW,
    started_at=START,
    key=KEY,
    shard_count=2,
    at_once=2,
    clock_skew_s=-0.25,
    deadline_at=START,
    plan_sha256="ab" * 32,
    conditions={"[output] secrets": "fingerprint"},
    tables=[TABLE],
    table_sets=[["fc_services", TABLE], [TABLE]],
    places=[{"cn-hangzhou": 0, "cn-shanghai": 1}, {"cn-shanghai": 1}],
    accounts=[PlannedAccount(ACCOUNT, "main", False, 0), PlannedAccount(OTHER, "", True, 1)],
    shards=[[ShardAccount(0, ["cn-shanghai"])], [ShardAccount(0, ["cn-hangzhou"]), ShardAccount(1)]],
    hosts={"fc": {"cn-shanghai": "{account}.cn-shanghai.fc.example.com"}},
    overhead={"sts": 2},
    warnings=["a sentence"],
    directory=DirectoryEntry(account_id=ACCOUNT, status=Status.COMPLETE, members=1),
    left_out=[SkippedMember("1000000000000003", "x", "it is being deleted")],
    not_offered={"opensearch": ["cn-shanghai"]},
    selection=CrawlSelection(regions=["cn-hangzhou"]),
)
REPORT = ShardReport(
    snapshot_id=NEW,
    started_at=START,
    shard=1,
    attempt=2,
    plan_sha256="ab" * 32,
    host="host-b",
    finished_at=START,
    files={TABLE: [PartFile(part_path(TABLE, NEW, 0, "00001002"), 3, 1200, "cd" * 32)]},
    ledger=PartFile(ATTEMPT_LEDGER, 3, 900, "ef" * 32),
    unknown_fields={TABLE: {"new": 2}},
    requests=7,
)
JOINED = JoinedRun(snapshot_id=NEW, started_at=START, key=KEY, finished_at=START, status="partial", exit_code=3)
