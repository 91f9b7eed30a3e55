"""The emulated cloud: seeded data, keys, limits, faults and a log. It needs no network; `serve` binds it to ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

from crawler.clock import Clock, SystemClock
from crawler.emulator.apis.operation import GLOBAL, EmulatedOperation
from crawler.emulator.apis.operations import BY_NAME, TABLES
from crawler.emulator.data import fc, fc_open, fcsandbox, opensearch, ram, searchengine
from crawler.emulator.data.fc import FUNCTIONS, put_details
from crawler.emulator.data.fc_open import SECOND_GENERATION
from crawler.emulator.data.region import RegionData
from crawler.emulator.data.seeded import SeededRandom
from crawler.emulator.days import days
from crawler.emulator.directory import Directory
from crawler.emulator.faults.script import FaultScript
from crawler.emulator.keyring import Keyring
from crawler.emulator.records import Item, Parent
from crawler.emulator.request_log import RequestLog
from crawler.emulator.responses import camel_keys
from crawler.emulator.spec import CloudSpec

# The places in memory, of 0.3 MB each in a wide cloud. A crawl asks for those of some targets at a time.
MOST_PLACES = 128


class Cloud:
    """The state behind all responses of the emulator.

    `requests` is the log of requests, `keys` the access keys, `directory` the organization's members. `faults` is the
    fault script; it starts with the faults of the day. `clock` gives the time: `now` for dates and nonces,
    `monotonic` and `sleep` for rates and delays.
    """

    def __init__(self, spec: CloudSpec | None = None, clock: Clock | None = None) -> None:
        self.spec = spec or CloudSpec()
        self.clock = clock or SystemClock()
        self.faults = FaultScript(days.faults(self.spec))
        self.requests = RequestLog(self.spec.log_size)
        self.keys = Keyring(self.spec, self.clock)
        self.directory = Directory(self.spec)
        self._numbers = {account: number for number, account in enumerate(self.spec.accounts)}
        self._built = lru_cache(MOST_PLACES)(partial(build, self.spec))
        self._edited: dict[tuple[str, str], RegionData] = {}

    def credentials(self, account_id: str) -> tuple[str, str]:
        """Return the account's permanent access key: (access key ID, secret)."""
        key = self.keys.lasting[account_id]
        return key.key_id, key.secret

    def expire_sessions(self) -> int:
        """Expire all temporary keys now; return the number of keys that were still valid."""
        return self.keys.expire_temporary()

    def place(self, account_id: str, region_id: str) -> RegionData:
        """Return the resources of one account in one region, or those of its global products at `global`.

        They are built when they are asked for, and again if `MOST_PLACES` others were asked for since, unless they are
        edited.
        """
        edited = self._edited.get((account_id, region_id))
        return self._built(account_id, region_id) if edited is None else edited

    def is_older(self, account_id: str) -> bool:
        """Return whether the account gets the older envelopes. Every second account does."""
        return self._numbers.get(account_id, 0) % 2 == 1

    def lists(self, account_id: str, region_id: str, action_key: str) -> dict[Parent, list[Item]]:
        """Return the wire records of an operation, by the path parameters of their list, in the order served.

        `fc.ListFunctions`: functions of 3.0, as with fcVersion=v3. `fc.GetFunction`, `ram.GetRole`, `ram.GetUser`: the
        details of each record, by name. Asynchronous tasks: as with includePayload=true.
        `opensearch.ListFunctionInstances`: as with source=all and output=detail.
        """
        lists = self.place(account_id, region_id).lists.get(action_key, {})
        if BY_NAME[action_key].envelope == "function" and self.is_older(account_id):
            return {parent: camel_keys(records) for parent, records in lists.items()}
        return {parent: list(records) for parent, records in lists.items()}

    def records(self, account_id: str, region_id: str, action_key: str) -> list[Item]:
        """Return the wire records of all lists of an operation; see `lists`."""
        return [record for records in self.lists(account_id, region_id, action_key).values() for record in records]

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Return {(account, region, "fc.ListFunctions"): number of records} for each operation that the region has."""
        return {
            (account, region, name): len(self.records(account, region, name))
            for account in self.spec.accounts
            for region in self.spec.places
            for name in TABLES
            if self.spec.has_product(BY_NAME[name].product, region)
        }

    def edit(
        self, account_id: str, region_id: str, action_key: str, records: Sequence[Item], parent: Parent = ()
    ) -> None:
        """Replace one list, from the next page served on. Pass function instances in PascalCase.

        Child lists of removed records are removed, too. New records can be parents from now on.
        """
        place = self._edited[account_id, region_id] = self.place(account_id, region_id)
        place.put(action_key, records, parent)
        place.names.update(BY_NAME[action_key].ancestors(parent))
        if action_key == FUNCTIONS:
            put_details(place)
        if region_id == GLOBAL:
            ram.put_derived(place)

    def source(
        self, operation: EmulatedOperation, account: str, region: str, parent: Parent, query: Mapping[str, str]
    ) -> list[Item]:
        """Return the list of a request before its filters. `fcVersion` selects the generation of the functions."""
        lists = self.place(account, region).lists
        found = lists.get(operation.name, {}).get(parent, [])
        if operation.select != "fc_version" or query.get("fcVersion") == "v3":
            return found
        older = lists[SECOND_GENERATION][()]
        return older if query.get("fcVersion") == "v2" else sorted([*found, *older], key=_function_name)

    @property
    def canaries(self) -> tuple[str, ...]:
        """The markers of all secret values; each occurs once. Builds the whole cloud."""
        places = [
            secret
            for account in self.spec.accounts
            for region in self.spec.places
            for secret in self.place(account, region).secrets
        ]
        return (*places, *self.directory.secrets)

    def request_id(self, number: int) -> str:
        """Return the request ID of the request with this number."""
        return SeededRandom(self.spec.seed, "request", number).uuid().upper()


def _function_name(record: Item) -> str:
    return str(record["functionName"])


def build(spec: CloudSpec, account_id: str, region_id: str) -> RegionData:
    """Return the seeded resources of one account in one region, on the day of the spec."""
    place = RegionData()
    regional = (fc, fc_open, opensearch, searchengine, fcsandbox)
    for product in (ram,) if region_id == GLOBAL else regional:
        product.fill(place, spec, account_id, region_id)
    for day in range(2, spec.day + 1):
        days.apply_day(place, spec, account_id, region_id, day)
    return place
