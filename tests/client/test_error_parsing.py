"""Answers of every kind to typed errors, by the project's own `schemas/errors.toml`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from crawler.client.error_parsing import LONGEST_HINT_S, error_for_code, error_from_response, retry_after_s
from crawler.client.error_rules import load_rules
from crawler.errors import (
    ApiError,
    DeniedError,
    FatalError,
    InvalidArgumentError,
    ReauthError,
    ResignError,
    ThrottledError,
    TransientError,
    UnsupportedError,
    VanishedError,
)
from crawler.text import LONGEST_MESSAGE
from tests.support.examples import examples

ERRORS_TOML = Path(__file__).parents[2] / "schemas" / "errors.toml"
RULES = load_rules(ERRORS_TOML)
NOW = datetime(2026, 11, 22, 6, 30, tzinfo=UTC)


def answer(status, body, product="fc", headers=None, parents=(), success_codes=()):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_from_response(
        RULES,
        product=product,
        status=status,
        headers=headers or {},
        body=raw,
        now=lambda: NOW,
        parents=parents,
        success_codes=success_codes,
    )


def as_xml(code, message="m", request_id="R-1"):
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><Error><RequestId>{request_id}</RequestId><HostId>h</HostId>'
        f"<Code>{code}</Code><Message>{message}</Message></Error>"
    ).encode()


CODES = [
    # product, status, code, message → class
    ("fc", 429, "ResourceExhausted", "", ThrottledError),
    ("fc", 503, "ResourceThrottled", "", ThrottledError),
    ("fc", 400, "Throttling", "Request was denied due to request throttling.", ThrottledError),
    ("fc", 400, "Throttling.User", "", ThrottledError),
    ("opensearch", 400, "Throttling.Api", "", ThrottledError),
    ("opensearch", 200, "Algorithm.Throttling", "", ThrottledError),
    ("fc", 429, "SomethingNew", "", ThrottledError),
    ("fc", 500, "InternalServerError", "", TransientError),
    ("fc", 409, "ConcurrentUpdateError", "", TransientError),
    ("opensearch", 200, "InternalError", "", TransientError),
    ("opensearch", 200, "ServiceUnavailable", "", TransientError),
    ("fc", 503, "ServiceUnavailable", "", TransientError),
    ("fc", 502, "SomethingNew", "", TransientError),
    ("fc", 400, "InvalidTimeStamp.Expired", "", ResignError),
    ("fc", 400, "SignatureNonceUsed", "", ResignError),
    ("fc", 400, "InvalidSecurityToken.Expired", "", ReauthError),
    ("sts", 400, "InvalidParameter", 'The specified parameter "SecurityToken.Expired" is not valid.', ReauthError),
    ("fc", 403, "InvalidSecurityToken.MismatchWithAccessKey", "", FatalError),
    ("fc", 400, "InvalidSecurityToken.Malformed", "", FatalError),
    ("fc", 403, "AccessDenied", "the caller is not authorized to perform 'fc:ListFunctions' on x", DeniedError),
    ("fc", 403, "AccessDenied", "FC service is not enabled for current user.", UnsupportedError),
    ("fc-open", 403, "AccessDenied", "FC service is not enabled for current user.", UnsupportedError),
    ("fc-open", 403, "AccessDenied", "Account is inactive to this service", DeniedError),
    ("opensearch", 403, "AccessDenied", "FC service is not enabled for current user.", DeniedError),
    ("fc", 400, "PathNotSupported", "'/2023-03-30/snapshots' against 'GET' is not supported", UnsupportedError),
    ("fc-open", 404, "PathNotSupported", "", UnsupportedError),
    ("opensearch", 404, "PathNotSupported", "", FatalError),
    ("opensearch", 200, "1000", "", TransientError),
    ("opensearch", 200, "1004", "", TransientError),
    ("opensearch", 200, "1006", "", TransientError),
    ("opensearch", 200, "1007", "", InvalidArgumentError),
    ("opensearch", 200, "6015", "", ThrottledError),
    ("opensearch", 200, "5005", "User is not in open", UnsupportedError),
    ("opensearch", 200, "5001", "", FatalError),
    ("fc", 200, "1004", "", FatalError),
    ("opensearch", 403, "Forbidden.RAM", "", DeniedError),
    ("sts", 403, "NoPermission", "", DeniedError),
    ("opensearch", 404, "InvalidAction.NotFound", "", UnsupportedError),
    ("fc", 404, "InvalidAction.NotFound", "", UnsupportedError),
    ("fc", 400, "InvalidVersion", "", UnsupportedError),
    ("fc", 404, "AliasNotFound", "", FatalError),
    ("opensearch", 404, "InvalidAccessKeyId.NotFound", "", FatalError),
    ("fc", 404, "InvalidAccessKeyId.NotFound", "", FatalError),
    ("fc", 400, "InvalidAccessKeyId.Inactive", "", FatalError),
    ("fc", 403, "InvalidAccessKeyID", "", FatalError),
    ("opensearch", 404, "InvalidApi.NotFound", "", FatalError),
    ("opensearch", 404, "InvalidVersion.NotFound", "", FatalError),
    ("opensearch", 404, "InvalidRegionId.NotFound", "", FatalError),
    ("fc", 403, "SignatureNotMatch", "", FatalError),
    ("fc", 400, "SignatureDoesNotMatch", "", FatalError),
    ("fc", 400, "InvalidArgument", "limit out of range", InvalidArgumentError),
    ("opensearch", 400, "InvalidParameter.PageSize", "", InvalidArgumentError),
    ("opensearch", 400, "InvalidParameter", "", InvalidArgumentError),
    ("fc", 403, "SomethingNew", "", FatalError),
    ("fc", 404, "SomethingNew", "", FatalError),
    ("opensearch", 200, "SomethingNew", "", FatalError),
    ("opensearch", 200, "User.NotActivated", "", FatalError),
    ("fc", 501, "SomethingNew", "", FatalError),
]


@pytest.mark.parametrize(("product", "status", "code", "message", "error_type"), CODES)
def test_f41_a_code_means_what_the_rules_say_and_an_unknown_one_goes_by_its_status(
    product, status, code, message, error_type
):
    """F41."""
    error = answer(status, {"Code": code, "Message": message, "RequestId": "R-1"}, product)
    assert type(error) is error_type
    assert (error.code, error.http_status, error.request_id) == (code, status, "R-1")


GONE = [
    # product, status, code, the resources that the request names → class
    ("fc", 404, "FunctionNotFound", ("functions",), VanishedError),
    ("fc", 404, "functionnotfound", ("functions",), VanishedError),
    ("fc", 400, "FunctionNotFound", ("functions",), FatalError),
    ("fc", 404, "FunctionNotFound", (), FatalError),
    ("fc", 404, "FunctionNotFound", ("layers",), FatalError),
    ("sts", 404, "FunctionNotFound", (), FatalError),
    ("fc", 404, "LayerNotFound", ("layers",), VanishedError),
    ("fc-open", 404, "LayerNotFound", ("layers",), VanishedError),
    ("fc-open", 404, "LayerVersionNotFound", ("layers",), VanishedError),
    ("fc", 404, "LayerNotFound", ("functions",), FatalError),
    ("fc-open", 404, "ServiceNotFound", ("services", "functions"), VanishedError),
    ("fc-open", 404, "FunctionNotFound", ("services", "functions"), VanishedError),
    ("fc-open", 404, "FunctionNotFound", ("services",), FatalError),
    ("fc", 404, "ServiceNotFound", ("functions",), FatalError),
    ("fc", 404, "AliasNotFound", ("functions",), FatalError),
    ("fc", 404, "Instance.NotExist", ("functions",), FatalError),
    ("opensearch", 404, "App.NotFound", ("app-groups",), VanishedError),
    ("opensearch", 200, "2001", ("app-groups",), VanishedError),
    ("opensearch", 404, "AppGroup.NotExist", ("app-groups", "apps"), VanishedError),
    ("opensearch", 404, "AppGroupNotFound", ("app-groups", "apps"), VanishedError),
    ("opensearch", 200, "Instance.NotExist", ("app-groups", "functions"), VanishedError),
    ("opensearch", 404, "Instance.NotExist", ("app-groups",), FatalError),
    ("opensearch", 404, "ABTestScene.NotExist", ("app-groups", "scenes", "groups"), VanishedError),
    ("opensearch", 404, "ABTestScene.NotExist", ("app-groups", "apps"), FatalError),
    ("opensearch", 404, "UserAnalyzer.NotFound", ("user-analyzers",), VanishedError),
    ("opensearch", 404, "UserAnalyzer.NotFound", ("intervention-dictionaries",), FatalError),
    ("opensearch", 404, "UserNotFound", (), FatalError),
    ("opensearch", 404, "UserNotFound", ("app-groups", "apps"), FatalError),
    ("opensearch", 404, "AppUserNotFound", ("app-groups", "apps"), FatalError),
    ("opensearch", 404, "NotFound", ("app-groups", "apps"), FatalError),
    ("opensearch", 404, "App.NotFound", (), FatalError),
]


@pytest.mark.parametrize(("product", "status", "code", "parents", "error_type"), GONE)
@pytest.mark.parametrize("form", ["json", "xml"])
def test_f90_a_parent_is_gone_only_if_the_code_names_a_resource_of_the_request(
    product, status, code, parents, error_type, form
):
    """F90: a code that ends in NotFound and is about the caller or another resource is a failure."""
    body = {"Code": code, "Message": "m"} if form == "json" else as_xml(code)
    assert type(answer(status, body, product, parents=parents)) is error_type


@pytest.mark.parametrize("form", ["text/xml;charset=utf-8", "text/xml", "application/json", "text/html", ""])
@pytest.mark.parametrize(("product", "status", "code", "message", "error_type"), CODES)
def test_f91_a_code_means_the_same_in_xml_whatever_the_content_type_says(
    product, status, code, message, error_type, form
):
    """F91."""
    body = as_xml(code, escape(message))
    error = answer(status, body, product, {"Content-Type": form, "x-acs-retry-after": "150"})
    assert type(error) is error_type
    assert (error.code, error.http_status, error.request_id, error.retry_after_s) == (code, status, "R-1", 0.15)
    assert error.message.startswith(message)
    as_json = answer(status, {"Code": code, "Message": message, "RequestId": "R-1"}, product, {"Content-Type": form})
    assert (type(as_json), as_json.message) == (error_type, error.message)


@pytest.mark.parametrize(
    "body",
    [
        {"Code": "Throttling", "Message": "slow", "RequestId": "R-1", "HostId": "h"},
        {"code": "Throttling", "message": "slow", "requestId": "R-1"},
        {"ErrorCode": "Throttling", "ErrorMessage": "slow", "RequestId": "R-1"},
        {"errorCode": "Throttling", "errorMessage": "slow", "request_id": "R-1"},
        {"Code": "", "code": "Throttling", "Message": None, "message": " slow ", "requestId": "R-1"},
        {"errors": [{"code": "Throttling", "message": "slow"}], "requestId": "R-1"},
        {"Errors": [{"Code": "Throttling", "Message": "slow"}, {"Code": "Other"}], "RequestId": "R-1"},
        {"success": False, "code": "Throttling", "message": "slow", "requestId": "R-1", "result": []},
        {"Code": "Throttling", "Message": "slow", "RequestId": "R-1", "Result": [{"id": 1}], "Status": "OK"},
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_f23_every_envelope_is_read_inside_any_status(status, body):
    """F23."""
    error = answer(status, body, "opensearch")
    assert type(error) is ThrottledError
    assert (error.code, error.message, error.request_id, error.http_status) == ("Throttling", "slow", "R-1", status)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"success": False}, "Unsuccessful"),
        ({"Success": "false", "Message": "no"}, "Unsuccessful"),
        ({"errors": ["index is gone"]}, "Unsuccessful"),
        ({"status": "FAIL", "errors": [{"code": 2001, "message": "no such index"}]}, "2001"),
    ],
)
def test_f23_a_failure_without_a_text_code_is_an_error_all_the_same(body, code):
    """F23."""
    error = answer(200, body, "opensearch")
    assert type(error) is FatalError
    assert error.code == code


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"functions": []},
        {"Code": "", "Message": "", "Result": []},
        {"code": None, "errors": [], "success": True, "result": []},
        {"code": 0, "result": []},
        {"code": {"location": "x", "repositoryType": "OSS"}},
        {"result": [{"code": "Throttling", "errors": [1], "success": False}]},
        {"message": "a top-level message alone", "status": "OK"},
        [],
        None,
        "text",
    ],
)
def test_an_answer_without_a_code_of_its_own_is_no_error(body):
    assert answer(200, body, "opensearch") is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>maintenance</html>",
        b'{"functions": [{"a": 1}',
        b'{"functions": []} trailing',
        b'{"a": "\xff"',
        b"\x1f\x8b",
    ],
)
def test_f22_a_success_whose_body_is_no_complete_json_is_tried_again(body):
    """F22."""
    error = answer(200, body, headers={"Content-Type": "text/html", "x-acs-request-id": "R-2"})
    assert type(error) is TransientError
    assert (error.code, error.request_id) == ("InvalidResponse", "R-2")
    assert error.message == f"HTTP 200 and no complete JSON in the body ({len(body)} bytes, text/html)"


def test_f19_no_cut_of_a_page_is_taken_for_an_answer():
    """F19."""
    page = json.dumps({"functions": [{"name": "é", "n": 1.5e3, "x": None}] * 3, "nextToken": "t"}).encode()
    assert answer(200, page) is None
    assert {type(answer(200, page[:cut])) for cut in range(len(page))} == {TransientError}


@pytest.mark.parametrize("body", [b'{"a": "\\ud800", "functions": []}', b'{"a": NaN}', b'{"a": ' + b"9" * 5000 + b"}"])
def test_json_that_is_only_odd_is_left_to_the_reader(body):
    assert answer(200, body) is None


@pytest.mark.parametrize("body", [b'{"a":' + b"[" * 10**5, b'{"Code":' + b"[" * 10**5 + b"]" * 10**5 + b"}"])
def test_t21_endless_nesting_is_a_typed_error(body):
    """T21."""
    assert type(answer(200, body)) is TransientError
    assert type(answer(404, body)) is TransientError


BARE = [
    (429, ThrottledError),
    (503, TransientError),
    (500, TransientError),
    (502, TransientError),
    (504, TransientError),
    (408, TransientError),
    (403, DeniedError),
    (401, FatalError),
    (404, FatalError),
    (400, FatalError),
    (501, FatalError),
    (505, FatalError),
    (100, FatalError),
]


@pytest.mark.parametrize(("status", "error_type"), BARE)
@pytest.mark.parametrize(
    "body", [b"", b"<html><h1>Too Many Requests</h1></html>", b"{}", b"[]", b"null", b'{"Code": ""}']
)
def test_f03_an_answer_without_a_code_goes_by_its_status(status, error_type, body):
    """F03."""
    error = answer(status, body, headers={"content-type": "text/html"})
    is_page = body[:1] in {b"", b"<"}
    assert type(error) is (FatalError if is_page and status == 403 else error_type)
    assert error.code == f"Http{status}"
    assert error.message.startswith(f"HTTP {status} and no error code in the body ({len(body)} bytes, text/html)")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 399])
def test_t15_a_redirect_is_refused_and_names_only_the_host(status):
    """T15, F89: never followed, and tried again at the same host like every passing fault of a gateway."""
    location = "https://user:canary@evil.example:8443/canary?x-acs-security-token=canary"
    error = answer(status, b"<html>moved</html>", headers={"Location": location})
    assert type(error) is TransientError
    assert error.code == "RedirectRefused"
    assert "evil.example" in error.message
    assert "canary" not in str(error)


@pytest.mark.parametrize("location", [None, "/other?canary=1", "http://[canary", "//\x1b[31m/canary"])
def test_a_redirect_to_nowhere_is_refused_too(location):
    error = answer(302, b"", headers={"location": location} if location else {})
    assert error.code == "RedirectRefused"
    assert "canary" not in error.message
    assert error.message.isprintable()


@pytest.mark.parametrize("name", ["x-acs-request-id", "X-Acs-Request-Id", "x-fc-request-id", "X-Fc-Request-Id"])
def test_the_request_id_comes_from_the_headers_where_the_body_has_none(name):
    assert answer(503, b"busy", headers={name: " R-3 "}).request_id == "R-3"
    assert answer(503, {"RequestId": "R-4"}, headers={name: "R-3"}).request_id == "R-4"


def test_the_missing_action_is_named_even_where_the_message_does_not_show_it():
    detail = {"AuthAction": "fc:ListFunctions", "EncodedDiagnosticMessage": "canary"}
    hidden = answer(403, {"Code": "NoPermission", "Message": "No permission.", "AccessDeniedDetail": detail})
    assert hidden.message == "No permission. (missing permission: fc:ListFunctions)"
    shown = answer(403, {"Code": "AccessDenied", "Message": "not authorized to perform 'fc:ListFunctions' on '*'"})
    assert shown.message == "not authorized to perform 'fc:ListFunctions' on '*'"
    long = answer(403, {"Code": "NoPermission", "Message": "x" * 600 + " Action: ram:GetRole"})
    assert long.message.endswith("… (missing permission: ram:GetRole)")
    assert len(long.message) <= LONGEST_MESSAGE
    odd = answer(403, {"Code": "NoPermission", "Message": "No.", "AccessDeniedDetail": {"AuthAction": "<script>"}})
    assert odd.message == "No."


def test_t10_neither_code_nor_message_nor_request_id_keeps_a_secret():
    """T10."""
    body = {
        "Code": "Signature=CANARY",
        "Message": "server string to sign is:GET CANARY",
        "RequestId": "LTAI5tCANARY001",
    }
    error = answer(400, body)
    assert "CANARY" not in str(error) + error.code + error.message + error.request_id


def test_a_huge_message_and_code_are_bounded():
    error = answer(400, {"Code": "C" * 10_000, "Message": "?" * 200_000, "RequestId": "R" * 10_000})
    assert len(error.code) <= 128
    assert len(error.message) <= LONGEST_MESSAGE
    assert len(error.request_id) <= 128


JSON_TYPE = {"Content-Type": "application/json;charset=utf-8"}
DAMAGED = {
    "another encoding": b'{"Code": "Forbidden.RAM", "Message": "\xc7\xeb\xc7\xf3", "RequestId": "R-1"}',
    "broken code": b'{"Code": "Forb\xff\xfeidden", "RequestId": "R-1"}',
    "broken name": b'{"Co\xff": 1, "Code": "Forbidden.RAM", "RequestId": "R-1"}',
    "half a character": '{"Code": "Forbidden.RAM", "Message": "\u8bf7'.encode()[:-1],
    "utf-16": '{"Code": "Forbidden.RAM"}'.encode("utf-16"),
    "utf-32": '{"Code": "Forbidden.RAM"}'.encode("utf-32-le"),
    "a surrogate in bytes": b'{"Code": "Forbidden.RAM\xed\xa0\x80"}',
    "cut in its code": b'{"Code": "Forbidden.R',
    "cut after its code": b'{"Code": "Forbidden.RAM", "Message": "no perm',
    "cut before its end": b'{"Code": "Forbidden.RAM", "RequestId": "R-1"',
    "more after its end": b'{"Code": "Forbidden.RAM"}}',
    "HTML": b"<html>Forbidden.RAM</html>",
}


@pytest.mark.parametrize("status", [200, 400, 403, 404, 500, 503])
@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED)
def test_nothing_is_read_out_of_a_damaged_body(status, body):
    """F88: a body that isn't UTF-8, is cut, or isn't what its type says: asked for again, whatever its status."""
    error = answer(status, body, headers=JSON_TYPE)
    assert (type(error), error.code, error.http_status) == (TransientError, "InvalidResponse", status)
    assert "Forb" not in str(error)
    assert error.request_id == ""
    assert "no complete JSON" in error.message


@pytest.mark.parametrize("body", [body for name, body in DAMAGED.items() if name != "HTML"], ids=lambda _: "")
def test_a_damaged_body_is_known_without_its_type(body):
    """F88."""
    assert answer(403, body).code == "InvalidResponse"


@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED)
def test_throttling_by_its_status_cuts_the_rate_whatever_its_body(body):
    """F88, F03."""
    error = answer(429, body, headers=JSON_TYPE)
    assert (type(error), error.code) == (ThrottledError, "Http429")


def test_a_damaged_answer_keeps_the_hint_of_its_headers():
    """F88."""
    assert answer(503, b'{"Code', headers={**JSON_TYPE, "Retry-After": "3"}).retry_after_s == 3


def test_an_error_in_json_of_another_type_is_read():
    """F88: some gateways send JSON as text."""
    for kind in ("text/plain", "text/html; charset=utf-8", "application/octet-stream", ""):
        error = answer(403, {"Code": "Forbidden.RAM", "Message": "\u8bf7"}, headers={"Content-Type": kind})
        assert (type(error), error.code) == (DeniedError, "Forbidden.RAM")


@pytest.mark.parametrize(
    ("sent", "hint_s"),
    [("Sun, 22 Nov 2026 08:00:00 GMT", 5.0), ("", 5405.0), ("Fri, 31 Dec 9999 23:59:59 GMT", 5405.0)],
)
def test_a_date_to_wait_for_is_of_the_hosts_own_clock(sent, hint_s):
    """F86: a host that is an hour ahead asks for five seconds, and not for an hour."""
    assert retry_after_s({"Retry-After": "Sun, 22 Nov 2026 08:00:05 GMT", "Date": sent}, NOW) == hint_s


def test_an_error_can_be_made_of_a_code_alone():
    error = error_for_code(RULES, "sts", "NoPermission", "", http_status=403, retry_after_s=1.5)
    assert type(error) is DeniedError
    assert (error.message, error.retry_after_s) == ("", 1.5)
    assert type(error_for_code(RULES, "sts", "SomethingNew", "")) is FatalError


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
envelope_names = ["Code", "code", "ErrorCode", "errorCode", "Message", "message", "errors", "success", "RequestId"]
envelopes = st.dictionaries(
    st.sampled_from([*envelope_names, "Result", "AccessDeniedDetail", "request_id"]),
    json_values,
)


@settings(deadline=None)
@given(
    st.integers(100, 599),
    st.binary(max_size=40) | envelopes.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(
        st.text(max_size=5) | st.sampled_from(["Location", "Retry-After", "content-type"]), st.text(max_size=20)
    ),
)
def test_no_answer_whatever_raises_and_every_status_but_2xx_is_an_error(status, body, headers):
    error = error_from_response(RULES, product="opensearch", status=status, headers=headers, body=body, now=lambda: NOW)
    assert isinstance(error, ApiError) or (error is None and 200 <= status < 300)


# --- hints ---


@pytest.mark.parametrize(
    ("headers", "hint_s"),
    [
        ({"x-acs-retry-after": "2000"}, 2.0),
        ({"X-Acs-Retry-After": " 1500 "}, 1.5),
        ({"x-ratelimit-user-api": "Limit:1,Remain:0,TimeLeft:2000,Reset:1700000000"}, 2.0),
        ({"x-ratelimit-user": "Limit:1, Remain:0, TimeLeft:3000"}, 3.0),
        ({"x-ratelimit-user-api": "TimeLeft:2000", "x-ratelimit-user": "TimeLeft:5000"}, 5.0),
        ({"x-ratelimit-user-api": "Remain:0,TimeLeft:2000", "x-ratelimit-user": "Remain:99,TimeLeft:5000"}, 2.0),
        ({"x-acs-retry-after": "1000", "x-ratelimit-user": "TimeLeft:5000", "Retry-After": "9"}, 1.0),
        ({"x-acs-retry-after": "0", "x-ratelimit-user": "a:b:c", "Retry-After": "9"}, 9.0),
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after": "0"}, 0.0),
        ({"Retry-After": "86400"}, 86400.0),
        ({"Retry-After": "Sun, 22 Nov 2026 06:30:30 GMT"}, 30.0),
        ({"Retry-After": "Sun, 22 Nov 2026 14:31:00 +0800"}, 60.0),
        ({"Retry-After": "Sun, 22 Nov 2026 06:00:00 GMT"}, 0.0),
        ({}, None),
    ],
)
def test_f04_a_hint_is_read_in_its_unit(headers, hint_s):
    """F04."""
    assert retry_after_s(headers, NOW) == hint_s
    assert retry_after_s(CIMultiDictProxy(CIMultiDict(headers)), NOW) == hint_s


@pytest.mark.parametrize("name", ["x-acs-retry-after", "x-ratelimit-user-api", "x-ratelimit-user", "Retry-After"])
@pytest.mark.parametrize(
    "value",
    [
        *("", "TimeLeft", "a:b:c", "-1", "TimeLeft:-1", "1000000000000", "TimeLeft:1000000000000", "２０００"),
        *("TimeLeft:２０００", "2000,2000", "TimeLeft:1,TimeLeft:2", "1e3", "NaN", "inf", "0x10", "1_000", "9" * 5000),
        *("Sun, 99 Nov 2026 06:30:30 GMT", "Sun, 22 Nov 9999 06:30:30 GMT", ",", "Mon, é", "::::", ",,,,", "TimeLeft:"),
    ],
)
def test_f02_a_malformed_hint_counts_as_absent(name, value):
    """F02."""
    assert retry_after_s({name: value}, NOW) is None


def test_f02_a_header_that_comes_twice_counts_as_absent():
    """F02."""
    doubled = CIMultiDict([("Retry-After", "3"), ("retry-after", "9")])
    assert retry_after_s(doubled, NOW) is None


hint_texts = st.one_of(
    st.text(max_size=40),
    st.text("0123456789:,-+. TimeLeftRemain", max_size=30),
    st.integers(-(10**13), 10**13).map(str),
    st.integers(-(10**13), 10**13).map(lambda left: f"Limit:1,Remain:0,TimeLeft:{left},Reset:0"),
    st.datetimes().map(lambda at: format_datetime(at.replace(tzinfo=UTC), usegmt=True)),
    st.datetimes().map(lambda at: format_datetime(at.replace(tzinfo=timezone(timedelta(hours=-12))))),
)


@settings(deadline=None, max_examples=examples(300))
@given(
    st.dictionaries(
        st.sampled_from(["x-acs-retry-after", "X-RateLimit-User-Api", "x-ratelimit-user", "Retry-After"]), hint_texts
    )
)
def test_f02_no_header_text_raises_or_gives_a_hint_out_of_bounds(headers):
    """F02."""
    hint_s = retry_after_s(headers, NOW)
    assert hint_s is None or 0 <= hint_s <= LONGEST_HINT_S


def test_an_error_carries_the_hint_of_its_answer():
    assert answer(400, {"Code": "Throttling.User"}, headers={"x-acs-retry-after": "2000"}).retry_after_s == 2.0


# --- codes of success ---


@pytest.mark.parametrize("code", ["200", 200, "OK", "ok", "Success", " success "])
def test_f148_a_code_of_success_is_no_error_where_the_product_says_so(code):
    body = {"Code": code, "Message": "successful", "Teams": []}
    assert answer(200, body, success_codes={"200", "ok", "success"}) is None
    assert answer(200, body) is not None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"Code": "200", "Success": False}),
        (200, {"Code": "2000"}),
        (200, {"Code": "InvalidParameter", "Success": True}),
        (200, {"Success": False}),
        (403, {"Code": "200", "Message": "m"}),
        (500, {"Code": "OK"}),
        (302, {"Code": "OK"}),
        (200, {"Code": "OK", "Errors": [{"Code": "Denied", "Message": "m"}], "Teams": []}),
        (200, {"Code": "OK", "Error": {"Code": "Denied"}, "Teams": []}),
    ],
)
def test_f148_other_codes_a_failure_and_an_http_error_stay_errors(status, body):
    assert answer(status, body, success_codes={"200", "ok"}) is not None


def test_f148_an_error_is_never_named_by_a_code_of_success():
    found = answer(200, {"Code": "OK", "Error": {"Code": "Denied", "Message": "m"}}, success_codes={"ok"})
    assert (found.code, found.message) == ("Denied", "m")
    assert answer(403, {"Code": "200", "Message": "m"}, success_codes={"200"}).code == "Http403"
    assert answer(200, {"Code": "200", "Success": False}, success_codes={"200"}).code == "Unsuccessful"
