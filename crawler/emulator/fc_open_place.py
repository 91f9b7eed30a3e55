"""What Function Compute 2.0 has in one account and region."""

from __future__ import annotations

from typing import Any

from crawler.emulator import fc_open_seed
from crawler.emulator.place import Parent, Place
from crawler.emulator.spec import CloudSpec

Record = dict[str, Any]

# Functions of 2.0 as fc ListFunctions shows them where fcVersion doesn't keep them out.
SECOND_GENERATION = "fc.ListFunctions/v2"


def fill(place: Place, spec: CloudSpec, account_id: str, region_id: str) -> None:
    """Put the seeded lists."""
    shape = spec.shape(account_id, region_id)
    where = (spec.seed, account_id, region_id)
    made = fc_open_seed.services(*where, shape, place.secrets)
    if spec.first_function_instances is not None and made.instances:
        made.instances[min(made.instances)] = fc_open_seed.instances(*where, spec.first_function_instances)
    place.put("fc-open.ListServices", made.services)
    place.put("fc-open.ListStatefulAsyncInvocationFunctions", made.stateful)
    for parent, functions in made.functions.items():
        place.put("fc-open.ListFunctions", functions, parent)
    for parent, instances in made.instances.items():
        place.put("fc-open.ListInstances", instances, parent)
        place.put("fc-open.ListFunctionAsyncInvokeConfigs", made.configs[parent], parent)
    place.names.update(("fc-open", *parent) for parent in (*made.functions, *made.instances))
    place.put(SECOND_GENERATION, [_as_third(service, record) for service, record in _flat(made.functions)])


def _flat(lists: dict[Parent, list[Record]]) -> list[tuple[str, Record]]:
    return [(parent[0], record) for parent, records in lists.items() for record in records]


def _as_third(service: str, record: Record) -> Record:
    """A function of 2.0 in the shape of 3.0; that its name is `service$function` is the emulator's assumption."""
    kept = ("functionId", "description", "runtime", "handler", "memorySize", "timeout", "codeSize", "codeChecksum")
    created = f"{record['createdTime'][:19]}Z"
    name = f"{service}${record['functionName']}"
    fields = {key: record[key] for key in kept}
    return {"functionName": name, "createdTime": created, "lastModifiedTime": created, **fields}
