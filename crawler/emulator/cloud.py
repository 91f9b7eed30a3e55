"""The emulated cloud: seeded data, keys, limits, faults and a log. It needs no network; `serve` puts it on ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crawler.clock import Clock, SystemClock
from crawler.emulator.answers import camel_keys
from crawler.emulator.apis.operation import EmulatedOperation
from crawler.emulator.apis.operations import BY_NAME, TABLES
from crawler.emulator.data import fc as fc_place
from crawler.emulator.data import fc_open as fc_open_place
from crawler.emulator.data import fnf as fnf_place
from crawler.emulator.data import opensearch as opensearch_place
from crawler.emulator.data.fc import FUNCTIONS, put_details
from crawler.emulator.data.fc_open import SECOND_GENERATION
from crawler.emulator.data.region import Parent, RegionData
from crawler.emulator.data.seeded import SeededRandom
from crawler.emulator.days import days
from crawler.emulator.directory import Directory
from crawler.emulator.faults.script import FaultScript
from crawler.emulator.keyring import Keyring
from crawler.emulator.request_log import RequestLog
from crawler.emulator.spec import CloudSpec

Record = Any


class Cloud:
    """Everything that the emulator answers from.

    `requests` is the log of what was asked, `faults` the script of what goes wrong, where the day's own faults are from
    the start, `keys` the access keys, `directory` the organization's members. Time is the `clock`'s: dates and nonces
    go by `now`, rates and delays by `monotonic` and `sleep`.
    """

    def __init__(self, spec: CloudSpec | None = None, clock: Clock | None = None) -> None:
        self.spec = spec or CloudSpec()
        self.clock = clock or SystemClock()
        self.faults = FaultScript(days.faults(self.spec))
        self.requests = RequestLog(self.spec.log_size)
        self.keys = Keyring(self.spec, self.clock)
        self.directory = Directory(self.spec)
        self._places: dict[tuple[str, str], RegionData] = {}

    def credentials(self, account_id: str) -> tuple[str, str]:
        """The account's lasting access key: (access key ID, secret)."""
        key = self.keys.lasting[account_id]
        return key.key_id, key.secret

    def expire_sessions(self) -> int:
        """End every temporary key now, as if its time were up; returns how many were still good."""
        return self.keys.expire_temporary()

    def place(self, account_id: str, region_id: str) -> RegionData:
        """The resources of one account in one region, built when first asked for."""
        where = (account_id, region_id)
        if where not in self._places:
            self._places[where] = build(self.spec, account_id, region_id)
        return self._places[where]

    def is_older(self, account_id: str) -> bool:
        """Whether the account gets the older envelopes: every second one does."""
        return account_id in self.spec.accounts and self.spec.accounts.index(account_id) % 2 == 1

    def lists(self, account_id: str, region_id: str, action_key: str) -> dict[Parent, list[Record]]:
        """The wire records of an operation by the path parameters of their list, in the order in which it is served.

        `fc.ListFunctions`: those of 3.0, as with fcVersion=v3. `fc.GetFunction`: the details of each of these, by name.
        Asynchronous tasks: as with includePayload=true. `opensearch.ListFunctionInstances`: as with source=all
        and output=detail.
        """
        lists = self.place(account_id, region_id).lists.get(action_key, {})
        if BY_NAME[action_key].envelope == "function" and self.is_older(account_id):
            return {parent: camel_keys(records) for parent, records in lists.items()}
        return {parent: list(records) for parent, records in lists.items()}

    def records(self, account_id: str, region_id: str, action_key: str) -> list[Record]:
        """The wire records of all lists of an operation, one after the other; see `lists`."""
        return [record for records in self.lists(account_id, region_id, action_key).values() for record in records]

    def counts(self) -> dict[tuple[str, str, str], int]:
        """{(account, region, "fc.ListFunctions"): number of records}, for every operation offered in the region."""
        return {
            (account, region, name): len(self.records(account, region, name))
            for account in self.spec.accounts
            for region in self.spec.regions
            for name in TABLES
            if BY_NAME[name].product != "opensearch" or self.spec.has_opensearch(region)
        }

    def edit(
        self,
        account_id: str,
        region_id: str,
        action_key: str,
        records: Sequence[Record],
        parent: Parent = (),
    ) -> None:
        """Replace one list; the next page shows it. Function instances are given in PascalCase.

        What hangs on a record that is no longer there goes with it; one that is new may be a parent from now on.
        """
        place = self.place(account_id, region_id)
        place.put(action_key, records, parent)
        place.names.update(BY_NAME[action_key].ancestors(parent))
        if action_key == FUNCTIONS:
            put_details(place)

    def source(
        self, operation: EmulatedOperation, account: str, region: str, parent: Parent, query: Mapping[str, str]
    ) -> list[Record]:
        """The list that a request draws on, before its filters; the generations of functions are told apart here."""
        lists = self.place(account, region).lists
        found = lists.get(operation.name, {}).get(parent, [])
        if operation.select != "fc_version" or query.get("fcVersion") == "v3":
            return found
        older = lists[SECOND_GENERATION][()]
        return older if query.get("fcVersion") == "v2" else sorted([*found, *older], key=_function_name)

    @property
    def canaries(self) -> tuple[str, ...]:
        """Every marker planted in a secret value; each occurs once. Builds the whole cloud."""
        return tuple(
            secret
            for account in self.spec.accounts
            for region in self.spec.regions
            for secret in self.place(account, region).secrets
        )

    def request_id(self, number: int) -> str:
        """The ID of the answer to the request of that number."""
        return SeededRandom(self.spec.seed, "request", number).uuid().upper()


def _function_name(record: Record) -> str:
    return str(record["functionName"])


def build(spec: CloudSpec, account_id: str, region_id: str) -> RegionData:
    """The seeded resources of one account in one region, on the day that the recipe names."""
    place = RegionData()
    for product in (fc_place, fc_open_place, opensearch_place, fnf_place):
        product.fill(place, spec, account_id, region_id)
    for day in range(2, spec.day + 1):
        days.pass_day(place, spec, account_id, region_id, day)
    return place
