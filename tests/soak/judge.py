"""Checks the result of a crawl of the soak: all rows, all scopes, and no leaked resources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from crawler.snapshot import Manifest, ScopeRow, newest_snapshot_id, read_ledger, read_manifest
from crawler.snapshot.layout import STAGING
from crawler.snapshot.verify import verify_all
from tests.soak.crawling import Crawled
from tests.soak.expected import LEFT_OUT, Expected
from tests.soak.faults import broken
from tests.soak.served import Plan

MOST_MB = 512
# The cloud's Date header has whole seconds, and the response takes some time.
_SKEW_S = 3.0
_SHOWN = 10

Scope = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The figures of the crawl, and its errors as sentences. `rows` are by table, `scopes` by status."""

    rows: dict[str, int]
    bytes: int
    scopes: dict[str, int]
    requests: int
    retries: int
    throttled: int
    wrong: tuple[str, ...]


def judge(plan: Plan, tables: Sequence[str], root: Path, crawled: Crawled) -> Judgement:
    """Compare the newest snapshot with the world, and the process's outcome with the expected one."""
    snapshot_id = newest_snapshot_id(root)
    if not snapshot_id:
        return Judgement({}, 0, {}, 0, 0, 0, (f"exit {crawled.exit_code} and no snapshot: {crawled.log[-1500:]}",))
    manifest = read_manifest(root, snapshot_id)
    ledger = list(read_ledger(root, manifest))
    wrong = [*_process(plan, crawled), *_output(root, manifest, plan), *_scopes(plan, tables, ledger)]
    wrong += _rows(plan, tables, root, manifest, ledger)
    return Judgement(
        rows={table: manifest.tables[table].rows for table in tables},
        bytes=sum(entry.bytes for entry in manifest.tables.values()),
        scopes=Counter(row.status.value for row in ledger),
        requests=sum(row.requests for row in ledger),
        retries=sum(row.retries for row in ledger),
        throttled=sum(row.throttled for row in ledger),
        wrong=tuple(wrong),
    )


def _process(plan: Plan, crawled: Crawled) -> Iterator[str]:
    due = 3 if plan.breaks else 0
    if crawled.exit_code != due:
        yield f"the exit code is {crawled.exit_code}, not {due}"
    if max(crawled.peak_mb, crawled.most_mb) >= MOST_MB:
        yield f"the peak was {crawled.peak_mb:.0f} MiB"
    for what in ("files_left", "tasks_left", "threads_left"):
        if crawled.left[what]:
            yield f"{what}: {crawled.left[what]}"
    for word in ("ResourceWarning", "Traceback", "never awaited", "never retrieved"):
        if word in crawled.log:
            yield f"{word} in the log"


def _output(root: Path, manifest: Manifest, plan: Plan) -> Iterator[str]:
    due = "partial" if plan.breaks else "complete"
    if manifest.status != due:
        yield f"the snapshot is {manifest.status}, not {due}"
    if abs(manifest.clock_skew_s - plan.ahead_s) > _SKEW_S:
        yield f"clock_skew_s is {manifest.clock_skew_s}, not {plan.ahead_s}"
    staged = sorted(path.name for path in (root / STAGING).iterdir())
    if staged != ["lock"]:
        yield f"left in {STAGING}: {staged[:_SHOWN]}"
    verdicts, loose = verify_all(root)
    bad = [*(file for verdict in verdicts for file in verdict.bad_files), *loose]
    if bad or len(verdicts) != 1:
        yield f"verify: {len(verdicts)} snapshots, {bad[:_SHOWN]}"


def _scopes(plan: Plan, tables: Sequence[str], ledger: Sequence[ScopeRow]) -> Iterator[str]:
    """Yield scopes that are missing, doubled, or have another status or code than expected."""
    failing = broken(plan.world) if plan.breaks else {}
    due: dict[Scope, tuple[str, str]] = {}
    for account, region in (
        (account, region) for account in plan.world.account_ids for region in plan.world.region_ids
    ):
        reason = failing[account, region][1:] if (account, region) in failing else ("complete", "")
        due |= {(account, region, table): reason for table in tables}
    found = {(row.account_id, row.region_id, row.table): (row.status.value, row.error_code) for row in ledger}
    if len(ledger) != len(due) or found.keys() != due.keys():
        yield f"{len(ledger)} scopes in the ledger, not {len(due)}"
    odd = [(scope, found[scope], due[scope]) for scope in found.keys() & due.keys() if found[scope] != due[scope]]
    yield from (f"{scope} is {has}, not {should}" for scope, has, should in sorted(odd)[:_SHOWN])
    for row in ledger:
        if row.duplicates or row.conflicts or row.vanished:
            yield f"{row.table} of {row.account_id} in {row.region_id} has duplicates, conflicts or vanished lists"


