"""The Iceberg catalog: its errors are sentences without a secret, and a lock is named as one (F71)."""

from __future__ import annotations

import sqlite3

import pyiceberg.utils.config
import pytest

from crawler.errors import ConfigError, OutputError, UnfinishedCommitError
from crawler.snapshot import LakeSettings, open_lake
from crawler.snapshot.lake.catalog import open_catalog, own_tables
from crawler.snapshot.lake.identity import read_record
from crawler.snapshot.lake.verify import verify_lakes
from tests.support.lakes import Local
from tests.support.odd_files import ODD, ends_within, put
from tests.support.snapshot_fakes import ACCOUNT, NEW, OLD, write_snapshot

LATER = "20261122T020000Z-0000"
LOCKED = "it is locked by another process"


@pytest.fixture
async def lake(tmp_path):
    """An output with a catalog that doesn't wait for its lock."""
    made = Local("iceberg", tmp_path / "out", catalog_uri=f"sqlite:///{tmp_path}/catalog.db?timeout=0")
    await made.crawl(OLD)
    return made


@pytest.fixture
def other_process(tmp_path, lake):
    """Hold the lock of the catalog, as another process would."""
    connection = sqlite3.connect(tmp_path / "catalog.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield connection
    connection.close()


async def test_a_locked_catalog_is_named_as_locked_before_anything_is_asked(lake, other_process):
    """F71: with the advice to try again, and not to check an address that is right."""
    with pytest.raises(ConfigError, match=rf"the catalog can't be reached \({LOCKED}\); try again when it has ended"):
        await lake.crawl(NEW)
    other_process.execute("ROLLBACK")
    await lake.crawl(NEW)
    assert lake.commits("fc_functions") == [OLD, NEW]


async def test_a_catalog_that_is_locked_after_the_commit_says_so(lake, tmp_path):
    """F71: the files are there, and the next crawl moves the table."""
    opened = open_lake(lake.settings)
    manifest = await write_snapshot(lake.root, NEW)
    with sqlite3.connect(tmp_path / "catalog.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OutputError, match=rf"^the Iceberg catalog can't be read \({LOCKED}\)$"):
            opened.named(["fc_functions"], [OLD])
        with pytest.raises(
            UnfinishedCommitError, match=rf"the next crawl moves them: the Iceberg catalog can't be read \({LOCKED}\)$"
        ):
            lake.publish_to(opened, manifest)
        other.execute("ROLLBACK")
    other.close()
    await lake.crawl(LATER, {("fc_functions", ACCOUNT, "cn-hangzhou"): ["f9"]})
    assert lake.names("fc_functions") == ["f9"]


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:"])
def test_a_catalog_in_memory_is_refused(tmp_path, uri):
    """F70: every crawl would make a new one, and prune would find it empty."""
    with pytest.raises(ConfigError, match="would keep the catalog in memory; write a path"):
        open_lake(LakeSettings("iceberg", tmp_path, uri))


@pytest.mark.parametrize("uri", ["no uri", "CANARY", "https://catalog.example:CANARY/x", "https://[CANARY/x"])
def test_an_address_that_cannot_be_read_is_not_repeated(tmp_path, uri):
    with pytest.raises(ConfigError, match="catalog_uri") as caught:
        open_lake(LakeSettings("iceberg", tmp_path, uri))
    assert "CANARY" not in str(caught.value)


def test_a_catalog_without_tables_keeps_nothing(tmp_path):
    """F70: a crawl into Iceberg tables failed at its start, and files alone are wanted since."""
    (tmp_path / "_iceberg").mkdir()
    (tmp_path / "_iceberg/catalog.db").touch()
    assert own_tables(tmp_path) == {}


def test_the_users_configuration_of_pyiceberg_does_not_change_how_a_folder_is_read(tmp_path, monkeypatch):
    """F69: pyiceberg has two readers of paths, and one of them was checked."""
    monkeypatch.setenv("PYICEBERG_CATALOG__ACS_INVENTORY__PY_IO_IMPL", "pyiceberg.io.fsspec.FsspecFileIO")
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG", pyiceberg.utils.config.Config())  # read once per process
    opened = open_catalog(LakeSettings("iceberg", tmp_path), is_new=True)
    assert opened.properties["py-io-impl"] == "pyiceberg.io.pyarrow.PyArrowFileIO"


def test_a_damaged_record_is_a_sentence_with_the_remedy(tmp_path):
    """F67: the record can't say whether the output is a copy."""
    (tmp_path / "_lake").mkdir()
    for content in (b"", b"{}", b"\xff", b'{"id": "1", "place": 2}'):
        (tmp_path / "_lake/output.json").write_bytes(content)
        with pytest.raises(OutputError, match=r"_lake/output.json of the output can't be read.* remove _lake"):
            read_record(tmp_path)


def test_a_damaged_catalog_of_an_output_is_an_error_of_one_sentence(tmp_path):
    """F70: prune can't know which files are a table's content."""
    (tmp_path / "_iceberg").mkdir()
    (tmp_path / "_iceberg/catalog.db").write_bytes(b"no database" * 100)
    with pytest.raises(OutputError, match=r"the Iceberg catalog .* can't be read \(DatabaseError\)"):
        own_tables(tmp_path)


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", ["catalog.db", "catalog.db-journal"])
async def test_catalog_in_the_output_that_is_not_a_regular_file_is_refused(tmp_path, kind, name):
    """F72: by a crawl and by `prune`; SQLite would wait for a named pipe."""
    made = Local("iceberg", tmp_path / "out")
    await made.crawl(OLD)
    put(tmp_path / "out/_iceberg" / name, kind)
    with ends_within(30), pytest.raises(OutputError, match=f"{name} of .* is {kind}, not a regular file; remove it"):
        own_tables(tmp_path / "out")
    with ends_within(30), pytest.raises(ConfigError, match=f"is {kind}, not a regular file; remove it"):
        open_lake(made.settings)
    with ends_within(30):
        [bad], _ = verify_lakes(tmp_path / "out")
    assert f"{name} of {tmp_path}/out is {kind}, not a regular file" in bad.reason
