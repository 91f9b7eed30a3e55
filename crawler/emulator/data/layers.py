"""Seeded layers of both generations of Function Compute, and the versions of each.

The URL of a layer's code is signed again for each response. `acl` is text in 3.0 and a number in 2.0
(https://www.alibabacloud.com/help/en/fc/developer-reference/api-fc-open-2021-04-06-listlayerversions, checked
2026-11-22). Versions that were deleted leave gaps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from crawler.emulator.data import seeded
from crawler.emulator.data.seeded import LocalSeededRandom, iso_z, sparse
from crawler.emulator.records import Record
from crawler.emulator.spec import Shape


@dataclass(slots=True)
class Layers:
    """The newest version of each layer, and all versions of each by the layer's name."""

    layers: list[Record] = field(default_factory=list)
    versions: dict[tuple[str, ...], list[Record]] = field(default_factory=dict)


def layers(
    seed: int, account_id: str, region_id: str, kind: Literal["fc", "fc-open"], shape: Shape, secrets: list[str]
) -> Layers:
    """Make a few layers; the first has the most versions. The markers of secrets are added to `secrets`."""
    functions = shape.functions if kind == "fc" else shape.service_functions
    made = Layers()
    for number in range(min(functions, 2) + functions // 25):
        rng = LocalSeededRandom(seed, account_id, region_id, f"{kind}/layer", number)
        name = seeded.name(rng, number)
        count = shape.longest + 2 if number == 0 else rng.integer(1, 4)
        numbers = [version for version in range(1, count + 1) if version not in {2, 7}]
        versions = [_version(rng, kind, name, version) for version in numbers]
        made.versions[name,] = versions
        newest = {**versions[-1], "code": _code(rng)}
        made.layers.append(newest)
        secrets.extend(rng.secrets)
    return made


def _version(rng: LocalSeededRandom, kind: str, name: str, version: int) -> Record:
    arn = f"acs:fc:{rng.region_id}:{rng.account_id}:layers/{name}/versions/{version}"
    acl = rng.integer(0, 1)
    record: Record = {
        "layerName": name,
        "version": version,
        "acl": str(acl) if kind == "fc" else acl,
        "description": seeded.description(rng) or "first",
        "code": _code(rng),
        "codeSize": rng.integer(400, 500_000_000),
        "codeChecksum": rng.digits(19),
        "compatibleRuntime": ["python3.10", "custom"],
        "createTime": iso_z(rng.moment()),
        "license": rng.choice(("Apache-2.0", "MIT")),
    }
    record |= {"layerVersionArn": arn} if kind == "fc" else {"arn": f"{rng.hex(32)}#{name}#{version}", "arnV2": arn}
    return sparse(rng, version - 1, record, "description", "license", "compatibleRuntime")


def _code(rng: LocalSeededRandom) -> Record:
    host = f"https://fc-layers-{rng.region_id}.oss-{rng.region_id}.aliyuncs.com"
    access = "Expires=1700000000&OSSAccessKeyId=LTAI5tLayers"
    return {"repositoryType": "OSS", "location": rng.secret(f"{host}/{rng.hex(16)}.zip?{access}&Signature={{}}")}
