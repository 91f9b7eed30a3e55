"""Turns a response into a typed error: reads its envelope and its hint, and applies the error rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from urllib.parse import urlsplit

from crawler.client.error_envelope import Envelope, is_text, read_envelope
from crawler.client.error_rules import CLASSES, ErrorRule, ErrorRules, load_rules
from crawler.errors import ApiError, DeniedError, FatalError, TransientError
from crawler.secret_text import has_private_key
from crawler.text import LONGEST_MESSAGE, LONGEST_READ, clean_message, http_date, missing_action

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
_KEY_REMOVED = "[text with a private key removed]"
# Limits are counted per second to per day; a longer hint is a malformed one.
LONGEST_HINT_S = 7 * 86_400.0
_NOT_OURS = "it isn't an answer of the service; check proxies, firewalls and [endpoints]"
# Throttling by its status alone, whatever the body is: the rate must be cut.
_TOO_MANY = 429
_LONGEST_START = 100
# A secret of which too few characters are read to be found, each encoded by up to 16.
_CUT_SECRET = 256
_XML_START = re.compile(rb"(?:<\?xml[^>]*>\s*)?<Error\b")
Hide = Callable[[str], str]


def error_from_response(
    rules: ErrorRules,
    *,
    product: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: Callable[[], datetime],
    parents: Collection[str] = (),
    success_codes: Collection[str] = (),
    hide: Hide = lambda text: text,
) -> ApiError | None:
    """Return the error that a response is, None for a success. `body` is decompressed; `now` gives an aware instant.

    A redirect is TransientError `RedirectRefused`: a signed request stays at its host, where another attempt may be
    answered. A damaged body is TransientError `InvalidResponse`, and nothing of it is read. With a 2xx status, so is
    every body that isn't complete JSON, and one with a non-empty code, with `errors` or with `success: false` is that
    error; a code of `success_codes` (in lower case) counts as none. A 403 with another document, such as HTML, is the
    page of a proxy or a firewall: it says nothing about permissions, and is FatalError. Whether the JSON has the
    requested list is checked later, by pagination. `parents`: the kinds of the resources that the request names.
    `hide` replaces the literal secrets of this process in all texts.
    """
    envelope = read_envelope(body, success_codes)
    if 200 <= status < 300 and envelope.is_document and not envelope.code:
        return None
    request_id = _clean(_request_id(headers, envelope), LONGEST_CODE, hide)
    if 300 <= status < 400:
        return TransientError("RedirectRefused", _redirect(headers, hide), http_status=status, request_id=request_id)
    hint_s = retry_after_s(headers, now())
    if not envelope.is_document and (200 <= status < 300 or (status != _TOO_MANY and _is_damaged(headers, body))):
        message = _bare("no complete JSON", status, headers, body, hide)
        return TransientError(
            "InvalidResponse", message, http_status=status, request_id=request_id, retry_after_s=hint_s
        )
    if not envelope.is_document and status == 403:
        message = f"{_bare('no error code', status, headers, body, hide)}: {_NOT_OURS}"
        return FatalError(f"Http{status}", message, http_status=status, request_id=request_id)
    return error_for_code(
        rules,
        product,
        envelope.code,
        envelope.message or ("" if envelope.code else _bare("no error code", status, headers, body, hide)),
        http_status=status,
        request_id=request_id,
        retry_after_s=hint_s,
        action=envelope.action,
        parents=parents,
        hide=hide,
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
    parents: Collection[str] = (),
    hide: Hide = lambda text: text,
) -> ApiError:
    """Return the typed error of a service's code and message, both without secrets and of bounded length.

    An empty `code` becomes `Http` and the status. If the service named the missing RAM action (`action`, or in its
    message), the message of a DeniedError ends with it, unless the bounded message shows it.
    """
    error_type = rules.error_type(product, code, message, http_status, parents)
    text = _clean(message, LONGEST_MESSAGE, hide)
    if error_type is DeniedError:
        missing = hide(action or missing_action(message))
        text = text if missing in text else f"{_clean(message, 400, hide)} (missing permission: {missing})".lstrip()
    shown = _clean(code, LONGEST_CODE, hide) or f"Http{http_status}"
    return error_type(shown, text, http_status=http_status, request_id=request_id, retry_after_s=retry_after_s)


def _is_damaged(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a body that isn't a complete document was meant as JSON, is a cut error in XML, or isn't UTF-8 at all."""
    start = body[:_LONGEST_START].lstrip()
    if not start:
        return False
    if start[:1] in b"{[" or "json" in _header(headers, "content-type").lower() or not is_text(body):
        return True
    return _XML_START.match(start) is not None and b"</Error" not in body


def _request_id(headers: Mapping[str, str], envelope: Envelope) -> str:
    return envelope.request_id or _header(headers, "x-acs-request-id") or _header(headers, "x-fc-request-id")


def _clean(text: str, longest: int, hide: Hide) -> str:
    """Return a service's text without secrets. A text with a private key is removed as a whole."""
    start = text[:LONGEST_READ]
    if has_private_key(start):
        return _KEY_REMOVED
    hidden = hide(start)
    return clean_message(hidden if start == text else hidden[:-_CUT_SECRET], longest)


def _redirect(headers: Mapping[str, str], hide: Hide) -> str:
    """Name only the host of a redirect: its path and query may repeat those of the request."""
    try:
        host = urlsplit(_header(headers, "location")).hostname
    except ValueError:
        host = None
    to = f"to {_clean(host, 253, hide)}" if host else "without naming another host"
    return f"the answer is a redirect {to}, and a signed request stays at its host: check the endpoint"


def _bare(lack: str, status: int, headers: Mapping[str, str], body: bytes, hide: Hide) -> str:
    kind = _clean(_header(headers, "content-type"), 80, hide) or "no content type"
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
