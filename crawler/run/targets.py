"""The targets of a crawl: accounts × regions, with the tables to read in each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from crawler.client.client import SignedAccount
from crawler.errors import ConfigError
from crawler.snapshot.status import Status

# Regions for finance, government and one customer's disaster recovery: crawled only if configured by name.
_SPECIAL = ("-finance", "-gov-", "-acdr-")
Regions = Literal["all"] | Sequence[str]


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One account in one region."""

    account_id: str
    region_id: str


def is_special(region_id: str) -> bool:
    """Whether `regions = "all"` excludes the region."""
    return any(mark in region_id for mark in _SPECIAL)


def select_regions(wanted: Regions, offered: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """Return the wanted regions, in order. Raises ConfigError for one that no product offers (product → regions)."""
    known = {region for regions in offered.values() for region in regions}
    if wanted == "all":
        return tuple(sorted(region for region in known if not is_special(region)))
    for region in wanted:
        if region not in known:
            near = get_close_matches(region, sorted(known), 1)
            hint = f"did you mean {near[0]!r}?" if near else f"they have {', '.join(sorted(known))}."
            raise ConfigError(f"No product has the region {region!r}; {hint}")
    return tuple(dict.fromkeys(wanted))


def interleave(by_account: Mapping[str, Iterable[str]]) -> list[Target]:
    """Return all targets, one region of each account in turn, so that the accounts' limits are used concurrently."""
    rounds: list[list[Target]] = []
    for account_id, regions in by_account.items():
        for position, region in enumerate(regions):
            if position == len(rounds):
                rounds.append([])
            rounds[position].append(Target(account_id, region))
    return [target for targets in rounds for target in targets]


@dataclass(frozen=True, slots=True)
class SkipReason:
    """The code, the message and the status with which an account or target is not requested."""

    code: str
    message: str
    status: Status = Status.FAILED


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """The tables to read in one target, parents first, selected or not. `refusal`: the skip reason of all scopes."""

    target: Target
    caller: SignedAccount
    tables: tuple[str, ...]
    refusal: SkipReason | None = None
