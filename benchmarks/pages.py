"""Renders the static cloud's pages to disk, and reuses them as long as shape and records stay the same."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import orjson

from benchmarks.shape import PAGE_RECORDS, VERSIONS, Shape, layer_name
from tests.support import generated_records as records
from tests.support.generated_records import Record

FIRST_TOKEN = "0000"


def rendered(shape: Shape, folder: Path) -> Path:
    """Return the folder of the pages: `ACCOUNT/REGION/{functions,layers}/TOKEN.json`, `…/versions/NAME.json`."""
    source = Path(records.__file__).read_bytes() + Path(__file__).read_bytes()
    name = hashlib.sha256(source + repr(replace(shape, times=1)).encode()).hexdigest()[:12]
    pages = folder / f"pages-{name}"
    if not pages.is_dir():
        unfinished = folder / f"unfinished-{name}"
        shutil.rmtree(unfinished, ignore_errors=True)
        for account, region in shape.folders():
            _render(shape, unfinished / str(account) / region, account, region)
        unfinished.rename(pages)
    return pages


def size_bytes(pages: Path) -> int:
    """Return the size of all pages."""
    return sum(path.stat().st_size for path in pages.rglob("*.json"))


def _render(shape: Shape, folder: Path, account: int, region: str) -> None:
    chance = Random(f"{account}/{region}")
    functions = (records.function(chance, account, region, number) for number in range(shape.pages * PAGE_RECORDS))
    for page in range(shape.pages):
        some = [next(functions) for _ in range(PAGE_RECORDS)]
        _write(folder / "functions", page, shape.pages, "functions", some)
    names = [layer_name(number) for number in range(shape.layers_of(account))]
    for page in range(shape.layer_pages_of(account)):
        chosen = names[page * PAGE_RECORDS : (page + 1) * PAGE_RECORDS]
        newest = [records.layer_version(chance, account, region, name, VERSIONS) for name in chosen]
        _write(folder / "layers", page, shape.layer_pages_of(account), "layers", newest)
    (folder / "versions").mkdir()
    for name in names:
        versions = [records.layer_version(chance, account, region, name, n) for n in range(1, VERSIONS + 1)]
        (folder / "versions" / f"{name}.json").write_bytes(orjson.dumps({"layers": versions}))


def _write(folder: Path, page: int, pages: int, key: str, found: Sequence[Record]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    following = f"{page + 1:04d}" if page + 1 < pages else ""
    body = orjson.dumps({"requestId": f"bench-{page:04d}", key: found, "nextToken": following})
    (folder / f"{page:04d}.json").write_bytes(body)
