"""The instances of OpenSearch's Vector Search and Retrieval Engine editions in one account and region.

Fields: the response models of alibabacloud-searchengine20211025 5.2.4 (searchengine 2021-10-25); shapes of values: the
operations' pages (https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-12-01): epoch seconds in a
string, a time without a zone, an object in place of a list, true for an integer. Names of nodes and data sources have
no instance ID here, so that a copy of an instance keeps them.
"""

from __future__ import annotations

from datetime import timedelta

from crawler.emulator.data import searchengine_indexes, searchengine_tasks, seeded
from crawler.emulator.data.fc import local_name
from crawler.emulator.data.opensearch_context import SeedContext
from crawler.emulator.data.region import RegionData
from crawler.emulator.data.seeded import SeededRandom, epoch_s, iso_z
from crawler.emulator.records import Record
from crawler.emulator.spec import CloudSpec

# Without a public endpoint, and open to everyone, to a network and to two addresses.
ALLOWED = ("", "0.0.0.0/0", "10.0.0.0/8", "47.100.0.1,140.205.0.1")


def fill(data: RegionData, spec: CloudSpec, account_id: str, region_id: str) -> None:
    """Put the seeded lists. Regions without the product list its regions, too."""
    regions = [region for region in spec.open_regions if spec.has_product("searchengine", region)]
    data.put("searchengine.DescribeRegions", [_region(spec, region) for region in regions])
    if not spec.has_product("searchengine", region_id):
        return
    shape = spec.shape(account_id, region_id)
    account, region = spec.accounts.index(account_id), spec.regions.index(region_id)
    context = SeedContext(
        data,
        spec.seed,
        account_id,
        region_id,
        is_older=account % 2 == 1,
        fits_sdk_models=(account, region) == (0, 0),
        has_long_lists=shape.longest > 3,
        product="searchengine",
    )
    instances = [_instance(context, number) for number in range(shape.search_instances)]
    context.put("ListInstances", instances)
    for number, instance in enumerate(instances):
        _put_instance(context, instance, number)
    context.put("ListClusterNames", _cluster_names(context))
    context.put("ListTagResources", _tags(instances))


def _region(spec: CloudSpec, region: str) -> Record:
    return {
        "regionId": region,
        "localName": local_name(region),
        "endpoint": spec.region_hosts.get(f"searchengine.{region}", f"searchengine.{region}.aliyuncs.com"),
    }


def _instance(context: SeedContext, number: int) -> Record:
    """Make an instance. By their number: open to everyone, overdue and locked, about to expire, private."""
    rng = context.rng("instance", number)
    created = rng.moment()
    instance = f"ha-cn-{rng.text(11)}"
    allowed = ALLOWED[(number + 1) % len(ALLOWED)]
    changed = created + timedelta(hours=rng.integer(1, 9000))
    expires = epoch_s(created) + rng.integer(3, 9) * 365 * 86_400
    return {
        "instanceId": instance,
        "description": seeded.description(rng) or instance,
        "resourceGroupId": f"rg-{rng.text(15)}",
        "chargeType": "PrePaid" if number % 2 else "PostPay",
        "commodityCode": rng.choice(("opensearch_ha3post_public_cn", "opensearch_ha3_public_cn")),
        "edition": ("vector", "engine")[number % 2],
        "status": rng.choice(("READY", "WAIT_CONFIG", "CONFIG_UPDATING")),
        "createTime": iso_z(created),
        "updateTime": changed.strftime("%Y-%m-%dT%H:%M:%S.0") if context.is_older and not number else iso_z(changed),
        "expiredTime": str(expires),
        "inDebt": number == 1,
        "lockMode": "LockByExpiration" if number == 1 else "Unlock",
        "noQrs": number == 2,
        "userName": rng.secret("user_{}"),
        "version": f"vector_service_1.{rng.integer(0, 5)}.{rng.integer(0, 9)}",
        "network": {
            "endpoint": f"{instance}.ha.aliyuncs.com",
            "publicEndpoint": f"{instance}.public.ha.aliyuncs.com" if allowed else "",
            "allow": allowed,
            "vpcId": f"vpc-{rng.text(21)}",
            "vSwitchId": f"vsw-{rng.text(21)}",
        },
        "spec": {"qrsResource": _resource(rng), "searchResource": _resource(rng)},
        "dataSourceDetails": [_source_detail(rng, index) for index in range(1 if number == 0 else number % 3)],
        "tags": [{"key": "env", "value": "prod"}, {"key": "部门", "value": rng.choice(("搜索", "ads"))}][
            : 2 - number % 3
        ],
    }


