"""One account's resources in one region: lists of wire records, by operation and by the path parameters of a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from crawler.emulator import fc_open_seed, fc_seed, opensearch_seed
from crawler.emulator.operations import BY_NAME, order
from crawler.emulator.spec import CloudSpec

Record = dict[str, Any]
Parent = tuple[str, ...]

# Functions of 2.0 as fc ListFunctions shows them where fcVersion doesn't keep them out.
SECOND_GENERATION = "fc.ListFunctions/v2"
LOCAL_NAMES = {"cn-hangzhou": "华东1（杭州）", "cn-shanghai": "华东2（上海）", "ap-southeast-1": "Singapore"}


@dataclass(slots=True)
class Place:
    """The lists, each in the order in which it is served, and the names that a path may use."""

    lists: dict[str, dict[Parent, list[Record]]] = field(default_factory=dict)
    names: set[Parent] = field(default_factory=set)
    secrets: list[str] = field(default_factory=list)

    def put(self, key: str, records: Sequence[Record], parent: Parent = ()) -> None:
        """Set one list; also what the edit of a living cloud calls."""
        operation = BY_NAME[key.partition("/")[0]]
        ordered = sorted(records, key=lambda record: order(operation, record))
        self.lists.setdefault(key, {})[parent] = ordered


def build(spec: CloudSpec, account_id: str, region_id: str) -> Place:
    """The seeded resources of one account in one region."""
    place = Place()
    _put_regions(place, spec)
    _put_functions(place, spec, account_id, region_id)
    if spec.has_opensearch(region_id):
        _put_app_groups(place, spec, account_id, region_id)
    return place


def _put_regions(place: Place, spec: CloudSpec) -> None:
    names = {region: LOCAL_NAMES.get(region, region) for region in spec.regions}
    place.put("fc.DescribeRegions", [{"RegionId": region, "LocalName": name} for region, name in names.items()])
    place.put(
        "opensearch.DescribeRegions",
        [
            {
                "regionId": region,
                "localName": f"{names[region]}\n",
                "endpoint": f"opensearch.{region}.aliyuncs.com",
                "consoleUrl": f"https://opensearch.console.aliyun.com/?region={region}",
            }
            for region in spec.regions
            if spec.has_opensearch(region)
        ],
    )


def _put_functions(place: Place, spec: CloudSpec, account_id: str, region_id: str) -> None:
    shape = spec.shape(account_id, region_id)
    where = (spec.seed, account_id, region_id)
    place.put("fc.ListFunctions", fc_seed.functions(*where, shape.functions, place.secrets))
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


def _put_app_groups(place: Place, spec: CloudSpec, account_id: str, region_id: str) -> None:
    count = spec.shape(account_id, region_id).app_groups
    made = opensearch_seed.app_groups(spec.seed, account_id, region_id, count, place.secrets)
    place.put("opensearch.ListAppGroups", made.groups)
    for parent, apps in made.apps.items():
        place.put("opensearch.DescribeApps", apps, parent)
    for parent, instances in made.instances.items():
        place.put("opensearch.ListFunctionInstances", instances, parent)
    place.names.update(("opensearch", *parent) for parent in (*made.apps, *made.instances))
