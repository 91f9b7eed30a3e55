"""The Dask launcher with real clusters, and children that are small scripts."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import psutil
import pytest

from crawler.config import parse_config
from crawler.errors import ConfigError
from crawler.extras import how_to_install
from crawler.run.engine import dask, dask_launcher
from crawler.run.engine.base import LaunchError
from crawler.run.engine.dask import check_engine, open_launcher
from crawler.run.engine.dask_launcher import DaskLauncher
from tests.support.dask_children import (
    ROOT,
    Children,
    is_alive,
    listening_hosts,
    processes_below,
    tls_cluster,
    wait_until,
)

ONE = '[[accounts]]\nid = "1"\n'
LOCAL = '[crawl]\nworkers = 2\n[engine]\nkind = "dask"\n'
FOREVER = "time.sleep(600)"
SECRET = "planted-" + "s3cret" * 6

pytestmark = [
    # Of distributed itself, in the processes of these tests.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def parse(text, environ=()):
    return parse_config(text, source="config.toml", environ=dict(environ))


@pytest.fixture
def children(tmp_path):
    return Children(tmp_path)


async def run_all(launcher, shards):
    """Start shards and return the events of each one, until all have ended."""
    said = {shard: [] for shard in shards}

    async def start_all():
        for shard in shards:
            await launcher.start(shard)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(start_all)
        async for event in launcher.events():
            said[event.shard].append(event)
            if all(events and events[-1].kind == "ended" for events in said.values()):
                break
    return said


async def next_of(events, kind, shard=None):
    """The next event of a kind and a shard; those before it are lost."""
    with anyio.fail_after(60):
        async for event in events:
            if event.kind == kind and shard in (None, event.shard):
                return event
    raise AssertionError("the events have ended")


async def test_every_shard_runs_on_a_worker_of_this_machine(children):
    async with open_launcher(parse(LOCAL + ONE), children) as launcher:
        assert launcher.places == 2
        said = await run_all(launcher, range(5))
    for shard, events in said.items():
        assert [event.kind for event in events] == ["log", "progress", "ended"]
        log, progress, ended = (event.values for event in events)
        assert (log["event"], log["shard"], progress["rows"]) == ("crawl_started", shard, shard)
        assert (ended["code"], ended["host"]) == (0, os.uname().nodename)
    parents = {events[0].values["parent"] for events in said.values()}
    assert len(parents) == 2
    assert os.getpid() not in parents
    assert not any(is_alive(parent) for parent in parents)


async def test_the_end_of_a_child_is_told_as_it_was(children):
    children.does = {
        0: 'say(event="shard_ended", shard=shard, exit_code=4, error="The disk is full."); sys.exit(4)',
        1: "os.kill(os.getpid(), signal.SIGKILL)",
        2: "sys.exit(0)",
        3: 'os.write(2, b"no JSON \\xff\\n"); sys.exit(7)',
        4: "os.fork() or (signal.signal(1, signal.SIG_IGN), time.sleep(20)); os._exit(9)",
    }
    async with open_launcher(parse(LOCAL + ONE), children) as launcher:
        said = await run_all(launcher, range(5))
    ended = {shard: events[-1].values for shard, events in said.items()}
    assert (ended[0]["code"], ended[0]["error"]) == (4, "The disk is full.")
    assert (ended[1]["code"], ended[1]["reason"]) == (None, "signal 9")
    assert (ended[2]["code"], ended[2]["reason"]) == (None, "exit code 0")
    assert ended[3]["code"] == 7
    assert any("no JSON" in str(event.values.get("message")) for event in said[3])
    assert ended[4]["code"] == 9


async def test_at_the_stop_no_child_and_no_worker_is_left(children):
    children.does = {None: FOREVER}
    async with open_launcher(parse(LOCAL + ONE), children) as launcher:
        await launcher.start(0)
        await launcher.start(1)
        events = launcher.events()
        pids = [(await next_of(events, "log")).values for _ in range(2)]
        assert {values["shard"] for values in pids} == {0, 1}
        await launcher.stop()
        assert not any(is_alive(values["pid"]) for values in pids)
        with pytest.raises(LaunchError):
            await launcher.start(2)
    assert not any(is_alive(values["parent"]) for values in pids)


async def test_workers_that_can_not_be_started_are_one_sentence(children):
    import distributed  # adds its defaults, which must outlast this test
    from dask.config import set as set_config

    assert distributed
    said = "Dask workers of this machine can't be started: Nanny failed to start"
    with set_config({"distributed.worker.preload": ["no_module_of_this_name"]}), pytest.raises(LaunchError, match=said):
        async with open_launcher(parse(LOCAL + ONE), children):
            pass


async def test_a_cancelled_crawl_leaves_no_process(children):
    children.does = {None: FOREVER}
    with anyio.CancelScope() as scope:
        async with open_launcher(parse(LOCAL + ONE), children) as launcher:
            await launcher.start(0)
            values = (await next_of(launcher.events(), "log")).values
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert not is_alive(values["pid"])
    assert not is_alive(values["parent"])


async def test_a_child_that_hangs_is_killed_on_request(children):
    children.does = {0: "os.kill(os.getpid(), signal.SIGSTOP)", None: ""}
    async with open_launcher(parse(LOCAL + ONE), children) as launcher:
        events = launcher.events()
        await launcher.start(0)
        await next_of(events, "progress", 0)
        launcher.kill(0)
        ended = await next_of(events, "ended", 0)
        assert (ended.values["code"], ended.values["reason"]) == (None, "signal 9")
        await launcher.start(1)
        assert (await next_of(events, "ended", 1)).values["code"] == 0


async def test_a_killed_worker_ends_its_shard_and_the_next_attempt_runs(children):
    """F125."""
    children.does = {0: FOREVER}
    async with open_launcher(parse(LOCAL + ONE), children) as launcher:
        events = launcher.events()
        await launcher.start(0)
        values = (await next_of(events, "log", 0)).values
        os.kill(values["parent"], signal.SIGKILL)
        ended = (await next_of(events, "ended", 0)).values
        assert (ended["code"], ended["reason"]) == (None, "the loss of its Dask worker")
        assert ended["host"] == os.uname().nodename
        assert not is_alive(values["pid"])
        children.does = {None: ""}
        await launcher.start(0)
        assert (await next_of(events, "log", 0)).values["pid"] != values["pid"]
        assert (await next_of(events, "ended", 0)).values["code"] == 0
        assert launcher.places == 2


async def test_nothing_secret_is_in_the_schedulers_memory(children, monkeypatch, tmp_path):
    """T52: what the environment and the configuration hold, searched for in all tasks and in the cluster's dump."""
    monkeypatch.setenv("PLANTED_KEY", SECRET)
    keys = (
        '[accounts.credentials]\ntype = "access_key"\naccess_key_id = "${PLANTED_KEY}"\n'
        'access_key_secret = "${PLANTED_KEY}"\n'
    )
    config = parse(f'{LOCAL}[output]\nfingerprint_key = "${{PLANTED_KEY}}"\n{ONE}{keys}', os.environ)
    children.does = {0: f"say(event='same', is_there='PLANTED_KEY' in os.environ); {FOREVER}"}
    async with open_launcher(config, children) as launcher:
        events = launcher.events()
        await launcher.start(0)
        async for event in events:
            if event.values.get("event") == "same":
                assert event.values["is_there"], "the worker has no environment to give away"
                break
        client = launcher._client
        held = await client.run_on_scheduler(_all_tasks)
        await client.dump_cluster_state(str(tmp_path / "dump"), format="yaml")
    assert len(held) == 1
    assert children.script.name.encode() in held[0], "the search would find what is in a task"
    dump = (tmp_path / "dump.yaml").read_bytes()
    assert b"acs-inventory-" in dump
    for text in (*held, dump):
        assert SECRET.encode() not in text


