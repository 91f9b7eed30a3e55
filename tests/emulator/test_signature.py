"""The gateway refuses each wrong part of a signature with the code of the cloud."""

from __future__ import annotations

import hashlib

import anyio
import pytest

PATH = "/2023-03-30/functions"
ACTION = "fc.ListFunctions"


async def test_a_request_signed_by_the_official_library_is_answered(client, clock):
    got = await client.functions(limit="1")
    assert got.status == 200
    assert len(got.json["functions"]) == 1
    assert got.headers["Date"] == "Sun, 22 Nov 2026 08:00:00 GMT"
    assert got.headers["x-acs-request-id"] == got.headers["x-fc-request-id"]


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ({"secret": "wrong"}, 400, "SignatureDoesNotMatch"),
        ({"key": ("LTAI5tNobody", "secret")}, 404, "InvalidAccessKeyId.NotFound"),
        ({"headers": {"x-acs-date": "2026-11-22T07:44:59Z"}}, 400, "InvalidTimeStamp.Expired"),
        ({"headers": {"x-acs-date": "2026-11-22T08:15:01Z"}}, 400, "InvalidTimeStamp.Expired"),
        ({"headers": {"x-acs-date": "Sun, 22 Nov 2026 08:00:00 GMT"}}, 400, "InvalidTimeStamp.Format"),
        ({"headers": {"x-acs-date": None}}, 400, "InvalidTimeStamp.Format"),
        ({"headers": {"x-acs-signature-nonce": None}}, 400, "SignatureDoesNotMatch"),
        ({"headers": {"x-acs-signature-nonce": ""}}, 400, "MissingSignatureNonce"),
        ({"headers": {"x-acs-content-sha256": hashlib.sha256(b"x").hexdigest()}}, 400, "SignatureDoesNotMatch"),
        ({"headers": {"x-acs-content-sha256": None}}, 400, "SignatureDoesNotMatch"),
        ({"headers": {"x-acs-action": "ListLayers"}}, 404, "InvalidAction.NotFound"),
        ({"headers": {"x-acs-action": None}}, 404, "InvalidAction.NotFound"),
        ({"headers": {"x-acs-version": "2021-04-06"}}, 400, "InvalidVersion"),
        ({"headers": {"host": "fcv3.cn-hangzhou.aliyuncs.com"}}, 400, "InvalidHost"),
        ({"headers": {"x-acs-accesskey-id": "LTAI5tOther"}}, 400, "SignatureDoesNotMatch"),
        ({"token": "never-issued"}, 400, "InvalidSecurityToken.MismatchWithAccessKey"),
        ({"headers": {"x-fc-account-id": "1000000000000002"}}, 403, "AccessDenied"),
    ],
)
async def test_a_wrong_part_is_refused(client, parts, status, code):
    got = await client.get(ACTION, PATH, **parts)
    assert (got.status, got.code) == (status, code)
    assert got.json["RequestId"] == got.headers["x-acs-request-id"]
    assert got.json["HostId"]
    assert "Date" in got.headers


@pytest.mark.parametrize(
    "header",
    ["host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"],
)
async def test_every_required_header_must_be_signed(client, header):
    got = await client.get(ACTION, PATH, unsigned=(header,))
    assert (got.status, got.code) == (400, "SignatureDoesNotMatch")
    assert header in got.json["Message"]


@pytest.mark.parametrize("date", ["2026-11-22T07:45:00Z", "2026-11-22T08:15:00Z"])
async def test_a_date_is_good_for_fifteen_minutes(client, date):
    assert (await client.get(ACTION, PATH, headers={"x-acs-date": date})).status == 200


async def test_a_replayed_request_is_refused(client):
    url, headers = client.request(ACTION, PATH)
    assert (await client.send(url, headers)).status == 200
    again = await client.send(url, headers)
    assert (again.status, again.code) == (400, "SignatureNonceUsed")


async def test_a_refused_signature_uses_no_nonce(client):
    url, headers = client.request(ACTION, PATH)
    broken = headers["Authorization"][:-4] + "0000"
    assert (await client.send(url, {**headers, "Authorization": broken})).code == "SignatureDoesNotMatch"
    assert (await client.send(url, headers)).status == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer token",
        "ACS3-HMAC-SHA256 Credential=,SignedHeaders=host,Signature=00",
        "acs3-hmac-sha256 Credential=a,SignedHeaders=host,Signature=" + "0" * 64,
    ],
)
async def test_a_missing_or_malformed_authorization_is_refused(client, authorization):
    url, headers = client.request(ACTION, PATH)
    del headers["Authorization"]
    if authorization is not None:
        headers["Authorization"] = authorization
    got = await client.send(url, headers)
    assert (got.status, got.code) == (400, "SignatureDoesNotMatch")


