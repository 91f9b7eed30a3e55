"""Fault scripts: rules that select requests, their order and number, and the effect on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self, TypedDict, Unpack

from crawler.emulator.faults.effects import Delay, Effect
from crawler.emulator.faults.parse import GLOBS, read_rules
from crawler.errors import ConfigError


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """The parts of a request that rules match. Unknown parts are empty, such as the region of requests to STS."""

    account: str
    region: str
    product: str
    action: str
    page: int = 1


@dataclass(slots=True, kw_only=True)
class Rule:
    """An effect and the requests that it applies to.

    `account`, `region`, `product` and `action` are globs. `page`: only requests for these pages, by token or by
    number, from 1. `nth`: only these of the matching requests, counted from 1. `times`: the maximum number of requests.
    """

    effect: Effect
    account: str = "*"
    region: str = "*"
    product: str = "*"
    action: str = "*"
    page: tuple[int, ...] = ()
    nth: tuple[int, ...] = ()
    times: int | None = None
    seen: int = field(default=0, init=False)
    fired: int = field(default=0, init=False)

    def is_due(self, identity: RequestIdentity) -> bool:
        """Count the request if it matches; return whether the effect applies to it."""
        if not self._selects(identity):
            return False
        self.seen += 1
        return (not self.nth or self.seen in self.nth) and (self.times is None or self.fired < self.times)

    def _selects(self, identity: RequestIdentity) -> bool:
        return all(fnmatchcase(getattr(identity, name), getattr(self, name)) for name in GLOBS) and (
            not self.page or identity.page in self.page
        )


class Selectors(TypedDict, total=False):
    """The fields of a `Rule` but its effect."""

    account: str
    region: str
    product: str
    action: str
    page: tuple[int, ...]
    nth: tuple[int, ...]
    times: int | None


class FaultScript:
    """The rules of a cloud, in order. All matching `Delay` effects apply, and the first of the other effects.

    In Python: `cloud.faults.add(Throttle(retry_after_ms=2000), product="fc", nth=(1, 2))`. As text, TOML or JSON:

    ```toml
    [[rules]]
    effect = "throttle"          # throttle error echo deny delay drop refuse truncate body html slow
    product = "fc"               #   redirect repeat-token page
    action = "List*"             # globs: account, region, product, action
    nth = [1, 2]                 # also `page = [2]`, `times = 3`; one number or a list
    code = "Throttling.User"     # the effect's own fields, as in `crawler.emulator.faults.effects`
    retry_after_ms = 2000
    ```
    """

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules = list(rules)

    @classmethod
    def from_text(cls, text: str, *, source: str = "the fault script") -> Self:
        """Read rules from TOML, or from JSON if the text begins with a brace.

        Raises `ConfigError` with the source, the number of the rule, and the accepted values.
        """
        return cls(Rule(**fields) for fields in read_rules(text, source))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read rules from a file; see `from_text`. Raises `ConfigError` also if the file can't be read."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigError(f"The fault script {path} can't be read: {reason}.") from None
        return cls.from_text(text, source=str(path))

    def add(self, effect: Effect, **selectors: Unpack[Selectors]) -> Rule:
        """Append a rule; `Rule` describes the selectors."""
        rule = Rule(effect=effect, **selectors)
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Remove all rules."""
        self.rules.clear()

    def effects(self, identity: RequestIdentity) -> tuple[Effect, ...]:
        """Return the effects on a request: all delays that are due, then at most one other effect.

        Every rule that matches counts the request in `seen`; only rules whose effect applies count it in `fired`.
        """
        due = [rule for rule in self.rules if rule.is_due(identity)]
        others = [rule for rule in due if not isinstance(rule.effect, Delay)]
        held = (*(rule for rule in due if isinstance(rule.effect, Delay)), *others[:1])
        for rule in held:
            rule.fired += 1
        return tuple(rule.effect for rule in held)
