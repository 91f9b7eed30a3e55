"""A product's hosts: those of the SDK's map, else a template."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from crawler.catalog.scaffold.names import plain
from crawler.catalog.sdk.calls import SdkCall
from crawler.catalog.sdk.package import SdkPackage
from crawler.text import REGION_ID

# The vendor's own regions for tests, and those of single customers: no account of another one has them.
_INTERNAL = re.compile(r"-(?:pop|inner|oxs|internal-[a-z]+|test|nebula|jva|lr|gic|[a-z]{2,3}\d*-[a-z]\d+)(?:-?\d+)?$")
_HOST = re.compile(r"[a-z0-9{}_][a-z0-9{}_.-]*\.[a-z0-9.-]*[a-z]")
_ACCOUNT = "{account_id}"
_ASKED = "cn-hangzhou"


@dataclass(slots=True)
class HostsDraft:
    """`endpoint`, `global` and `[endpoints]`. `internal`: region → host of the map's regions that no account has."""

    endpoint: str
    doubt: str = ""
    is_global: bool = False
    endpoints: dict[str, str] = field(default_factory=dict)
    internal: dict[str, str] = field(default_factory=dict)


def find_hosts(package: SdkPackage, calls: Iterable[SdkCall]) -> HostsDraft:
    """Return a product's hosts. It is global if all regions have one host and no call needs a region."""
    known = {
        region: host.replace("account-id", _ACCOUNT)
        for region, host in sorted(package.hosts.items())
        if _HOST.fullmatch(host.replace("account-id", _ACCOUNT))
    }
    template = f"https://{_label(package.product)}.{{region}}.aliyuncs.com"
    hosts = set(known.values())
    needs_region = any(
        found.is_required and plain(wire) == "regionid" for call in calls for wire, found in call.query.items()
    )
    if package.rule == "central" and not known:
        return HostsDraft(f"https://{_label(package.product)}.aliyuncs.com", "the SDK's rule: central", is_global=True)
    if len(hosts) == 1 and not needs_region and not any(region in host for region, host in known.items()):
        return HostsDraft(f"https://{hosts.pop()}", "one host for all regions of the SDK's map", is_global=True)
    endpoints = {region: host for region, host in known.items() if REGION_ID.fullmatch(region)}
    internal = {region: host for region, host in endpoints.items() if _INTERNAL.search(region)}
    endpoints = {region: host for region, host in endpoints.items() if region not in internal}
    doubt = "" if endpoints else "the SDK has no map of hosts: name the regions in [endpoints]"
    return HostsDraft(_common(endpoints) or template, doubt, endpoints=endpoints, internal=internal)


def _label(product: str) -> str:
    return re.sub(r"[^a-z0-9-]", "", product) or "product"


def _common(endpoints: dict[str, str]) -> str:
    """Return the template of most hosts that have their region's name, "" if none has."""
    forms = Counter(host.replace(region, "{region}") for region, host in endpoints.items() if region in host)
    best = forms.most_common(1)
    return f"https://{best[0][0]}" if best else ""


def find_regions(calls: Mapping[str, SdkCall]) -> dict[str, str]:
    """Return `[regions]`, the operation that lists the product's regions; {} if the SDK has none without parameters."""
    call = calls.get("DescribeRegions")
    if call is None or call.is_own_gateway or call.path_parameters or call.has_whole_body:
        return {}
    if any(found.is_required for found in (*call.query.values(), *call.body.values())):
        return {}
    path: tuple[str, ...] = ()
    node = call.answer
    while node.kind == "struct":
        lists = [found for found in node.fields if found.node.kind in {"list", "struct"}]
        if len(lists) != 1:
            return {}
        path, node = (*path, lists[0].wire), lists[0].node
    fields = {plain(found.wire): found.wire for found in node.item.fields} if node.item is not None else {}
    if "regionid" not in fields:
        return {}
    regions = {"action": call.action, "path": call.path, "records": ".".join(path), "id": fields["regionid"]}
    regions |= {"ask": _ASKED} | ({"method": call.method} if call.method != "GET" else {})
    endpoint = next((fields[name] for name in ("regionendpoint", "endpoint") if name in fields), "")
    return regions | ({"endpoint": endpoint} if endpoint else {})
