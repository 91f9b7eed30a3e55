"""The text of `crawler.text`: cleaned messages of the service, and the patterns of IDs and hosts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.client.endpoints import fill
from crawler.errors import ConfigError
from crawler.snapshot.layout import is_scope_part_path, table_folder
from crawler.text import LONGEST_MESSAGE, LOOPBACK_HOST, REGION_ID, clean_message, decode_text, with_clean_ends

ECHOES = [
    (
        "Specified signature is not matched. server string to sign is:POST&%2F&AccessKeyId%3DLTAI5tCANARY01%26Action",
        "Specified signature is not matched. [string to sign removed]",
    ),
    (
        "It does not match. server StringToSign is [ACS3-HMAC-SHA256\nCANARY], server CanonicalRequest is [GET\nCANARY",
        "It does not match. [string to sign removed]",
    ),
    ("server canonical request: GET /?CANARY", "[string to sign removed]"),
    ("invalid access key ID 'LTAI5tCANARY000001'", "invalid access key ID ***'"),
    ("the key LTAI5tCANARY000001 of STS.NCANARY0000 is gone", "the key *** of *** is gone"),
    ("see https://h.example/p?AccessKeyId=CANARY&Signature=CANARY for more", "see https://h.example/p for more"),
    ("at https://user:CANARY@h.example/p", "at https://h.example/p"),
    ("GET /functions?x-acs-security-token=CANARY failed", "GET /functions failed"),
    (
        "Signature=CANARY, AccessKeyId: CANARY; security-token='CANARY'",
        "Signature=***, AccessKeyId:***; security-token=***'",
    ),
    ('{"AccessKeyId":"CANARY","SecurityToken" : "CANARY"}', '{"AccessKeyId":***","SecurityToken" :***"}'),
    ("Authorization: Bearer CANARY refused", "Authorization:*** refused"),
    ("Authorization: ACS3 CANARY refused", "Authorization:*** refused"),
    (
        "Authorization: ACS3-HMAC-SHA256 Credential=CANARY,Signature=CANARY",
        "Authorization:*** Credential=***,Signature=***",
    ),
    ("SignatureNonce%3DCANARY%26x", "SignatureNonce%3D***"),
]


@pytest.mark.parametrize(("message", "kept"), ECHOES)
def test_t10_what_a_gateway_echoes_of_the_request_is_removed(message, kept):
    """T10."""
    assert clean_message(message) == kept
    assert "CANARY" not in kept


@pytest.mark.parametrize(
    "message",
    [
        'The specified parameter "SecurityToken.Expired" is not valid.',
        "function 'a?b' does not exist in service 'x'",
        "Is it over? Yes.",
        "the caller is not authorized to perform 'fc:ListFunctions' on resource 'acs:fc:cn-hangzhou:1:functions/*'",
    ],
)
def test_an_innocent_message_is_kept_as_it_is(message):
    assert clean_message(message) == message


def test_t26_control_characters_and_bidi_marks_become_spaces():
    """T26."""
    assert clean_message("a\x1b[31m\r\nb\u202ec\x00\ud800d") == "a [31m b c d"


@settings(deadline=None)
@given(st.text(max_size=700) | st.text("?=:/@ 'aS", max_size=5000))
def test_any_message_comes_out_as_one_bounded_printable_line(message):
    text = clean_message(message)
    assert len(text) <= LONGEST_MESSAGE
    assert text.isprintable()


def test_a_message_is_cut_with_a_mark_at_the_length_asked_for():
    assert clean_message("a" * 500) == "a" * 500
    assert clean_message("a" * 501) == "a" * 499 + "…"
    assert clean_message("abcdef", 4) == "abc…"


ID = "20261121T020000Z-7f3a"


def in_folder_of(region):
    """The path of a file in a snapshot of format 1, in which each region has a folder."""
    return f"{table_folder('fc_functions', ID)}/account=1/region={region}/part-0.parquet"


@pytest.mark.parametrize("region", ["cn-hangzhou", "ap-southeast-1", "cn-hangzhou-finance", "a-" + "b" * 61])
def test_a_region_is_one_for_requests_and_for_paths(region):
    assert REGION_ID.fullmatch(region)
    assert fill("https://{region}.aliyuncs.com", region, "1") == f"https://{region}.aliyuncs.com"
    assert is_scope_part_path(in_folder_of(region), "fc_functions", ID)


@pytest.mark.parametrize(
    "region", ["", "all", "cn", "-", "cn-", "-cn", "cn--x", "CN-A", "cn_a", "cn-a\n", "a-" + "b" * 62]
)
def test_a_text_that_is_no_region_is_refused_by_both(region):
    assert not REGION_ID.fullmatch(region)
    with pytest.raises(ConfigError, match="region ID"):
        fill("https://{region}.aliyuncs.com", region, "1")
    assert not is_scope_part_path(in_folder_of(region), "fc_functions", ID)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.255.255", "::1", "localhost"])
def test_a_loopback_host_is_an_address_of_this_machine(host):
    assert LOOPBACK_HOST.fullmatch(host)


@pytest.mark.parametrize(
    "host", ["127.0.0.256", "127.1", "128.0.0.1", "localhost.", "evil.localhost", "[::1]", "::2", ""]
)
def test_any_other_host_is_not_a_loopback_host(host):
    assert not LOOPBACK_HOST.fullmatch(host)


def test_white_space_around_the_variables_of_the_cloud_is_left_out():
    """F84: of the cloud, of buckets and of proxies; other variables stay as they are."""
    environ = {"ALIBABA_CLOUD_ACCESS_KEY_ID": " a\r\n", "AWS_REGION": "x\n", "https_proxy": "p\n", "OTHER": "b\n"}
    clean = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "a", "AWS_REGION": "x", "https_proxy": "p", "OTHER": "b\n"}
    assert with_clean_ends(environ) == clean


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_text_is_decoded_by_its_mark(encoding):
    """F83."""
    assert decode_text("ä {}".encode(encoding)) == "ä {}"
