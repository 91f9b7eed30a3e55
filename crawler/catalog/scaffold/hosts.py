"""A product's hosts: those of the SDK's map, else a template."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from crawler.catalog.model import Catalog
from crawler.catalog.scaffold.names import plain
from crawler.catalog.scaffold.paging import PAGING_NAMES
from crawler.catalog.sdk.calls import SdkCall
from crawler.catalog.sdk.package import SdkPackage, is_public_region

# The vendor's own regions for tests, and those of single customers: no account of another one has them.
_HOST = re.compile(r"[a-z0-9{}_][a-z0-9{}_.-]*\.[a-z0-9.-]*[a-z]")
_SPECIAL = re.compile(r"-(?:finance|gov|acdr|edge)\b")
_OF_A_REGION = re.compile(r"\b[a-z]{2}-[a-z]+")
_ACCOUNT = "{account_id}"
_ASKED = "cn-hangzhou"


@dataclass(slots=True)
class HostsDraft:
    """`endpoint`, `global` and `[endpoints]` of a product.toml."""

    endpoint: str
    doubt: str = ""
    is_global: bool = False
    endpoints: dict[str, str] = field(default_factory=dict)


def find_hosts(package: SdkPackage, calls: Iterable[SdkCall], usual: Iterable[str] = ()) -> HostsDraft:
    """Return a product's hosts. It is global if all regions have one host and no call needs a region.

    The SDK's map often has special regions only. Its rule gives the hosts of all others: `usual` regions have these.
    """
    known = {
        region: host.replace("account-id", _ACCOUNT)
        for region, host in sorted(package.hosts.items())
        if _HOST.fullmatch(host.replace("account-id", _ACCOUNT))
    }
    label = _label(package.product)
    hosts = set(known.values())
    needs_region = any(
        found.is_required and plain(wire) == "regionid" for call in calls for wire, found in call.query.items()
    )
    if package.rule == "central" and not known:
        return HostsDraft(f"https://{label}.aliyuncs.com", "the SDK's rule: central", is_global=True)
    is_one = len(hosts) == 1 and len(known) > 1 and not any(_OF_A_REGION.search(host) for host in hosts)
    if is_one and not needs_region:
        return HostsDraft(f"https://{hosts.pop()}", "one host for all regions of the SDK's map", is_global=True)
    endpoints = {region: host for region, host in known.items() if is_public_region(region)}
    template = _common(endpoints) or f"https://{label}.{{region}}.aliyuncs.com"
    added = {region: template.removeprefix("https://").replace("{region}", region) for region in usual}
    added = {region: host for region, host in added.items() if region not in endpoints}
    doubt = "hosts that the SDK's map lacks follow this" if added else ""
    if not endpoints and not added:
        doubt = "the SDK has no map of hosts: name the regions in [endpoints]"
    return HostsDraft(template, doubt, endpoints=dict(sorted({**added, **endpoints}.items())))


def _label(product: str) -> str:
    return re.sub(r"[^a-z0-9-]", "", product) or "product"


def _common(endpoints: dict[str, str]) -> str:
    """Return the template that most hosts follow, "" if fewer do."""
    forms = Counter(host.replace(region, "{region}") for region, host in endpoints.items() if region in host)
    best = forms.most_common(1)
    return f"https://{best[0][0]}" if best and best[0][1] * 2 > len(endpoints) else ""


def find_regions(calls: Mapping[str, SdkCall]) -> dict[str, str]:
    """Return `[regions]`, the operation that lists the product's regions; {} if the SDK has none without parameters."""
    call = calls.get("DescribeRegions")
    if call is None or call.is_own_gateway or call.path_parameters or call.has_whole_body:
        return {}
    if any(found.is_required for found in (*call.query.values(), *call.body.values())):
        return {}
    if any(plain(name) in PAGING_NAMES for name in call.query):
        return {}  # only one answer is read
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


def usual_regions(catalog: Catalog) -> tuple[str, ...]:
    """Return the regions that several products of a catalog have: public ones, open, and for all customers."""
    closed = {region for product in catalog.products.values() for region in product.closed}
    counted = Counter(region for product in catalog.products.values() for region in product.endpoints)
    return tuple(
        sorted(
            region
            for region, number in counted.items()
            if number > 1 and region not in closed and is_public_region(region) and not _SPECIAL.search(region)
        )
    )
