"""What Function Compute 2.0 has in one account and region."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crawler.emulator.data import domains as domain_seed
from crawler.emulator.data import fc_children as fc_child_seed
from crawler.emulator.data import fc_open_children as fc_open_child_seed
from crawler.emulator.data import fc_open_functions as fc_open_seed
from crawler.emulator.data import layers as layer_seed
from crawler.emulator.data import tasks as task_seed
from crawler.emulator.data import triggers as trigger_seed
from crawler.emulator.data.region import Parent, RegionData
from crawler.emulator.data.seeded import LocalSeededRandom
from crawler.emulator.spec import CloudSpec, Shape

Record = dict[str, Any]
Where = tuple[int, str, str]

# Functions of 2.0 as fc ListFunctions shows them where fcVersion doesn't keep them out.
SECOND_GENERATION = "fc.ListFunctions/v2"


def fill(place: RegionData, spec: CloudSpec, account_id: str, region_id: str) -> None:
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
    put_second_generation(place)
    services = [record["serviceName"] for record in made.services]
    _put_below_services(place, where, services, shape)
    _put_below_functions(place, where, list(made.instances))
    _put_configs(place, where, list(made.instances), services)
    _put_layers(place, where, shape)


def put_second_generation(place: RegionData) -> None:
    """Bring what fc ListFunctions shows of 2.0 in line with the functions of 2.0."""
    lists = place.lists.get("fc-open.ListFunctions", {})
    place.put(SECOND_GENERATION, [_as_third(parent[0], record) for parent, found in lists.items() for record in found])


def _put_below_services(place: RegionData, where: Where, services: list[str], shape: Shape) -> None:
    """What each service has; the first has the longest lists."""
    for number, service in enumerate(services):
        dice = LocalSeededRandom(*where, "fc-open/service children", number)
        longest = shape.longest if number == 0 else 0
        made: dict[str, list[Any]] = {
            "ListAliases": [fc_open_child_seed.alias(dice, turn) for turn in range(longest or dice.integer(0, 3))],
            "ListServiceVersions": [
                fc_open_child_seed.version(dice, turn) for turn in range(longest or dice.integer(0, 3))
            ],
            "ListVpcBindings": fc_child_seed.vpc_ids(dice, dice.integer(0, 2)),
        }
        for action, records in made.items():
            place.put(f"fc-open.{action}", records, (service,))


def _put_below_functions(place: RegionData, where: Where, functions: list[Parent]) -> None:
    """What each function has; the first has a trigger of every kind."""
    for number, (service, name) in enumerate(functions):
        dice = LocalSeededRandom(*where, "fc-open/children", number)
        few = range(number, number + dice.choice((0, 0, 1, 2)))
        made = {
            "ListTriggers": [
                trigger_seed.second(dice, name, turn) for turn in (few if number else range(len(trigger_seed.KINDS)))
            ],
            "ListEventSources": [fc_open_child_seed.event_source(dice, turn) for turn in few],
            "ListStatefulAsyncInvocations": [
                task_seed.second(dice, service, name, turn) for turn in (few if number else range(4))
            ],
        }
        for action, records in made.items():
            place.put(f"fc-open.{action}", records, (service, name))
        place.secrets.extend(dice.secrets)


def _put_configs(place: RegionData, where: Where, functions: list[Parent], services: list[str]) -> None:
    """What is listed for the whole region."""
    makes: tuple[tuple[str, Callable[..., Record]], ...] = (
        ("ListOnDemandConfigs", fc_open_child_seed.on_demand),
        ("ListProvisionConfigs", fc_open_child_seed.provision),
        ("ListCustomDomains", domain_seed.second),
    )
    for action, make in makes:
        dice = LocalSeededRandom(*where, "fc-open", action)
        chosen = [parent for number, parent in enumerate(functions) if number < 3 or number % 4 == 0]
        place.put(f"fc-open.{action}", [make(dice, *parent, number) for number, parent in enumerate(chosen)])
        place.secrets.extend(dice.secrets)
    dice = LocalSeededRandom(*where, "fc-open/account")
    reserved = [fc_open_child_seed.reserved(dice, number) for number in range(len(functions) // 2)]
    place.put("fc-open.ListReservedCapacities", reserved)
    place.put("fc-open.ListTaggedResources", [fc_open_child_seed.tagged(dice, service) for service in services[:-1]])


def _put_layers(place: RegionData, where: Where, shape: Shape) -> None:
    made = layer_seed.layers(*where, "fc-open", shape, place.secrets)
    place.put("fc-open.ListLayers", made.layers)
    for parent, versions in made.versions.items():
        place.put("fc-open.ListLayerVersions", versions, parent)


def _as_third(service: str, record: Record) -> Record:
    """A function of 2.0 in the shape of 3.0; that its name is `service$function` is the emulator's assumption."""
    kept = ("functionId", "description", "runtime", "handler", "memorySize", "timeout", "codeSize", "codeChecksum")
    created = f"{record['createdTime'][:19]}Z"
    name = f"{service}${record['functionName']}"
    fields = {key: record[key] for key in kept}
    return {"functionName": name, "createdTime": created, "lastModifiedTime": created, **fields}
