"""What a fault does to a request. Each effect is a value; `gateway` and `delivery` carry it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """Refused as too fast. `hint`: which header tells how long to wait (`retry_after_ms`); none where it is `none`."""

    status: int = 429
    code: str = "Throttling.User"
    message: str = "Request was denied due to user flow control."
    retry_after_ms: int = 1000
    hint: Literal["acs", "ratelimit", "http", "none"] = "acs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """Refused with this error, in the product's envelope."""

    status: int = 500
    code: str = "InternalError"
    message: str = "The request processing has failed due to some unknown error."


@dataclass(frozen=True, slots=True)
class Deny:
    """403: the account may not perform the action, which the message names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """Answered after a wait; other rules for the same request still hold."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """The connection is closed without an answer: before the request is handled, or after."""

    when: Literal["before", "after"] = "before"


@dataclass(frozen=True, slots=True)
class Refuse:
    """The region is out of reach: the connection is closed before the request is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncate:
    """The body ends after `at` bytes, then the connection closes.

    `framing`: the answer announces its whole `length`, or comes as one cut `chunk`, or is delimited by the `close`.
    """

    at: int
    framing: Literal["length", "chunk", "close"] = "length"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A well-formed answer with a body of one's own."""

    body: bytes
    status: int = 200
    content_type: str = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class HtmlFault:
    """What a proxy in between answers: a page of HTML."""

    status: int = 502


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """The body trickles: `size` bytes every `every_s` seconds."""

    every_s: float
    size: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Sends the client elsewhere."""

    location: str
    status: int = 302


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatToken:
    """The walk never ends: after `cycle` different tokens the first comes again."""

    cycle: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFault:
    """The page is legal or not, but odd.

    `rows`: at most so many records (0: an empty page). `endless`: there is always a next token, always a new one.
    `total`: what totalCount says, any JSON value. `caps`: a page size above it is refused.
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
    """What the `PageFault` effects of one request come to."""

    rows: int | None = None
    is_endless: bool = False
    has_total: bool = False
    total: object = None
    caps: int | None = None


def tweak(effects: tuple[Effect, ...]) -> PageTweak:
    """The first `PageFault` effect as what paging needs."""
    for effect in effects:
        if isinstance(effect, PageFault):
            has_total = effect.total is not ...
            return PageTweak(effect.rows, effect.endless, has_total, effect.total if has_total else None, effect.caps)
    return PageTweak()
