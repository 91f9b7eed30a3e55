"""The resources of Function Compute 3.0 in one account and region."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crawler.emulator.data import domains, fc_children, fc_configs, fc_functions, layers, tasks, triggers
from crawler.emulator.data.region import RegionData
from crawler.emulator.data.seeded import LocalSeededRandom, SeedPath, make_few
from crawler.emulator.records import Record
from crawler.emulator.spec import CloudSpec, Shape

RecordFactory = Callable[[LocalSeededRandom, str, int], Record]

LOCAL_NAMES = {"cn-hangzhou": "华东1（杭州）", "cn-shanghai": "华东2（上海）", "ap-southeast-1": "Singapore"}
FUNCTIONS, DETAILS = "fc.ListFunctions", "fc.GetFunction"


def local_name(region_id: str) -> str:
    """Return the local name of a region."""
    return LOCAL_NAMES.get(region_id, region_id)


def fill(data: RegionData, spec: CloudSpec, account_id: str, region_id: str) -> None:
    """Put the seeded lists."""
    data.put("fc.DescribeRegions", [_region(spec, region) for region in spec.open_regions])
    shape = spec.shape(account_id, region_id)
    where = (spec.seed, account_id, region_id)
    functions = fc_functions.functions(data, where, shape.functions)
    made_layers = layers.make(data, where, "fc", shape)
    layers.use(functions, made_layers)
    for detail in functions:
        data.put(DETAILS, [detail], (detail["functionName"],))
    data.put(FUNCTIONS, [fc_functions.listed(detail, number) for number, detail in enumerate(functions)])
    names = [detail["functionName"] for detail in functions]
    _put_children(data, where, names, shape)
    _put_configs(data, where, names)
    layers.put(data, "fc", made_layers)
    data.put("fc.ListTagResources", [tag for detail in functions for tag in _tags(detail)])


def _region(spec: CloudSpec, region: str) -> Record:
    """Return a region. RegionEndpoint is seen in answers, and the SDK's model lacks it."""
    host = spec.region_hosts.get(f"fc.{region}")
    return {"RegionId": region, "LocalName": local_name(region), **({"RegionEndpoint": host} if host else {})}


def put_details(data: RegionData) -> None:
    """Update the details of functions from their list, after the list has been edited."""
    details = data.lists.setdefault(DETAILS, {})
    for record in data.lists[FUNCTIONS][()]:
        name = (record["functionName"],)
        known = details.get(name, [{}])[0]
        more = {field: known[field] for field in fc_functions.DETAIL_ONLY if field in known}
        details[name] = [{**more, **record}]


def _put_children(data: RegionData, where: SeedPath, names: list[str], shape: Shape) -> None:
    """Put the child lists of each function. The first has the longest lists, and a trigger of every kind."""
    for number, name in enumerate(names):
        rng = data.rng(where, "fc/children", number)
        longest = shape.longest if number == 0 else 0
        made: dict[str, list[Any]] = {
            "ListAliases": make_few(rng, longest, fc_children.alias),
            "ListFunctionVersions": make_few(rng, longest, fc_children.version),
            "ListInstances": make_few(rng, min(longest, 25), fc_children.instance),
            "ListTriggers": _make_kinds(rng, name, number, triggers.v3_trigger, len(triggers.KINDS)),
            "ListSessions": _make_kinds(rng, name, number, fc_children.session, 4),
            "ListAsyncTasks": _make_kinds(rng, name, number, tasks.v3_task, 4),
            "ListVpcBindings": fc_children.vpc_ids(rng, rng.integer(0, 2)),
        }
        for action, records in made.items():
            data.put(f"fc.{action}", records, (name,))


def _make_kinds(rng: LocalSeededRandom, name: str, number: int, make: RecordFactory, most: int) -> list[Record]:
    """Make all kinds for the first function, and none, one or two for the others, starting at different kinds."""
    if number == 0:
        return [make(rng, name, turn) for turn in range(most)]
    return [make(rng, name, number + turn) for turn in range(rng.choice((0, 0, 1, 2)))]


def _put_configs(data: RegionData, where: SeedPath, names: list[str]) -> None:
    """Put the lists of the whole region. They have one record per `every` functions."""
    makes: tuple[tuple[str, int, RecordFactory], ...] = (
        ("ListAsyncInvokeConfigs", 3, fc_configs.async_invoke),
        ("ListConcurrencyConfigs", 1, lambda rng, name, _: fc_configs.concurrency(rng, name)),
        ("ListProvisionConfigs", 5, fc_configs.provision),
        ("ListScalingConfigs", 5, fc_configs.scaling),
        ("ListSnapshots", 4, fc_children.snapshot),
        ("ListCustomDomains", 12, domains.v3_domain),
    )
    for action, every, make in makes:
        rng = data.rng(where, "fc", action)
        chosen = [name for number, name in enumerate(names) if number < 3 or number % every == 0]
        data.put(f"fc.{action}", [make(rng, name, number) for number, name in enumerate(chosen)])


def _tags(function: Record) -> list[Record]:
    arn = function["functionArn"]
    return [
        {"ResourceId": arn, "ResourceType": "function", "TagKey": tag["Key"], "TagValue": tag["Value"]}
        for tag in function.get("tags") or []
    ]
