"""What Function Compute 3.0 has in one account and region."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crawler.emulator.data import domains as domain_seed
from crawler.emulator.data import fc_children as fc_child_seed
from crawler.emulator.data import fc_configs as fc_config_seed
from crawler.emulator.data import fc_functions as fc_seed
from crawler.emulator.data import fc_sessions as fc_session_seed
from crawler.emulator.data import layers as layer_seed
from crawler.emulator.data import tasks as task_seed
from crawler.emulator.data import triggers as trigger_seed
from crawler.emulator.data.region import RegionData
from crawler.emulator.data.seeded import LocalSeededRandom
from crawler.emulator.spec import CloudSpec, Shape

Record = dict[str, Any]
Make = Callable[[LocalSeededRandom, str, int], Record]

LOCAL_NAMES = {"cn-hangzhou": "华东1（杭州）", "cn-shanghai": "华东2（上海）", "ap-southeast-1": "Singapore"}
FUNCTIONS, DETAILS = "fc.ListFunctions", "fc.GetFunction"


def local_name(region_id: str) -> str:
    """What people call a region."""
    return LOCAL_NAMES.get(region_id, region_id)


def fill(place: RegionData, spec: CloudSpec, account_id: str, region_id: str) -> None:
    """Put the seeded lists."""
    regions = [{"RegionId": region, "LocalName": local_name(region)} for region in spec.regions]
    place.put("fc.DescribeRegions", regions)
    shape = spec.shape(account_id, region_id)
    where = (spec.seed, account_id, region_id)
    functions = fc_seed.functions(*where, shape.functions, place.secrets)
    for detail in functions:
        place.put(DETAILS, [detail], (detail["functionName"],))
    place.put(FUNCTIONS, [fc_seed.listed(detail, number) for number, detail in enumerate(functions)])
    names = [detail["functionName"] for detail in functions]
    _put_children(place, where, names, shape)
    _put_configs(place, where, names)
    _put_layers(place, where, shape)
    place.put("fc.ListTagResources", [tag for detail in functions for tag in _tags(detail)])


def put_details(place: RegionData) -> None:
    """Bring the details of functions in line with their list after an edit: the list says more than it did before."""
    details = place.lists.setdefault(DETAILS, {})
    for record in place.lists[FUNCTIONS][()]:
        name = (record["functionName"],)
        known = details.get(name, [{}])[0]
        more = {field: known[field] for field in fc_seed.DETAIL_ONLY if field in known}
        details[name] = [{**more, **record}]


def _put_children(place: RegionData, where: tuple[int, str, str], names: list[str], shape: Shape) -> None:
    """What each function has; the first has the longest lists, and a trigger of every kind."""
    for number, name in enumerate(names):
        dice = LocalSeededRandom(*where, "fc/children", number)
        longest = shape.longest if number == 0 else 0
        made: dict[str, list[Any]] = {
            "ListAliases": _some(dice, longest, fc_child_seed.alias),
            "ListFunctionVersions": _some(dice, longest, fc_child_seed.version),
            "ListInstances": _some(dice, min(longest, 25), fc_child_seed.instance),
            "ListTriggers": _many(dice, name, number, trigger_seed.third, len(trigger_seed.KINDS)),
            "ListSessions": _many(dice, name, number, fc_session_seed.session, 4),
            "ListAsyncTasks": _many(dice, name, number, task_seed.third, 4),
            "ListVpcBindings": fc_child_seed.vpc_ids(dice, dice.integer(0, 2)),
        }
        for action, records in made.items():
            place.put(f"fc.{action}", records, (name,))
        place.secrets.extend(dice.secrets)


def _some(dice: LocalSeededRandom, longest: int, make: Callable[[LocalSeededRandom, int], Record]) -> list[Record]:
    return [make(dice, number) for number in range(longest or dice.integer(0, 3))]


def _many(dice: LocalSeededRandom, name: str, number: int, make: Make, most: int) -> list[Record]:
    """All the kinds of the first function; none, one or two of the others, each starting with another kind."""
    if number == 0:
        return [make(dice, name, turn) for turn in range(most)]
    return [make(dice, name, number + turn) for turn in range(dice.choice((0, 0, 1, 2)))]


def _put_configs(place: RegionData, where: tuple[int, str, str], names: list[str]) -> None:
    """What is listed for the whole region, for every so manieth function."""
    makes: tuple[tuple[str, int, Make], ...] = (
        ("ListAsyncInvokeConfigs", 3, fc_config_seed.async_invoke),
        ("ListConcurrencyConfigs", 1, lambda dice, name, _: fc_config_seed.concurrency(dice, name)),
        ("ListProvisionConfigs", 5, fc_config_seed.provision),
        ("ListScalingConfigs", 5, fc_config_seed.scaling),
        ("ListSnapshots", 4, fc_session_seed.snapshot),
        ("ListCustomDomains", 12, domain_seed.third),
    )
    for action, every, make in makes:
        dice = LocalSeededRandom(*where, "fc", action)
        chosen = [name for number, name in enumerate(names) if number < 3 or number % every == 0]
        place.put(f"fc.{action}", [make(dice, name, number) for number, name in enumerate(chosen)])
        place.secrets.extend(dice.secrets)


def _put_layers(place: RegionData, where: tuple[int, str, str], shape: Shape) -> None:
    made = layer_seed.layers(*where, "fc", shape, place.secrets)
    place.put("fc.ListLayers", made.layers)
    for parent, versions in made.versions.items():
        place.put("fc.ListLayerVersions", versions, parent)


def _tags(function: Record) -> list[Record]:
    return [
        {
            "ResourceId": function["functionArn"],
            "ResourceType": "function",
            "TagKey": tag["Key"],
            "TagValue": tag["Value"],
        }
        for tag in function.get("tags") or []
    ]