async def test_signed_headers_must_be_sorted(client):
    url, headers = client.request(ACTION, PATH)
    headers["Authorization"] = headers["Authorization"].replace("host;x-acs-action", "x-acs-action;host")
    got = await client.send(url, headers)
    assert (got.status, "sorted" in got.json["Message"]) == (400, True)


async def test_a_signed_header_that_changes_on_the_way_is_refused(client):
    url, headers = client.request(ACTION, PATH, headers={"x-acs-extra": "a"})
    assert (await client.send(url, {**headers, "x-acs-extra": "b"})).code == "SignatureDoesNotMatch"


async def test_a_changed_query_is_refused(client):
    url, headers = client.request(ACTION, PATH, {"limit": "1"})
    assert (await client.send(url.with_query(limit="2"), headers)).code == "SignatureDoesNotMatch"


async def test_the_canonical_query_leaves_the_tilde_and_encodes_the_rest(client):
    got = await client.functions(prefix="a~b c/d+é*", limit="1")
    assert (got.status, got.json) == (200, {"functions": []})


async def test_a_query_signed_otherwise_than_rfc_3986_is_refused(client):
    url, headers = client.request(ACTION, PATH, {"prefix": "a+b"})
    loose = type(url)(str(url).replace("%2B", "+"), encoded=True)
    assert (await client.send(loose, headers)).code == "SignatureDoesNotMatch"


async def test_a_path_parameter_is_encoded_once(client):
    got = await client.get("fc-open.ListFunctions", "/2021-04-06/services/a%2F..%2Fb%20%25/functions")
    assert (got.status, got.code) == (404, "ServiceNotFound")
    assert "'a/../b %'" in got.json["Message"]


async def test_a_path_that_is_not_utf_8_is_refused(client):
    got = await client.get("fc-open.ListFunctions", "/2021-04-06/services/%FF/functions")
    assert (got.status, got.code) == (400, "InvalidParameter")


@pytest.mark.parametrize(
    ("path", "method"),
    [("/", "GET"), ("/2023-03-30/functions/", "GET"), ("/2023-03-30/nothing", "GET"), (PATH, "POST"), (PATH, "HEAD")],
)
async def test_an_unknown_path_or_method_is_no_action(client, path, method):
    got = await client.get(ACTION, path, method=method)
    assert got.status == 404
    assert method == "HEAD" or got.code == "InvalidAction.NotFound"


async def test_a_region_without_opensearch_has_no_such_action(client, emulator):
    client.region = "cn-shanghai"
    assert "cn-shanghai" not in emulator.endpoints["opensearch"]
    url, headers = client.request("fc.ListAppGroups", "/v4/openapi/app-groups", headers={"x-acs-version": "2017-12-25"})
    got = await client.send(url, headers)
    assert (got.status, got.code) == (404, "InvalidAction.NotFound")


async def test_the_key_of_one_account_sees_that_account_only(client, cloud):
    client.account = "1000000000000002"
    got = await client.functions(fcVersion="v3", limit="100")
    assert got.json["functions"] == cloud.records("1000000000000002", "cn-hangzhou", "fc.ListFunctions")


async def test_a_repeated_parameter_is_refused(client):
    # The official signer doesn't encode names, so this signs and sends limit=1&limit=2.
    got = await client.get(ACTION, PATH, {"limit=1&limit": "2"})
    assert (got.status, got.code) == (400, "InvalidArgument")
    assert "repeated" in got.json["Message"]


@pytest.mark.parametrize(
    "line",
    [
        b"GET /2023-03-30/functions?prefix=\xff HTTP/1.1",
        b"GET /2023-03-30/functions?prefix=%FF HTTP/1.1",
        b"GET /2021-04-06/services/%C3%28/functions HTTP/1.1",
        b"GET /2021-04-06/services/caf\xc3\xa9/functions?nextToken=\xf0 HTTP/1.1",
        b"GET http://127.0.0.1:1/2023-03-30/functions HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET /2023-03-30/functions?" + b"a=1&" * 500 + b" HTTP/1.1",
    ],
)
async def test_nonsense_is_refused_and_never_a_failure_of_the_server(client, line):
    url, headers = client.request(ACTION, PATH)
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**headers, "Connection": "close"}.items())
    async with await anyio.connect_tcp("127.0.0.1", url.port) as stream:
        await stream.send(line + b"\r\n" + lines.encode() + b"\r\n")
        status = (await stream.receive()).split()[1]
    assert status in {b"400", b"404"}
