"""F146: a crawl by a Dask cluster: rows as of one process, and nothing secret in the scheduler's memory."""

from __future__ import annotations

import json
import re
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client, Security

from crawler.emulator import Delay
from tests.support.dask_children import tls_cluster
from tests.support.run_processes import is_alive, until
from tests.support.secret_sweep import MARKER, Sweep

pytestmark = [
    # Of distributed itself, in the process of these tests.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def by_dask(fleet, folder, engine=""):
    """The same cloud, with a configuration that has an engine. Dask itself warns."""
    config = folder / "dask.toml"
    text = fleet.config.read_text().replace("[crawl]\n", "[crawl]\nworkers = 2\n")
    config.write_text(f'{text}\n[engine]\nkind = "dask"\n{engine}')
    config.chmod(0o600)
    environ = {name: value for name, value in fleet.environ.items() if name != "PYTHONWARNINGS"}
    return replace(fleet, config=config, environ=environ, processes=fleet.processes)


@pytest.mark.trust
@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_local_cluster_writes_what_one_process_writes(fleet, open_output, tmp_path, kind):
    output = open_output(kind)
    process = by_dask(fleet, tmp_path).start(output)
    assert process.wait() == 0, process.stderr
    assert json.loads(process.stdout)["snapshot_id"] == fleet.assert_equal(output)


@pytest.mark.trust
def test_no_process_outlives_a_killed_coordinator_of_a_cluster_and_its_run_is_resumed(fleet, open_output, tmp_path):
    """Its attempts may be on other machines for all that the next crawl knows: it waits until their leases are old."""
    output, clustered = open_output("folder"), by_dask(fleet, tmp_path)
    rule = fleet.cloud.faults.add(Delay(seconds=3), action="ListLayers")
    try:
        process = clustered.start(output)
        assert until(lambda: rule.fired or process.code is not None)
        assert process.code is None, process.stderr
        below = process.children()
        process.signal(signal.SIGKILL)
        until(lambda: not any(map(is_alive, below)), timeout_s=60)
    finally:
        fleet.cloud.faults.rules.remove(rule)
    output.age()
    process = clustered.start(output, "--resume")
    assert process.wait() == 0, process.stderr
    fleet.assert_equal(output)


def memory(pid):
    """All that a process has in memory and may change."""
    found = bytearray()
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            first, last = (int(at, 16) for at in line.split()[0].split("-"))
            if " rw" in line and "[v" not in line:
                with suppress(OSError, ValueError):
                    memory.seek(first)
                    found += memory.read(last - first)
    return bytes(found)


def wait_for_workers(cluster, number):
    tls = {"tls_ca_file": str(cluster.folder / "ca.pem"), "tls_client_cert": str(cluster.folder / "cert.pem")}
    security = Security(**tls, tls_client_key=str(cluster.folder / "cert.pem"), require_encryption=True)
    with Client(cluster.address, security=security, set_as_default=False) as client:
        client.wait_for_workers(number, timeout=120)


@pytest.mark.trust
def test_nothing_secret_is_in_the_memory_of_a_scheduler(fleet, open_output, tmp_path, monkeypatch):
    """A scheduler and workers that a user has started, over TLS; each worker has the environment with the keys."""
    output = open_output("s3")
    secrets = [value for name, value in fleet.environ.items() if name.startswith("EMULATOR_KEY_SECRET_")]
    secrets += [fleet.environ["ACS_INVENTORY_DEMO_KEY"], output.environ["AWS_SECRET_ACCESS_KEY"]]
    with tls_cluster(tmp_path) as cluster:
        engine = re.search(r"address.*\nca_file.*\ncert_file.*\n", cluster.configuration())[0]
        clustered = by_dask(fleet, tmp_path, engine)
        for name, value in {**clustered.environ, **output.environ}.items():
            monkeypatch.setenv(name, value)
        for _ in range(2):
            cluster.add_worker()
        wait_for_workers(cluster, 2)
        rule = fleet.cloud.faults.add(Delay(seconds=4), action="ListLayers")
        try:
            process = clustered.start(output)
            assert until(lambda: rule.fired >= 2 or process.code is not None)
            assert process.code is None, process.stderr
            held = memory(cluster.scheduler.pid)
        finally:
            fleet.cloud.faults.rules.remove(rule)
        assert process.wait() == 0, process.stderr
        held += memory(cluster.scheduler.pid)
    fleet.assert_equal(output)
    assert b"--shard" in held, "the search would find what is in a task"
    assert [secret for secret in secrets if secret.encode() in held] == []
    assert not MARKER.search(held[held.find(b"canary") :] if b"canary" in held else b"")
    assert Sweep(*secrets).found(process.stderr.encode()) == set()
