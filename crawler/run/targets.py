"""The targets of a crawl: accounts × regions, with the tables to read in each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crawler.client.client import SignedAccount
from crawler.snapshot.status import Status


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One account in one region."""

    account_id: str
    region_id: str


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
    """The code, the message and the status with which an account or target is not requested.

    `is_temporary`: the credentials were not judged, and another attempt may get an answer.
    """

    code: str
    message: str
    status: Status = Status.FAILED
    is_temporary: bool = False


@dataclass(frozen=True, slots=True)
class PlannedTarget:
    """The tables to read in one target, parents first, before anyone knows whether the account's credentials work."""

    target: Target
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """The tables to read in one target, parents first, selected or not. `refusal`: the skip reason of all scopes.

    `account_name` is the account's name in the configuration or in the resource directory; it may be empty.
    """

    target: Target
    caller: SignedAccount
    tables: tuple[str, ...]
    refusal: SkipReason | None = None
    account_name: str = ""
