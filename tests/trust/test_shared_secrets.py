"""F145, P14: no secret in anything that the processes of a run write for each other, log, or are started with."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from tests.support.object_stores import KEY_SECRET, FakeStore, served
from tests.support.run_processes import KEY, FakeOutput, descendants
from tests.support.secret_sweep import MARKER, Sweep
from tests.support.snapshot_fakes import manifest_ids

NAMES = ("plan.json", "plan-a001.lease", "s00000-a001.lease", "s00000.report.json", "join-a001.lease", "joined.json")
LOUD = ("--log-format", "json", "--log-level", "debug")


class Seen:
    """What was in the output at any moment, and the arguments of processes: name → contents."""

    def __init__(self):
        self.files, self.arguments = {}, set()

    def note(self, name, data):
        self.files.setdefault(name, set()).add(data)

    def look(self, root, pid):
        for path in (root / "_staging").rglob("*"):
            with suppress(OSError):
                if path.is_file():
                    self.note(path.relative_to(root).as_posix(), path.read_bytes())
        for found in descendants(pid):
            with suppress(OSError):
                self.arguments.add((Path("/proc") / str(found) / "cmdline").read_bytes())


def needles(fleet):
    """All secrets that the configuration names: access keys and the key of fingerprints."""
    secrets = [value for name, value in fleet.environ.items() if name.startswith("EMULATOR_KEY_SECRET_")]
    assert len(secrets) == len(fleet.cloud.spec.accounts)
    return [*secrets, fleet.environ["ACS_INVENTORY_DEMO_KEY"], KEY_SECRET]


def assert_no_secret(fleet, seen, *said):
    sweep = Sweep(*needles(fleet))
    names = {name.rpartition("/")[2] for name in seen.files}
    assert {name for name in NAMES if name not in names} <= {"plan-a001.lease"}, "a coordinator plans without a lease"
    for name, contents in seen.files.items():
        for content in contents:
            assert sweep.found(name.encode()) | sweep.found(content) == set(), name
    assert sweep.found(b"\n".join(seen.arguments)) == set()
    for text in said:
        assert sweep.found(text.encode()) == set()


@pytest.mark.trust
def test_the_cloud_has_secrets_to_find(fleet):
    """Control: functions have secrets in their variables, and the sweep finds them and the configured ones."""
    assert len(fleet.cloud.canaries) > 16
    assert all(MARKER.search(text.encode()) for text in fleet.cloud.canaries)
    sweep = Sweep(*needles(fleet))
    for text in (*fleet.cloud.canaries[:3], *needles(fleet)):
        assert sweep.found(json.dumps({"host": f"x{text}"}).encode())


@pytest.mark.trust
@pytest.mark.parametrize("options", [("--workers", "2"), ("--shard", "0/1", "--run", KEY)], ids=["workers", "shard"])
def test_no_secret_is_in_any_file_of_a_run_at_any_moment(fleet, tmp_path, options):
    """All files under `_staging` before each change, journals and parts, too; logs at DEBUG; arguments."""
    root, seen, moments = tmp_path / "out", Seen(), []
    root.mkdir()

    def judge(_, call):
        if call.changes and call.name != "write":
            moments.append(call)
            seen.look(root, call.pid)

    ended = fleet.judged(root, judge, *options, *LOUD)
    assert ended.returncode == 0, ended.stderr
    assert len(moments) > 50
    assert_no_secret(fleet, seen, ended.stdout, ended.stderr)
    if options[0] == "--workers":
        assert any(b"stdin/" in arguments for arguments in seen.arguments), "the workers' arguments were seen"
    assert_snapshot_has_none(fleet, root)


def assert_snapshot_has_none(fleet, root):
    assert manifest_ids(root)
    assert Sweep(*needles(fleet)).found_in_folder(root) == {}


@pytest.mark.trust
def test_no_secret_is_in_any_object_of_a_run(fleet, tmp_path):
    """All that was ever put into a bucket, by two shards."""
    fake, seen = FakeStore("s3"), Seen()
    put = fake.put

    def note(key, data):
        seen.note(key, data)
        put(key, data)

    fake.put = note
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served(fake)) as environ:
        output = FakeOutput("s3://inventory", tmp_path / "copy", environ, store=fake)
        said = []
        for number in (0, 1):
            done = fleet.run_shard(output, number, 2, *LOUD)
            assert done.returncode == 0, done.stderr
            said += [done.stdout, done.stderr]
        fleet.assert_equal(output)
    assert_no_secret(fleet, seen, *said)
    assert any(name.endswith("s00001-a001.scopes.parquet") for name in seen.files)
    assert_snapshot_has_none(fleet, output.look())
