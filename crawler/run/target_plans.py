"""What a crawl has to do in each of its targets, and where nothing can be done, why."""

from __future__ import annotations

from dataclasses import dataclass

from crawler.client.client import Caller
from crawler.run.targets import Target
from crawler.snapshot.ledger import Status


@dataclass(frozen=True, slots=True)
class Refusal:
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
    caller: Caller
    tables: tuple[str, ...]
    refusal: Refusal | None = None
