"""T30: the installed packages are the locked ones, by hash; a bill of materials lists the shipped ones."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from crawler.extras import EXTRAS

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
MAKEFILE = (ROOT / "Makefile").read_text()
_ENTRY = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^ ;]+)(?: ; [^\\]+)?(?P<hashes>(?: \\\n +--hash=\S+)*)\n"
)


def locked(text: str) -> dict[str, tuple[str, list[str]]]:
    """Name → version and hashes. Raises ValueError where a line isn't of an entry: an option, an address, a path."""
    found = {}
    at = 0
    for entry in _ENTRY.finditer(text):
        if text[at : entry.start()].strip():
            raise ValueError(f"not an entry: {text[at : entry.start()].strip()[:80]}")
        found[entry["name"]] = (entry["version"], re.findall(r"--hash=(\S+)", entry["hashes"]))
        at = entry.end()
    if text[at:].strip():
        raise ValueError(f"not an entry: {text[at:].strip()[:80]}")
    return found


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_requirement_has_one_version_and_its_hashes(path):
    """T30."""
    entries = locked(path.read_text())
    assert entries
    for name, (_, hashes) in entries.items():
        assert hashes, name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", found) for found in hashes), name
        assert len(hashes) == len(set(hashes)), name


@pytest.mark.parametrize(
    "line",
    [
        "aiohttp>=3.12\n",
        "--index-url https://elsewhere.example/simple\n",
        "--trusted-host elsewhere.example\n",
        "-e .\n",
        "git+https://elsewhere.example/x.git\n",
        "x @ https://elsewhere.example/x.whl\n",
        "./x.whl\n",
    ],
)
def test_anything_else_in_a_lock_is_found(line):
    """Control."""
    with pytest.raises(ValueError, match="not an entry"):
        locked((ROOT / "requirements/runtime.txt").read_text() + line)


def names(requirements: list[str]) -> set[str]:
    """The packages that requirements are about."""
    return {re.match(r"[a-z0-9-]+", text)[0] for text in requirements}


def members(groups: dict[str, list], name: str) -> set[str]:
    """The packages of a dependency group, with those of the groups that it includes."""
    included = [item["include-group"] for item in groups[name] if isinstance(item, dict)]
    own = names([item for item in groups[name] if isinstance(item, str)])
    return own.union(*(members(groups, other) for other in included))


def test_every_dependency_is_locked_once_for_all_uses():
    """T30: the locks agree, and each has the requirements of pyproject.toml."""
    locks = {path.stem: locked(path.read_text()) for path in LOCKS}
    for name, entry in (item for lock in locks.values() for item in lock.items()):
        assert all(lock.get(name, entry) == entry for lock in locks.values()), name
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups, project = pyproject["dependency-groups"], pyproject["project"]
    extras = set().union(*map(names, project["optional-dependencies"].values())) - {project["name"]}
    assert names(project["dependencies"]) <= locks["runtime"].keys()
    filled = {extra for extra, needed in project["optional-dependencies"].items() if needed} - {"all"}
    assert locks.keys() - {"runtime"} == filled | (groups.keys() - {"deploy", "dev"})
    for group in locks.keys() - {"runtime"} - filled:
        assert members(groups, group) <= locks[group].keys(), group
    assert extras <= locks["test"].keys() & locks["lint"].keys()
    assert members(groups, "deploy") <= locks["test"].keys()


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_the_lock_of_an_extra_completes_the_lock_of_the_program(extra):
    """T30: with requirements/runtime.txt it has all that the extra needs, and it repeats nothing of that file.

    The metadata of the installed packages says what they need.
    """
    runtime, more = (locked((ROOT / f"requirements/{name}.txt").read_text()) for name in ("runtime", extra))
    assert not runtime.keys() & more.keys()
    wanted = [Requirement(text) for text in EXTRAS[extra]]
    found: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if (name, frozenset(requirement.extras)) in found:
            continue
        found.add((name, frozenset(requirement.extras)))
        assert name in runtime.keys() | more.keys(), f"{name} isn't locked"
        chosen = [{"extra": one} for one in ("", *requirement.extras)]
        for needed in map(Requirement, metadata.requires(name) or ()):
            if needed.marker is None or any(needed.marker.evaluate(each) for each in chosen):
                wanted.append(needed)
    assert {name for name, _ in found} & more.keys()


