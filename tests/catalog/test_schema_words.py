"""Schema features beyond plain columns: JSON inside strings, maps of any type, unusual envelopes, no key."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.catalog.columns import build_columns
from crawler.catalog.model import DETAILS_COLUMN
from crawler.errors import NormalizeError, PaginationError, TransientError
from crawler.normalizer.normalizer import Detail, read_detail, row_values
from crawler.normalizer.redaction import Redaction
from tests.support.shop_catalog import FINGERPRINTS, KEY, carts, extra, read, rows

TRIGGER = """
id = "string"
[columns.config]
authType = "string"
enable = "boolean"
methods = ["string"]
password = "string secret"
payload = "string secret"
"""


@pytest.fixture(scope="module")
def triggers(tmp_path_factory):
    return carts(tmp_path_factory.mktemp("triggers"), TRIGGER, operation='embedded = ["config"]')


def config_of(page):
    [row] = rows(page)
    return row["config"], extra(row)


def one(config):
    return [{"id": "a", "config": config}]


# --- JSON in a string ---


def test_json_in_a_string_is_read_as_what_is_in_it_and_redacted(triggers):
    text = '{\n"authType": "anonymous",\n"enable": true, "methods": ["GET"], "password": "canary"}'
    page = read(triggers, one(text))
    found, more = config_of(page)
    assert found == {
        "auth_type": "anonymous",
        "enable": True,
        "methods": ["GET"],
        "password": FINGERPRINTS.fingerprint("canary"),
        "payload": None,
    }
    assert (more, page.misfits.total(), page.coerced) == (None, 0, 0)


def test_an_unknown_field_in_it_is_kept_by_its_path_with_its_text_hidden(triggers):
    page = read(triggers, one(json.dumps({"PASSWORD": "canary", "retries": 3})))
    assert config_of(page)[1] == {"config.PASSWORD": FINGERPRINTS.fingerprint("canary"), "config.retries": 3}
    assert page.unknown == {"config.PASSWORD": 1, "config.retries": 1}


def test_beside_secrets_unknown_text_is_hidden_also_where_unknown_fields_are_kept(triggers):
    redaction = Redaction("fingerprint", "keep", KEY)
    assert "canary" not in str(rows(read(triggers, one('{"Password2": "canary"}'), redaction)))
    kept = read(triggers, one('{"Password2": "canary"}'), Redaction("keep", "keep", KEY))
    assert config_of(kept)[1] == {"config.Password2": "canary"}


@pytest.mark.parametrize("text", ["password=canary", '{"password": "canary"', '"canary"', '["canary"]', "12", "NaN"])
def test_text_that_holds_no_such_json_is_one_fingerprint(triggers, text):
    page = read(triggers, one(text))
    found, more = config_of(page)
    assert found is None
    assert list(more) == ["config"]
    assert more["config"].startswith("hmac:")
    assert page.misfits.total() == 1
    assert "canary" not in str(rows(page))


@pytest.mark.parametrize("text", ["", "null", None])
def test_nothing_in_a_string_is_null(triggers, text):
    page = read(triggers, one(text))
    assert config_of(page) == (None, None)
    assert page.misfits.total() == 0


def test_an_object_that_comes_as_itself_is_read_and_counted(triggers):
    page = read(triggers, one({"authType": "function", "password": "canary"}))
    assert config_of(page)[0]["auth_type"] == "function"
    assert page.coerced == 1
    assert "canary" not in str(rows(page))


@given(
    st.recursive(
        st.just("canary"),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(["password", "Password", "a.b", "authConfig", ""]), inner, max_size=3),
            inner.map(json.dumps),
        ),
        max_leaves=8,
    ),
    st.booleans(),
)
def test_no_nesting_of_a_secret_comes_through(triggers, value, is_text):
    text = json.dumps(value)
    page = read(triggers, one(text if is_text or not isinstance(value, dict) else value))
    assert "canary" not in str(rows(page))


def test_free_form_json_in_a_string_becomes_json_text(tmp_path):
    operation = carts(tmp_path, 'id = "string"\ninfo = "json"', operation='embedded = ["info"]')
    [row] = rows(read(operation, [{"id": "a", "info": '{ "n": 1.10, "b": [true] }'}]))
    assert row["info"] == '{"n":1.10,"b":[true]}'
    page = read(operation, [{"id": "a", "info": "no json"}])
    assert (rows(page)[0]["info"], extra(rows(page)[0])) == (None, {"info": "no json"})


# --- maps of anything ---


def test_a_map_may_hold_lists_of_objects_with_secrets(tmp_path):
    columns = 'id = "string"\nrules = { "*" = [{ name = "string", value = "string secret" }] }'
    operation = carts(tmp_path, columns)
    page = read(operation, [{"id": "a", "rules": {"x.example": [{"name": "n", "value": "canary", "more": 1}]}}])
    [row] = rows(page)
    assert row["rules"] == {"x.example": [{"name": "n", "value": FINGERPRINTS.fingerprint("canary")}]}
    assert extra(row) == {'rules."x.example"[0].more': 1}
    assert page.unknown == {"rules.*[].more": 1}


def test_a_map_of_anything_says_its_type():
    [column] = build_columns({"a": {"*": ["integer(MB)"]}}, {"a.*[]": "sizes"}, where="x")
    assert column.type_text == "map<list<integer(MB)>>"
    assert column.children[0].children[0].description == "sizes"


# --- odd envelopes ---


def test_an_object_in_place_of_the_list_is_the_one_record_where_the_catalog_says_so(tmp_path):
    operation = carts(tmp_path / "a", 'id = "string"', operation='accepts = ["object"]')
    assert [row["id"] for row in rows(read(operation, {"carts": {"id": "a"}}))] == ["a"]
    assert read(operation, {"carts": {}}).seen == 0
    assert read(operation, [{"id": "a"}]).seen == 1
    with pytest.raises(PaginationError):
        read(operation, {"requestId": "R"})
    with pytest.raises(PaginationError):
        read(carts(tmp_path / "b", 'id = "string"'), {"carts": {"id": "a"}})


def test_a_missing_list_is_empty_only_where_the_catalog_says_so(tmp_path):
    operation = carts(tmp_path, 'id = "string"', operation='accepts = ["absent"]')
    for answer in ({"requestId": "R"}, {"carts": None}):
        assert read(operation, answer).seen == 0
    assert read(operation, {"requestId": "R", "things": [1]}).unknown == {"$.things": 1}
    for answer in ({"carts": "text"}, {"carts": {"id": "a"}}, [1], b"[]"):
        with pytest.raises(PaginationError):
            read(operation, {"carts": 1} if answer == [1] else answer)


def test_records_of_a_table_without_a_key_are_all_rows(tmp_path):
    page = read(carts(tmp_path, 'id = "string"', key=""), [{"id": "a"}, {"id": "a"}, {}])
    assert page.keys == [None, None, None]
    assert page.digests[0] == page.digests[1] != page.digests[2]


# --- parameters of the query, and spans of time ---


def test_a_query_is_filled_from_the_parents_row_and_the_target(tmp_path):
    parents = '[[parents]]\ntable = "fc_functions"\nbind = { name = "function_name" }\n'
    operation = carts(
        tmp_path, 'id = "string"', operation='query = { n = "{name}", r = "{region_id}", q = "1" }', more=parents
    )
    assert operation.parameters == operation.query_parameters == ("name",)
    assert operation.filled_query({"name": "a/b", "region_id": "cn-x", "account_id": "1"}) == {
        "n": "a/b",
        "r": "cn-x",
        "q": "1",
    }
    assert "name" in operation.schema.names


# --- details ---

DETAILS = '[details]\naction = "GetCart"\npath = "/carts/{id}"\nram = "shop:GetCart"\nbind = { id = "id" }\n'


@pytest.fixture(scope="module")
def detailed(tmp_path_factory):
    columns = 'id = "string"\nsize = "integer"\nstate = "string"\ntoken = "string secret"'
    return carts(tmp_path_factory.mktemp("details"), columns, more=DETAILS)


def test_what_a_detail_says_stands_in_place_of_what_the_list_says(detailed):
    details = [
        Detail("fetched", {"id": "a", "size": 2, "State": "on", "token": "canary", "new": 1}),
        Detail("fetched", {"id": "b", "size": None}),
        Detail("vanished"),
        Detail("denied"),
        None,
    ]
    page = read(detailed, [{"id": name, "size": 1, "state": None} for name in "abcde"], details=details)
    found = [(row["id"], row["size"], row["state"], row[DETAILS_COLUMN]) for row in rows(page)]
    assert found == [
        ("a", 2, "on", "fetched"),
        ("b", 1, None, "fetched"),
        ("c", 1, None, "vanished"),
        ("d", 1, None, "denied"),
        ("e", 1, None, None),
    ]
    assert rows(page)[0]["token"] == FINGERPRINTS.fingerprint("canary")
    assert extra(rows(page)[0]) == {"new": 1}


def test_without_details_their_status_is_null(detailed):
    assert [row[DETAILS_COLUMN] for row in rows(read(detailed, [{"id": "a"}]))] == [None]
    assert detailed.schema.names[-2:] == [DETAILS_COLUMN, "_extra"]


def test_a_private_key_in_a_detail_is_never_kept(detailed):
    pem = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----"
    detail = read_detail(json.dumps({"id": "a", "state": pem}).encode())
    page = read(detailed, [{"id": "a"}], Redaction("keep", "keep", KEY), [detail])
    assert "MIIB" not in str(rows(page))


@pytest.mark.parametrize(
    ("body", "error"),
    [(b"", TransientError), (b"[]", TransientError), (b"{}", TransientError), (b"[" * 10**5, NormalizeError)],
)
def test_a_detail_that_is_no_object_is_an_error(body, error):
    with pytest.raises(error):
        read_detail(body)


def test_a_row_without_a_name_can_not_be_asked_for(detailed):
    page = read(detailed, [{"id": "a"}, 7, {"id": ""}])
    assert row_values(page.batch, ["id"]) == [("a",), None, None]
