"""docs/tutorial.md, typed from top to bottom: every command, and the output that the page shows."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from crawler.config import parse_config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text()
BLOCK = re.compile(r"(?:<!-- (?P<mark>[\w ]+) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)
# Parts of the output that vary by day and machine.
VARYING = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}|─+|…")


@dataclass(frozen=True, slots=True)
class Step:
    """A block of commands, its mark, and the output that the page shows."""

    commands: str
    mark: str
    shown: str


def steps():
    blocks = [found for found in BLOCK.finditer(PAGE) if found["kind"] in {"sh", "text"}]
    following = [*blocks[1:], None]
    return [
        Step(block["text"], block["mark"] or "", after["text"] if after and after["kind"] == "text" else "")
        for block, after in zip(blocks, following, strict=True)
        if block["kind"] == "sh"
    ]


def pieces(text):
    """Each line's parts that are the same everywhere, spaces made one."""
    found = (" ".join(part.split()) for line in text.splitlines() for part in VARYING.split(line))
    return [part for part in found if part]


def missing(shown, said):
    """The first shown piece that the output does not have in that order; None if it has all."""
    rest = " ".join(" ".join(VARYING.split(said)).split())
    for piece in pieces(shown):
        _, found, rest = rest.partition(piece)
        if not found:
            return piece
    return None


class Terminal:
    """A folder in which commands are typed. A cloud that is served goes on until the next one is."""

    def __init__(self, folder):
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        command = bin_folder / "acs-inventory"
        command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m crawler "$@"\n')
        command.chmod(0o755)
        self.folder = folder / "tutorial"
        self.folder.mkdir()
        path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
        self.environ = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(folder), "COLUMNS": "160"}
        self.cloud = None

    def serve(self, command):
        self.stop()
        config = self.folder / "config.toml"
        config.unlink(missing_ok=True)
        self.cloud = subprocess.Popen(
            shlex.split(command), cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, text=True
        )
        assert any("Crawl it" in line for line in self.cloud.stdout)
        assert config.is_file()

    def stop(self):
        if self.cloud is not None:
            self.cloud.terminate()
            self.cloud.communicate(timeout=30)

    def type(self, commands):
        """The last command's exit code, and all that was printed."""
        done = subprocess.run(
            ["bash", "-c", commands],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Every step but setting up, with its exit code and output; the cloud stands for the account of one's own."""
    terminal, found = Terminal(tmp_path_factory.mktemp("tutorial")), []
    try:
        for step in steps():
            if step.commands.startswith("acs-inventory emulate"):
                terminal.serve(step.commands)
            elif step.mark != "setup":
                found.append((step, *terminal.type(step.commands)))
    finally:
        terminal.stop()
    return terminal.folder, found


@pytest.mark.tutorial
def test_every_command_ends_as_the_page_says(session):
    codes = {}
    for step, code, said in session[1]:
        codes.setdefault(step.commands.strip(), []).append(code)
        assert "Traceback" not in said, said
    # The second crawl is partial, and the doctor finds why.
    assert codes.pop("acs-inventory crawl") == [0, 3]
    assert codes.pop("acs-inventory doctor") == [1]
    assert codes.pop("acs-inventory doctor\nacs-inventory plan") == [0]
    assert set(map(tuple, codes.values())) == {(0,)}
    assert len(codes) >= 8


@pytest.mark.tutorial
def test_what_is_shown_is_what_is_said(session):
    compared = [(step.commands, missing(step.shown, said), said) for step, _, said in session[1] if step.shown]
    assert len(compared) == len(re.findall(r"^```text$", PAGE, re.MULTILINE))
    for commands, piece, said in compared:
        assert piece is None, f"{commands}shows {piece!r}, and said:\n{said}"


@pytest.mark.parametrize("shown", ["3 rows\n", "2 rows\ncn-hangzhou\n"])
def test_an_output_that_is_not_so_would_be_seen(shown):
    assert missing("cn-hangzhou\n2 rows\n", "\n cn-hangzhou \n2 rows") is None
    assert missing(shown, "\n cn-hangzhou \n2 rows") is not None


@pytest.mark.tutorial
def test_the_report_and_the_export_are_there(session):
    folder, _ = session
    assert 'id="finding-anonymous_public_urls"' in (folder / "inventory.html").read_text()
    header, *rows = (folder / "functions.csv").read_text().splitlines()
    assert (header, len(rows)) == ("account_id,region_id,function_name,runtime,role", 224)
    [statement] = json.loads((folder / "policy.json").read_text())["Statement"]
    assert "fc:ListFunctions" in statement["Action"]


def test_setting_up_is_what_the_page_of_installing_says():
    [setup] = [step for step in steps() if step.mark == "setup"]
    page = (ROOT / "docs/install.md").read_text()
    for line in setup.commands.splitlines():
        assert line in page


def test_the_configuration_of_ones_own_account_loads():
    [text] = [found["text"] for found in BLOCK.finditer(PAGE) if found["mark"] == "own"]
    environ = {"PROD_ACCESS_KEY_ID": "a", "PROD_ACCESS_KEY_SECRET": "b"}
    assert parse_config(text, source="tutorial.md", environ=environ).accounts[0].id == "1000000000000001"