def _all_tasks(dask_scheduler):
    return [pickle.dumps(task.run_spec) for task in dask_scheduler.tasks.values()]


async def test_nobody_without_the_certificate_reaches_the_cluster(children, monkeypatch):
    """T51: another user of this machine."""
    monkeypatch.setattr(dask, "_CONNECT_S", 2.0)
    async with open_launcher(parse(LOCAL + ONE), children) as launcher:
        from distributed import Security

        for address, security in (
            (launcher._address, Security.temporary()),
            (launcher._address.replace("tls:", "tcp:"), None),
        ):
            with pytest.raises(LaunchError, match="can't be reached"):
                async with dask._connected(address, security):
                    pass


_PROGRAM = """
import sys, anyio
from crawler.config import parse_config
from crawler.run.engine.dask import open_launcher
from crawler.telemetry.logs import configure
from tests.support.dask_children import Children
from pathlib import Path

async def main():
    children = Children(Path(sys.argv[1]))
    children.does = {None: sys.argv[2]}
    async with open_launcher(parse_config(sys.argv[3], source="c", environ={}), children) as launcher:
        await launcher.start(0)
        await launcher.start(1)
        ended = 0
        async for event in launcher.events():
            if event.kind == "log":
                print(event.values["pid"], event.values["parent"], flush=True)
            ended += event.kind == "ended"
            if ended == 2:
                break

configure("json", "info")
anyio.run(main, backend_options={"use_uvloop": True})
"""


