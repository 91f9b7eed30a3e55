"""The effects of faults. Each effect is a value; `gateway` and `delivery` apply it to a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """Throttles the request. `hint`: the kind of header that gives the wait (`retry_after_ms`); `none`: no header."""

    status: int = 429
    code: str = "Throttling.User"
    message: str = "Request was denied due to user flow control."
    retry_after_ms: int = 1000
    hint: Literal["acs", "ratelimit", "http", "none"] = "acs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """Responds with this error, in the product's envelope."""

    status: int = 500
    code: str = "InternalError"
    message: str = "The request processing has failed due to some unknown error."


@dataclass(frozen=True, slots=True)
class Deny:
    """Responds with 403: the account may not perform the action, which the message names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """Delays the response; other rules for the same request still apply."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Closes the connection without a response: before the request is handled, or after."""

    when: Literal["before", "after"] = "before"


@dataclass(frozen=True, slots=True)
class Refuse:
    """Makes the region unreachable: closes the connection before the request is handled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncate:
    """Ends the body after `at` bytes, then closes the connection.

    `framing`: the response announces its full `length`, is one truncated `chunk`, or is delimited by the `close`.
    """

    at: int
    framing: Literal["length", "chunk", "close"] = "length"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """Responds with the given body in a valid HTTP response."""

    body: bytes
    status: int = 200
    content_type: str = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class HtmlFault:
    """Responds with a page of HTML, as a proxy would."""

    status: int = 502


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """Sends the body slowly: `size` bytes every `every_s` seconds."""

    every_s: float
    size: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Redirects the client to `location`."""

    location: str
    status: int = 302


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatToken:
    """Makes pagination endless: after `cycle` different tokens, the first one is repeated."""

    cycle: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFault:
    """Makes a page unusual, valid or not.

    `rows`: the maximum number of records (0: an empty page). `endless`: every page has a new next token.
    `total`: the value of totalCount, any JSON value. `caps`: the largest page size accepted.
    """

    rows: int | None = None
    endless: bool = False
    total: object = ...
    caps: int | None = None


Effect = (
    Throttle
    | Error
    | Deny
    | Delay
    | Drop
    | Refuse
    | Truncate
    | Body
    | HtmlFault
    | Slow
    | Redirect
    | RepeatToken
    | PageFault
)


@dataclass(frozen=True, slots=True)
class PageTweak:
    """The `PageFault` effect of one request, resolved for paging."""

    rows: int | None = None
    is_endless: bool = False
    has_total: bool = False
    total: object = None
    caps: int | None = None


def page_tweak(effects: tuple[Effect, ...]) -> PageTweak:
    """Return the first `PageFault` effect, resolved for paging."""
    for effect in effects:
        if isinstance(effect, PageFault):
            has_total = effect.total is not ...
            return PageTweak(effect.rows, effect.endless, has_total, effect.total if has_total else None, effect.caps)
    return PageTweak()
