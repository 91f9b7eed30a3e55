"""Several processes of the command: the snapshot has the rows and scopes of one process's."""

from __future__ import annotations

import json

import pytest

from tests.support.run_processes import KEY


@pytest.mark.trust
@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_workers_write_what_one_process_writes(fleet, open_output, kind, workers):
    output = open_output(kind)
    done = fleet.run(output, "--workers", str(workers))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["snapshot_id"] == fleet.assert_equal(output)


@pytest.mark.trust
@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_eight_shards_write_what_one_process_writes(fleet, open_output, kind):
    """All eight processes begin at the same moment: one plans, one joins."""
    output = open_output(kind)
    processes = [fleet.shard(output, number, 8) for number in range(8)]
    codes = [process.wait() for process in processes]
    assert codes == [0] * 8, [process.stderr[-500:] for process in processes]
    snapshot_id = fleet.assert_equal(output)
    said = [json.loads(process.stdout) for process in processes]
    assert {found["snapshot_id"] for found in said} == {snapshot_id}
    assert sorted(found["shard"] for found in said) == list(range(8))
    assert sum(found["run"] is not None for found in said) == 1, "one process joins"
    assert "plan.json" not in output.run_names(KEY)
