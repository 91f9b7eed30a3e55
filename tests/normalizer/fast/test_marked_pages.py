"""Pages with secrets that are never written, in values and in names: both paths replace them in the same way."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.errors import NormalizeError
from crawler.normalizer import Normalizer
from crawler.normalizer.fast import reader
from crawler.normalizer.redaction import Redaction
from crawler.secret_text import LiteralSecrets
from tests.support.both_paths import check, context
from tests.support.examples import examples
from tests.support.record_strategies import CATALOG, LISTS, changed, nested, node_at, places, records
from tests.support.secret_sweep import Sweep, texts

FUNCTIONS = CATALOG.operations["fc_functions"]
TOKEN = "CAISplanted+TOKEN/" + "Ab1+/" * 8 + "zz=="
KEY_ID = "LTAI5tPLANTEDKEYID00001"
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvPLANTED\n-----END PRIVATE KEY-----"
URL = "https://b.oss-cn-hangzhou.aliyuncs.com/c.zip?OSSAccessKeyId=x&Expires=1&Signature=PLANTED"
MARKED = {
    "key ID": KEY_ID,
    "token": f"x {TOKEN} y",
    "token in a URL": quote(TOKEN, safe=""),
    "token in base64": base64.b64encode(f"ab{TOKEN}".encode()).decode(),
    "token in hex": TOKEN.encode().hex().upper(),
    "token cut": TOKEN[:20],
    "token in JSON": json.dumps({"a": "".join(f"\\u{ord(c):04x}" for c in TOKEN)}),
    "private key": PEM,
    "private key in JSON": json.dumps({"a": json.dumps(PEM).replace("P", "\\u0050")}),
    "signed URL": URL,
}
NEEDLES = Sweep(TOKEN, TOKEN[:16], KEY_ID, "PLANTED")


def literals():
    secrets = LiteralSecrets()
    secrets.add(TOKEN, KEY_ID, owner="1")
    return secrets


REDACTIONS = [
    Redaction("fingerprint", "fingerprint", b"k" * 32, scope="account", literals=literals()),
    Redaction("mask", "keep", None, literals=literals()),
    Redaction("keep", "keep", b"k" * 32, literals=literals()),
]


@pytest.fixture(autouse=True, scope="module")
def quick_from_the_first_byte():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "FAST_FROM_BYTES", 0)
        yield


def page(operation, *found):
    return json.dumps(nested(operation, list(found)), ensure_ascii=False).encode()


def function(**fields):
    return {"functionName": "f", "functionId": "i", **fields}


def places_of(marked):
    """A record for each kind of place of a text."""
    return {
        "value": function(description=marked),
        "name of a map": function(environmentVariables={marked: "x", "B": "y"}),
        "names of a map": function(environmentVariables={marked: "x", f"{marked} ": "y"}),
        "value of a secret": function(environmentVariables={"A": marked}),
        "item of a list": function(layers=[{"arn": marked}]),
        "tag": function(tags=[{"key": marked, "value": marked}]),
        "nested": function(vpcConfig={"vpcId": marked}),
        "unknown field": function(brandNew=marked),
        "name of an unknown field": function(**{marked: 1}),
        "names of unknown fields": function(**{marked: 1, f"{marked} ": 2}),
        "name below an unknown field": function(brandNew={marked: [{marked: 1}]}),
        "name below a known field": function(vpcConfig={marked: 1}),
        "type mismatch": function(memorySize=marked),
        "record": marked,
        "item of another list": function(layers=marked),
    }


def said(read):
    """All bytes of a page: its rows as values and as JSON, and the names that the manifest and the log get."""
    return "\0".join([*texts(read.batch.to_pylist()), json.dumps([dict(read.unknown), dict(read.misfits)])]).encode()


@pytest.mark.parametrize("redaction", REDACTIONS, ids=lambda redaction: redaction.mode)
@pytest.mark.parametrize("place", places_of(""))
def test_no_path_writes_it_anywhere(place, redaction):
    """P21, T02, T06, T36, T37: in no value, name, or name of an unknown field, and both paths say the same."""
    bodies = {name: page(FUNCTIONS, places_of(marked)[place]) for name, marked in MARKED.items()}
    check(FUNCTIONS, [page(FUNCTIONS, function()), *bodies.values()], redaction, may_refuse=True)
    for is_fast in (True, False):
        normalizer = Normalizer(FUNCTIONS, redaction, "s", is_fast=is_fast)
        for name, body in bodies.items():
            assert NEEDLES.found(said(normalizer.read(body, context(FUNCTIONS)))) == set(), name


def test_names_that_become_the_same_stay_two():
    record = function(environmentVariables={TOKEN: "x", f"{TOKEN}{TOKEN}": "y", "C": "z"}, **{TOKEN: 1, KEY_ID: 2})
    read = Normalizer(FUNCTIONS, REDACTIONS[2], "s").read(page(FUNCTIONS, record), context(FUNCTIONS))
    [row] = read.batch.to_pylist()
    assert row["environment_variables"] == [("***", "x"), ("*** (2)", "y"), ("C", "z")]
    assert json.loads(row["_extra"]) == {"***": 1, "*** (2)": 2}


@pytest.mark.parametrize("marked", [*MARKED.values(), "PRIVATE\\u0020KEY", "\ud800"])
def test_large_and_small_pages_are_searched_for_the_same(marked):
    """Large ones by RE2."""
    for text, is_found in ((marked, True), ("plain %20 text", False)):
        body = json.dumps({"a": text}).encode()
        assert REDACTIONS[0].for_account("1").has_markers(body) is is_found
        assert REDACTIONS[0].for_account("1").has_markers(body + b" " * 300_000) is is_found


def test_the_rest_of_a_text_with_a_literal_secret_stays():
    record = function(description=f"uses {KEY_ID} since May")
    for is_fast in (True, False):
        read = Normalizer(FUNCTIONS, REDACTIONS[0], "s", is_fast=is_fast).read(
            page(FUNCTIONS, record), context(FUNCTIONS)
        )
        assert read.batch.column("description").to_pylist() == ["uses *** since May"]


@pytest.mark.parametrize("is_fast", [True, False])
def test_a_key_of_a_table_is_replaced_and_its_child_list_is_not_requested_by_another_name(is_fast):
    """T36: the child scope fails, since a request with the replaced name would find nothing."""
    records_ = [function(), function(functionName=f"of-{KEY_ID}")]
    read = Normalizer(FUNCTIONS, REDACTIONS[0], "s", is_fast=is_fast).read(
        page(FUNCTIONS, *records_), context(FUNCTIONS)
    )
    assert read.batch.column("function_name").to_pylist() == ["f", "of-***"]
    assert read.keys == [("f",), ("of-***",)]
    with pytest.raises(NormalizeError, match="ParentRedacted"):
        read.parent_keys(["function_name"])


def test_a_secret_of_another_account_is_a_text_like_any():
    """Only an account's own secrets are searched for in its rows: a thousand accounts cost no page more."""
    where = context(FUNCTIONS)
    other = type(where)("2", where.region_id, where.fetched_at, where.parameters)
    body = page(FUNCTIONS, function(description=KEY_ID))
    for is_fast in (True, False):
        read = Normalizer(FUNCTIONS, REDACTIONS[0], "s", is_fast=is_fast).read(body, other)
        assert read.batch.column("description").to_pylist() == [KEY_ID]


