"""F128: a document of a run that no process of a run writes is a sentence that names it, and never a traceback."""

from __future__ import annotations

from contextlib import contextmanager

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import OutputError
from crawler.snapshot import PartFile
from crawler.snapshot.layout import attempt_ledger_path, part_path, run_folder
from crawler.snapshot.shards.documents import (
    decode_joined,
    decode_plan,
    decode_report,
    encode,
)
from tests.support.run_documents import FOLDER, JOINED, NAME, PLAN, REPORT, TABLE
from tests.support.snapshot_fakes import NEW, OLD


def changed(document, **fields):
    return encode(msgspec.structs.replace(document, **fields))


@contextmanager
def suppress_named(name):
    """Let an OutputError pass that names the document."""
    try:
        yield
    except OutputError as error:
        if not str(error).startswith(name):
            raise


def edited(document, path, value):
    """The JSON of a document with another value at a path of keys and positions."""
    found = msgspec.json.decode(encode(document))
    inner = found
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return msgspec.json.encode(found)


def test_documents_are_read_back_as_they_were_and_have_always_the_same_bytes():
    assert decode_plan(encode(PLAN), "plan.json") == PLAN
    assert decode_report(encode(REPORT), NAME, PLAN, 1) == REPORT
    assert decode_joined(encode(JOINED), "joined.json") == JOINED
    mixed = msgspec.structs.replace(PLAN, hosts=dict(reversed(list(PLAN.hosts.items()))))
    assert encode(mixed) == encode(PLAN)
    assert encode(PLAN).endswith(b"}\n")


def test_the_targets_of_a_shard_are_its_accounts_regions_and_tables():
    first, second = PLAN.accounts
    assert list(PLAN.targets(0)) == [(first, "cn-shanghai", (TABLE,))]
    assert list(PLAN.targets(1)) == [
        (first, "cn-hangzhou", ("fc_services", TABLE)),
        (second, "cn-shanghai", (TABLE,)),
    ]


def test_fields_of_a_later_version_are_ignored():
    assert decode_plan(edited(PLAN, ["brand_new"], {"a": 1}), "plan.json") == PLAN


ODD_PLANS = [
    (edited(PLAN, ["tables", 0], "../x"), "a name that no table has"),
    (edited(PLAN, ["table_sets", 0, 0], "x/y"), "a name that no table has"),
    (edited(PLAN, ["places", 0], {"../../x": 0}), "a region that can't be one"),
    (edited(PLAN, ["places", 0, "cn-hangzhou"], 2), "a region that can't be one"),
    (edited(PLAN, ["accounts", 0, 0], "12/34"), "an account that can't be one"),
    (edited(PLAN, ["accounts", 0, 3], 2), "an account that can't be one"),
    (edited(PLAN, ["shard_count"], 3), "it has 2 shards, and says 3"),
    (edited(PLAN, ["shards", 0, 0, 0], 2), "an account or a region that the plan lacks"),
    (edited(PLAN, ["shards", 0, 0, 1], ["cn-beijing"]), "an account or a region that the plan lacks"),
    (edited(PLAN, ["shards", 0, 0, 0], -1), "can't be read: "),
    (edited(PLAN, ["shard_count"], 0), "can't be read: "),
    (edited(PLAN, ["shard_count"], 10**9), "can't be read: "),
    (edited(PLAN, ["at_once"], 0), "can't be read: "),
    (edited(PLAN, ["key"], ""), "can't be read: "),
    (edited(PLAN, ["key"], "k" * 257), "can't be read: "),
    (edited(PLAN, ["warnings"], ["x" * 70_000]), "can't be read: "),
    (edited(PLAN, ["clock_skew_s"], 1e300), "can't be read: "),
    (edited(PLAN, ["conditions"], None), "can't be read: "),
    (edited(PLAN, ["snapshot_id"], "../../etc"), "it names no snapshot"),
    (edited(PLAN, ["snapshot_id"], "20261399T020000Z-7f3a"), "it names no snapshot"),
    (edited(PLAN, ["started_at"], "2026-11-21T02:00:00"), ""),
    (edited(PLAN, ["started_at"], "0001-01-01T00:00:00+01:00"), ""),
    (edited(PLAN, ["format"], 2), "has format 2, this version reads 1; use one version for a run"),
    (encode(JOINED), "can't be read: "),
    (b"", "can't be read: "),
    (b"null", "can't be read: "),
    (b"[" * 100_000, "can't be read: "),
    (b"\xff\xfe", "can't be read: "),
    (encode(PLAN)[:-20], "can't be read: "),
]


