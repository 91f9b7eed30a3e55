"""The envelopes of errors: JSON in any spelling, XML, and pages that only look like one."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from crawler.catalog import schemas_folder
from crawler.client.error_envelope import read_envelope
from crawler.client.error_parsing import error_from_response
from crawler.client.error_rules import load_rules
from crawler.errors import FatalError, ThrottledError, TransientError

RULES = load_rules(schemas_folder() / "errors.toml")
NOW = datetime(2026, 11, 22, 6, 30, tzinfo=UTC)
FIELDS = b"<Code>Throttling</Code><Message>slow</Message><RequestId>R-1</RequestId>"


def answer(status, body, product="fc", headers=None):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_from_response(RULES, product=product, status=status, headers=headers or {}, body=raw, now=lambda: NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + b"<Error>" + FIELDS + b"</Error>",
        b"\n  " + b"<Error>" + FIELDS + b"</Error>",
        b"<Error><Code> Throttling\n</Code><Message><![CDATA[slow]]></Message><RequestId>R-1</RequestId></Error>",
        b'<e:Error xmlns:e="http://e">' + FIELDS.replace(b"<", b"<e:").replace(b"<e:/", b"</e:") + b"</e:Error>",
        b'<Error xmlns="http://e">' + FIELDS.replace(b"<Code>", b'<Code a="1">') + b"</Error>",
        b"<error>" + FIELDS.lower().replace(b"r-1", b"R-1").replace(b"throttling", b"Throttling") + b"</error>",
        b"<ErrorResponse><Error>" + FIELDS + b"</Error></ErrorResponse>",
        b"<ErrorResponse>" + FIELDS[FIELDS.index(b"<Req") :] + b"<Error>" + FIELDS + b"</Error></ErrorResponse>",
        b"<!-- note --><Error>"
        + FIELDS.replace(b"Code>", b"ErrorCode>").replace(b"Message>", b"ErrorMessage>")
        + b"</Error>",
        b'<?xml version="1.0" encoding="iso-8859-1"?><Error>' + FIELDS + b"<Detail>\xe9</Detail></Error>",
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_f91_an_error_in_xml_is_read_in_every_spelling(body, status):
    """F91."""
    error = answer(status, body, "opensearch")
    assert type(error) is ThrottledError
    assert (error.code, error.message, error.request_id) == ("Throttling", "slow", "R-1")


BOMB = b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 9))


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body><Error><Code>Throttling</Code></Error></body></html>",
        b"<!DOCTYPE html><html><head><title>Throttling</title></head><body>Forbidden.RAM</body></html>",
        b'<html xmlns="http://www.w3.org/1999/xhtml"><Code>Throttling</Code></html>',
        b"<!DOCTYPE Error><Error><Code>Throttling</Code></Error>",
        b'<!DOCTYPE Error [<!ENTITY a0 "Throttling">' + BOMB + b"]><Error><Code>&a8;</Code></Error>",
        b'<!DOCTYPE Error SYSTEM "file:///etc/passwd"><Error><Code>Throttling</Code></Error>',
        b"<Error><Code>&undefined;</Code></Error>",
        b"<Error><Code>Throttling</Code></Error><Error/>",
        b"<Error>" * 100 + b"<Code>Throttling</Code>" + b"</Error>" * 100,
        b'<?xml version="1.0" encoding="no-such"?><Error><Code>Throttling</Code></Error>',
        b"<Error><Code>Throttling</Code><Message>" + b"x" * 70_000 + b"</Message></Error>",
        b"<Other><Code>Throttling</Code></Other>",
        b"<Error></Error>",
        b"<",
    ],
)
@pytest.mark.parametrize(("status", "error_type"), [(400, FatalError), (403, FatalError), (503, TransientError)])
def test_f91_html_and_xml_with_a_document_type_never_have_a_code(body, status, error_type):
    """F91."""
    error = answer(status, body, headers={"Content-Type": "text/xml;charset=utf-8"})
    assert (type(error), error.code) == (error_type, f"Http{status}")
    assert "Throttling" not in str(error)


@pytest.mark.parametrize("status", [200, 400, 403, 503])
def test_f91_an_error_in_xml_that_is_cut_is_a_damaged_body(status):
    """F91, F88: nothing of it is read, and it is requested again."""
    for body in (b"<Error><Code>Throttling</Code>", b'<?xml version="1.0"?>\n<Error><Code>Forbidden.R'):
        error = answer(status, body, headers={"Content-Type": "text/xml;charset=utf-8"})
        assert (type(error), error.code) == (TransientError, "InvalidResponse")
        assert "Throttling" not in str(error)


def test_f91_a_403_of_a_proxy_is_a_failure_and_says_where_to_look():
    """F91: a page without a code says nothing about permissions."""
    page = b"<html><body>Blocked: you are not authorized to perform 'fc:ListFunctions'</body></html>"
    error = answer(403, page, headers={"Content-Type": "text/html"})
    assert type(error) is FatalError
    assert "fc:" not in error.message
    assert error.message.endswith("it isn't an answer of the service; check proxies, firewalls and [endpoints]")


def test_f91_the_missing_action_is_read_from_xml_too():
    """F91."""
    detail = "<AccessDeniedDetail><AuthAction>fc:ListFunctions</AuthAction></AccessDeniedDetail>"
    body = f"<Error><Code>NoPermission</Code><Message>No.</Message>{detail}</Error>".encode()
    assert answer(403, body).message == "No. (missing permission: fc:ListFunctions)"


@pytest.mark.parametrize(
    "body",
    [
        {"CODE": "Throttling", "MESSAGE": "slow", "REQUESTID": "R-1"},
        {"errorcode": "Throttling", "errormessage": "slow", "requestid": "R-1"},
        {"error_code": "Throttling", "error_message": "slow", "request_id": "R-1"},
        {"error": {"code": "Throttling", "message": "slow"}, "RequestID": "R-1"},
        {"Error": {"Code": "Throttling", "Message": "slow", "RequestId": "R-1"}},
        {"code": "", "ERRORS": [{"CODE": "Throttling", "MESSAGE": "slow"}], "request-id": "R-1"},
    ],
)
def test_f91_an_error_in_json_is_read_with_its_keys_in_any_case(body):
    """F91."""
    error = answer(400, body, "opensearch")
    assert (type(error), error.code, error.message, error.request_id) == (ThrottledError, "Throttling", "slow", "R-1")


def test_a_field_of_a_record_is_not_taken_for_an_error():
    """A success may have fields whose names look like those of an envelope; only texts and numbers are codes."""
    detail = {"functionName": "a", "code": {"location": "x"}, "error": None, "codeSize": 3, "Errors": []}
    assert read_envelope(json.dumps(detail).encode()).code == ""
    assert read_envelope(b'{"error": "text", "functions": []}').code == ""
