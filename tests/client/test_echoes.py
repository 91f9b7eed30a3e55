"""Answers that repeat the secrets of their request: no part of an error has them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from crawler.catalog import schemas_folder
from crawler.client.client import RequestCounts, SignedAccount
from crawler.client.credentials import Credentials
from crawler.client.error_parsing import error_from_response
from crawler.client.error_rules import load_rules
from crawler.client.request import ApiRequest
from crawler.errors import ApiError
from crawler.run.discovery import FixedProvider, StsCall
from crawler.secret_text import LiteralSecrets
from crawler.testing import FakeSender, answer, client_over
from tests.support.secret_sweep import Sweep

RULES = load_rules(schemas_folder() / "errors.toml")
TOKEN = "CAISplanted+TOKEN/" + "Ab1+/" * 40 + "zz=="
KEY = Credentials("STS.NPlantedKeyId0001abcdef", "PLANTEDSECRET0000000000000001", TOKEN)
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvPLANTED\n-----END PRIVATE KEY-----"
HOSTS = {"fc": "fcv3.{region}.aliyuncs.com", "sts": "https://sts.aliyuncs.com"}
LIST = ApiRequest("fc", "2023-03-30", "ListFunctions", "cn-hangzhou", "/2023-03-30/functions")
ENCODED = [TOKEN, quote(TOKEN, safe=""), base64.b64encode(TOKEN.encode()).decode(), TOKEN.encode().hex(), TOKEN[:64]]


def error(status=400, body=b"", headers=None, secret=TOKEN):
    secrets = LiteralSecrets()
    secrets.add(secret, owner="1")
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    now = datetime(2026, 11, 22, tzinfo=UTC)
    return error_from_response(
        RULES, product="fc", status=status, headers=headers or {}, body=raw, now=lambda: now, hide=secrets.hide
    )


def texts(found):
    return f"{found.code}\n{found.message}\n{found.request_id}\n{found}\n{found!r}".encode()


@pytest.mark.parametrize("echo", ENCODED)
@pytest.mark.parametrize(
    "answered",
    [
        lambda echo: {"body": {"Code": "X", "Message": f"The token {echo} is malformed."}},
        lambda echo: {"body": {"Code": f"Invalid.{echo}", "Message": "m"}},
        lambda echo: {"body": {"Code": "X", "Message": "m", "RequestId": echo}},
        lambda echo: {"body": {"ErrorCode": echo, "ErrorMessage": echo}},
        lambda echo: {"body": {"errors": [{"code": echo, "message": echo}]}},
        lambda echo: {"body": {"errors": [echo]}},
        lambda echo: {"body": {"Code": "X", "Message": "m"}, "headers": {"x-acs-request-id": echo}},
        lambda echo: {"body": b"<html>", "headers": {"Content-Type": echo}},
        lambda echo: {"body": b"", "status": 502, "headers": {"Content-Type": f"text/{echo}"}},
        lambda echo: {"body": b"", "status": 302, "headers": {"Location": f"https://{echo}.example/?a={echo}"}},
        lambda echo: {"body": {"Code": "NoPermission", "Message": f"perform fc:{echo} on x"}, "status": 403},
    ],
)
def test_an_echo_is_in_no_part_of_an_error(answered, echo):
    """P21, T36: code, message, request ID, content type and the host of a redirect."""
    found = texts(error(**answered(echo)))
    assert Sweep(TOKEN, TOKEN[:16]).found(found) == set()


def test_the_rest_of_a_message_stays():
    found = error(
        body={"Code": "InvalidSecurityToken.Malformed", "Message": f"The SecurityToken {TOKEN} is malformed."}
    )
    assert str(found) == "InvalidSecurityToken.Malformed: The SecurityToken *** is malformed."


def test_a_message_of_a_megabyte_is_cut_before_it_is_searched():
    """T20, T36: its beginning is shown, without the secret that the cut goes through."""
    found = error(body={"Code": "X", "Message": "a " * 1990 + TOKEN + " b" * 10**6})
    assert Sweep(TOKEN[:16]).found(texts(found)) == set()
    assert len(found.message) <= 500


def test_less_of_a_secret_than_is_found_is_not_shown_either():
    """P21, T36: the masks shorten a message, so that the place of the cut is shown."""
    for read in range(1, 17):
        found = error(body={"Code": "X", "Message": f"{TOKEN} is".ljust(4000 - read) + TOKEN})
        assert Sweep(TOKEN[:3]).found(texts(found)) == set()
        assert "*** is" in found.message


@pytest.mark.parametrize("field", ["Code", "Message", "RequestId"])
def test_a_private_key_in_an_error_is_removed(field):
    """T02, T37."""
    found = error(body={"Code": "X", "Message": "m", field: f"can not parse {PEM}"})
    assert b"PLANTED" not in texts(found)
    assert b"[text with a private key removed]" in texts(found)


def echoing(part):
    """A sender that answers with a part of the request."""
    return FakeSender(lambda request: answer(400, json.dumps({"Code": "X", "Message": part(request)}).encode()))


@pytest.mark.parametrize(
    "part",
    [
        lambda request: request.headers["x-acs-security-token"],
        lambda request: repr(dict(request.headers)),
        lambda request: f"{request.headers['Authorization'].split(',')[0]} and {KEY.access_key_secret}",
    ],
)
async def test_a_client_hides_what_it_has_sent_for_any_account(part):
    """P21, T36: each secret is known before the request with it leaves."""
    client = client_over(echoing(part), HOSTS)
    channel = client.channel("1", "cn-hangzhou", "fc", "ListFunctions")
    with pytest.raises(ApiError) as caught:
        await client.call(LIST, SignedAccount("1", FixedProvider(KEY)), channel, bytes, RequestCounts())
    needles = (TOKEN, KEY.access_key_id, KEY.access_key_secret)
    assert Sweep(*needles).found(texts(caught.value)) == set()
    assert client.secrets.hide(TOKEN) == "***"


@pytest.mark.parametrize("name", ["OIDCToken", "ExternalId"])
async def test_the_secrets_among_the_parameters_of_sts_are_hidden(name):
    """P21, T36."""
    client = client_over(echoing(lambda request: request.body.decode()), HOSTS)
    call = StsCall(client, "1", RequestCounts())
    with pytest.raises(ApiError) as caught:
        await call("sts", "AssumeRoleWithOIDC", {name: "header.PLANTED/payload.signature+1"}, None)
    assert b"PLANTED" not in texts(caught.value)
    assert "***" in caught.value.message
