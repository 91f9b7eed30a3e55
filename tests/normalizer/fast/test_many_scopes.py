"""Pages of many accounts and regions that are decoded together give the rows that each page gives alone."""

from __future__ import annotations

import json
import sys
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.normalizer import Normalizer, RowContext
from crawler.normalizer.fast import decoder as arrow
from crawler.normalizer.fast import reader, row_accounts
from crawler.normalizer.pending import UndecodedPage
from crawler.normalizer.redaction import Redaction
from crawler.secret_text import LiteralSecrets
from tests.support.examples import examples
from tests.support.record_strategies import (
    CATALOG,
    LISTS,
    answer,
    body_of,
    changed,
    is_flat,
    layouts,
    node_at,
    places,
    plain_records,
    records,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)
FUNCTIONS = CATALOG.operations["fc_functions"]
ACCOUNTS = [str(number) for number in range(1, 13)]
REGIONS = ["cn-hangzhou", "cn-beijing", "eu-central-1"]
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEv\n-----END PRIVATE KEY-----"


def literal(account):
    """The key ID that is sent for an account."""
    return f"K{int(account):03}LTAI5tKEYOFACCOUNT"


def literals():
    secrets = LiteralSecrets()
    secrets.add("password-of-the-proxy")
    for account in ACCOUNTS:
        secrets.add(literal(account), owner=account)
    return secrets


REDACTIONS = {
    "fingerprints of an account": Redaction(
        "fingerprint", "fingerprint", b"k" * 32, scope="account", literals=literals()
    ),
    "fingerprints of all accounts": Redaction(
        "fingerprint", "fingerprint", b"k" * 32, scope="all", literals=literals()
    ),
    "masks": Redaction("mask", "keep", None, literals=literals()),
    "kept": Redaction("keep", "keep", b"k" * 32, literals=literals()),
    "without literal secrets": Redaction("fingerprint", "fingerprint", b"k" * 32, scope="account"),
}


@pytest.fixture(autouse=True, scope="module")
def quick_from_the_first_byte():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "FAST_FROM_BYTES", 0)
        yield


def where(operation, number, account, region="cn-hangzhou"):
    parameters = {wire: f"{wire}-{number}" for wire in operation.parameters}
    return RowContext(account, region, NOW + timedelta(milliseconds=number), parameters)


def page_of(operation, *found):
    return json.dumps(answer(operation, list(found)), ensure_ascii=False).encode()


def undecoded(normalizer, bodies, contexts):
    """The pages that the gate accepts, and what the exact path says of each."""
    read = [normalizer.read(body, context).rows for body, context in zip(bodies, contexts, strict=True)]
    return [rows for rows in read if isinstance(rows, UndecodedPage)]


def check(operation, redaction, bodies, contexts):
    """Decode the pages together, each alone, and by the exact path, and compare. Return how many there were."""
    exact = Normalizer(operation, redaction, "s", is_fast=False)
    normalizer = Normalizer(operation, redaction, "s")
    undecoded(normalizer, bodies, contexts)  # it learns how the pages differ from the schema
    pages = undecoded(normalizer, bodies, contexts)
    for source, run in groupby(pages, lambda page: page.source):
        held = list(run)
        together = source.decode(held)
        together.validate(full=True)
        alone = pa.concat_batches([source.decode([page]) for page in held])
        reference = pa.concat_batches([exact.read(page.body, page.context).batch for page in held])
        assert together.schema.equals(operation.schema, check_metadata=True)
        assert together.equals(alone)
        assert together.to_pylist() == reference.to_pylist()
    return len(pages)


def marked(draw, record):
    """The record with one of its texts, or a new name of a map, that has a mark."""
    place = draw(st.sampled_from(list(places(record))))
    text = draw(st.sampled_from([*map(literal, ACCOUNTS), "password-of-the-proxy", PEM, "%50RIVATE KEY"]))
    node = node_at(record, place)
    if isinstance(node, str):
        return changed(record, place, text)
    is_map = isinstance(node, dict) and place and not isinstance(place[-1], int)
    return changed(record, place, {**node, text: text}) if is_map else record


