"""Whole crawls into buckets, and the commands that read the snapshots there."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections import Counter
from contextlib import AsyncExitStack

import pytest
import trustme

from crawler.audit.database import connect, open_snapshot
from crawler.cli.doctor_checks import run_checks
from crawler.cli.plan_values import plan_value
from crawler.config.resolve import resolve_config
from crawler.errors import ConfigError, OutputError
from crawler.run.output import open_location
from crawler.run.run import crawl
from crawler.run.system import System
from tests.support import command_server
from tests.support.crawl_runner import Site, fast_cloud, site
from tests.support.hostile_store import hostile_store, said
from tests.support.object_stores import KEY_ID, KEY_SECRET, FakeStore, s3_server, served

TABLES = ["fc_functions", "fc_layers"]


@pytest.fixture
async def cloud(tmp_path):
    async with site(tmp_path, fast_cloud(regions=("cn-hangzhou",))) as served_cloud:
        yield served_cloud


class Output:
    """A bucket, and the surroundings that name it."""

    def __init__(self, cloud: Site, uri: str, environ: dict[str, str]) -> None:
        self.cloud = cloud
        self.uri = uri
        self.environ = environ
        self.surroundings = System(environ=environ, home=cloud.folder)

    def config(self, more="", **crawl_keys):
        folder = json.dumps(str(self.cloud.output))
        crawl_keys.setdefault("tables", TABLES)
        return self.cloud.config(
            more, change=lambda text: text.replace(f"uri = {folder}", f'uri = "{self.uri}"'), **crawl_keys
        )

    async def crawl(self, **crawl_keys):
        return await crawl(self.config(**crawl_keys), self.surroundings)

    async def open(self, snapshot_id="latest"):
        place = await open_location(self.uri, self.surroundings, self.config())
        return await asyncio.to_thread(open_snapshot, place, snapshot_id)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as environ:
        yield environ


@pytest.fixture(params=["server", "s3", "oss"])
async def output(request, cloud, monkeypatch):
    async with AsyncExitStack() as stack:
        if request.param == "server":
            yield Output(cloud, f"s3://inventory/{cloud.folder.name}", request.getfixturevalue("server"))
            return
        store = FakeStore(request.param)
        environ = await stack.enter_async_context(served(store))
        yield Output(cloud, f"{request.param}://inventory/lake", environ)


async def test_crawl_into_a_bucket_has_every_record_and_is_read_back(output):
    result = await output.crawl()
    assert result.exit_code == 0
    snapshot = await output.open()
    assert snapshot.manifest == result.manifest
    assert len(snapshot.ledger) == len(result.ledger)

    def counted():
        with connect(snapshot) as connection:
            return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}

    wanted = Counter()
    for (_, _, name), number in output.cloud.cloud.counts().items():
        wanted[name] += number
    assert await asyncio.to_thread(counted) == {
        "fc_functions": wanted["fc.ListFunctions"],
        "fc_layers": wanted["fc.ListLayers"],
    }
    plan = await plan_value(resolve_config(output.config()), output.surroundings)
    assert plan["last_snapshot"]["snapshot_id"] == result.snapshot_id
    findings = {finding.subject: finding for finding in await run_checks(output.config(), output.surroundings)}
    assert findings["output"].is_well, findings["output"]


async def test_damaged_part_in_a_bucket_is_not_read(cloud, monkeypatch):
    """F54"""
    store = FakeStore("s3")
    async with served(store) as environ:
        output = Output(cloud, "s3://inventory/lake", environ)
        result = await output.crawl()
        path = result.manifest.tables["fc_functions"].files[0].path
        store.put(f"lake/{path}", store.objects[f"lake/{path}"][0][:-1] + b"X")
        snapshot = await output.open()
        with pytest.raises(OutputError, match=rf"^{path} isn't what its manifest names"):
            await asyncio.to_thread(snapshot.files, "fc_functions")


async def test_keys_for_oss_come_from_where_the_crawl_has_its_own(cloud, monkeypatch):
    """The default chain: environment, CLI profile and so on."""
    store = FakeStore("oss")
    async with served(store) as environ:
        names = {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEY_SECRET}
        where = {name: environ[name] for name in ("OSS_ENDPOINT", "OSS_REGION")}
        output = Output(cloud, "oss://inventory", {**where, **names})
        result = await output.crawl()
        assert result.exit_code == 0
        assert (await output.open()).manifest == result.manifest


async def test_iceberg_tables_on_oss_move_with_the_keys_of_the_default_chain(cloud, tmp_path):
    """The chain is asked in the crawl's event loop, while the tables move in another thread."""
    store = FakeStore("oss")
    async with served(store) as environ:
        names = {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEY_SECRET}
        where = {name: environ[name] for name in ("OSS_ENDPOINT", "OSS_REGION")}
        output = Output(cloud, "oss://inventory/lake", {**where, **names})
        iceberg = f'[output.iceberg]\ncatalog_uri = "sqlite:///{tmp_path}/catalog.db"\n'
        config = output.config(iceberg).with_overrides(output_format="iceberg")
        result = await crawl(config, output.surroundings)
        assert result.exit_code == 0
        await crawl(config, output.surroundings)
    moved = [key for key in store.objects if "/fc_functions/metadata/" in key]
    assert len([key for key in moved if "snap-" in key]) == 2
    assert not store.uploads


