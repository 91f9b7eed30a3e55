"""The effects of faults. Each effect is a value; `gateway` and `delivery` apply it to a request."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of a rule on a request."""


Form = Literal["json", "xml"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle(Effect):
    """Throttles the request. `hint`: the kind of header that gives the wait (`retry_after_ms`); `none`: no header.

    `form`: the error is JSON, or XML as older gateways send it.
    """

    status: int = 429
    code: str = "Throttling.User"
    message: str = "Request was denied due to user flow control."
    retry_after_ms: int = 1000
    hint: Literal["acs", "ratelimit", "http", "none"] = "acs"
    form: Form = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(Effect):
    """Responds with this error, in the product's envelope, or in XML."""

    status: int = 500
    code: str = "InternalError"
    message: str = "The request processing has failed due to some unknown error."
    form: Form = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo(Effect):
    """Responds with an error that repeats the request's key ID and tokens, encoded, in its code and message.

    `at` is the number of characters after which each is cut; 0 for none.
    """

    status: int = 400
    code: str = "InvalidSecurityToken.Malformed"
    encoding: Literal["plain", "base64", "url", "json", "hex"] = "plain"
    at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny(Effect):
    """Responds with 403: the account may not perform the action, which the message names."""

    form: Form = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay(Effect):
    """Delays the response; other rules for the same request still apply."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop(Effect):
    """Closes the connection without a response: before the request is handled, or after."""

    when: Literal["before", "after"] = "before"


@dataclass(frozen=True, slots=True)
class Refuse(Effect):
    """Makes the region unreachable: closes the connection before the request is handled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncate(Effect):
    """Ends the body after `at` bytes, then closes the connection.

    `framing`: the response announces its full `length`, is one truncated `chunk`, or is delimited by the `close`.
    """

    at: int
    framing: Literal["length", "chunk", "close"] = "length"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body(Effect):
    """Responds with the given body in a valid HTTP response."""

    body: bytes
    status: int = 200
    content_type: str = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class HtmlFault(Effect):
    """Responds with a page of HTML, as a proxy would."""

    status: int = 502


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow(Effect):
    """Sends the body slowly: `size` bytes every `every_s` seconds."""

    every_s: float
    size: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect(Effect):
    """Redirects the client to `location`."""

    location: str
    status: int = 302


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatToken(Effect):
    """Makes pagination endless: after `cycle` different tokens, the first one is repeated."""

    cycle: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFault(Effect):
    """Makes a page unusual, valid or not.

    `rows`: the maximum number of records (0: an empty page). `endless`: every page has a new next token.
    `total`: the value of totalCount, any JSON value. `caps`: the largest page size accepted.
    """

    rows: int | None = None
    endless: bool = False
    total: object = ...
    caps: int | None = None

    def total_of(self, records: Sized) -> object:
        """Return the number of records, or the value that replaces it."""
        return len(records) if self.total is ... else self.total


def page_fault(effects: tuple[Effect, ...]) -> PageFault:
    """Return the first `PageFault` effect; without one, an effect that changes nothing."""
    return next((effect for effect in effects if isinstance(effect, PageFault)), PageFault())