@settings(deadline=None, max_examples=examples(150))
@given(st.data())
def test_pages_of_any_scopes_in_any_order_say_what_each_says_alone(data):
    tables = [table for table in LISTS if not CATALOG.operations[table].item]
    operation = CATALOG.operations[data.draw(st.sampled_from(sorted(tables)))]
    bodies, contexts = [], []
    for number in range(data.draw(st.integers(1, 12))):
        found = data.draw(st.lists(plain_records(operation) | records(operation), max_size=3))
        if data.draw(st.integers(0, 3)) == 0:
            found = [marked(data.draw, record) for record in found]
        if data.draw(st.integers(0, 5)) == 0:
            found = [{**record, "brandNew": "x"} for record in found]
        bodies.append(body_of(answer(operation, found), data.draw(layouts)))
        account, region = data.draw(st.sampled_from(ACCOUNTS)), data.draw(st.sampled_from(REGIONS))
        contexts.append(where(operation, number, account, region))
    check(operation, data.draw(st.sampled_from([*REDACTIONS.values()])), bodies, contexts)


def value(column, number):
    """A value with everything that the column can hold; equal values come in many rows."""
    if column.is_embedded and column.kind != "json":
        return json.dumps(value(replace(column, is_embedded=False), number))
    if column.kind == "json" or (column.secret and column.kind in ("number", "timestamp")):
        return None  # the gate leaves others to the exact path
    match column.kind:
        case "struct":
            return {child.wire: value(child, number) for child in column.children}
        case "list":
            return [value(column.children[0], number + at) for at in range(number % 3)]
        case "map":
            return {f"n{at}": value(column.children[0], number + at) for at in range(number % 3)}
        case "timestamp":
            return f"2026-05-01T02:03:{number % 60:02}Z"
    return {"string": f"text {number % 4}", "integer": number, "boolean": number % 2 == 0, "number": 0.5}[column.kind]


def is_for_the_fast_path(operation):
    key = [column for column in operation.columns if operation.column_names[column.wire] in operation.key]
    plain = all(column.kind in ("string", "integer", "boolean") for column in key)
    return plain and not operation.item and is_flat(operation)


@pytest.mark.parametrize("redaction", REDACTIONS.values(), ids=REDACTIONS.keys())
def test_every_column_of_every_table_says_the_same_for_many_accounts(redaction):
    for operation in CATALOG.operations.values():
        if is_for_the_fast_path(operation):
            rows = [{column.wire: value(column, number) for column in operation.columns} for number in range(12)]
            bodies = [page_of(operation, *rows[at : at + 3]) for at in range(10)]
            contexts = [where(operation, at, ACCOUNTS[at % 6], REGIONS[at % 3]) for at in range(10)]
            assert check(operation, redaction, bodies, contexts) == 10


# --- the rows of an account ---


def function(name, **fields):
    return {"functionName": name, "functionId": "i", **fields}


def decoded(redaction, bodies, accounts, operation=FUNCTIONS):
    contexts = [where(operation, number, account) for number, account in enumerate(accounts)]
    pages = undecoded(Normalizer(operation, redaction, "s"), bodies, contexts)
    assert len(pages) == len(bodies)
    return pages[0].source.decode(pages).to_pylist()


def test_equal_secrets_have_equal_fingerprints_within_an_account_only():
    body = page_of(FUNCTIONS, function("f", environmentVariables={"A": "secret"}), function("g"))
    accounts = ["1", "2", "1", "3", "3", "2"]
    for name, count in (("fingerprints of an account", 3), ("fingerprints of all accounts", 1)):
        rows = decoded(REDACTIONS[name], [body] * 6, accounts)
        assert [row["account_id"] for row in rows] == [account for account in accounts for _ in "fg"]
        found = {(row["account_id"], row["environment_variables"][0][1]) for row in rows[::2]}
        assert len(found) == 3
        assert len({fingerprint for _, fingerprint in found}) == count
        expected = {(a, REDACTIONS[name].for_account(a).fingerprint("secret")) for a in accounts}
        assert found == expected


