"""The crawl's configuration for the static cloud: rates that never delay a request, and a fixed fingerprint key.

A cloud with limits is crawled at its rate.
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

TABLES = ("fc_functions", "fc_layers", "fc_layer_versions")
SMALL_TABLES = ("fc_layers", "fc_layer_versions")
NO_LIMIT = (10_000, 1_000)


def configuration(
    description: Path, output: Path, tables: tuple[str, ...] = TABLES, limit: tuple[int, int] = NO_LIMIT
) -> str:
    """Return a config.toml for the cloud of `description`. `limit`: requests per second and burst of `fc`."""
    cloud = orjson.loads(description.read_bytes())
    lines = [
        "[crawl]",
        f"tables = {_toml(tables)}",
        f"regions = {_toml(list(cloud['hosts']))}",
        "[output]",
        f"uri = {_toml(str(output))}",
        'fingerprint_key = "the-benchmark-has-no-secrets-to-protect"',
        "[rate_limits]",
        *(
            f"{product} = {{ rate = {rate}, burst = {burst} }}"
            for product, (rate, burst) in {"default": NO_LIMIT, "fc": limit, "sts": NO_LIMIT}.items()
        ),
        *([] if cloud["ca_file"] is None else ["[tls]", f"ca_file = {_toml(cloud['ca_file'])}"]),
        "[endpoints]",
        f'sts = "{cloud["scheme"]}://{cloud["sts"]}"',
        "[endpoints.fc]",
        *(f'{region} = "{cloud["scheme"]}://{host}"' for region, host in cloud["hosts"].items()),
    ]
    for account in cloud["accounts"]:
        lines += ["[[accounts]]", f'id = "{account["id"]}"', "[accounts.credentials]", 'type = "access_key"']
        lines += [f'access_key_id = "{account["key_id"]}"', f'access_key_secret = "{account["secret"]}"']
    return "\n".join(lines) + "\n"


def command(description: Path, output: Path, tables: tuple[str, ...] = TABLES) -> list[str]:
    """Return the command that runs one crawl into `output`."""
    config = output.parent / f"{output.name}.toml"
    config.touch(mode=0o600)
    config.write_text(configuration(description, output, tables))
    return [sys.executable, "-m", "crawler", "crawl", "--config", str(config), "--quiet", "--json"]


def _toml(value: object) -> str:
    return orjson.dumps(value).decode()
