"""T33, T34: users may have a newer DuckDB than the locked one, because the package requires only a minimum."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Needs no review of new functions: the guard refuses them.
NOT_THIS = "not test_every_function_of_duckdb_is_allowed_or_refused_for_a_reason"


@pytest.mark.trust
def test_the_newest_duckdb_is_guarded_as_the_locked_one(tmp_path):
    """T33, T34: the attacks of the guard's tests, with all functions of the newest DuckDB in the package registry."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--only-binary", ":all:", "--target", tmp_path]
    installed = subprocess.run([*pip, "duckdb"], capture_output=True, text=True, timeout=300, check=False)
    assert installed.returncode == 0, installed.stderr[-500:]
    files = ["tests/audit/test_sql_guard.py", "tests/audit/test_query.py"]
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "", "-k", NOT_THIS]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [*tests, *files], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1800, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
