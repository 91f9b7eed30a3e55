"""The message of a missing extra names a command that works, and never this program by its name on an index."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from crawler import extras
from crawler.extras import EXTRAS, how_to_install

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_extras_are_those_of_the_project():
    declared = {name: tuple(needed) for name, needed in PROJECT["optional-dependencies"].items()}
    everything = declared.pop("all")
    assert {name: needed for name, needed in declared.items() if needed} == EXTRAS
    assert {name for name, needed in declared.items() if not needed} == {"metrics", "speed"}
    assert everything == (f"acs-inventory[{','.join(sorted(EXTRAS))}]",)


@pytest.mark.parametrize("extra", sorted(EXTRAS))
@pytest.mark.parametrize("has_pip", [True, False])
def test_the_command_installs_the_packages_of_the_extra_where_the_program_runs(extra, has_pip, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: object() if has_pip else None)
    said = how_to_install(extra)
    assert said.startswith(f"the extra {extra} isn't installed; run: ")
    pip = [sys.executable, "-m", "pip"] if has_pip else ["uv", "pip"]
    where = [] if has_pip else ["--python", sys.executable]
    assert shlex.split(said.split("run: ", 1)[1]) == [*pip, "install", *where, *EXTRAS[extra]]


def test_no_page_and_no_message_installs_this_program_by_its_name():
    """The name is on no index: to install it there would run the code of whoever took it."""
    install = re.compile(r"(?:pip|uv|pipx)[^\n`]* install [^\n`]*(?<![\w./-])acs[-_]inventory(?![\w/.*-])")
    assert install.search("pip install acs-inventory")
    assert install.search('/opt/acs-inventory/bin/pip install "acs-inventory[xlsx]"')
    assert install.search("uv tool install acs-inventory")
    places = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("crawler/**/*.py"), *ROOT.glob("deploy/**/*")]
    found = {
        f"{path.relative_to(ROOT)}: {install.search(text)[0]}"
        for path in places
        if path.is_file() and path.suffix != ".pyc" and install.search(text := path.read_text())
    }
    assert found == set()
