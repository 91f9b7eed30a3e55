"""Turns a response into a typed error: parses the envelopes of all products and applies the error rules.

Source of the envelopes: the error code pages of the OpenAPI gateway (ROA and RPC), Function Compute and OpenSearch,
checked 2026-11-22.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import msgspec

from crawler.client.error_rules import CLASSES, ErrorRule, ErrorRules, load_rules
from crawler.errors import ApiError, DeniedError, TransientError
from crawler.json_bounds import MAX_VALUES, excess_of
from crawler.text import ACTION, LONGEST_MESSAGE, clean_message, http_date, missing_action

__all__ = [
    "CLASSES",
    "LONGEST_MESSAGE",
    "ErrorRule",
    "ErrorRules",
    "clean_message",
    "error_for_code",
    "error_from_response",
    "load_rules",
    "retry_after_s",
]

LONGEST_CODE = 128
# Limits are counted per second to per day; a longer hint is a malformed one.
LONGEST_HINT_S = 7 * 86_400.0
# Throttling by its status alone, whatever the body is: the rate must be cut.
_TOO_MANY = 429


def error_from_response(
    rules: ErrorRules, *, product: str, status: int, headers: Mapping[str, str], body: bytes, now: datetime
) -> ApiError | None:
    """Return the error that a response is, None for a success. `body` is decompressed; `now` is aware.

    A redirect is TransientError `RedirectRefused`: a signed request stays at its host, where another attempt may be
    answered. A damaged body is TransientError `InvalidResponse`, and nothing of it is read. With a 2xx status, so is
    every body that isn't complete JSON, and one with a non-empty code, with `errors` or with `success: false` is that
    error. Whether the JSON has the requested list is checked later, by pagination.
    """
    fields = _fields(body)
    problem = _problem(fields or {})
    if 200 <= status < 300 and fields is not None and not problem.code:
        return None
    request_id = _request_id(headers, fields or {})
    if 300 <= status < 400:
        return TransientError("RedirectRefused", _redirect(headers), http_status=status, request_id=request_id)
    hint_s = retry_after_s(headers, now)
    if fields is None and (200 <= status < 300 or (status != _TOO_MANY and _is_damaged(headers, body))):
        message = _bare("no complete JSON", status, headers, body)
        return TransientError(
            "InvalidResponse", message, http_status=status, request_id=request_id, retry_after_s=hint_s
        )
    return error_for_code(
        rules,
        product,
        problem.code,
        problem.message or ("" if problem.code else _bare("no error code", status, headers, body)),
        http_status=status,
        request_id=request_id,
        retry_after_s=hint_s,
        action=problem.action,
    )


def error_for_code(
    rules: ErrorRules,
    product: str,
    code: str,
    message: str,
    *,
    http_status: int = 0,
    request_id: str = "",
    retry_after_s: float | None = None,
    action: str = "",
) -> ApiError:
    """Return the typed error of a service's code and message, both without secrets and of bounded length.

    An empty `code` becomes `Http` and the status. If the service named the missing RAM action (`action`, or in its
    message), the message of a DeniedError ends with it, unless the bounded message shows it.
    """
    error_type = rules.error_type(product, code, message, http_status)
    text = clean_message(message)
    if error_type is DeniedError:
        missing = action or missing_action(message)
        text = text if missing in text else f"{clean_message(message, 400)} (missing permission: {missing})".lstrip()
    shown = clean_message(code, LONGEST_CODE) or f"Http{http_status}"
    return error_type(shown, text, http_status=http_status, request_id=request_id, retry_after_s=retry_after_s)


# Fields of the envelopes, with a lower-case first letter.
_ENVELOPE = frozenset(
    (
        "code",
        "errorCode",
        "message",
        "errorMessage",
        "requestId",
        "request_id",
        "errors",
        "success",
        "accessDeniedDetail",
    )
)
_SPELLINGS = _ENVELOPE | {name[0].upper() + name[1:] for name in _ENVELOPE}
_ONLY_ID = {"requestId"}
_LONGEST_START = 100
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _fields(body: bytes) -> dict[str, object] | None:
    """Return the fields of the envelope, {} for JSON without any, None for a body that isn't complete JSON in UTF-8.

    The rest of the body is validated but not decoded: 250 kB take half a millisecond. A body beyond the bounds of any
    JSON has no envelope.
    """
    if len(body) > MAX_VALUES and excess_of(body):
        return {}
    try:
        text = body.decode()  # the decoder doesn't look into the texts that it skips
        raws = _DECODER.decode(body)
    except UnicodeDecodeError:
        return None
    except msgspec.ValidationError:
        return {}
    except (ValueError, RecursionError):
        found = _lenient(text)
    else:
        found = {name: _value(raw) for name, raw in raws.items() if name in _SPELLINGS}
    if found is None:
        return None
    fields: dict[str, object] = {}
    for name, value in found.items():
        if value not in (None, ""):
            fields.setdefault(_envelope_name(name), value)
    return fields


def _is_damaged(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a body that isn't complete JSON in UTF-8 was meant as such, or isn't text in UTF-8 at all."""
    start = body[:_LONGEST_START].lstrip()
    if not start:
        return False
    return start[:1] in b"{[" or "json" in _header(headers, "content-type").lower() or not _is_text(body)


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _lenient(text: str) -> dict[str, object] | None:
    """Parse JSON that the strict parser rejects (a lone surrogate, NaN): it may still be rows or an error."""
    try:
        found = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else {}