def test_the_envelopes_unknown_names_are_searched_too():
    """T37."""
    body = json.dumps({"functions": [function()], PEM: 1, f"x{KEY_ID}": {}}).encode()
    read = Normalizer(FUNCTIONS, REDACTIONS[0], "s").read(body, context(FUNCTIONS))
    assert NEEDLES.found(said(read)) == set()
    assert len(read.unknown) == 2


def test_pages_without_a_mark_stay_on_the_fast_path():
    bodies = [page(FUNCTIONS, function(environmentVariables={"A": "b"}, description="d%20e \\d")) for _ in range(3)]
    assert check(FUNCTIONS, bodies, REDACTIONS[0]) == [True] * 3


@st.composite
def marked_records(draw, operation):
    """A record with some texts or names replaced by marked ones."""
    record = draw(records(operation))
    for _ in range(draw(st.integers(1, 3))):
        text = draw(st.sampled_from(sorted(MARKED.values()))) + draw(st.sampled_from(["", " ", "%20", "ü"]))
        place = draw(st.sampled_from(list(places(record))))
        node = node_at(record, place)
        if isinstance(node, dict):
            record = changed(record, place, {**node, text: draw(st.sampled_from([1, "x", [text], {text: text}]))})
        elif isinstance(node, str):
            record = changed(record, place, text)
    return record


