"""The fast path from bytes to rows agrees with the exact path, for any page of any table."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.catalog import schemas_folder
from crawler.client.error_parsing import error_from_response
from crawler.client.error_rules import load_rules
from crawler.errors import CrawlError, FatalError
from crawler.normalizer import Normalizer, RowContext
from crawler.normalizer.exact_json import toggle_initial_case
from crawler.normalizer.fast import decoder as arrow
from crawler.normalizer.fast import reader
from crawler.normalizer.fast.variants import MAX_LEARNED
from crawler.text import GLOBAL_REGION
from tests.support.both_paths import check, context
from tests.support.crawl_runner import fast_cloud
from tests.support.examples import examples
from tests.support.record_strategies import (
    CATALOG,
    HIDES,
    KEEPS,
    LISTS,
    answer,
    body_of,
    is_flat,
    junk,
    layouts,
    leaves,
    mutated,
    names,
    plain_records,
    records,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)
tables = st.sampled_from(LISTS)
flat_tables = st.sampled_from(
    [table for table in LISTS if not CATALOG.operations[table].item and is_flat(CATALOG.operations[table])]
)
RULES = load_rules(schemas_folder() / "errors.toml")
redactions = st.sampled_from([KEEPS, *HIDES])


@pytest.fixture(autouse=True, scope="module")
def quick_from_the_first_byte():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "FAST_FROM_BYTES", 0)
        yield


@settings(deadline=None, max_examples=examples(60))
@given(st.data())
def test_pages_as_declared_are_read_the_quick_way_and_say_the_same(data):
    operation = CATALOG.operations[data.draw(flat_tables)]
    layout = data.draw(layouts)
    pages = data.draw(st.lists(st.lists(plain_records(operation), max_size=4), min_size=1, max_size=3))
    token = data.draw(st.sampled_from([None, "", "t", 7]))
    beside = {operation.paging.output_key: token} if operation.paging.output_key and token is not None else {}
    bodies = [body_of(answer(operation, found, **beside), layout) for found in pages]
    found = check(operation, bodies, data.draw(redactions))
    for body, is_quick in zip(bodies, found, strict=True):
        assert is_quick or b"\\u" in body


@settings(deadline=None, max_examples=examples(40))
@given(st.data())
def test_records_as_declared_in_every_form_say_the_same(data):
    operation = CATALOG.operations[data.draw(tables.filter(lambda name: not CATALOG.operations[name].item))]
    pages = data.draw(st.lists(st.lists(records(operation), max_size=3), min_size=1, max_size=3))
    layout = data.draw(layouts)
    check(operation, [body_of(answer(operation, found), layout) for found in pages], data.draw(redactions))


@settings(deadline=None, max_examples=examples(60))
@given(st.data())
def test_pages_that_drift_say_the_same_whatever_was_learned_before(data):
    operation = CATALOG.operations[data.draw(tables)]
    layout = data.draw(layouts)
    record = st.one_of(
        junk,
        plain_records(operation).flatmap(lambda found: mutated(found, junk)),
        plain_records(operation).flatmap(lambda found: st.dictionaries(names, leaves, max_size=2).map(found.__or__)),
        plain_records(operation).flatmap(
            lambda found: st.just({toggle_initial_case(name): v for name, v in found.items()})
        ),
    )
    bodies = []
    for _ in range(data.draw(st.integers(1, 4))):
        found = data.draw(st.lists(record | plain_records(operation), max_size=3))
        beside = data.draw(st.dictionaries(st.sampled_from(["nextToken", "totalCount", "new", "RequestId"]), junk))
        body = body_of(answer(operation, found, **beside), layout)
        if data.draw(st.integers(0, 3)) == 0:
            at = data.draw(st.integers(0, len(body)))
            body = body[:at] + data.draw(st.binary(max_size=3)) + body[at + data.draw(st.integers(0, 3)) :]
        bodies.append(body)
    check(operation, bodies, data.draw(redactions))


# --- pages that are known ---

SAMPLES = Path(__file__).parents[2] / "fixtures" / "documentation"


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
@pytest.mark.parametrize("redaction", [KEEPS, *HIDES], ids=lambda redaction: redaction.mode)
def test_the_documentations_samples_say_the_same(path, redaction):
    operation = CATALOG.operations[path.stem.removesuffix("_pascal")]
    check(operation, [path.read_bytes()] * 3, redaction)


@pytest.fixture(scope="module")
def cloud():
    return fast_cloud()


@pytest.mark.parametrize("table", [name for name, found in CATALOG.operations.items() if found.selection != "out"])
def test_the_emulators_records_say_the_same(cloud, table):
    operation = CATALOG.operations[table]
    action = f"{operation.product}.{operation.action}"
    is_global = CATALOG.products[operation.product].is_global
    lists = [
        found
        for account in cloud.spec.accounts
        for region in ([GLOBAL_REGION] if is_global else cloud.spec.regions[:1])
        for found in cloud.lists(account, region, action).values()
        if found
    ][:6]
    assert lists
    check(operation, [json.dumps(answer(operation, found)).encode() for found in lists for _ in range(2)], HIDES[0])


FUNCTIONS = CATALOG.operations["fc_functions"]


def function(number, **changes):
    return {
        "functionName": f"f{number:05}",
        "cpu": 0.35,
        "createdTime": "2026-05-01T02:03:04Z",
        "memorySize": 512,
        "environmentVariables": {"A": "1", "B": f"secret-{number}"},
        "vpcConfig": {"vpcId": "vpc-1", "vSwitchIds": ["a", "b"]},
        "layers": [{"arn": f"acs:{number}", "size": number}],
        "tags": [{"Key": "k", "Value": "v"}],
        **changes,
    }


def functions(*numbers, **changes):
    return body_of(answer(FUNCTIONS, [function(number, **changes) for number in numbers]), {"separators": (",", ":")})


ODD = {
    "an integer as text": {"memorySize": "512"},
    "an integer with a fraction": {"memorySize": 512.5},
    "an integer beyond 64 bits": {"memorySize": 2**63},
    "a flag as text": {"disableOndemand": "true"},
    "a number as text": {"cpu": "0.5"},
    "text that is a number": {"description": 7},
    "an object for a list": {"layers": {"arn": "x"}},
    "a time without a zone": {"createdTime": "2026-05-01T02:03:04"},
    "a time that no calendar has": {"createdTime": "2026-02-30T02:03:04Z"},
    "a time in nanoseconds": {"createdTime": "2026-05-01T02:03:04.123456789Z"},
    "a time in small letters": {"createdTime": "2026-05-01t02:03:04z"},
    "a time as text of digits": {"createdTime": "1760000000"},
    "a private key": {"description": "-----BEGIN RSA PRIVATE KEY-----\nMIIE"},
    "a signed URL": {"handler": "https://b.oss.example/?Signature=abc"},
    "a private key in a name": {"functionName": "-----BEGIN PRIVATE KEY-----"},
    "a character beyond U+FFFF": {"description": "\U00020000"},
    "text of every escape": {"description": '"\\/\b\f\n\r\t\u0000\u2028<&>'},
    "nothing for a key": {"functionName": None},
    "a key of another type": {"functionName": {"a": 1}},
}


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("redaction", [KEEPS, *HIDES], ids=lambda redaction: redaction.mode)
def test_an_odd_value_among_plain_ones_says_the_same(changes, redaction):
    bodies = [functions(1, 2), functions(3, **changes), functions(4, 5)]
    found = check(FUNCTIONS, bodies, redaction)
    assert found[0]
    assert found[2]


WIRE = {
    "a name twice": (b'"memorySize":512', b'"memorySize":1,"memorySize":512'),
    "a name twice, with an escape": (b'"memorySize":512', b'"memorySize":1,"memor\\u0079Size":512'),
    "a name twice in a map": (b'"A":"1"', b'"A":"0","A":"1"'),
    "a name twice beside white space": (b'"memorySize":512', b'"memorySize" : 512, "memorySize" :512'),
    "a name in both cases": (b'"memorySize":512', b'"memorySize":1,"MemorySize":512'),
    "a token twice": (b'"requestId"', b'"nextToken":"a","nextToken":"b","requestId"'),
    "a token in both cases": (b'"requestId"', b'"nextToken":"a","NextToken":"b","requestId"'),
    "a list in both cases": (b'"requestId"', b'"Functions":[],"requestId"'),
    "a float with an exponent": (b'"cpu":0.35', b'"cpu":35e-2'),
    "a float of too many digits": (b'"cpu":0.35', b'"cpu":0.1000000000000000055511'),
    "a negative zero": (b'"cpu":0.35', b'"cpu":-0.0'),
    "a negative zero for an integer": (b'"memorySize":512', b'"memorySize":-0'),
    "an integer with a point": (b'"memorySize":512', b'"memorySize":512.0'),
    "not a number": (b'"cpu":0.35', b'"cpu":NaN'),
    "bytes that are no UTF-8": (b"vpc-1", b"vpc-\xff"),
    "a lone surrogate": (b"vpc-1", b"vpc-\\ud800"),
    "a pair of surrogates": (b"vpc-1", b"vpc-\\ud840\\udc00"),
    "a control character": (b"vpc-1", b"vpc-\x01"),
    "a byte order mark": (b'{"functions"', b'\xef\xbb\xbf{"functions"'),
    "something behind": (b'"requestId":"1"}', b'"requestId":"1"} x'),
    "an end too early": (b'"requestId":"1"}', b'"requestId":"1"'),
    "another order": (b'"cpu":0.35,', b""),
    "a new name everywhere": (b'"memorySize"', b'"newField":{"b":[1.50,"x"],"a":null},"memorySize"'),
    "a new name in an object": (b'"vpcId"', b'"zone":"z","vpcId"'),
    "a new name in a list's items": (b'"arn"', b'"kind":"k","arn"'),
    "a new name with itself twice": (b'"memorySize"', b'"newField":{"a":1,"a":2},"memorySize"'),
    "a new name with a huge number": (b'"memorySize"', b'"newField":123456789012345678901234567890,"memorySize"'),
    "a new name that is deep": (b'"memorySize"', b'"newField":' + b"[" * 70 + b"]" * 70 + b',"memorySize"'),
    "a new name beside the list": (b'"requestId"', b'"traceId":"t","requestId"'),
    "Pascal case": (b'"memorySize"', b'"MemorySize"'),
}
# The quick way learns these, or can do them at once.
QUICK = {
    *("a negative zero for an integer", "another order", "Pascal case", "a new name everywhere"),
    *("a new name in an object", "a new name in a list's items", "a new name beside the list"),
    "a new name with a huge number",
}


@pytest.mark.parametrize("name", WIRE)
def test_odd_bytes_say_the_same_from_the_first_page_to_the_third(name):
    old, new = WIRE[name]
    bodies = [functions(number, number + 1).replace(old, new) for number in (1, 3, 5)]
    assert old in functions(1)
    assert bodies[0] != functions(1, 2)
    assert check(FUNCTIONS, bodies, HIDES[0])[2] == (name in QUICK)


@pytest.mark.parametrize("name", ["Pascal case", "a new name everywhere"])
def test_what_was_learned_does_no_harm_to_pages_without_it(name):
    old, new = WIRE[name]
    odd = [functions(number).replace(old, new) for number in range(3)]
    plain_ones = [functions(number) for number in range(3, 6)]
    found = check(FUNCTIONS, [*odd, *plain_ones, *odd], HIDES[0])
    assert found[1:3] == [True, True]
    assert found[-1]


def test_data_where_names_are_expected_ends_the_learning():
    normalizer = Normalizer(FUNCTIONS, KEEPS, "s")
    for number in range(200):
        body = functions(number, **{f"name{number}": 1})
        assert normalizer.read(body, context(FUNCTIONS)).unknown == {f"name{number}": 1}
    assert len(normalizer._fast._variant.learned) == MAX_LEARNED


EPOCHS = CATALOG.operations["opensearch_app_groups"]


@pytest.mark.parametrize("values", [[0, 1, 1760000000], [253402300799], [253402300800], [-1], [1.5], ["x", 1]])
def test_epoch_numbers_are_learned_where_an_instant_is_expected(values):
    bodies = [body_of(answer(EPOCHS, [{"name": "a", "created": v} for v in values]), {}) for _ in range(3)]
    found = check(EPOCHS, bodies)
    assert found[2] == all(isinstance(v, int) and 0 <= v < 253402300800 for v in values)


def test_records_that_only_differ_in_the_order_of_their_fields_have_one_digest_both_ways():
    one, other = function(1, new=1), dict(reversed(function(1, new=1).items()))
    for is_quick in (True, False):
        normalizer = Normalizer(FUNCTIONS, KEEPS, "s", is_fast=is_quick)
        pages = [normalizer.read(body_of(answer(FUNCTIONS, [r]), {}), context(FUNCTIONS)) for r in (one, other, one)]
        assert len({digest for page in pages for digest in page.digests}) == 1


def test_many_pages_become_one_batch_each_with_its_own_context():
    operation = CATALOG.operations["fc_aliases"]
    normalizer = Normalizer(operation, KEEPS, "s")
    pages = []
    for number in range(5):
        records = [{"aliasName": f"a{row}"} for row in range(number + 1)]
        where = RowContext("1", "r", NOW + timedelta(seconds=number), {"functionName": f"f{number}"})
        pages.append(normalizer.read(body_of(answer(operation, records), {}), where))
    rows = pages[0].rows.source.decode_fast([page.rows for page in pages]).to_pylist()
    assert rows == [row for page in pages for row in page.batch.to_pylist()]
    assert [row["function_name"] for row in rows] == [f"f{number}" for number in range(5) for _ in range(number + 1)]


def test_should_arro3_refuse_a_page_it_is_read_the_slow_way(monkeypatch):
    page = Normalizer(FUNCTIONS, KEEPS, "s").read(functions(1, 2), context(FUNCTIONS))

    def refuse(*_):
        raise ValueError("no")

    monkeypatch.setattr(arrow, "read_json", refuse)
    slow = Normalizer(FUNCTIONS, KEEPS, "s", is_fast=False).read(functions(1, 2), context(FUNCTIONS))
    assert page.batch.equals(slow.batch)


said = st.sampled_from(
    ["", " ", "OK", "Throttling", "false", "true", "False", 0, 1, 0.0, True, False, None, [], [{"code": "Oops"}], {}]
)
telling = st.dictionaries(
    st.sampled_from(
        [
            *("code", "Code", "message", "Message", "success", "Success", "status", "requestId", "errors", "Errors"),
            *("errorCode", "ErrorCode", "errorMessage", "accessDeniedDetail", "AccessDeniedDetail", "other"),
        ]
    ),
    said,
    max_size=3,
)


@settings(deadline=None, max_examples=examples(300))
@given(tables, st.lists(telling, min_size=1, max_size=4))
def test_what_is_read_before_it_is_judged_is_no_error(table, envelopes):
    """P8: the error check is skipped only for a page that is not an error, for any envelope and earlier pages."""
    operation = CATALOG.operations[table]
    normalizer = Normalizer(operation, KEEPS, "s")
    for envelope in envelopes:
        body = body_of({**answer(operation, []), **envelope}, {})
        error = error_from_response(
            RULES, product=operation.product, status=200, headers={}, body=body, now=lambda: NOW
        )
        checks = []
        with suppress(CrawlError):
            normalizer.read(body, context(operation), check=partial(checks.append, error))
        assert checks or error is None, (body, error)


def test_a_page_that_says_that_all_went_well_is_not_checked():
    normalizer = Normalizer(FUNCTIONS, KEEPS, "s")
    for envelope in ({}, {"requestId": "r"}, {"code": "", "message": "", "success": True}, {"code": None}):
        body = body_of({**json.loads(functions(1, 2)), **envelope}, {})
        normalizer.read(body, context(FUNCTIONS), check=lambda: pytest.fail("checked"))


def test_a_body_that_is_an_error_is_not_read():
    def refuse():
        raise FatalError("Oops", "")

    for is_fast in (True, False):
        with pytest.raises(FatalError):
            Normalizer(FUNCTIONS, KEEPS, "s", is_fast=is_fast).read(b"{}", context(FUNCTIONS), check=refuse)


# --- cost ---


def events(call):
    """How many calls, Python's and C's, one makes."""
    count = 0

    def note(_, event, __):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return count


def calls_per_row(few, many):
    """`few` and `many` are calls for 50 and 250 rows."""
    return (events(many) - events(few)) / 200


def test_the_quick_way_makes_few_calls_a_row_and_none_a_field():
    normalizer = Normalizer(FUNCTIONS, HIDES[0], "s")
    small, large = functions(*range(50)), functions(*range(250))
    pages = [normalizer.read(body, context(FUNCTIONS)) for body in (small, large)]
    reading = calls_per_row(*(lambda body=body: normalizer.read(body, context(FUNCTIONS)) for body in (small, large)))
    decoding = calls_per_row(*(lambda page=page: page.rows.source.decode_fast([page.rows]) for page in pages))
    slow = Normalizer(FUNCTIONS, HIDES[0], "s", is_fast=False)
    reference = calls_per_row(*(lambda body=body: slow.read(body, context(FUNCTIONS)) for body in (small, large)))
    assert reading < 6
    assert decoding < 25  # one secret per row, different in each row
    assert reference > 10 * (reading + decoding) / 3


def test_the_quick_way_keeps_two_objects_a_row_at_most():
    normalizer = Normalizer(FUNCTIONS, HIDES[0], "s")
    body = functions(*range(1000))
    normalizer.read(body, context(FUNCTIONS))
    before = sys.getallocatedblocks()
    rows = normalizer.read(body, context(FUNCTIONS)).rows
    assert sys.getallocatedblocks() - before < 100  # the page is gone, its rows are its bytes
    assert rows.num_rows == 1000