def test_secrets_at_every_depth_belong_to_the_account_of_their_row():
    def record(name, count):
        mounts = [{"mountDir": "/", "args": [f"s{index}"] * index, "token": "t"} for index in range(count)]
        return function(name, juiceFsConfig={"mountPoints": mounts} if count else None)

    accounts = ["1", "2", "3", "1"]
    bodies = [page_of(FUNCTIONS, *(record(f"f{row}", (row + number) % 3) for row in range(3))) for number in range(4)]
    redaction = REDACTIONS["fingerprints of an account"]
    rows = decoded(redaction, bodies, accounts)
    for at, row in enumerate(rows):
        own = redaction.for_account(accounts[at // 3])
        count = (at % 3 + at // 3) % 3
        mounts = (row["juice_fs_config"] or {}).get("mount_points") or []
        assert [mount["token"] for mount in mounts] == [own.fingerprint("t")] * count
        assert [mount["args"] for mount in mounts] == [[own.fingerprint(f"s{i}")] * i for i in range(count)]


@pytest.mark.parametrize("count", [2, len(ACCOUNTS)])
@pytest.mark.parametrize("escaped", [False, True])
def test_each_account_has_its_own_literal_secrets(count, escaped):
    """T36: those of one account are replaced in its rows only, in few accounts and in many."""
    bodies, accounts = [], []
    for account in ACCOUNTS[:count]:
        for other in ACCOUNTS[:count]:
            text = f"uses {literal(other)}"
            body = page_of(FUNCTIONS, function("f", description=text))
            bodies.append(body.replace(b"LTAI", b"LT\\u0041I") if escaped else body)
            accounts.append(account)
    rows = decoded(REDACTIONS["fingerprints of an account"], bodies, accounts)
    found = iter(row["description"] for row in rows)
    for account in ACCOUNTS[:count]:
        for other in ACCOUNTS[:count]:
            assert next(found) == ("uses ***" if account == other else f"uses {literal(other)}")


def test_only_few_accounts_are_searched_for_at_once(monkeypatch):
    """RE2 takes seconds to search for the secrets of two hundred accounts."""
    searched = []
    whole = Redaction.marks_of
    monkeypatch.setattr(Redaction, "marks_of", lambda own, ids: searched.append(list(ids)) or whole(own, ids))
    redaction = REDACTIONS["fingerprints of an account"]
    bodies = [page_of(FUNCTIONS, function("f", description=literal(account))) for account in ACCOUNTS]
    assert [row["description"] for row in decoded(redaction, bodies, ACCOUNTS)] == ["***"] * len(ACCOUNTS)
    assert max(map(len, searched)) <= row_accounts._MOST_SEARCHED
    searched.clear()
    decoded(redaction, [page_of(FUNCTIONS, function("plain"))] * len(ACCOUNTS), ACCOUNTS)
    assert searched == [[]]


# --- pages that arro3 can't read ---


@pytest.fixture
def exact_reads(monkeypatch):
    """The bodies that the exact path reads instead of arro3."""
    found = []
    whole = Normalizer._exact_batch
    monkeypatch.setattr(
        Normalizer, "_exact_batch", lambda own, body, context: found.append(body) or whole(own, body, context)
    )
    return found


@pytest.mark.parametrize("at", [0, 7, 100, 255])
def test_one_page_that_arro3_rejects_is_the_only_one_that_is_read_by_the_exact_path(at, exact_reads, monkeypatch):
    read = []

    def refuse(documents, schema, count, whole=arrow.read_json):
        read.append(count)
        if b"rejected" in documents:
            raise ValueError("no")
        return whole(documents, schema, count)

    monkeypatch.setattr(arrow, "read_json", refuse)
    bodies = [
        page_of(FUNCTIONS, function(f"f{number}", description="rejected" if number == at else "fine"))
        for number in range(256)
    ]
    rows = decoded(REDACTIONS["fingerprints of an account"], bodies, [ACCOUNTS[n % 12] for n in range(256)])
    assert [row["function_name"] for row in rows] == [f"f{number}" for number in range(256)]
    assert [row["account_id"] for row in rows] == [ACCOUNTS[n % 12] for n in range(256)]
    assert exact_reads == [bodies[at]]
    assert sum(read) <= 3 * 256


def test_a_marked_name_of_a_map_sends_one_page_to_the_exact_path(exact_reads):
    bodies = [
        page_of(FUNCTIONS, function(f"f{number}", environmentVariables={PEM if number == 9 else "A": "x"}))
        for number in range(20)
    ]
    rows = decoded(REDACTIONS["masks"], bodies, [ACCOUNTS[number % 12] for number in range(20)])
    assert [row["environment_variables"][0][0] for row in rows] == ["***" if n == 9 else "A" for n in range(20)]
    assert exact_reads == [bodies[9]]


def test_pages_with_other_records_than_were_counted_are_rejected():
    """Else the rows of one account would get the ID of another."""
    redaction = REDACTIONS["masks"]
    body = page_of(FUNCTIONS, function("f"), function("g"))
    contexts = [where(FUNCTIONS, number, account) for number, account in enumerate(ACCOUNTS[:2])]
    one, other = undecoded(Normalizer(FUNCTIONS, redaction, "s"), [body] * 2, contexts)
    source = one.source
    odd = [source.page(body, count, page.context, ()) for count, page in ((1, one), (3, other))]
    with pytest.raises(ValueError, match="other records"):
        source.decode_fast(odd)
    assert [row["account_id"] for row in source.decode(odd).to_pylist()] == ["1", "1", "2", "2"]


def test_pages_without_records_give_no_rows():
    rows = decoded(
        REDACTIONS["masks"], [page_of(FUNCTIONS), page_of(FUNCTIONS, function("f")), page_of(FUNCTIONS)], "123"
    )
    assert [row["account_id"] for row in rows] == ["2"]
    assert decoded(REDACTIONS["masks"], [page_of(FUNCTIONS)] * 3, "121") == []


# --- cost ---


def small_pages(table, count, redaction):
    operation = CATALOG.operations[table]
    key = {wire: name for wire, name in operation.column_names.items() if name in operation.key}
    bodies = [
        page_of(operation, *(dict.fromkeys(key, f"k{number}-{row}") for row in range(3))) for number in range(count)
    ]
    contexts = [where(operation, n, str(n % 200 + 1), REGIONS[n % 3]) for n in range(count)]
    return undecoded(Normalizer(operation, redaction, "s"), bodies, contexts)


@pytest.mark.parametrize("table", ["fc2_instances", "fc_functions"])
def test_a_small_page_more_takes_few_calls(table):
    """A page alone takes some hundred calls, and as much time as a hundred pages together."""

    def calls(pages):
        count = 0

        def note(_, event, __):
            nonlocal count
            count += event in ("call", "c_call")

        pages[0].source.decode(pages)  # the accounts are known
        sys.setprofile(note)
        try:
            pages[0].source.decode(pages)
        finally:
            sys.setprofile(None)
        return count

    found = [calls(small_pages(table, count, REDACTIONS["without literal secrets"])) for count in (100, 200, 300)]
    assert all(more - few < 30 * 100 for few, more in pairwise(found))


@pytest.mark.parametrize("table", ["fc2_instances", "fc_layers"])
def test_a_small_page_holds_no_more_than_is_counted(table):
    redaction = REDACTIONS["without literal secrets"]
    small_pages(table, 10, redaction)
    tracemalloc.start()
    try:
        pages = small_pages(table, 1000, redaction)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    counted = sum(page.nbytes for page in pages)
    assert counted / 2 < held < counted
