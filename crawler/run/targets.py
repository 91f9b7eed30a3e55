"""Where a crawl goes: accounts × regions, and which products are in which region."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from crawler.client.client import SignedAccount
from crawler.errors import ConfigError
from crawler.snapshot.status import Status

# Regions for finance, for government and for one customer's disaster recovery: crawled only when named.
_SPECIAL = ("-finance", "-gov-", "-acdr-")
Regions = Literal["all"] | Sequence[str]


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One account in one region."""

    account_id: str
    region_id: str


def is_special(region_id: str) -> bool:
    """Whether `regions = "all"` leaves the region out."""
    return any(mark in region_id for mark in _SPECIAL)


def chosen_regions(wanted: Regions, offered: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """The regions to crawl, in order, of those that any product offers (product → regions).

    Raises ConfigError for a named region that no product has.
    """
    known = {region for regions in offered.values() for region in regions}
    if wanted == "all":
        return tuple(sorted(region for region in known if not is_special(region)))
    for region in wanted:
        if region not in known:
            near = get_close_matches(region, sorted(known), 1)
            hint = f"did you mean {near[0]!r}?" if near else f"they have {', '.join(sorted(known))}."
            raise ConfigError(f"No product has the region {region!r}; {hint}")
    return tuple(dict.fromkeys(wanted))


def interleaved(by_account: Mapping[str, Iterable[str]]) -> list[Target]:
    """Every target, one region of each account in turn, so that accounts' limits are used side by side."""
    rounds: list[list[Target]] = []
    for account_id, regions in by_account.items():
        for position, region in enumerate(regions):
            if position == len(rounds):
                rounds.append([])
            rounds[position].append(Target(account_id, region))
    return [target for targets in rounds for target in targets]


@dataclass(frozen=True, slots=True)
class SkipReason:
    """Why nothing can be asked in an account: a code and a sentence, and the status that its scopes get."""

    code: str
    message: str
    status: Status = Status.FAILED


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """What is to be crawled in one target: tables, parents first, with those not asked for among them.

    `refusal`: why nothing can be asked there; all its scopes end with it.
    """

    target: Target
    caller: SignedAccount
    tables: tuple[str, ...]
    refusal: SkipReason | None = None
