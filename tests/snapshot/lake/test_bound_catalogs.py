"""Lakes in a bucket reach its store as the crawler does, and a catalog can't lead them elsewhere (T41, T44)."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import ssl
from pathlib import Path

import pytest
import trustme
from deltalake import DeltaTable
from pyiceberg.io.pyarrow import PyArrowFileIO

from crawler.errors import ConfigError, OutputError
from crawler.snapshot import open_lake
from crawler.snapshot.lake.base import LakeSettings, TableContent
from crawler.snapshot.lake.bound_catalogs import open_bound
from crawler.snapshot.lake.bucket_io import PLACE, BucketIO
from crawler.snapshot.lake.delta import _storage
from crawler.snapshot.location import bucket_place
from crawler.snapshot.s3.client import RetryPauses
from tests.support.hostile_store import HostileStore, hostile_store, said
from tests.support.snapshot_fakes import SCHEMAS

HOME = Path("/nowhere")
CONFIG = said(b'{"defaults": {}, "overrides": {}}', "Content-Type: application/json")
NAME = "acs-inventory-test"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("crawler.snapshot.s3.client.RETRIES", RetryPauses(1, 0.001, 0.002))


def place_in(store: HostileStore):
    return bucket_place("s3://bucket/p", store.environ(), HOME)


def moved_to(other: HostileStore) -> bytes:
    return said(b"", f"Location: {other.url}/x", status="307 Temporary Redirect")


async def test_an_iceberg_table_in_a_store_that_redirects_is_an_error(tmp_path):
    """T15, T41: pyarrow, which pyiceberg uses by default, would follow with the session token."""
    async with hostile_store(said(b"{}"), host="127.0.0.2") as other, hostile_store(moved_to(other)) as store:
        settings = LakeSettings("iceberg", place_in(store), f"sqlite:///{tmp_path}/catalog.db")

        def move():
            content = TableContent("fc_functions", SCHEMAS["fc_functions"], (), [], None, "20261129T000000Z-aaaa")
            open_lake(settings).move(content)

        with pytest.raises(OutputError, match=r"a redirect to 127\.0\.0\.2"):
            await asyncio.to_thread(move)
    assert other.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_delta_table_in_a_store_that_redirects_is_an_error(status):
    """T15, T41: delta-rs would follow with the session token; the other host is out of its reach."""
    async with hostile_store(said(b"{}"), host="127.0.0.2") as other:
        answer = said(b"", f"Location: {other.url}/x", status=f"{status} Moved")
        async with hostile_store(answer) as store:
            options = {**_storage(place_in(store)), "max_retries": "0"}
            with pytest.raises(OSError, match=r"error sending request|HTTP error"):
                await asyncio.to_thread(DeltaTable, "s3://bucket/p/t", storage_options=options)
    assert other.connections == 0
    assert store.asked


async def test_a_delta_table_in_a_store_of_a_private_authority_is_reached(tmp_path, monkeypatch):
    """T44: delta-rs has no option for authorities."""
    monkeypatch.setenv("SSL_CERT_FILE", "")
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    async with hostile_store(said(b"<Error/>", status="403 Forbidden"), tls=tls) as store:
        options = _storage(dataclasses.replace(place_in(store), ca_file=tmp_path / "ca.pem"))
        with pytest.raises(Exception, match="403"):
            await asyncio.to_thread(DeltaTable, "s3://bucket/p/t", storage_options={**options, "max_retries": "0"})
    assert store.asked


async def test_a_rest_catalog_isnt_redirected_and_its_secret_stays(tmp_path, monkeypatch):
    """T15, T41: the request for a token has the client's secret in it."""
    monkeypatch.setenv("PYICEBERG_CATALOG__ACS_INVENTORY__CREDENTIAL", "id:canary-secret")
    async with hostile_store(said(b"{}"), host="127.0.0.2") as other, hostile_store(moved_to(other)) as catalog:
        monkeypatch.setenv("PYICEBERG_CATALOG__ACS_INVENTORY__OAUTH2_SERVER_URI", f"{catalog.url}/v1/oauth/tokens")
        with pytest.raises(ConfigError, match=r"the catalog can't be reached \(TooManyRedirects\)"):
            await asyncio.to_thread(open_lake, LakeSettings("iceberg", tmp_path, catalog.url))
    assert other.connections == 0
    assert catalog.asked


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_a_refused_sign_in_names_the_variables_that_have_the_token(tmp_path, status):
    error = json.dumps({"error": {"message": "no", "type": "NotAuthorizedException", "code": int(status[:3])}}).encode()
    async with hostile_store(said(error, "Content-Type: application/json", status=status)) as catalog:
        with pytest.raises(ConfigError, match="refused the sign-in") as caught:
            await asyncio.to_thread(open_lake, LakeSettings("iceberg", tmp_path, catalog.url))
    assert "set PYICEBERG_CATALOG__ACS_INVENTORY__CREDENTIAL or " in str(caught.value)