tables = st.sampled_from([table for table in LISTS if not CATALOG.operations[table].item])


@settings(deadline=None, max_examples=examples(90))
@given(st.data())
def test_records_with_marks_anywhere_say_the_same_both_ways_and_hide_them(data):
    """P21, T36, T37."""
    operation, redaction = CATALOG.operations[data.draw(tables)], data.draw(st.sampled_from(REDACTIONS))
    plain = data.draw(records(operation))
    bodies = [page(operation, data.draw(marked_records(operation))) for _ in range(2)]
    check(operation, [page(operation, plain), *bodies], redaction, may_refuse=True)
    normalizer = Normalizer(operation, redaction, "s")
    for body in bodies:
        try:
            read = normalizer.read(body, context(operation))
        except NormalizeError:
            continue
        assert NEEDLES.found(said(read)) == set()


def with_key_ids(operation, wire):
    """The operation with a column that lists access keys."""
    columns = [replace(column, is_key_id=True) if column.wire == wire else column for column in operation.columns]
    return replace(operation, columns=tuple(columns))


@pytest.mark.parametrize("wire", ["description", "functionName"])
def test_f154_a_key_id_stays_in_a_column_of_key_ids_only(wire):
    """F156: the key that the crawl signs with is a row like the others, and its ID is hidden everywhere else."""
    secrets = LiteralSecrets()
    secrets.add_access_key(KEY_ID, owner="1")
    secrets.add(TOKEN, owner="1")
    redaction = Redaction("fingerprint", "fingerprint", b"k" * 32, scope="account", literals=secrets)
    operation = with_key_ids(FUNCTIONS, wire)
    texts_of_column = [KEY_ID, f"by {KEY_ID}", TOKEN, quote(TOKEN, safe=""), "other"]
    found = [function(**{wire: text, "handler": KEY_ID}) for text in texts_of_column]
    check(operation, [page(operation, *found)], redaction)
    batch = Normalizer(operation, redaction, "s").read(page(operation, *found), context(operation)).batch
    column = batch.column(operation.column_names[wire]).to_pylist()
    assert column == [KEY_ID, "by ***", "***", "***", "other"]
    assert set(batch.column("handler").to_pylist()) == {"***"}


def test_a_key_id_is_forgotten_as_a_secret_and_stays_one_of_a_key():
    """The newest secrets of an account count; a key that signed earlier is still no secret in a list of keys."""
    secrets = LiteralSecrets()
    secrets.add_access_key(KEY_ID, owner="1")
    secrets.add(*(f"token-number-{number:04d}" for number in range(20)), owner="1")
    assert secrets.hide(KEY_ID, "1") == KEY_ID
    assert secrets.is_key_id(KEY_ID)
    assert not any(map(secrets.is_key_id, (f"{KEY_ID} ", TOKEN, None, 5)))


def test_no_mark_is_in_the_bytes_of_a_file(tmp_path):
    """P21: Parquet's statistics and dictionaries repeat names and values."""
    body = page(FUNCTIONS, *(places_of(marked)[place] for marked in MARKED.values() for place in places_of("")))
    batch = Normalizer(FUNCTIONS, REDACTIONS[0], "s").read(body, context(FUNCTIONS)).batch
    pq.write_table(pa.Table.from_batches([batch]), tmp_path / "part.parquet", compression="none")
    assert Sweep(KEY_ID, TOKEN[:16], "MIIEvPLANTED").found_in_folder(tmp_path) == {}
