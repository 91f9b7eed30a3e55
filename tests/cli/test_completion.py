"""Completion for shells: the words, what they cost, and the scripts in real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.catalog import load_catalog
from crawler.cli.completion import SHELLS, region_names, table_names
from tests.support.commands import ENVIRON, ROOT, acs_inventory
from tests.support.snapshot_fakes import NEW, write_snapshot

CATALOG = load_catalog()


def words(line, cwd, **environ):
    """The words that a shell offers at the end of a line. Nothing may be said on stderr."""
    parts = line.split(" ")
    asked = {"_ACS_INVENTORY_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(parts) - 1)}
    code, out, err = acs_inventory(cwd=cwd, env=asked | environ)
    assert (code, err) == (0, "")
    return [found.partition(",")[2] for found in out.splitlines() if found]


def test_names_are_those_of_the_catalog():
    assert table_names() == sorted(CATALOG.operations)
    assert set(region_names()) >= {region for product in CATALOG.products.values() for region in product.endpoints}


def test_tables_are_completed_wherever_one_is_asked_for(tmp_path):
    wanted = sorted(table for table in CATALOG.operations if table.startswith("fc_f"))
    assert wanted
    for line in ("tables fc_f", "export fc_f", "export fc_layers fc_f", "crawl --table fc_f", "diff --table fc_f"):
        assert words(f"acs-inventory {line}", tmp_path) == wanted, line
    assert words("acs-inventory policy --table ram_*", tmp_path) == ["ram_*"]
    assert words("acs-inventory tables nothing", tmp_path) == []


def test_regions_commands_and_choices_are_completed(tmp_path):
    assert "cn-hangzhou" in words("acs-inventory crawl --region cn-", tmp_path)
    assert words("acs-inventory crawl --region glo", tmp_path) == ["global"]
    assert words("acs-inventory snapshots ver", tmp_path) == ["verify"]
    assert words("acs-inventory completion f", tmp_path) == ["fish"]
    assert words("acs-inventory help sn", tmp_path) == ["snapshots"]
    assert words("acs-inventory help config i", tmp_path) == ["init"]
    assert words("acs-inventory help crawl c", tmp_path) == []


async def test_snapshots_of_the_output_are_completed(tmp_path):
    await write_snapshot(tmp_path / "here")
    (tmp_path / "config.toml").write_text('[output]\nuri = "here"\n')
    for line in (
        "snapshots show 20",
        "snapshots verify 20",
        "query --snapshot 20",
        "report --against 20",
        "diff 20",
        "diff latest 20",
        "snapshots show -o here 20",
    ):
        assert words(f"acs-inventory {line}", tmp_path) == [NEW], line
    assert words("acs-inventory snapshots show l", tmp_path) == ["latest", "latest~1"]
    (tmp_path / "config.toml").unlink()
    assert words("acs-inventory snapshots show 20", tmp_path, ACS_INVENTORY_OUTPUT="here") == [NEW]
    assert words("acs-inventory snapshots show 20", tmp_path, ACS_INVENTORY_OUTPUT="s3://bucket/x") == []


def test_accounts_are_those_of_the_configuration_by_id_and_by_name(tmp_path):
    accounts = '[[accounts]]\nid = "{}"\nname = "{}"\n'
    (tmp_path / "config.toml").write_text(accounts.format("100", "prod") + accounts.format("101", "staging"))
    assert words("acs-inventory crawl --account 10", tmp_path) == ["100", "101"]
    assert words("acs-inventory plan --account p", tmp_path) == ["prod"]
    (tmp_path / "other.toml").write_text(accounts.format("200", "other"))
    assert words("acs-inventory crawl -c other.toml --account ", tmp_path) == ["200", "other"]


@pytest.mark.parametrize("broken", ["this isn't TOML", "accounts = 1", "[output]\nuri = 5\n"])
def test_whatever_fails_gives_no_words_and_no_message(tmp_path, broken):
    (tmp_path / "config.toml").write_text(broken)
    for line in ("crawl --account ", "crawl -c gone.toml --account "):
        assert words(f"acs-inventory {line}", tmp_path) == []
    assert words("acs-inventory snapshots show 20", tmp_path) == []


def test_completion_loads_neither_the_catalog_nor_a_library(tmp_path):
    program = "import atexit, sys; from crawler.cli import main; "
    program += "atexit.register(lambda: print(sorted(sys.modules), file=sys.stderr)); main()"
    asked = {"_ACS_INVENTORY_COMPLETE": "bash_complete", "COMP_WORDS": "acs-inventory tables fc_", "COMP_CWORD": "2"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env={**ENVIRON, **asked}, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "plain,fc_functions" in done.stdout
    for name in ("msgspec", "rich", "pyarrow", "aiohttp", "asyncio", "crawler.catalog", "crawler.config.load"):
        assert f"'{name}'" not in done.stderr, name


@pytest.mark.parametrize("shell", SHELLS)
def test_script_is_one_of_the_shell(tmp_path, shell):
    code, out, err = acs_inventory("completion", shell, cwd=tmp_path)
    assert (code, err) == (0, "")
    assert f"_ACS_INVENTORY_COMPLETE={shell}_complete" in out
    if found := shutil.which(shell):
        done = subprocess.run([found, "-n"], input=out, capture_output=True, text=True, timeout=20)
        assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_by_the_script(tmp_path):
    program = tmp_path / "bin" / "acs-inventory"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m crawler "$@"\n')
    program.chmod(0o755)
    script = """
    eval "$(acs-inventory completion bash)"
    COMP_WORDS=(acs-inventory export fc_funct) COMP_CWORD=2
    _acs_inventory_completion acs-inventory fc_funct export
    printf '%s\\n' "${COMPREPLY[@]}"
    """
    environ = {**ENVIRON, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    wanted = [table for table in sorted(CATALOG.operations) if table.startswith("fc_funct")]
    assert (done.stdout.split(), done.stderr) == (wanted, "")
    assert Path(program).is_file()
