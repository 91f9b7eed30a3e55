"""The faults of the soak: passing faults of a share of all requests, one kind after the other, and lasting ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from crawler.emulator import (
    Body,
    Delay,
    Deny,
    Drop,
    Error,
    FaultScript,
    HtmlFault,
    PageFault,
    Redirect,
    Refuse,
    Slow,
    Throttle,
    Truncate,
)
from crawler.emulator.faults.effects import Effect
from crawler.emulator.faults.script import RequestIdentity
from tests.soak.world import World

SESSIONS = "every session ends at once"
# Requests between two ends of all sessions: more than are concurrent, so that no call meets it three times.
_SESSIONS_APART = 300


@dataclass(frozen=True, slots=True)
class Passing:
    """A kind of passing fault. `once`: at most once per page, because a second time may end the list.

    `pages`: only the `first` page of a list, or only `later` ones.
    """

    name: str
    make: Callable[[Random], Effect | None]
    once: bool = False
    pages: str = "all"

    def fits(self, identity: RequestIdentity) -> bool:
        """Whether the fault may occur on this page."""
        return self.pages == "all" or (self.pages == "first") == (identity.page == 1)


PASSING: tuple[Passing, ...] = (
    Passing("429, a hint in milliseconds", lambda chance: Throttle(retry_after_ms=chance.randrange(20, 300))),
    Passing("429, Retry-After", lambda _: Throttle(hint="http", retry_after_ms=1000)),
    Passing(
        "400 Throttling.Api, the window's rest",
        lambda chance: Throttle(
            status=400, code="Throttling.Api", hint="ratelimit", retry_after_ms=chance.randrange(20, 300)
        ),
    ),
    Passing("429 without a hint", lambda _: Throttle(hint="none")),
    Passing("500", lambda _: Error()),
    Passing("503", lambda _: Error(status=503, code="ServiceUnavailable", message="Try again later.")),
    Passing("409 ConcurrentUpdateError", lambda _: Error(status=409, code="ConcurrentUpdateError", message="Busy.")),
    Passing("HTML with 502", lambda _: HtmlFault()),
    Passing("HTML with 200", lambda _: HtmlFault(status=200)),
    Passing("200, JSON that is cut", lambda _: Body(body=b'{"functions": [{"functionName": "fn-0')),
    Passing("200, no body", lambda _: Body(body=b"")),
    Passing("body cut, by its length", lambda chance: Truncate(at=chance.randrange(9000))),
    Passing("body cut, in a chunk", lambda chance: Truncate(at=chance.randrange(9000), framing="chunk")),
    Passing("body cut, by a close", lambda chance: Truncate(at=chance.randrange(9000), framing="close")),
    Passing("hung up before the request is handled", lambda _: Drop(when="before")),
    Passing("hung up after it", lambda _: Drop(when="after")),
    Passing("out of reach", lambda _: Refuse()),
    Passing("body in drops", lambda chance: Slow(every_s=0.02, size=chance.randrange(1000, 4000))),
    Passing("answer late", lambda chance: Delay(seconds=chance.random())),
    Passing("empty page with a token", lambda _: PageFault(rows=0)),
    Passing("short page", lambda chance: PageFault(rows=chance.randrange(1, 100))),
    Passing("page size refused", lambda _: PageFault(caps=50), once=True, pages="first"),
    Passing(
        "token refused",
        lambda _: Error(status=400, code="InvalidArgument", message="nextToken is not a token of this list"),
        once=True,
        pages="later",
    ),
    Passing(
        "nonce used",
        lambda _: Error(status=400, code="SignatureNonceUsed", message="Specified signature nonce was used already."),
        once=True,
    ),
    Passing(
        "time stamp expired",
        lambda _: Error(status=400, code="InvalidTimeStamp.Expired", message="Specified time stamp is expired."),
        once=True,
    ),
    Passing(SESSIONS, lambda _: None),
)

# Lasting faults: the effect, and the status and the code of its scope.
LASTING: tuple[tuple[Effect, str, str], ...] = (
    (Deny(), "denied", "AccessDenied"),
    (Refuse(), "failed", "ConnectionFailed"),
    (Body(body=b'{"functions": [], "nextToken": "again"}'), "failed", "TokenRepeated"),
    (HtmlFault(status=200), "failed", "InvalidResponse"),
    (Body(body=b'{"functions": null}'), "failed", "ListMissing"),
    (Redirect(location="http://127.0.0.1:9/elsewhere"), "failed", "RedirectRefused"),
    (Throttle(retry_after_ms=50), "failed", "Throttling.User"),
    (Error(status=503, code="ServiceUnavailable"), "failed", "ServiceUnavailable"),
    (Truncate(at=100), "failed", "InvalidResponse"),
)


def broken(world: World) -> dict[tuple[str, str], tuple[Effect, str, str]]:
    """Return (account, region) → the lasting fault of its functions: one of each of `LASTING`, spread evenly."""
    places = [(account, region) for account in world.account_ids for region in world.region_ids]
    apart = max(1, len(places) // len(LASTING))
    return dict(zip(places[::apart], LASTING, strict=False))


class SoakFaults(FaultScript):
    """A fault script with random faults in addition to its rules. `counts` are the faults by kind."""

    def __init__(self, share: float, seed: int, end_sessions: Callable[[], object]) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self._share, self._chance, self._end_sessions = share, Random(seed), end_sessions
        self._turn, self._seen, self._sessions_at = 0, 0, 0
        self._met: set[tuple[str, RequestIdentity]] = set()

    def break_for_good(self, places: Mapping[tuple[str, str], tuple[Effect, str, str]]) -> None:
        """Make all lists of these accounts and regions fail."""
        for (account, region), (effect, _, _) in places.items():
            self.add(effect, account=account, region=region, product="fc", action="List*")

    def effects(self, identity: RequestIdentity) -> tuple[Effect, ...]:
        """See `FaultScript.effects`."""
        held = super().effects(identity)
        if held or identity.product != "fc" or not identity.action.startswith("List"):
            return held
        self._seen += 1
        if self._chance.random() >= self._share:
            return ()
        kind = self._next(identity)
        self.counts[kind.name] += 1
        effect = kind.make(self._chance)
        if effect is None:
            self._sessions_at = self._seen
            self._end_sessions()
        return () if effect is None else (effect,)

    def _next(self, identity: RequestIdentity) -> Passing:
        """Return the next kind that may occur on this page."""
        while True:
            kind = PASSING[self._turn % len(PASSING)]
            self._turn += 1
            if not kind.fits(identity) or (kind.name, identity) in self._met:
                continue
            if kind.name == SESSIONS and self._seen - self._sessions_at < _SESSIONS_APART:
                continue
            if kind.once:
                self._met.add((kind.name, identity))
            return kind