@pytest.mark.parametrize(("text", "reason"), ODD_PLANS)
def test_a_plan_that_no_planner_writes_is_a_sentence(text, reason):
    """F128."""
    with pytest.raises(OutputError, match=r"^_staging/plan.json ") as told:
        decode_plan(text, "_staging/plan.json")
    assert reason in str(told.value)
    assert len(str(told.value)) < 500


ODD_REPORTS = [
    (changed(REPORT, snapshot_id=OLD), "is not a report of shard 1 of this run"),
    (changed(REPORT, plan_sha256="00" * 32), "is not a report of shard 1 of this run"),
    (changed(REPORT, shard=0), "is not a report of shard 1 of this run"),
    (edited(REPORT, ["attempt"], 0), "can't be read: "),
    (edited(REPORT, ["attempt"], 5000), "can't be read: "),
    (edited(REPORT, ["files"], {"fc_layers": []}), "a file isn't one of its snapshot"),
    (edited(REPORT, ["files", TABLE, 0, "path"], part_path(TABLE, OLD, 0)), "a file isn't one of its snapshot"),
    (edited(REPORT, ["files", TABLE, 0, "path"], part_path("fc_layers", NEW, 0)), "a file isn't one of its snapshot"),
    (edited(REPORT, ["files", TABLE, 0, "path"], "../../etc/passwd"), "a file isn't one of its snapshot"),
    (edited(REPORT, ["files", TABLE, 0, "bytes"], -1), "can't be read: "),
    (edited(REPORT, ["files", TABLE, 0, "bytes"], "many"), "can't be read: "),
    (edited(REPORT, ["ledger", "path"], "../../../etc/x.parquet"), "is not a ledger's path"),
    (edited(REPORT, ["ledger", "path"], "/x.parquet"), "is not a ledger's path"),
    (edited(REPORT, ["ledger", "path"], attempt_ledger_path(FOLDER, 1, 1)), "is not a ledger's path"),
    (edited(REPORT, ["ledger", "path"], attempt_ledger_path(run_folder("x"), 1, 2)), "is not a ledger's path"),
    (edited(REPORT, ["ledger", "path"], "x\x1b[31m" * 10_000), "is not a ledger's path"),
    (edited(REPORT, ["seconds"], -1), "can't be read: "),
    (edited(REPORT, ["finished_at"], "yesterday"), "can't be read: "),
    (encode(PLAN), "can't be read: "),
    (b"{}", "can't be read: "),
]


@pytest.mark.parametrize(("text", "reason"), ODD_REPORTS)
def test_a_report_that_no_attempt_at_its_shard_writes_is_a_sentence(text, reason):
    """F128."""
    with pytest.raises(OutputError, match=rf"^{NAME} ") as told:
        decode_report(text, NAME, PLAN, 1)
    assert reason in str(told.value)
    assert len(str(told.value)) < 500
    assert str(told.value).isprintable()


def test_a_report_from_a_bucket_names_the_ledger_of_its_attempt():
    ledger = PartFile(attempt_ledger_path(FOLDER, 1, 2), 3, 900, "ef" * 32)
    assert decode_report(changed(REPORT, ledger=ledger), NAME, PLAN, 1).ledger == ledger


def test_a_note_that_no_joiner_writes_is_a_sentence():
    """F128."""
    for text in (edited(JOINED, ["exit_code"], -1), edited(JOINED, ["snapshot_id"], "x"), b"{", encode(REPORT)):
        with pytest.raises(OutputError, match=r"^joined.json can't be read: "):
            decode_joined(text, "joined.json")


@given(st.binary(max_size=40), st.integers(0, 2000), st.sampled_from(["plan", "report", "joined"]))
def test_whatever_bytes_stand_in_a_document_an_error_names_it(noise, position, kind):
    """F128. Any bytes anywhere in a document."""
    document = {"plan": PLAN, "report": REPORT, "joined": JOINED}[kind]
    text = encode(document)
    position %= len(text)
    text = text[:position] + noise + text[position + len(noise) :]
    with suppress_named(NAME):
        match kind:
            case "plan":
                list(decode_plan(text, NAME).targets(0))
            case "report":
                decode_report(text, NAME, PLAN, 1)
            case _:
                decode_joined(text, NAME)
