"""The column tree: names, types, Arrow types, and refused definitions."""

from __future__ import annotations

import pyarrow as pa
import pytest

from crawler.catalog.columns import TIMESTAMP, build_columns, snake_case
from crawler.errors import CatalogError


def build(tree, descriptions=None):
    return build_columns(tree, descriptions or {}, where="x.toml")


def only(node):
    [column] = build({"wire": node})
    return column


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        ("functionName", "function_name"),
        ("InstanceName", "instance_name"),
        ("customDNS", "custom_dns"),
        ("dnsOptions", "dns_options"),
        ("enableTLS", "enable_tls"),
        ("enableWAF", "enable_waf"),
        ("instanceID", "instance_id"),
        ("arnV2", "arn_v2"),
        ("layersArnV2", "layers_arn_v2"),
        ("maxTimeoutMS", "max_timeout_ms"),
        ("memoryMB", "memory_mb"),
        ("diskSizeMB", "disk_size_mb"),
        ("rootCaCertBase64", "root_ca_cert_base64"),
        ("sessionTTLInSeconds", "session_ttl_in_seconds"),
        ("useSLRAuthentication", "use_slr_authentication"),
        ("vSwitchId", "v_switch_id"),
        ("vSwitchIds", "v_switch_ids"),
        ("alwaysAllocateCPU", "always_allocate_cpu"),
        ("availableAZs", "available_azs"),
        ("isE2B", "is_e2_b"),
        ("first_formula_name", "first_formula_name"),
        ("URL", "url"),
        ("URLSigned", "url_signed"),
        ("Key", "key"),
        ("x", "x"),
        ("fc.gpu-type", "fc_gpu_type"),
    ],
)
def test_wire_names_in_snake_case(wire, name):
    assert snake_case(wire) == name


@pytest.mark.parametrize(
    ("node", "arrow", "text"),
    [
        ("string", pa.string(), "string"),
        ("integer(MB)", pa.int64(), "integer(MB)"),
        ("number", pa.float64(), "number"),
        ("boolean", pa.bool_(), "boolean"),
        ("timestamp(ms)", TIMESTAMP, "timestamp(ms)"),
        ("json", pa.string(), "json"),
        ("boolean secret", pa.string(), "boolean secret"),
        ("integer(s) secret", pa.string(), "integer(s) secret"),
        ("string access-key-id", pa.string(), "string access-key-id"),
        ("map<integer>", pa.map_(pa.string(), pa.int64()), "map<integer>"),
        ("map<string> secret", pa.map_(pa.string(), pa.string()), "map<string secret>"),
        (["string"], pa.list_(pa.string()), "list<string>"),
        ([["integer"]], pa.list_(pa.list_(pa.int64())), "list<list<integer>>"),
    ],
)
def test_types_of_the_files_have_arrow_types(node, arrow, text):
    column = only(node)
    assert column.arrow_type == arrow
    assert column.type_text == text


def test_tables_are_structs_and_arrays_are_lists_of_their_one_item():
    column = only([{"mountDir": "string", "readOnly": "boolean"}])
    assert column.arrow_type == pa.list_(pa.struct([("mount_dir", pa.string()), ("read_only", pa.bool_())]))
    assert column.type_text == "list<struct>"


def test_a_field_carries_wire_name_unit_secrecy_and_description():
    [size, token] = build({"diskSize": "integer(MB)", "token": "string secret"}, {"diskSize": "of the disk"})
    assert size.arrow_field.name == "disk_size"
    assert size.arrow_field.nullable
    assert size.arrow_field.metadata == {b"wire": b"diskSize", b"unit": b"MB", b"description": b"of the disk"}
    assert token.arrow_field.metadata == {b"wire": b"token", b"secret": b"true"}


@pytest.mark.parametrize("node", ["map<string> secret", ["string secret"], {"*": ["string secret"]}])
def test_a_field_says_that_all_its_items_are_secret_since_they_have_no_field(node):
    assert only(node).arrow_field.metadata[b"secret"] == b"true"


@pytest.mark.parametrize("node", ["map<string>", [{"token": "string secret"}], {"token": "string secret"}])
def test_a_field_does_not_say_so_of_secrets_among_others(node):
    assert b"secret" not in only(node).arrow_field.metadata


def test_secrecy_is_seen_from_above():
    tree = {"a": {"b": [{"c": "string secret"}]}, "d": {"e": "string"}, "m": "map<json> secret"}
    assert [column.has_secret for column in build(tree)] == [True, False, True]
    assert [column.secret for column in build(tree)] == [False, False, False]


def test_descriptions_reach_fields_below_tables_and_lists():
    tree = {"vpcConfig": {"vpcId": "string"}, "layers": [{"arn": "string"}]}
    vpc, layers = build(tree, {"vpcConfig.vpcId": "the VPC", "layers[].arn": "the layer"})
    assert vpc.children[0].description == "the VPC"
    assert layers.children[0].children[0].description == "the layer"


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, "columns must be a table of wire names and types, and not empty."),
        ("string", "columns must be a table of wire names and types, and not empty."),
        ({"a": {}}, "a must be a table of wire names and types, and not empty."),
        ({"a": []}, "a is a list and must hold exactly one item, the type of its items."),
        ({"a": ["string", "string"]}, "a is a list and must hold exactly one item, the type of its items."),
        ({"a": {"b": 3}}, "a.b has the type 3; write TYPE, TYPE(unit) or TYPE secret."),
        ({"a": ["string "]}, "a[] has the type 'string '; write TYPE, TYPE(unit) or TYPE secret."),
        ({"a": "secret string"}, "a has the type 'secret string'; write TYPE, TYPE(unit) or TYPE secret."),
        ({"a": "integer access-key-id"}, "a has the type 'integer access-key-id'; an access key ID is a string."),
        (
            {"a": "map<string> access-key-id"},
            "a has the type 'map<string> access-key-id'; an access key ID is a string.",
        ),
        ({"a": "text"}, "a has the unknown type 'text', not one of string, integer, "),
        ({"a": "map<text>"}, "a has the unknown type 'map<text>', not one of string, integer, "),
        ({"a": "map<map>"}, "a has the unknown type 'map<map>', not one of string, integer, "),
        (
            {"a": "timestamp(us)"},
            "a has the unit 'us'; a timestamp's is s, ms, none, or `in FIELD`",
        ),
        ({"a": {"Key": "string", "key": "string"}}, "'Key' and 'key' under a are both 'key'."),
        ({"aB": "string", "a_b": "string"}, "'aB' and 'a_b' under columns are both 'a_b'."),
        ({"": "string"}, "'' under columns has no letter for a column's name."),
        ({"版本": "string"}, "'版本' under columns has no letter for a column's name."),
    ],
)
def test_what_no_column_can_be_is_refused_with_file_and_key(tree, message):
    with pytest.raises(CatalogError) as caught:
        build(tree)
    assert str(caught.value).startswith(f"x.toml: {message}")
    assert "\n" not in str(caught.value)


def test_a_description_of_no_column_is_refused():
    with pytest.raises(
        CatalogError, match=r"^x\.toml: \[descriptions\] names 'a\.c', which is not a column of the file\.$"
    ):
        build({"a": {"b": "string"}}, {"a.b": "there", "a.c": "not there"})
