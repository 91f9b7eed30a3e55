"""Seeded layers of both generations of Function Compute, and the versions of each.

Where a layer's code is, is a signed URL, made anew for every answer. `acl` is text in 3.0 and a number in 2.0
(https://www.alibabacloud.com/help/en/fc/developer-reference/api-fc-open-2021-04-06-listlayerversions, checked
2026-11-22). Versions that were deleted leave gaps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from crawler.emulator.data import seeded as words
from crawler.emulator.data.seeded import LocalSeededRandom, iso_z, sparse
from crawler.emulator.spec import Shape

Record = dict[str, Any]


@dataclass(slots=True)
class Layers:
    """The newest version of each layer, and all versions of each by the layer's name."""

    layers: list[Record] = field(default_factory=list)
    versions: dict[tuple[str, ...], list[Record]] = field(default_factory=dict)


def layers(
    seed: int, account_id: str, region_id: str, kind: Literal["fc", "fc-open"], shape: Shape, secrets: list[str]
) -> Layers:
    """A few layers; the first has the most versions. The markers of secret values are added to `secrets`."""
    functions = shape.functions if kind == "fc" else shape.service_functions
    made = Layers()
    for number in range(min(functions, 2) + functions // 25):
        dice = LocalSeededRandom(seed, account_id, region_id, f"{kind}/layer", number)
        name = words.name(dice, number)
        count = shape.longest + 2 if number == 0 else dice.integer(1, 4)
        numbers = [version for version in range(1, count + 1) if version not in {2, 7}]
        versions = [_version(dice, kind, name, version) for version in numbers]
        made.versions[name,] = versions
        newest = {**versions[-1], "code": _code(dice)}
        made.layers.append(newest)
        secrets.extend(dice.secrets)
    return made


def _version(dice: LocalSeededRandom, kind: str, name: str, version: int) -> Record:
    arn = f"acs:fc:{dice.region_id}:{dice.account_id}:layers/{name}/versions/{version}"
    acl = dice.integer(0, 1)
    record: Record = {
        "layerName": name,
        "version": version,
        "acl": str(acl) if kind == "fc" else acl,
        "description": words.description(dice) or "first",
        "code": _code(dice),
        "codeSize": dice.integer(400, 500_000_000),
        "codeChecksum": dice.digits(19),
        "compatibleRuntime": ["python3.10", "custom"],
        "createTime": iso_z(dice.moment()),
        "license": dice.choice(("Apache-2.0", "MIT")),
    }
    record |= {"layerVersionArn": arn} if kind == "fc" else {"arn": f"{dice.hex(32)}#{name}#{version}", "arnV2": arn}
    return sparse(dice, version - 1, record, "description", "license", "compatibleRuntime")


def _code(dice: LocalSeededRandom) -> Record:
    host = f"https://fc-layers-{dice.region_id}.oss-{dice.region_id}.aliyuncs.com"
    access = "Expires=1700000000&OSSAccessKeyId=LTAI5tLayers"
    return {"repositoryType": "OSS", "location": dice.secret(f"{host}/{dice.hex(16)}.zip?{access}&Signature={{}}")}
