"""Faults on purpose: which requests they hit, in which order, how often."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

from crawler.emulator.faults.effects import Delay, Effect
from crawler.emulator.faults.parse import Fields, read_rules
from crawler.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Subject:
    """What a rule looks at. Unknown parts are empty: the region at STS, the account of a request without a key."""

    account: str
    region: str
    product: str
    action: str
    page: int = 1


@dataclass(slots=True, kw_only=True)
class Rule:
    """An effect and the requests it is for.

    `account`, `region`, `product` and `action` are globs. `page`: only requests for these pages (of a token walk or by
    number, from 1). `nth`: only these of the requests that match all that, counted from 1. `times`: at most so often.
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

    def is_due(self, subject: Subject) -> bool:
        """Count the request where it matches, and say whether the effect is for it."""
        if not self._selects(subject):
            return False
        self.seen += 1
        return (not self.nth or self.seen in self.nth) and (self.times is None or self.fired < self.times)

    def _selects(self, subject: Subject) -> bool:
        return (
            fnmatchcase(subject.account, self.account)
            and fnmatchcase(subject.region, self.region)
            and fnmatchcase(subject.product, self.product)
            and fnmatchcase(subject.action, self.action)
            and (not self.page or subject.page in self.page)
        )


class FaultScript:
    """The rules of a cloud, in order: every `Delay` that hits holds, and the first of the other effects.

    In Python: `cloud.faults.add(Throttle(retry_after_ms=2000), product="fc", nth=(1, 2))`. As text, TOML or JSON:

    ```toml
    [[rules]]
    effect = "throttle"          # throttle error deny delay drop refuse truncate body html slow redirect
    product = "fc"               #   repeat-token page
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
        """Rules from TOML, or from JSON where the text begins with a brace.

        Raises `ConfigError` that names the source, the number of the rule, and what is accepted.
        """
        return cls(_rule(fields) for fields in read_rules(text, source))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Rules from a file; see `from_text`. Raises `ConfigError` also where the file can't be read."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigError(f"The fault script {path} can't be read: {reason}.") from None
        return cls.from_text(text, source=str(path))

    def add(
        self,
        effect: Effect,
        *,
        account: str = "*",
        region: str = "*",
        product: str = "*",
        action: str = "*",
        page: tuple[int, ...] = (),
        nth: tuple[int, ...] = (),
        times: int | None = None,
    ) -> Rule:
        """Append a rule; see `Rule` for what each selector means."""
        rule = Rule(
            effect=effect,
            account=account,
            region=region,
            product=product,
            action=action,
            page=page,
            nth=nth,
            times=times,
        )
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Remove every rule."""
        self.rules.clear()

    def effects(self, subject: Subject) -> tuple[Effect, ...]:
        """What happens to a request: all delays that are due, then at most one other effect.

        The request is counted in every rule that it matches; a rule has fired only where its effect holds.
        """
        due = [rule for rule in self.rules if rule.is_due(subject)]
        delays = [rule for rule in due if isinstance(rule.effect, Delay)]
        others = [rule for rule in due if not isinstance(rule.effect, Delay)]
        held = (*delays, *others[:1])
        for rule in held:
            rule.fired += 1
        return tuple(rule.effect for rule in held)


def _rule(fields: Fields) -> Rule:
    return Rule(effect=fields.effect, **fields.globs, page=fields.page, nth=fields.nth, times=fields.times)
