"""The files that forges and pre-commit read: they parse, and agree with pyproject.toml and the Makefile."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yml")}
WORKFLOW = WORKFLOWS["ci"]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
FORMS = [path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"]


def steps(*names):
    """The steps of these workflows, of all by default."""
    return [step for name in names or WORKFLOWS for job in WORKFLOWS[name]["jobs"].values() for step in job["steps"]]


def recipe(target: str) -> list[str]:
    """The commands of a target, with the environment's folder filled in."""
    [lines] = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    return [line.strip().replace("$(VENV)", ".venv") for line in lines.splitlines()]


def test_ci_tests_the_pythons_that_are_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [text.rpartition(" ")[2] for text in project["classifiers"] if re.search(r":: 3\.\d+$", text)]
    assert WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"] == declared
    assert project["requires-python"] == f">={declared[0]}"


def test_ci_calls_make_targets_only():
    commands = [step["run"] for step in steps() if "run" in step]
    assert len(commands) >= 5
    for command in commands:
        target = re.fullmatch(r"make ([a-z-]+) PYTHON=python(?:3\.\d+|\$\{\{ matrix\.python \}\})", command)
        assert target, command
        assert re.search(rf"^{target[1]}:", MAKEFILE, re.MULTILINE), command


def test_each_check_of_a_landing_is_a_step_of_ci():
    landing = re.findall(r"^make ([a-z-]+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    called = {step["run"].split()[1] for step in steps("ci") if "run" in step}
    assert set(landing) <= called


def test_ci_may_only_read_and_uses_pinned_actions():
    for workflow in WORKFLOWS.values():
        assert workflow["permissions"] == {"contents": "read"}
        assert not any("permissions" in job for job in workflow["jobs"].values())
    actions = [step["uses"] for step in steps() if "uses" in step]
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in actions)


def test_a_release_builds_and_publishes_nothing():
    called = [step["run"].split()[1] for step in steps("release") if "run" in step]
    assert called == ["smoke", "wheel", "sbom"]
    text = (ROOT / ".github/workflows/release.yml").read_text()
    assert not re.search(r"secrets\.|twine|publish@|upload-release", text)
    [kept] = [step["with"]["path"].split() for step in steps("release") if "upload-artifact" in step.get("uses", "")]
    assert "dist/*.whl" in kept
    assert re.search(r"^SBOM \?= (.*)$", MAKEFILE, re.MULTILINE)[1] in kept


def test_pre_commit_runs_the_commands_of_make_lint():
    assert [repo["repo"] for repo in HOOKS["repos"]] == ["local"]
    hooks = HOOKS["repos"][0]["hooks"]
    assert all(hook["language"] == "system" for hook in hooks)
    assert [hook["entry"] for hook in hooks] == recipe("lint")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_form_warns_of_secrets_and_asks_for_the_version(path):
    form = yaml.safe_load(path.read_text())
    assert form.keys() == {"name", "description", "labels", "body"}
    first, *fields = form["body"]
    assert first["type"] == "markdown"
    assert "**Post no secrets" in first["attributes"]["value"]
    assert all(field["attributes"]["label"] for field in fields)
    assert "version" in [field["id"] for field in fields]


def test_files_that_templates_name_are_there():
    for path in (*FORMS, ROOT / ".github/PULL_REQUEST_TEMPLATE.md"):
        for name in re.findall(r"(?:docs/)?[\w-]+\.md\b", path.read_text()):
            assert (ROOT / name).is_file(), (path.name, name)
