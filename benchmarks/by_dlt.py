"""dlt's rest_api source, to Parquet. `python by_dlt.py CLOUD.json OUTPUT`, with benchmarks/requirements.txt installed.

One source per account and region, three resources in each; nested values stay in their row. dlt can't sign requests,
so the account is in the query.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import dlt
import orjson
from dlt.sources.rest_api import rest_api_source


def source(account: dict[str, str], region: str, host: str) -> Any:
    """The lists of one account in one region."""
    pages = {"type": "cursor", "cursor_path": "nextToken", "cursor_param": "nextToken"}
    parameters = {"account": account["number"], "limit": 100}
    config: dict[str, Any] = {
        "client": {"base_url": f"http://{host}/2023-03-30/"},
        "resource_defaults": {"parallelized": True, "max_table_nesting": 0, "write_disposition": "append"},
        "resources": [
            {
                "name": "functions",
                "endpoint": {
                    "path": "functions",
                    "params": {**parameters, "fcVersion": "v3"},
                    "data_selector": "functions",
                    "paginator": pages,
                },
            },
            {
                "name": "layers",
                "endpoint": {"path": "layers", "params": parameters, "data_selector": "layers", "paginator": pages},
            },
            {
                "name": "layer_versions",
                "endpoint": {
                    "path": "layers/{resources.layers.layerName}/versions",
                    "params": parameters,
                    "data_selector": "layers",
                    "paginator": "single_page",
                },
            },
        ],
    }
    return rest_api_source(config, name=f"fc_{account['number']}_{region.replace('-', '_')}")


def main(cloud: dict[str, Any], output: Path) -> None:
    """Load the cloud into `output`."""
    output.mkdir(parents=True)
    pipeline = dlt.pipeline(
        pipeline_name="benchmark",
        pipelines_dir=str(output / "pipelines"),
        destination=dlt.destinations.filesystem(bucket_url=(output / "files").as_uri()),
        dataset_name="benchmark",
    )
    sources = [source(account, *where) for account in cloud["accounts"] for where in cloud["hosts"].items()]
    pipeline.run(sources, loader_file_format="parquet")
    counts = pipeline.last_trace.last_normalize_info.row_counts
    print(orjson.dumps({"rows": sum(number for table, number in counts.items() if table[0] != "_")}).decode())


if __name__ == "__main__":
    main(orjson.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]))
