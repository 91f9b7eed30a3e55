"""The CPUs that a process may use, by its affinity and by the quotas of its control groups."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.run.engine.cpus import usable_cpus, worker_count

ROOT = Path(__file__).parents[3]


def cpus(tmp_path, quotas, group="/", has=64):
    """`quotas`: the folder of a group below the tree -> the text of its cpu.max."""
    (tmp_path / "cgroup").write_text(f"1:cpu:/elsewhere\n0::{group}\n")
    for name, text in quotas.items():
        folder = tmp_path / "tree" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cpu.max").write_text(text)
    return usable_cpus(has, tmp_path / "cgroup", tmp_path / "tree")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max 100000\n", 64),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("0 100000\n", 1),
        ("12800000 100000\n", 64),
        ("", 64),
        ("-1 100000", 64),
        ("100000 0", 64),
        ("100000", 64),
        ("\ufffd", 64),
    ],
)
def test_a_quota_is_counted_in_whole_cpus(tmp_path, text, expected):
    assert cpus(tmp_path, {"": text}) == expected


def test_the_lowest_quota_of_the_groups_above_counts(tmp_path):
    quotas = {"": "max 100000", "pods": "300000 100000", "pods/pod1": "800000 100000", "other": "100000 100000"}
    assert cpus(tmp_path, quotas, "/pods/pod1") == 3
    assert cpus(tmp_path, {"pods/pod1": "200000 100000"}, "/pods/pod1") == 2


def test_a_group_outside_of_the_containers_tree_is_that_of_the_tree(tmp_path):
    assert cpus(tmp_path, {"": "200000 100000"}, "/../../elsewhere") == 2


def test_without_control_groups_the_affinity_counts(tmp_path):
    assert usable_cpus(3, tmp_path / "none", tmp_path / "none") == 3


def test_the_affinity_of_this_process_counts():
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{one}]); from crawler.run.engine.cpus import *; print(usable_cpus())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, cwd=ROOT
    )
    assert done.stdout == "1\n"


def test_a_number_stands_for_itself():
    assert worker_count(7) == 7
    assert 1 <= worker_count("auto") <= len(os.sched_getaffinity(0))