def _envelope_name(name: str) -> str:
    return name[:1].lower() + name[1:]


def _value(raw: msgspec.Raw) -> object:
    try:
        value: object = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return bytes(raw).decode("utf-8", "replace").strip('"')
    return value


def _text(value: object) -> str:
    """Return a code or message as text, "" for another type. A code of 0 means no error: some services use numbers."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and value != 0 else ""


@dataclass(frozen=True, slots=True)
class _Problem:
    """The error fields of a response. `code` "": no error. `action`: the missing RAM action."""

    code: str
    message: str
    action: str


_NO_PROBLEM = _Problem("", "", "")


def _problem(fields: Mapping[str, object]) -> _Problem:
    if not fields or fields.keys() == _ONLY_ID:
        return _NO_PROBLEM
    code = _text(fields.get("code")) or _text(fields.get("errorCode"))
    message = _text(fields.get("message")) or _text(fields.get("errorMessage"))
    errors, detail = fields.get("errors"), fields.get("accessDeniedDetail")
    if not code and isinstance(errors, list) and errors:
        first = (
            {_envelope_name(k): v for k, v in errors[0].items()}
            if isinstance(errors[0], dict)
            else {"message": errors[0]}
        )
        code = _text(first.get("code")) or "Unsuccessful"
        message = _text(first.get("message")) or message
    if not code and fields.get("success") in (False, "false", "False"):
        code = "Unsuccessful"
    action = detail.get("AuthAction") if isinstance(detail, dict) else None
    return _Problem(code, message, action if isinstance(action, str) and ACTION.fullmatch(action) else "")


def _request_id(headers: Mapping[str, str], fields: Mapping[str, object]) -> str:
    named = _text(fields.get("requestId")) or _text(fields.get("request_id"))
    found = named or _header(headers, "x-acs-request-id") or _header(headers, "x-fc-request-id")
    return clean_message(found, LONGEST_CODE)


def _redirect(headers: Mapping[str, str]) -> str:
    """Name only the host of a redirect: its path and query may repeat those of the request."""
    try:
        host = urlsplit(_header(headers, "location")).hostname
    except ValueError:
        host = None
    to = f"to {clean_message(host, 253)}" if host else "without naming another host"
    return f"the answer is a redirect {to}, and a signed request stays at its host: check the endpoint"


def _bare(lack: str, status: int, headers: Mapping[str, str], body: bytes) -> str:
    kind = clean_message(_header(headers, "content-type"), 80) or "no content type"
    return f"HTTP {status} and {lack} in the body ({len(body)} bytes, {kind})"


def _header(headers: Mapping[str, str], name: str) -> str:
    """Return the value of a header, in any case; "" if it is absent or repeated."""
    values = [value.strip() for key, value in headers.items() if key.lower() == name]
    return values[0] if len(values) == 1 else ""


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the server's hint in seconds from `now` (aware), None without one. Between 0 and seven days.

    x-acs-retry-after (milliseconds) before the larger TimeLeft (milliseconds) of x-ratelimit-user-api and
    x-ratelimit-user before Retry-After (seconds or an HTTP date). A malformed, longer or repeated hint is ignored.
    So is TimeLeft with a `Remain` above 0: that limit wasn't reached. An HTTP date is compared with the response's own
    Date, which is of the same clock.
    Source: alibabacloud-tea-openapi 0.4.6 and aliyun-cli, which read the first three, checked 2026-11-22.
    """
    direct = _hint(_header(headers, "x-acs-retry-after"), per_second=1000)
    if direct:
        return direct
    windows = [_time_left_s(_header(headers, name)) for name in ("x-ratelimit-user-api", "x-ratelimit-user")]
    left = max((window for window in windows if window), default=None)
    if left:
        return left
    return _retry_after_s(_header(headers, "retry-after"), http_date(_header(headers, "date")) or now)


def _hint(text: str, per_second: int = 1) -> float | None:
    if not re.fullmatch("[0-9]{1,12}", text):
        return None
    hint_s = int(text) / per_second
    return hint_s if hint_s <= LONGEST_HINT_S else None


def _time_left_s(text: str) -> float | None:
    pairs = [pair.partition(":") for pair in text.split(",")]
    names = [name.strip() for name, _, _ in pairs]
    values = {name.strip(): value.strip() for name, _, value in pairs}
    if len(set(names)) < len(names) or (_hint(values.get("Remain", "")) or 0) > 0:
        return None
    return _hint(values.get("TimeLeft", ""), per_second=1000)


def _retry_after_s(text: str, now: datetime) -> float | None:
    if not text.isascii() or "," not in text:
        return _hint(text)
    at = http_date(text)
    if at is None:
        return None
    hint_s = (at - now).total_seconds()
    return max(0.0, hint_s) if hint_s <= LONGEST_HINT_S else None
