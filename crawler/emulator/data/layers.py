"""Seeded layers of both generations of Function Compute, and the versions of each.

The URL of a layer's code is signed again for each response. `acl` is text in 3.0 and a number in 2.0
(https://www.alibabacloud.com/help/en/fc/developer-reference/api-fc-open-2021-04-06-listlayerversions, checked
2026-11-22). Versions that were deleted leave gaps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from crawler.emulator.data import seeded
from crawler.emulator.data.region import RegionData
from crawler.emulator.data.seeded import LocalSeededRandom, SeedPath, iso_z, sparse
from crawler.emulator.records import Parent, Record
from crawler.emulator.spec import Shape


@dataclass(frozen=True, slots=True)
class SeededLayers:
    """Layers as ListLayers returns them, and layer → versions, the newest one last."""

    layers: list[Record] = field(default_factory=list)
    versions: dict[Parent, list[Record]] = field(default_factory=dict)

    @property
    def used(self) -> list[Record]:
        """The versions that functions use: those of every second layer."""
        return [record for number, found in enumerate(self.versions.values()) if number % 2 == 0 for record in found]


def make(data: RegionData, where: SeedPath, kind: Literal["fc", "fc-open"], shape: Shape) -> SeededLayers:
    """Make a few layers and their versions; the first has the most versions."""
    made = SeededLayers()
    functions = shape.functions if kind == "fc" else shape.service_functions
    for number in range(min(functions, 2) + functions // 25):
        rng = data.rng(where, f"{kind}/layer", number)
        name = seeded.name(rng, number)
        count = shape.longest + 2 if number == 0 else rng.integer(1, 4)
        numbers = [version for version in range(1, count + 1) if version not in {2, 7}]
        made.versions[name,] = [_version(rng, kind, name, version) for version in numbers]
        made.layers.append({**made.versions[name,][-1], "code": _code(rng)})
    return made


def put(data: RegionData, kind: Literal["fc", "fc-open"], made: SeededLayers) -> None:
    """Put the layers and their versions."""
    data.put(f"{kind}.ListLayers", made.layers)
    for parent, records in made.versions.items():
        data.put(f"{kind}.ListLayerVersions", records, parent)


def use(functions: Iterable[Record], made: SeededLayers) -> None:
    """Give the functions of 3.0 that have layers a version of a listed one."""
    for number, function in enumerate(functions):
        if function.get("layers") and made.used:
            version = made.used[number % len(made.used)]
            function["layers"] = [{"arn": version["layerVersionArn"], "size": version["codeSize"]}]


def use_v2(functions: Iterable[Record], made: SeededLayers) -> None:
    """As `use`, for functions of 2.0. Every third one keeps a layer of the vendor, which no list has."""
    for number, function in enumerate(functions):
        if function.get("layers") and made.used and number % 3:
            version = made.used[number % len(made.used)]
            function |= {"layers": [version["arn"]], "layersArnV2": [version["arnV2"]]}


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
