"""The data of the soak's cloud: each record is computed on demand from account, region and number.

Only the templates are stored. A record is a template with a few own values, so that no two are equal. Most functions
match the schema, about 3 KB each; one in 500 is a function of the emulator, with unknown fields and values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

from crawler.emulator import Cloud, CloudSpec
from crawler.emulator.apis.operation import order
from crawler.emulator.apis.operations import BY_NAME
from tests.support import generated_records as records

Record = dict[str, Any]

ODD_ONE_IN = 500
_USUAL, _ODD, _LISTS = 97, 20, 64
_ACCOUNT, _REGION = "1000000000000001", "cn-region-01"
_EPOCH = datetime(2021, 1, 1, tzinfo=UTC)
_FIVE_YEARS_S = 5 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class Function:
    """One function: account, region, number, and 32 unique hexadecimal digits."""

    account: str
    region: str
    number: int
    mark: str

    @property
    def name(self) -> str:
        """The name; names have the order of numbers."""
        return f"fn-{self.number:06d}-{self.mark[:8]}"

    def part(self, start: int, length: int) -> int:
        """Return a number from the mark's digits."""
        return int(self.mark[start : start + length], 16)


@dataclass(frozen=True, slots=True)
class World:
    """The numbers of accounts, of regions, and of functions in each account and region."""

    accounts: int
    regions: int
    functions: int
    seed: int = 6

    @property
    def account_ids(self) -> tuple[str, ...]:
        """The account IDs, sixteen digits each."""
        return tuple(str(1_000_000_000_000_001 + number) for number in range(self.accounts))

    @property
    def region_ids(self) -> tuple[str, ...]:
        """The region IDs, which are invented."""
        return tuple(f"cn-region-{number:02d}" for number in range(1, self.regions + 1))

    def function(self, account: str, region: str, number: int) -> Function:
        """Return the function with this number."""
        text = f"{self.seed}/{account}/{region}/{number}"
        return Function(account, region, number, hashlib.blake2b(text.encode(), digest_size=16).hexdigest())

    def place(self, account: str, region: str) -> Iterator[Function]:
        """Return all functions of one account in one region, by name."""
        return (self.function(account, region, number) for number in range(self.functions))

    def named(self, account: str, region: str, name: str) -> Function | None:
        """Return the function with this name, None if there is none."""
        digits = name[3:9]
        if not (digits.isascii() and digits.isdigit() and int(digits) < self.functions):
            return None
        found = self.function(account, region, int(digits))
        return found if found.name == name else None


@dataclass(frozen=True, slots=True)
class Kind:
    """One table's records: a list per function, made from one of the `lists` of templates.

    `pick` selects the list of templates. `own` returns the values, by wire name, that replace those of the template;
    it takes the function and the record's position in its list.
    """

    table: str
    action: str
    records: str
    lists: tuple[tuple[Record, ...], ...]
    pick: Callable[[Function], int]
    own: Callable[[Function, int], Record]

    def of(self, function: Function) -> list[Record]:
        """Return the wire records, in the order served."""
        templates = self.lists[self.pick(function)]
        return [{**template, **self.own(function, position)} for position, template in enumerate(templates)]


class Functions(Sequence[Record]):
    """All functions of one account in one region, as a sequence that makes each record on access."""

    def __init__(self, world: World, account: str, region: str) -> None:
        self._world, self._account, self._region = world, account, region
        self._kind = kinds()[0]

    def __len__(self) -> int:
        return self._world.functions

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._record(number) for number in range(*index.indices(len(self)))]
        return self._record(range(len(self))[index])

    def _record(self, number: int) -> Record:
        return self._kind.of(self._world.function(self._account, self._region, number))[0]


@cache
def kinds() -> tuple[Kind, ...]:
    """Return the functions, and three child tables."""
    cloud = Cloud(CloudSpec(seed=6, accounts=(_ACCOUNT,), regions=(_REGION,)))
    odd = cloud.records(_ACCOUNT, _REGION, "fc.ListFunctions")[:_ODD]
    usual = [records.function(Random(number), 0, _REGION, number) for number in range(_USUAL)]
    functions = tuple((template,) for template in (*usual, *odd))
    return (
        Kind("fc_functions", "ListFunctions", "functions", functions, _pick_function, _own_function),
        _child(cloud, "fc_aliases", "ListAliases", "aliases", _described),
        _child(cloud, "fc_function_versions", "ListFunctionVersions", "versions", _described),
        _child(cloud, "fc_triggers", "ListTriggers", "triggers", _own_trigger),
    )


def _child(cloud: Cloud, table: str, action: str, key: str, own: Callable[[Function, int], Record]) -> Kind:
    operation = BY_NAME[f"fc.{action}"]
    found = list(cloud.lists(_ACCOUNT, _REGION, operation.name).values())[:_LISTS]
    lists = tuple(tuple(sorted(each, key=lambda record: order(operation, record))) for each in found)
    return Kind(table, action, key, lists, lambda function: function.part(16, 4) % len(lists), own)


def _pick_function(function: Function) -> int:
    if function.part(0, 8) % ODD_ONE_IN == 0:
        return _USUAL + function.part(16, 4) % _ODD
    return function.part(16, 4) % _USUAL


def _own_function(function: Function, position: int) -> Record:
    modified = _EPOCH + timedelta(seconds=function.part(8, 8) % _FIVE_YEARS_S)
    return {
        "functionName": function.name,
        "functionId": function.mark,
        "functionArn": f"acs:fc:{function.region}:{function.account}:functions/{function.name}",
        "description": f"the {function.number}. function of {function.account} in {function.region}",
        "codeSize": function.part(20, 8),
        "lastModifiedTime": modified.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _described(function: Function, position: int) -> Record:
    return {"description": f"{position} of {function.name} of {function.account} in {function.region}"}


def _own_trigger(function: Function, position: int) -> Record:
    return {**_described(function, position), "triggerId": f"{function.mark}-{position}"}
