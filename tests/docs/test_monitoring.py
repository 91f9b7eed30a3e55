"""deploy/prometheus and deploy/grafana: metrics and labels are those of the program, and both products take the files.

promtool judges rules and expressions if the machine has it; `make test-trust` installs it. Grafana itself is in no
registry that tests use: the models of its own SDK read the dashboard and must give back every field.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from crawler.telemetry.metrics import METRICS

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
PAGE = (ROOT / "docs/operations.md").read_text()
RULES = [rule for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
CASES = yaml.safe_load((PROMETHEUS / "alerts.test.yml").read_text())["tests"]
DASHBOARD = json.loads((ROOT / "deploy/grafana/acs-inventory.json").read_text())
PANELS = DASHBOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
EXPRESSIONS = [rule["expr"] for rule in RULES] + QUERIES
NEEDS_PROMTOOL = pytest.mark.skipif(shutil.which("promtool") is None, reason="Debian's package prometheus has promtool")
SCRAPED = {"instance", "job"}


def labels_of_metrics():
    """Metric → its labels, as the table of docs/operations.md has them."""
    rows = re.findall(r"^\| `(acs_inventory_\w+)` \|([\w, ]*)\|", PAGE, re.MULTILINE)
    return {name: set(re.findall(r"\w+", labels)) for name, labels in rows}


def used(expression):
    """The metrics of an expression, each with the labels of its selector; and the labels that it groups by."""
    selected = re.findall(r"(acs_inventory_\w+)(?:\{(.*?)\})?", expression)
    found = {name: set(re.findall(r"(\w+)(?:=|!)", selector)) for name, selector in selected}
    grouped = re.findall(r"\b(?:by|without) \(([\w, ]*)\)", expression)
    return found, {name for names in grouped for name in re.findall(r"\w+", names)}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_metric_and_label_is_one_of_the_program(expression):
    known = labels_of_metrics()
    assert known.keys() == METRICS.keys()
    found, grouped = used(expression)
    assert found
    for name, labels in found.items():
        assert labels <= known[name] | SCRAPED, name
    assert grouped <= set().union(*(known[name] for name in found)) | SCRAPED


def test_a_metric_that_is_none_would_be_found():
    with pytest.raises(KeyError):
        test_each_metric_and_label_is_one_of_the_program("acs_inventory_crawl_age_seconds > 3")
    with pytest.raises(AssertionError):
        test_each_metric_and_label_is_one_of_the_program('sum by (region) (acs_inventory_rows{tabel="x"})')


def test_each_alert_says_what_is_wrong_and_what_to_do_and_has_a_case_that_fires():
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names)) > 5
    fires = {check["alertname"] for case in CASES for check in case["alert_rule_test"] if check["exp_alerts"]}
    silent = {check["alertname"] for check in CASES[0]["alert_rule_test"] if not check["exp_alerts"]}
    assert fires == silent == set(names)
    for rule in RULES:
        assert rule["annotations"].keys() == {"summary", "action"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}


def test_the_pages_that_alerts_and_panels_name_are_there():
    texts = [text for rule in RULES for text in rule["annotations"].values()] + [json.dumps(DASHBOARD)]
    for page, anchor in re.findall(r"docs/([\w-]+\.md)(?:#([\w-]+))?", " ".join(texts)):
        headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / page).read_text(), re.MULTILINE)
        assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}


@NEEDS_PROMTOOL
def test_prometheus_takes_the_rules_and_their_tests_pass():
    for arguments in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]):
        done = subprocess.run(["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@NEEDS_PROMTOOL
def test_prometheus_takes_every_query_of_the_dashboard(tmp_path):
    rules = [
        {"record": f"query_{number}", "expr": query.replace("$instance", ".*")} for number, query in enumerate(QUERIES)
    ]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", "rules.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def lost(ours, read, path="$"):
    """The fields that aren't what they were; the models add defaults of their own."""
    if isinstance(ours, dict) and isinstance(read, dict):
        for name, value in ours.items():
            yield from lost(value, read[name], f"{path}.{name}") if name in read else [f"{path}.{name}"]
    elif isinstance(ours, list) and isinstance(read, list) and len(ours) == len(read):
        for number, pair in enumerate(zip(ours, read, strict=True)):
            yield from lost(*pair, f"{path}[{number}]")
    elif ours != read:
        yield path


def read_by_grafana(dashboard):
    register_default_plugins()
    return json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(dashboard)))


def test_grafana_s_own_models_read_every_field_of_the_dashboard():
    assert list(lost(DASHBOARD, read_by_grafana(DASHBOARD))) == []


def test_a_field_that_grafana_does_not_know_would_be_found():
    changed = json.loads(json.dumps(DASHBOARD))
    changed["panels"][0]["options"]["reduceOption"] = {}
    assert list(lost(changed, read_by_grafana(changed))) == ["$.panels[0].options.reduceOption"]


def test_panels_neither_overlap_nor_leave_the_grid():
    assert [panel["id"] for panel in PANELS] == list(range(1, len(PANELS) + 1))
    cells = set()
    for panel in PANELS:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not own & cells, panel["title"]
        cells |= own
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all("$instance" in target["expr"] for target in panel["targets"])


def test_each_exit_code_of_a_crawl_has_its_name_on_the_dashboard():
    [panel] = [panel for panel in PANELS if panel["title"] == "Exit code of the last crawl"]
    named = {int(code) for code in panel["fieldConfig"]["defaults"]["mappings"][0]["options"]}
    listed = re.findall(r"^\| ([\d, ]+) \| ", PAGE.split("## Exit codes")[1].split("\n## ")[0], re.MULTILINE)
    assert {int(code) for codes in listed for code in codes.split(",")} <= named
    assert 13 in named
