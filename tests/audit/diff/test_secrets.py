"""Fingerprints are compared; if the two snapshots hide secrets in different ways, the result is unknown."""

from __future__ import annotations

import pyarrow as pa
import pytest

from crawler.normalizer.redaction import Redaction
from tests.support.diff_fakes import changed, compared_rows, schema_of, secret

SCHEMA = schema_of(
    "name",
    "runtime",
    secret("token"),
    secret("variables", pa.map_(pa.string(), pa.string())),
    secret("command", pa.list_(pa.string())),
    pa.field("registry", pa.struct([secret("password"), pa.field("host", pa.string())])),
)
ONE, OTHER = "hmac:0123456789abcdef", "hmac:fedcba9876543210"
OTHER_KEY, OTHER_WAY = "secrets are fingerprints by another key", "secrets are kept in another way"
OTHER_SCOPE = "secrets are fingerprints of another scope"


def row(fingerprint, **changes):
    return {
        "name": "a",
        "runtime": "go1",
        "token": fingerprint,
        "variables": [("A", fingerprint), ("EMPTY", "")],
        "command": ["run", fingerprint],
        "registry": {"password": fingerprint, "host": "h"},
        "_extra": f'{{"new":{{"key":"{fingerprint}"}}}}',
        **changes,
    }


def test_equal_fingerprints_are_equal_secrets_and_others_are_changed(tmp_path):
    assert compared_rows(tmp_path / "same", SCHEMA, [row(ONE)], [row(ONE)])["changed"] == []
    found = compared_rows(tmp_path / "other", SCHEMA, [row(ONE)], [row(OTHER)])
    assert set(changed(found)) == {"token", "variables.A", "command", "registry.password", "_extra.new"}
    assert changed(found)["token"] == (ONE, OTHER)
    assert "unknown_columns" not in found


UNKNOWN = {"token", "variables.*", "command[]", "registry.password"}


@pytest.mark.parametrize(
    ("old", "new", "options", "why", "unknown"),
    [
        pytest.param(ONE, OTHER, {"key_id": ("a", "b")}, OTHER_KEY, {*UNKNOWN, "_extra"}, id="another key"),
        pytest.param(ONE, OTHER, {"key_id": ("", "b")}, OTHER_KEY, {*UNKNOWN, "_extra"}, id="a key that isn't told"),
        pytest.param(ONE, OTHER, {"scope": ("all", "account")}, OTHER_SCOPE, {*UNKNOWN, "_extra"}, id="another scope"),
        pytest.param(
            ONE, "***", {"secrets": ("fingerprint", "mask")}, OTHER_WAY, {*UNKNOWN, "_extra"}, id="masked now"
        ),
        pytest.param("***", ONE, {"secrets": ("mask", "fingerprint")}, OTHER_WAY, {*UNKNOWN, "_extra"}, id="no longer"),
        pytest.param("x", ONE, {"secrets": ("keep", "fingerprint")}, OTHER_WAY, {*UNKNOWN, "_extra"}, id="kept before"),
        pytest.param("x", "y", {"secrets": ("keep", "mask")}, OTHER_WAY, UNKNOWN, id="by the schema alone"),
    ],
)
def test_hidden_in_another_way_they_are_unknown_and_said_to_be(tmp_path, old, new, options, why, unknown):
    # Only the schema says that a value is a secret if the value does not look like a fingerprint.
    extra = {} if "_extra" in unknown else {"_extra": None}
    found = compared_rows(tmp_path, SCHEMA, [row(old, **extra)], [row(new, runtime="java11", **extra)], **options)
    assert changed(found) == {"runtime": ("go1", "java11")}
    assert found["unknown_columns"] == dict.fromkeys(sorted(unknown), why)


def test_a_secret_that_came_or_went_is_known_all_the_same(tmp_path):
    old = row(ONE, token=None, variables=[("GONE", ONE), ("EMPTY", "")], registry=None)
    new = row(OTHER, variables=[("NEW", OTHER), ("EMPTY", OTHER)], command=["run"])
    found = compared_rows(tmp_path, SCHEMA, [old], [new], key_id=("a", "b"))
    assert changed(found) == {
        "token": (None, OTHER),
        "variables.GONE": (ONE, None),
        "variables.NEW": (None, OTHER),
        "variables.EMPTY": ("", OTHER),
        "command": (["run", ONE], ["run"]),
        "registry": (None, {"password": OTHER, "host": "h"}),
    }


def test_masked_on_both_sides_only_their_presence_is_compared(tmp_path):
    found = compared_rows(tmp_path, SCHEMA, [row("***")], [row("***", token=None)], secrets=("mask", "mask"))
    assert changed(found) == {"token": ("***", None)}
    assert "unknown_columns" not in found


def test_a_list_that_differs_in_more_than_its_secrets_is_a_change(tmp_path):
    old, new = row(ONE), row(OTHER, command=["stop", OTHER])
    found = compared_rows(tmp_path, SCHEMA, [old], [new], key_id=("a", "b"))
    assert changed(found) == {"command": (["run", ONE], ["stop", OTHER])}


@pytest.mark.parametrize("is_same_key", [True, False])
def test_rows_without_a_key_are_told_apart_by_what_is_known_of_them(tmp_path, is_same_key):
    options = {} if is_same_key else {"key_id": ("a", "b")}
    rows = [row(ONE)], [row(OTHER), row(OTHER, runtime="java11")]
    found = compared_rows(tmp_path, SCHEMA, *rows, key=(), **options)
    if is_same_key:
        assert (len(found["added"]), len(found["removed"])) == (2, 1)
        assert "unknown_columns" not in found
    else:
        assert [item["runtime"] for item in found["added"]] == ["java11"]
        assert found["removed"] == []
        assert found["unknown_columns"] == dict.fromkeys(sorted({*UNKNOWN, "_extra"}), OTHER_KEY)


def test_where_no_secret_differs_the_other_key_is_not_mentioned(tmp_path):
    found = compared_rows(tmp_path, schema_of("name"), [{"name": "a"}], [{"name": "a"}], key_id=("a", "b"))
    assert found == {"added": [], "removed": [], "changed": [], "unknown_scopes": []}


def test_the_key_of_fingerprints_has_a_name_that_does_not_give_it_away():
    ids = {Redaction("fingerprint", "fingerprint", key).key_id for key in (b"one" * 11, b"two" * 11)}
    assert len(ids) == 2
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in ids)
    assert Redaction("mask", "fingerprint", b"one" * 11).key_id == ""
    assert Redaction("fingerprint", "fingerprint", None).key_id == ""
