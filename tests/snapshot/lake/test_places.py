"""The folder of an output is the folder that its tables' library reads, or the output is refused (F69)."""

from __future__ import annotations

import os
import sqlite3

import pytest

from crawler.errors import ConfigError
from crawler.snapshot import LakeSettings, open_lake
from crawler.snapshot.lake.places import check_place
from tests.support.crawl_runner import site
from tests.support.lakes import FORMATS, Local
from tests.support.snapshot_fakes import NEW, OLD

# As it is written in a path, a URI, a shell or a glob pattern.
NAMES = [
    "team#2",
    "shop?x=1",
    "a%20b",
    "a%2Fb",
    "back\\slash",
    "50% [1]*{y}",
    " a;b=1:u@h&c+d ",
    "q'u\"o`te<x>|^~$",
    "ünï 日本",
]
REFUSED = {
    "iceberg": {"team#2", "shop?x=1"},
    "delta": {"team#2", "shop?x=1", "a%20b", "a%2Fb", "back\\slash"},
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", NAMES)
async def test_whatever_the_name_of_the_folder_nothing_is_made_outside_of_it(tmp_path, name, kind):
    """F69: the tables are in the folder, for their own library, or the output is refused before anything is made."""
    lake = Local(kind, tmp_path / name)
    if name in REFUSED[kind]:
        with pytest.raises(ConfigError, match=rf"can't hold {kind} tables: their library reads the folder"):
            open_lake(lake.settings)
        assert list(tmp_path.iterdir()) == []
        return
    await lake.crawl(OLD)
    await lake.crawl(NEW)
    assert os.listdir(tmp_path) == [name]
    assert lake.names("fc_functions") == ["f1", "f2", "f3"]
    assert lake.names("fc_functions", OLD) == ["f1", "f2", "f3"]
    assert lake.commits("fc_functions") == [OLD, NEW]


@pytest.mark.parametrize(("kind", "name"), [("iceberg", "shop?x=1"), ("delta", "a%20b")])
async def test_crawl_into_a_folder_that_is_read_as_another_asks_the_cloud_nothing(tmp_path, kind, name):
    """F69: the stranger's file with the name that the library would read stays as it is."""
    stranger = tmp_path / "shop"
    with sqlite3.connect(stranger) as shop:
        shop.execute("CREATE TABLE orders (a)")
    shop.close()
    before = stranger.read_bytes()
    async with site(tmp_path) as cloud:
        config = cloud.config(tables=["fc_layers"], change=lambda text: text.replace("/snapshots", f"/{name}"))
        with pytest.raises(ConfigError, match="can't hold"):
            await cloud.crawl(config.with_overrides(output_format=kind))
        assert not cloud.cloud.requests.entries
    assert stranger.read_bytes() == before
    assert not (tmp_path / name).exists()


def test_a_path_that_is_no_text_is_refused(tmp_path):
    for kind in FORMATS:
        with pytest.raises(ConfigError, match="can't hold"):
            check_place(LakeSettings(kind, tmp_path / os.fsdecode(b"caf\xe9")))


@pytest.mark.parametrize("namespace", ["..", "a/b", "../../x", "a..b", ".", "a\\b", "a#b", "a?b", ""])
def test_a_namespace_that_leads_elsewhere_is_refused(tmp_path, namespace):
    """F69: the namespace is a folder of the metadata."""
    with pytest.raises(ConfigError, match=r"namespace .* can't be used"):
        open_lake(LakeSettings("iceberg", tmp_path, namespace=namespace))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("warehouse", ["house", "./house", "file:///var/team#2", "file:///var/shop?x=1", "s3://a/b#c"])
def test_a_warehouse_that_is_read_as_another_place_is_refused(tmp_path, warehouse):
    """F69: the metadata would be there, and where it is would depend on the folder of the crawl."""
    with pytest.raises(ConfigError, match=r"warehouse .* can't be used; write a URI or an absolute path"):
        open_lake(LakeSettings("iceberg", tmp_path, warehouse=warehouse))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["_iceberg", "_iceberg/acs_inventory", "_iceberg/acs_inventory/fc_functions/metadata"])
async def test_a_link_in_place_of_a_folder_of_iceberg_leads_nowhere(tmp_path, path):
    """F69, T23: a planted link is refused, and nothing is written where it leads."""
    await refuse_link(tmp_path, "iceberg", path)


@pytest.mark.parametrize("path", ["fc_functions", "fc_functions/_delta_log"])
async def test_a_link_in_place_of_a_folder_of_delta_leads_nowhere(tmp_path, path):
    """F69, T23: a planted link is refused, and nothing is written where it leads."""
    await refuse_link(tmp_path, "delta", path)


async def refuse_link(tmp_path, kind, path):
    target = tmp_path / "elsewhere"
    target.mkdir()
    lake = Local(kind, tmp_path / "out")
    (lake.root / path).parent.mkdir(parents=True)
    (lake.root / path).symlink_to(target)
    with pytest.raises(ConfigError, match=r"link"):
        await lake.crawl()
    assert list(target.iterdir()) == []


async def test_a_catalog_that_is_linked_to_another_file_is_refused(tmp_path):
    """F69, T23: a symbolic link, and a hard link as of `cp -al`."""
    other = tmp_path / "other.db"
    other.touch()
    for link in (os.symlink, os.link):
        lake = Local("iceberg", tmp_path / link.__name__)
        (lake.root / "_iceberg").mkdir(parents=True)
        link(other, lake.root / "_iceberg/catalog.db")
        with pytest.raises(ConfigError, match=r"the catalog .* can't be made"):
            await lake.crawl()
    assert other.read_bytes() == b""
