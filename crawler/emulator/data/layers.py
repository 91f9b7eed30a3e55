"""Seeded layers of both generations of Function Compute, and the versions of each.

The URL of a layer's code is signed again for each response. `acl` is text in 3.0 and a number in 2.0
(https://www.alibabacloud.com/help/en/fc/developer-reference/api-fc-open-2021-04-06-listlayerversions, checked
2026-11-22). Versions that were deleted leave gaps.
"""

from __future__ import annotations

from typing import Literal

from crawler.emulator.data import seeded
from crawler.emulator.data.region import RegionData
from crawler.emulator.data.seeded import LocalSeededRandom, SeedPath, iso_z, sparse
from crawler.emulator.records import Parent, Record
from crawler.emulator.spec import Shape


def put(data: RegionData, where: SeedPath, kind: Literal["fc", "fc-open"], shape: Shape) -> None:
    """Put a few layers and their versions; the first has the most versions."""
    layers: list[Record] = []
    versions: dict[Parent, list[Record]] = {}
    functions = shape.functions if kind == "fc" else shape.service_functions
    for number in range(min(functions, 2) + functions // 25):
        rng = data.rng(where, f"{kind}/layer", number)
        name = seeded.name(rng, number)
        count = shape.longest + 2 if number == 0 else rng.integer(1, 4)
        numbers = [version for version in range(1, count + 1) if version not in {2, 7}]
        versions[name,] = [_version(rng, kind, name, version) for version in numbers]
        layers.append({**versions[name,][-1], "code": _code(rng)})
    data.put(f"{kind}.ListLayers", layers)
    for parent, records in versions.items():
        data.put(f"{kind}.ListLayerVersions", records, parent)


def _version(rng: LocalSeededRandom, kind: str, name: str, version: int) -> Record:
    arn = rng.arn(f"layers/{name}/versions/{version}")
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