def _resource(rng: SeededRandom) -> Record:
    return {
        "category": rng.choice(("local_ssd", "cloud")),
        "cpu": rng.choice((2, 4, 16)),
        "mem": rng.choice((8, 16, 64)),
        "disk": rng.integer(50, 600),
        "nodeCount": rng.integer(1, 4),
    }


def _source_detail(rng: SeededRandom, index: int) -> Record:
    config = searchengine_indexes.source_config(rng)
    return {"indexName": f"general_{index}", "type": rng.choice(("odps", "oss")), "config": config}


def _put_instance(context: SeedContext, instance: Record, number: int) -> None:
    name = instance["instanceId"]
    domains = [f"vpc_{context.region_id.split('-')[1]}_domain_{turn + 1}" for turn in range(2 if number == 0 else 1)]
    context.put("ListClusters", [_cluster(context, instance, domain) for domain in domains], (name,))
    sources = searchengine_indexes.put(context, name, number, domains)
    searchengine_tasks.put(context, name, number, sources)


def _cluster(context: SeedContext, instance: Record, domain: str) -> Record:
    """Make a cluster with its nodes, and put their online configurations."""
    name, rng = instance["instanceId"], context.rng("cluster", instance["instanceId"], domain)
    version = f"online_config_v{rng.integer(1, 9)}"
    names = [f"{domain}_searcher", *([] if instance["noQrs"] else [f"{domain}_qrs"])]
    nodes = {node: {"name": node, "number": rng.integer(1, 3), "partition": rng.integer(1, 4)} for node in names}
    for node in names:
        context.add_name("nodes", name, node)
        context.add_name("nodes/domains", name, node, domain)
        context.put("ListOnlineConfigs", [_online_config(rng, index) for index in range(2)], (name, node, domain))
    record: Record = {
        "name": domain,
        "description": seeded.description(rng) or "main",
        "status": rng.choice(("running", "starting", "stopping", "stopped")),
        "createTime": rng.moment().strftime("%Y-%m-%d %H:%M:%S"),
        "configUpdateTime": rng.moment().strftime("%Y-%m-%d %H:%M:%S"),
        "config": {"general": {"cache": {"size": rng.integer(1, 64)}, "password": rng.secret()}},
        "queryNode": nodes.get(f"{domain}_qrs"),
        "dataNode": nodes[f"{domain}_searcher"],
    }
    kinds = ("AdvanceConfig", "OfflineDictConfig", "OnlineConfig", "OnlineQueryConfig")
    return record | {f"{age}{kind}Version": version for kind in kinds for age in ("current", "latest")}


def _online_config(rng: SeededRandom, index: int) -> Record:
    item = f'{{"specKey":"YQ_KEYWORD_NUMBER_PLUS","value":"{rng.secret()}"}}'
    return {"indexName": f"general_{index}", "config": f'{{"specItems":[{item}]}}'}


def _cluster_names(context: SeedContext) -> list[Record]:
    """The names that a cluster can have: one, which the response has as an object, or two."""
    number = 1 if context.fits_sdk_models else 2
    return [{"name": f"pre_{turn}", "description": f"pre 机房 {turn}", "id": 25_030 + turn} for turn in range(number)]


def _tags(instances: list[Record]) -> list[Record]:
    return [
        {
            "resourceId": instance["instanceId"],
            "resourceType": "instance",
            "tagKey": tag["key"],
            "tagValue": tag["value"],
        }
        for instance in instances
        for tag in instance["tags"]
    ]