def test_installing_checks_hashes_and_takes_no_source_for_what_runs():
    """T30: a source distribution would run its own code on the way in."""
    installs = re.findall(r"\$\(PIP\) install (.*)", MAKEFILE)
    assert len(installs) >= 4
    assert all("--require-hashes" in install for install in installs)
    wheels = {install.split()[-1] for install in installs if "--only-binary :all:" in install}
    assert wheels == {f"requirements/{name}.txt" for name in ("runtime", "lint", "docs", "build", "browser", "trust")}


def test_what_gates_a_landing_installs_nothing_unlocked():
    """T30: `.ci/run` installs by make, and its smoke test from the lock and the wheel that it has built."""
    lines = [line for path in (ROOT / ".ci").iterdir() for line in path.read_text().splitlines()]
    installs = [line for line in lines if re.search(r"\bpip\b.*\binstall\b", line)]
    assert len(installs) == 2
    assert all("--require-hashes --only-binary :all:" in line or "--no-deps" in line for line in installs)
    by_uv = re.findall(r"tool install (?:.*\\\n)?.*", "\n".join(lines))
    assert len(by_uv) == 1
    assert all('--constraints "$checkout/requirements/runtime.txt"' in line for line in by_uv)


# The command of `make audit` in an index that knows no package.
UNKNOWN = """
import requests, sys
answer = requests.Response()
answer.status_code = 404
answer._content = b"{}"
requests.Session.request = lambda *arguments, **options: answer
from pip_audit._cli import audit
sys.argv = ["pip-audit", *sys.argv[1:]]
audit()
"""


@pytest.mark.trust
def test_an_audit_that_can_not_ask_fails(tmp_path):
    """T30: a package that the index doesn't know has not been audited."""
    shown = subprocess.run(
        ["make", "-n", "audit", f"PY={sys.executable}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    [options] = re.findall(r"-m pip_audit (.*)", shown.stdout)
    command = [sys.executable, "-c", UNKNOWN, *options.split(), "--cache-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "not found on PyPI" in done.stderr


def test_an_audit_is_strict_and_gates_nothing():
    """T30: what an index says can change without a change here."""
    assert "pip_audit --strict" in MAKEFILE
    assert not [path for path in (ROOT / ".ci").iterdir() if "audit" in path.read_text()]


@pytest.mark.trust
def test_the_image_is_built_from_the_locks_alone(tmp_path):
    """T30: the steps of the Dockerfile run here, with /opt elsewhere. Only the locks may ask the index."""
    text = re.sub(r"^#.*\n", "", (ROOT / "deploy/Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    build = text.split("\nFROM ")[1]
    steps = [line[4:] for line in build.splitlines() if line.startswith("RUN ")][1:]
    source = tmp_path / "src"
    for line in build.splitlines():
        if line.startswith("COPY "):
            *names, to = line.split()[1:]
            for name in names:
                where = source / to / Path(name).name if to.endswith("/") else source / to
                where.parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                copy(ROOT / name, where)
    environ = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHON": sys.executable, "EXTRAS": "xlsx otel"}
    for step in steps:
        moved = step.replace("/opt/", f"{tmp_path}/opt/").replace("python -m venv", f"{sys.executable} -m venv")
        subprocess.run(["sh", "-euc", moved], cwd=source, env=environ, check=True, timeout=300)
        assert "pip install" not in step or "--require-hashes" in step or "--no-index" in step
    done = subprocess.run(
        [tmp_path / "opt/acs-inventory/bin/acs-inventory", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("acs-inventory ")
    libraries = "import xlsxwriter, opentelemetry.sdk, crawler"
    subprocess.run([tmp_path / "opt/acs-inventory/bin/python", "-c", libraries], check=True, cwd=tmp_path)


@pytest.mark.trust
def test_the_bill_of_materials_has_exactly_what_is_locked(tmp_path):
    """T30."""
    path = tmp_path / "sbom.cdx.json"
    subprocess.run(["make", "-s", "sbom", f"SBOM={path}", f"PY={sys.executable}"], cwd=ROOT, check=True, timeout=120)
    bill = json.loads(path.read_text())
    entries = locked((ROOT / "requirements/runtime.txt").read_text())
    found = {part["name"]: part for part in bill["components"]}
    versions = {name: entry[0] for name, entry in entries.items()}
    assert {name: part["version"] for name, part in found.items()} == versions
    for name, part in found.items():
        listed = {each["content"] for source in part["externalReferences"] for each in source.get("hashes", [])}
        assert {f"sha256:{each}" for each in listed} == set(entries[name][1]), name
        assert part["purl"] == f"pkg:pypi/{name}@{entries[name][0]}"
    assert bill["metadata"]["component"]["name"] == "acs-inventory"