def files_of(store: HostileStore) -> BucketIO:
    return BucketIO({PLACE: place_in(store)})


async def opened(catalog: HostileStore, settings: LakeSettings):
    properties = {"type": "rest", "uri": catalog.url, "token": "t"}
    return await asyncio.to_thread(open_bound, NAME, properties, settings)


async def test_a_catalog_chooses_no_library_and_never_gets_the_users_keys(tmp_path):
    """T41: what it says about files counts only with keys of its own."""
    said_of_files = {"py-io-impl": "os.path.Evil", "s3.endpoint": "https://elsewhere.example", "s3.region": "x"}
    overrides = json.dumps({"defaults": {}, "overrides": said_of_files}).encode()
    own = {"s3.access-key-id": "THEIRS", "s3.secret-access-key": "s"}
    async with (
        hostile_store(said(overrides, "Content-Type: application/json")) as catalog,
        hostile_store(said(b"data")) as store,
    ):
        in_bucket = await opened(catalog, LakeSettings("iceberg", place_in(store), catalog.url))
        files = in_bucket._load_file_io(said_of_files)
        assert (type(files), files._place) == (BucketIO, place_in(store))
        files = in_bucket._load_file_io({**said_of_files, **own})
        assert (files._place.endpoint, files._place.keys.access_key_id) == ("https://elsewhere.example", "THEIRS")
        assert files._place.keys.security_token == ""
        local = await opened(catalog, LakeSettings("iceberg", tmp_path, catalog.url))
        assert type(local._load_file_io(said_of_files)) is PyArrowFileIO


async def test_a_catalog_of_a_private_authority_is_trusted_by_the_file(tmp_path):
    """T44."""
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    async with hostile_store(CONFIG, tls=tls) as catalog:
        with pytest.raises(ConfigError, match=r"the catalog can't be reached \(SSLError\)"):
            await asyncio.to_thread(open_lake, LakeSettings("iceberg", tmp_path, catalog.url))
        assert catalog.asked == []
        settings = LakeSettings("iceberg", tmp_path, catalog.url, ca_file=tmp_path / "ca.pem")
        assert (await opened(catalog, settings)).name == NAME


@pytest.mark.parametrize("location", ["file:///etc/passwd", "https://elsewhere.example/x", "s3://B/x", "s3://bucket"])
async def test_a_catalog_names_no_file_outside_of_a_bucket(location):
    """T41."""
    async with hostile_store(said()) as store:
        files = files_of(store)
        for use in (files.new_input, files.new_output, files.delete):
            with pytest.raises(OutputError, match="names a file outside of a bucket"):
                use(location)
    assert store.asked == []


def ranged(data: bytes):
    def answer(asked):
        if asked.line.startswith("PUT"):
            return said()
        first, last = map(int, asked.headers["range"].removeprefix("bytes=").split("-"))
        piece = data[first : last + 1]
        if not piece:
            return said(b"", f"Content-Range: bytes */{len(data)}", status="416 Range Not Satisfiable")
        range_ = f"Content-Range: bytes {first}-{first + len(piece) - 1}/{len(data)}"
        return said(piece, range_, status="206 Partial Content")

    return answer


@pytest.mark.parametrize("data", [b"", b"0123456789" * 100_000])
async def test_a_file_is_read_from_any_position(data):
    """As Parquet's footers and Avro's blocks are read, without a download of the whole file."""

    def read():
        file = files.new_input("s3://bucket/p/x")
        assert len(file) == len(data)
        with file.open() as opened_file:
            opened_file.seek(-4, 2) if data else None
            tail = opened_file.read()
            opened_file.seek(5)
            return tail, opened_file.read(3)

    async with hostile_store(ranged(data)) as store:
        files = files_of(store)
        assert await asyncio.to_thread(read) == (data[-4:], data[5:8])
    assert not any(asked.line.startswith("HEAD") for asked in store.asked)


async def test_a_file_is_put_whole_or_not_at_all():
    """F46: a body that raises leaves no half object."""

    def write(files):
        with files.new_output("s3://bucket/p/new").create(overwrite=True) as file:
            file.write(b"whole")
        with pytest.raises(ZeroDivisionError), files.new_output("s3://bucket/p/x").create(overwrite=True) as file:  # noqa: PT012
            file.write(b"half")
            1 / 0  # noqa: B018
        with pytest.raises(FileExistsError):
            files.new_output("s3://bucket/p/x").create()

    async with hostile_store(ranged(b"there")) as store:
        await asyncio.to_thread(write, files_of(store))
    assert [(asked.line.split()[1], asked.body) for asked in store.asked if asked.line.startswith("PUT")] == [
        ("/bucket/p/new", b"whole")
    ]