def _rows(
    plan: Plan, tables: Sequence[str], root: Path, manifest: Manifest, ledger: Sequence[ScopeRow]
) -> Iterator[str]:
    expected, written = Expected(plan.world), {table: WrittenRows(root, manifest, table) for table in tables}
    seen = {(account, region, table) for table, rows in written.items() for account, region in rows.targets}
    counted = {(row.account_id, row.region_id, row.table): row.rows for row in ledger}
    failing = broken(plan.world) if plan.breaks else {}
    for account in plan.world.account_ids:
        for region in plan.world.region_ids:
            for table in tables:
                scope = (account, region, table)
                if (account, region) in failing:
                    yield from [f"{scope} has rows of a list that failed"] if scope in seen else []
                    continue
                due, found = expected.rows(*_named(scope)), written[table].of(account, region)
                if counted.get(scope) != due.num_rows:
                    yield f"the ledger has {counted.get(scope)} rows for {scope}, not {due.num_rows}"
                yield from (f"{scope}: {reason}" for reason in _differences(due, found, expected.key(table), manifest))
    known = {(account, region) for account in plan.world.account_ids for region in plan.world.region_ids}
    yield from (f"{scope} was not expected" for scope in sorted(seen)[:_SHOWN] if scope[:2] not in known)
    yield from (f"{table} was not expected" for table in manifest.tables.keys() - set(tables))


def _named(scope: Scope) -> tuple[str, str, str]:
    account, region, table = scope
    return table, account, region


class WrittenRows:
    """The rows of a table in a snapshot. `targets` are the accounts and regions that have any."""

    def __init__(self, root: Path, manifest: Manifest, table: str) -> None:
        entry = manifest.tables.get(table)
        paths = [root / file.path for file in entry.files] if entry is not None else []
        self.targets: set[tuple[str, str]] = set()
        for path in paths:
            for batch in pq.ParquetFile(path).iter_batches(columns=["account_id", "region_id"], use_threads=False):
                pairs = pa.Table.from_batches([batch]).group_by(["account_id", "region_id"]).aggregate([])
                self.targets |= set(zip(*(column.to_pylist() for column in pairs.columns), strict=True))
        self._dataset = ds.dataset(paths, format="parquet") if paths else None

    def of(self, account: str, region: str) -> pa.Table | None:
        """Return the rows of an account and region; None if there are none."""
        if self._dataset is None or (account, region) not in self.targets:
            return None
        is_wanted = (ds.field("account_id") == account) & (ds.field("region_id") == region)
        return self._dataset.to_table(filter=is_wanted, use_threads=False)


def _differences(due: pa.Table, found: pa.Table | None, key: Sequence[str], manifest: Manifest) -> Iterator[str]:
    """Yield the differences of a scope's rows from the expected ones: lost, additional, doubled or changed rows."""
    if found is None:
        yield from [f"all {due.num_rows} rows are lost"] if due.num_rows else []
        return
    if set(found["snapshot_id"].unique().to_pylist()) != {manifest.snapshot_id}:
        yield "a row names another snapshot"
    has, should = (_in_order(table, key) for table in (found.drop_columns(list(LEFT_OUT)), due))
    if has.equals(should):
        return
    has_keys, due_keys = (Counter(_keys(table, key)) for table in (has, should))
    lost, more = sum((due_keys - has_keys).values()), sum((has_keys - due_keys).values())
    changed = [name for name in should.column_names if not _is_same(has, should, name)]
    yield f"{lost} rows lost, {more} that should not be there or are there twice, others changed in {changed}"


def _in_order(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """Sort the rows by their keys. Most are sorted already, and checking that costs less than sorting."""
    first = rows[key[0]].combine_chunks()
    if len(key) == 1 and pc.all(pc.less_equal(first[:-1], first[1:])).as_py() is not False:
        return rows.combine_chunks()
    return rows.sort_by([(name, "ascending") for name in key]).combine_chunks()


def _keys(table: pa.Table, key: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(table[name].to_pylist() for name in key), strict=True))


def _is_same(has: pa.Table, should: pa.Table, name: str) -> bool:
    return name in has.column_names and bool(has[name].equals(should[name]))