def program(tmp_path, does):
    command = [sys.executable, "-c", _PROGRAM, str(tmp_path), does, LOCAL + ONE]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.trust
def test_dask_writes_nothing_and_leaves_no_process(tmp_path):
    with program(tmp_path, "time.sleep(1)") as process:
        lines = [process.stdout.readline() for _ in range(2)]
        below = processes_below(process.pid)
        hosts = listening_hosts([psutil.Process(process.pid), *below])
        os.kill(int(lines[0].split()[1]), signal.SIGKILL)
        out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == ("", "", 0)
    assert len(below) >= 4
    assert hosts == {"127.0.0.1"}
    wait_until(lambda: not any(is_alive(each.pid) for each in below))


@pytest.mark.trust
def test_a_killed_coordinator_leaves_no_child_and_no_worker(tmp_path):
    """F126."""
    with program(tmp_path, FOREVER) as process:
        for _ in range(2):
            assert process.stdout.readline()
        below = processes_below(process.pid)
        process.kill()
        wait_until(lambda: not any(is_alive(each.pid) for each in below))


@pytest.mark.trust
async def test_a_cluster_over_tls_runs_shards_where_they_are_offered(tmp_path, children):
    with tls_cluster(tmp_path) as cluster:
        cluster.add_worker("--resources", "crawl=2", "--name", "offers")
        config = parse(cluster.configuration())
        async with open_until_there(config, children) as launcher:
            assert launcher.places == 2
            said = await run_all(launcher, range(3))
            assert [events[-1].values["code"] for events in said.values()] == [0, 0, 0]
            cluster.add_worker("--name", "other")
            cluster.add_worker("--resources", "crawl=1", "--name", "later")
            with anyio.fail_after(60):
                while len(launcher._present) != 3:
                    await launcher._change()
            assert launcher.places == 3
            assert {worker.has_resource for worker in launcher._workers} == {True}


@asynccontextmanager
async def open_until_there(config, children):
    """Open the launcher once a worker has come."""
    async with AsyncExitStack() as stack:
        launcher = None
        while launcher is None:
            try:
                launcher = await stack.enter_async_context(open_launcher(config, children))
            except LaunchError as error:
                if "No worker" not in str(error):
                    raise
                await anyio.sleep(0.2)
        yield launcher


@pytest.mark.trust
async def test_a_lost_scheduler_ends_the_crawl_and_the_children(tmp_path, children):
    """F127."""
    children.does = {None: FOREVER}
    with tls_cluster(tmp_path) as cluster:
        cluster.add_worker()
        async with open_until_there(parse(cluster.configuration()), children) as launcher:
            await launcher.start(0)
            events = launcher.events()
            pid = (await next_of(events, "log", 0)).values["pid"]
            cluster.scheduler.kill()
            with pytest.raises(LaunchError, match=r"scheduler tls://127\.0\.0\.1:\d+ can't be reached any .*--resume"):
                await next_of(events, "ended", 0)
            with pytest.raises(LaunchError, match="can't be reached any more"):
                await launcher.start(1)
        await anyio.to_thread.run_sync(wait_until, lambda: not is_alive(pid), 60.0)


