"""A comparison gives the same result in both layouts of a snapshot, and across them."""

from __future__ import annotations

import json
import random

import pyarrow as pa
import pytest

from crawler.audit.database import open_snapshot
from crawler.audit.diff import parts
from crawler.audit.diff.columns import TableKey
from crawler.audit.diff.comparison import compare
from crawler.audit.diff.json_output import write_json
from crawler.snapshot import Status
from tests.support.diff_fakes import NEW, OLD, TABLE, Night, Scope, changed, schema_of, secret, wired, write
from tests.support.layouts import copy_in_layout

SCHEMA = schema_of(
    "name",
    "qualifier",
    pa.field("size", pa.int64()),
    pa.field("modified", pa.timestamp("us", tz="UTC")),
    pa.field("tags", pa.map_(pa.string(), pa.string())),
)
WORDS = "fc_words"
ACCOUNTS = [f"100000000000000{number}" for number in range(6)]
REGIONS = ["cn-beijing", "cn-hangzhou", "eu-central-1"]
STATUSES = [*[Status.COMPLETE] * 6, Status.UNSUPPORTED, Status.DENIED, Status.TRUNCATED, Status.UNSTABLE]
KEYS = {TABLE: TableKey(("name", "qualifier"), frozenset({"qualifier"})), WORDS: TableKey()}


def night(seed):
    """Return scopes of all statuses, some without rows or only in one night, with equal keys and keys with nulls."""
    dice = random.Random(seed)
    scopes = []
    for table in KEYS:
        for account in ACCOUNTS:
            for region in REGIONS:
                if dice.random() < 0.1:
                    continue
                names = dice.sample(["a", "b", "c", "d", "e", "f", None, "a"], dice.randrange(8))
                rows = [
                    {
                        "name": name,
                        "qualifier": dice.choice([None, None, None, "LATEST"]),
                        "size": dice.randrange(2),
                        "tags": [("a", dice.choice("xy"))],
                    }
                    for name in names
                ]
                scopes.append(Scope(rows, table, account, region, dice.choice(STATUSES)))
    return Night(dict.fromkeys(KEYS, SCHEMA), scopes)


def compared(old_root, new_root, keys=KEYS):
    """Compare the older snapshot of one folder with the newer one of another."""
    said = []
    with compare(open_snapshot(old_root, OLD), open_snapshot(new_root, NEW), keys) as found:
        write_json(OLD, NEW, found, said.append)
    return json.loads("".join(said))["tables"]


def in_order(tables):
    """Return the differences in an order of their own: rows with equal keys come at the end of their batch."""
    return {
        table: {kind: sorted(found, key=json.dumps) for kind, found in kinds.items()} for table, kinds in tables.items()
    }


@pytest.fixture(scope="module", params=[1, 2])
def outputs(request, tmp_path_factory):
    """Return the same two nights as they were written, in format 1, and in format 2 with several parts a table."""
    root = tmp_path_factory.mktemp("written")
    write(root, OLD, night(request.param))
    write(root, NEW, night(request.param + 100))
    found = {"written": root}
    for name, options in {"1": (1,), "2": (2, 4)}.items():
        found[name] = tmp_path_factory.mktemp("copy")
        for snapshot_id in (OLD, NEW):
            copy_in_layout(root, found[name], snapshot_id, *options)
    return found


@pytest.mark.parametrize("batch_rows", [7, parts.BATCH_ROWS])
def test_every_pair_of_layouts_gives_the_same_differences(outputs, batch_rows, monkeypatch):
    expected = in_order(compared(outputs["written"], outputs["written"]))
    assert all(expected[TABLE][kind] for kind in ("added", "removed", "changed", "unknown_scopes"))
    monkeypatch.setattr(parts, "BATCH_ROWS", batch_rows)
    for old, old_root in outputs.items():
        for new, new_root in outputs.items():
            assert in_order(compared(old_root, new_root)) == expected, (old, new)


def test_a_batch_opens_only_the_parts_that_have_its_accounts(tmp_path):
    rows = [Scope([{"name": "a"}], account=account) for account in ACCOUNTS]
    write(tmp_path, NEW, Night({TABLE: SCHEMA}, rows))
    copy_in_layout(tmp_path, tmp_path / "2", NEW, 2, parts=3)
    snapshot = open_snapshot(tmp_path / "2", NEW)
    files = snapshot.files(TABLE)
    batch = parts.ScopeBatch((ACCOUNTS[0], REGIONS[0]), (ACCOUNTS[0], REGIONS[2]))
    sql = parts.TableParts(snapshot, TABLE).rows_sql(batch)
    assert [file for file in files if file in sql] == files[:1]


def test_files_without_metadata_have_the_wire_names_and_secrets_of_the_catalog(tmp_path):
    plain = schema_of("name", pa.field("token", pa.int64()), pa.field("v_switch_id", pa.string()))
    stored = schema_of("name", secret("token", pa.int64()), wired("v_switch_id", "vSwitchId", pa.string()))
    for declared in (stored, None):
        root = tmp_path / str(declared is None)
        before = [{"name": "a", "token": 1, "_extra": '{"vSwitchId":"v","other":1}'}]
        after = [{"name": "a", "token": 2, "v_switch_id": "v", "_extra": '{"other":2}'}]
        write(root, OLD, Night({TABLE: plain.remove(plain.get_field_index("v_switch_id"))}, [Scope(before)], "keep"))
        write(root, NEW, Night({TABLE: plain}, [Scope(after)], "mask"))
        found = compared(root, root, {TABLE: TableKey(("name",), declared=declared)})[TABLE]
        expected = {"_extra.other": (1, 2)} if declared else {"token": (1, 2), "_extra.other": (1, 2)}
        assert changed(found) == expected
        assert found.get("unknown_columns", {}).keys() == ({"token"} if declared else set())