async def test_bucket_that_cannot_be_written_is_exit_2_before_anything_is_asked(cloud, monkeypatch):
    """F55"""
    store = FakeStore("s3")
    store.fault = lambda number, method, key: "refuse"
    async with served(store) as environ:
        output = Output(cloud, "s3://inventory/lake", environ)
        with pytest.raises(
            ConfigError, match=r"^\[output\] uri can't be used: .* 403 AccessDenied; the key needs GetOb"
        ):
            await output.crawl()
        finding = next(one for one in await run_checks(output.config(), output.surroundings) if one.subject == "output")
        assert not finding.is_well
        assert "403 AccessDenied" in finding.seen
    assert len(store.requests) < 10


async def test_a_crawl_into_a_store_that_redirects_asks_the_cloud_for_nothing(cloud):
    """T15, T41: the sentence names the host, which gets no request."""
    async with hostile_store(said(b"x"), host="127.0.0.2") as other:
        answer = said(b"", f"Location: {other.url}/x", status="307 Temporary Redirect")
        async with hostile_store(answer) as store:
            output = Output(cloud, "s3://inventory/lake", store.environ())
            with pytest.raises(ConfigError, match=r"a redirect to 127\.0\.0\.2:[0-9]+, which isn't followed"):
                await output.crawl()
    assert other.connections == 0
    assert not any("canary-secret" in str(asked.headers) for asked in store.asked)


async def test_the_doctor_names_a_certificate_that_isnt_trusted_and_trusts_the_configured_one(cloud, tmp_path):
    """T44."""
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(str(tmp_path / "store.pem"))
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    refusal = said(b"<Error><Code>AccessDenied</Code></Error>", status="403 Forbidden")

    async def finding(more):
        config = output.config(more)
        return next(one for one in await run_checks(config, output.surroundings) if one.subject == "output")

    async with hostile_store(refusal, tls=tls) as store:
        output = Output(cloud, "s3://inventory/lake", store.environ())
        seen = (await finding("")).seen
        assert "isn't trusted" in seen
        assert "[tls] ca_file" in seen
        assert "403 AccessDenied" in (await finding(f'[tls]\nca_file = "{tmp_path}/store.pem"\n')).seen


@pytest.mark.parametrize("output", ["server"], indirect=True)
async def test_commands_read_a_bucket(output, tmp_path):
    result = await output.crawl()
    environ = {**os.environ, **output.environ, "HOME": str(tmp_path)}

    def command(*arguments):
        return command_server.run([*arguments, "--output", output.uri], cwd=tmp_path, env=environ)

    done = await asyncio.to_thread(command, "snapshots", "list", "--json")
    assert done.returncode == 0, done.stderr
    assert [entry["snapshot_id"] for entry in json.loads(done.stdout)] == [result.snapshot_id]
    done = await asyncio.to_thread(command, "snapshots", "show")
    assert result.snapshot_id in done.stdout
    assert "fc_functions" in done.stdout
