"""The resources of Function Compute 2.0 in one account and region."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crawler.emulator.data import domains, fc_children, fc_open_functions, layers, tasks, triggers
from crawler.emulator.data.region import RegionData
from crawler.emulator.data.seeded import SeedPath, make_few
from crawler.emulator.records import Parent, Record
from crawler.emulator.spec import CloudSpec, Shape

# Functions of 2.0 as fc ListFunctions returns them, unless fcVersion=v3.
SECOND_GENERATION = "fc.ListFunctions/v2"


def fill(data: RegionData, spec: CloudSpec, account_id: str, region_id: str) -> None:
    """Put the seeded lists."""
    shape = spec.shape(account_id, region_id)
    where = (spec.seed, account_id, region_id)
    made, made_layers = fc_open_functions.services(data, where, shape), layers.make(data, where, "fc-open", shape)
    layers.use_v2((function for found in made.functions.values() for function in found), made_layers)
    if spec.first_function_instances is not None and made.instances:
        made.instances[min(made.instances)] = fc_open_functions.instances(data, where, spec.first_function_instances)
    data.put("fc-open.ListServices", made.services)
    data.put("fc-open.ListStatefulAsyncInvocationFunctions", made.stateful)
    for parent, functions in made.functions.items():
        data.put("fc-open.ListFunctions", functions, parent)
    for parent, instances in made.instances.items():
        data.put("fc-open.ListInstances", instances, parent)
        data.put("fc-open.ListFunctionAsyncInvokeConfigs", made.configs[parent], parent)
    put_second_generation(data)
    services = [record["serviceName"] for record in made.services]
    _put_below_services(data, where, services, shape)
    _put_below_functions(data, where, list(made.instances))
    _put_configs(data, where, list(made.instances), services)
    layers.put(data, "fc-open", made_layers)


def put_second_generation(data: RegionData) -> None:
    """Update the functions of 2.0 in fc ListFunctions from those in fc-open ListFunctions."""
    lists = data.lists.get("fc-open.ListFunctions", {})
    data.put(SECOND_GENERATION, [_as_v3(parent[0], record) for parent, found in lists.items() for record in found])


def _put_below_services(data: RegionData, where: SeedPath, services: list[str], shape: Shape) -> None:
    """Put the child lists of each service; the first has the longest lists."""
    for number, service in enumerate(services):
        rng = data.rng(where, "fc-open/service children", number)
        longest = shape.longest if number == 0 else 0
        made: dict[str, list[Any]] = {
            "ListAliases": make_few(rng, longest, fc_open_functions.alias),
            "ListServiceVersions": make_few(rng, longest, fc_open_functions.version),
            "ListVpcBindings": fc_children.vpc_ids(rng, rng.integer(0, 2)),
        }
        for action, records in made.items():
            data.put(f"fc-open.{action}", records, (service,))


def _put_below_functions(data: RegionData, where: SeedPath, functions: list[Parent]) -> None:
    """Put the child lists of each function; the first has a trigger of every kind."""
    for number, (service, name) in enumerate(functions):
        rng = data.rng(where, "fc-open/children", number)
        few = range(number, number + rng.choice((0, 0, 1, 2)))
        kinds, calls = (few, few) if number else (range(len(triggers.KINDS)), range(4))
        made = {
            "ListTriggers": [triggers.v2_trigger(rng, name, turn) for turn in kinds],
            "ListEventSources": [fc_open_functions.event_source(rng, turn) for turn in few],
            "ListStatefulAsyncInvocations": [tasks.v2_task(rng, service, name, turn) for turn in calls],
        }
        for action, records in made.items():
            data.put(f"fc-open.{action}", records, (service, name))


def _put_configs(data: RegionData, where: SeedPath, functions: list[Parent], services: list[str]) -> None:
    """Put the lists of the whole region."""
    makes: tuple[tuple[str, Callable[..., Record]], ...] = (
        ("ListOnDemandConfigs", fc_open_functions.on_demand),
        ("ListProvisionConfigs", fc_open_functions.provision),
        ("ListCustomDomains", domains.v2_domain),
    )
    for action, make in makes:
        rng = data.rng(where, "fc-open", action)
        chosen = [parent for number, parent in enumerate(functions) if number < 3 or number % 4 == 0]
        data.put(f"fc-open.{action}", [make(rng, *parent, number) for number, parent in enumerate(chosen)])
    rng = data.rng(where, "fc-open/account")
    reserved = [fc_open_functions.reserved(rng, number) for number in range(len(functions) // 2)]
    data.put("fc-open.ListReservedCapacities", reserved)
    data.put("fc-open.ListTaggedResources", [fc_open_functions.tagged(rng, service) for service in services[:-1]])


def _as_v3(service: str, record: Record) -> Record:
    """Convert a function of 2.0 to the shape of 3.0. The name `service$function` is an assumption of the emulator."""
    kept = ("functionId", "description", "runtime", "handler", "memorySize", "timeout", "codeSize", "codeChecksum")
    created = f"{record['createdTime'][:19]}Z"
    name = f"{service}${record['functionName']}"
    fields = {key: record[key] for key in kept}
    return {"functionName": name, "createdTime": created, "lastModifiedTime": created, **fields}