@pytest.mark.trust
async def test_a_lost_client_ends_the_children_of_a_cluster(tmp_path, children):
    """F126."""
    with tls_cluster(tmp_path) as cluster:
        cluster.add_worker()
        cluster.add_worker()
        async with open_until_there(parse(cluster.configuration()), children):
            pass
        command = [sys.executable, "-c", _PROGRAM, str(tmp_path), FOREVER, cluster.configuration()]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            pids = [int(process.stdout.readline().split()[0]) for _ in range(2)]
            process.kill()
        wait_until(lambda: not any(is_alive(pid) for pid in pids))


@pytest.mark.trust
async def test_a_scheduler_of_another_authority_is_refused(tmp_path, children, monkeypatch):
    """T53."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    monkeypatch.setattr(dask, "_CONNECT_S", 5.0)
    with tls_cluster(tmp_path / "one") as cluster, tls_cluster(tmp_path / "two") as other:
        config = parse(cluster.configuration().replace(f"{cluster.folder}", f"{other.folder}"))
        with pytest.raises(LaunchError, match=r"scheduler tls://127\.0\.0\.1:\d+ can't be reached"):
            async with open_launcher(config, children):
                pass


class FakeScheduler:
    def __init__(self):
        self.workers = {}

    def add(self, name, host="127.0.0.1", nanny=None, resources=(), status="running"):
        self.workers[f"tls://{host}:{name}"] = {
            "local_directory": f"/scratch/{name}",
            "nthreads": 2,
            "resources": dict(resources),
            "nanny": nanny,
            "host": host,
            "status": status,
        }

    async def identity(self, n_workers):
        return {"workers": self.workers}


class FakeFuture:
    status = "pending"

    async def exception(self):
        await anyio.sleep_forever()

    def release(self):
        self.status = "cancelled"


class FakeClient:
    """A client whose scheduler is told which workers there are. Its tasks never end."""

    id, status = "Client-1", "running"

    def __init__(self):
        self.scheduler = FakeScheduler()
        self.submitted = []

    def subscribe_topic(self, topic, handler):
        self.hear = handler

    def unsubscribe_topic(self, topic):
        pass

    def submit(self, *arguments, **options):
        self.submitted.append(options)
        return FakeFuture()

    async def cancel(self, futures, force):
        pass


@asynccontextmanager
async def fake_launcher(children, *, is_local_only=False, **workers):
    client = FakeClient()
    for name, values in workers.items():
        client.scheduler.add(name, **values)
    launcher = DaskLauncher(client, "tls://fake:1", children, is_local_only=is_local_only)
    try:
        await launcher.begin()
        yield launcher, client
    finally:
        client.scheduler.workers.clear()
        launcher._attempts.clear()
        await launcher.stop()


async def lose(launcher, client, come_back=None):
    """Start a shard, take its worker away, and return the end that is told."""
    await launcher.start(3)
    client.scheduler.workers.clear()
    if come_back:
        client.scheduler.add("new", **come_back)
    await launcher._look()
    launcher._end_lost()
    return (await next_of(launcher.events(), "ended")).values


async def test_a_worker_that_stays_away_is_not_taken_for_dead(children, monkeypatch):
    """F125: its child may run on; code 11 leaves its lease alone."""
    monkeypatch.setattr(dask_launcher, "_RESTART_S", 0.0)
    async with fake_launcher(children, a={"nanny": "tls://n:1"}) as (launcher, client):
        ended = await lose(launcher, client)
    assert (ended["code"], ended["reason"], ended["host"]) == (11, "the loss of its Dask worker", "127.0.0.1")


async def test_a_worker_that_its_nanny_has_replaced_is_dead(children):
    async with fake_launcher(children, a={"nanny": "tls://n:1"}) as (launcher, client):
        ended = await lose(launcher, client, {"nanny": "tls://n:1"})
    assert (ended["code"], ended["reason"]) == (None, "the loss of its Dask worker")


async def test_a_worker_that_is_paused_keeps_its_shard_and_gets_no_other(children, monkeypatch):
    monkeypatch.setattr(dask_launcher, "_RESTART_S", 0.0)
    async with fake_launcher(children, a={}) as (launcher, client):
        await launcher.start(3)
        client.scheduler.add("a", status="paused")
        await launcher._look()
        launcher._end_lost()
        assert (launcher.places, len(launcher._attempts)) == (0, 1)


async def test_without_workers_of_this_machine_a_local_output_gets_none(children):
    """An address on loopback may be the end of a tunnel."""
    async with fake_launcher(children, is_local_only=True, a={}, b={"host": "10.0.0.2"}) as (launcher, _):
        assert launcher.places == 2
    with pytest.raises(LaunchError, match=r"are on other machines: they need an output in a bucket"):
        async with fake_launcher(children, is_local_only=True, b={"host": "10.0.0.2"}):
            pass
    with pytest.raises(LaunchError, match="No worker that can be used is connected"):
        async with fake_launcher(children):
            pass


async def test_each_attempt_has_a_key_and_one_worker_alone(children):
    workers = {"a": {"resources": {"crawl": 1}}, "b": {"resources": {"crawl": 3}}, "c": {}}
    async with fake_launcher(children, **workers) as (launcher, client):
        assert launcher.places == 4
        for shard in (0, 1, 2, 0):
            await launcher.start(shard)
        keys = [options["key"] for options in client.submitted]
        assert keys == [
            f"acs-inventory-Client-1-s{n}" for n in ("00000-a001", "00001-a001", "00002-a001", "00000-a002")
        ]
        used = [options["workers"] for options in client.submitted]
        assert sorted(used) == [["tls://127.0.0.1:a"], *[["tls://127.0.0.1:b"]] * 3]
        assert all(not options["allow_other_workers"] and options["retries"] == 0 for options in client.submitted)
        with anyio.move_on_after(0.05) as scope:
            await launcher.start(5)
        assert scope.cancelled_caught, "it waits for a place"


KEYED = '[output]\nfingerprint_key = "kL3mN8pQ2rS7tU1vW6xY4zA9bC5dE0fG"\n'
REMOTE = '[engine]\nkind = "dask"\naddress = "tls://scheduler.example:8786"\n'


def test_a_local_output_with_workers_elsewhere_is_refused():
    with pytest.raises(ConfigError, match=r"can't write to the local output \./snapshots: set output\.uri to a bucket"):
        check_engine(parse(f"{REMOTE}{KEYED}{ONE}"))


def test_without_the_extra_the_sentence_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(dask, "find_spec", lambda name: None)
    check_engine(parse(ONE))
    with pytest.raises(ConfigError, match=re.escape(how_to_install("dask"))):
        check_engine(parse(LOCAL + ONE))


def test_tls_without_its_files_says_which_one_is_missing(tmp_path):
    bucket = KEYED + 'uri = "s3://bucket/x"\n'
    with pytest.raises(ConfigError, match=r"engine\.ca_file isn't set, and Dask's own configuration"):
        check_engine(parse(f"{REMOTE}{bucket}{ONE}"))
    with pytest.raises(ConfigError, match=r"engine\.cert_file isn't set"):
        check_engine(parse(f'{REMOTE}ca_file = "x"\n{bucket}{ONE}'))
    with pytest.raises(ConfigError, match=r"TLS files of \[engine\] can't be used: No such file"):
        check_engine(parse(f'{REMOTE}ca_file = "{tmp_path}/x"\ncert_file = "{tmp_path}/y"\n{bucket}{ONE}'))
    (tmp_path / "x").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"TLS files of \[engine\] can't be used"):
        check_engine(parse(f'{REMOTE}ca_file = "{tmp_path}/x"\ncert_file = "{tmp_path}/x"\n{bucket}{ONE}'))


def test_dasks_own_configuration_may_name_the_files(tmp_path):
    import distributed  # adds its defaults, which must outlast this test
    import trustme
    from dask.config import set as set_config

    assert distributed
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("x.example").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "cert.pem"))
    own = {
        "distributed.comm.tls.ca-file": str(tmp_path / "ca.pem"),
        "distributed.comm.tls.client.cert": str(tmp_path / "cert.pem"),
    }
    with set_config(own):
        check_engine(parse(f"{REMOTE}{KEYED}uri = 's3://bucket/x'\n{ONE}"))
