"""The page of questions: each has its known answer, and those named as a finding give what the report says."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest

from crawler.audit.column_order import catalog_keys
from crawler.audit.database import open_snapshot
from crawler.audit.findings import Evaluation, evaluate_findings, load_findings
from crawler.audit.query import run_query
from crawler.audit.sql_errors import TableNames
from crawler.snapshot import Status
from tests.support.crawl_runner import fast_cloud, site
from tests.support.written_snapshots import ACCOUNT, CATALOG, OTHER_ACCOUNT, REGION, START, write

PAGE = (Path(__file__).parents[2] / "docs" / "questions.md").read_text()
QUESTIONS = dict(re.findall(r"^<!-- question: (\w+) -->\n```sql\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL))
FINDINGS = {finding.name: finding for finding in load_findings()}
SAME = sorted(QUESTIONS.keys() & FINDINGS.keys())
OLD = START - timedelta(days=400)
FIRST = (ACCOUNT, REGION)
SERVICE = f"acs:fc:{REGION}:{ACCOUNT}:services/svc"


def arn(layer, account=ACCOUNT):
    return f"acs:fc:{REGION}:{account}:layers/{layer}/versions/3"


def function(name, **columns):
    return {"function_name": name, "last_modified_time": OLD, "runtime": "go1", "memory_size": 128, **columns}


TABLES = {
    "fc_functions": [
        function("new", last_modified_time=START - timedelta(days=1), tags=[{"key": "Owner", "value": "li"}]),
        function("both", tags=[{"key": "team", "value": "ads"}, {"key": "owner", "value": ""}]),
        function("old", account_id=OTHER_ACCOUNT, runtime="java11", layers=[{"arn": arn("shared")}, {"arn": arn("a")}]),
    ],
    "fc2_functions": [
        function("f", service_name="svc", layers_arn_v2=[arn("second"), arn("Python3", "official")]),
        function("g", service_name="bare", last_modified_time=START),
    ],
    "fc2_services": [{"service_name": "svc", "last_modified_time": OLD}, {"service_name": "bare"}],
    "fc2_tagged_resources": [{"resource_arn": SERVICE, "tags": [("Team", "search"), ("cost", "1")]}],
    "fc_layers": [{"layer_name": name} for name in ("a", "shared", "unused")],
    "fc2_layers": [{"layer_name": name} for name in ("second", "unused", "unused2")],
    "opensearch_app_groups": [
        {"name": "fresh", "updated": START - timedelta(days=2)},
        {"name": "stale", "updated": OLD},
    ],
}
ANSWERS = {
    "gaps": [("fc_aliases", *FIRST, "denied", "AccessDenied", "fc:List of fc_aliases is missing")],
    "contents": [(*FIRST, 7, 2 + 2 + 2 + 1 + 3 + 3 + 2), (OTHER_ACCOUNT, REGION, 1, 1)],
    "runtimes": [("go1", 4, 1, 512, START), ("java11", 1, 1, 128, OLD)],
    "changed": [
        ("function", *FIRST, "bare/g", START),
        ("function", *FIRST, "new", START - timedelta(days=1)),
        ("OpenSearch application", *FIRST, "fresh", START - timedelta(days=2)),
    ],
    "owners": [
        (*FIRST, "bare/g", None),
        (*FIRST, "both", "ads"),
        (*FIRST, "new", "li"),
        (*FIRST, "svc/f", "search"),
        (OTHER_ACCOUNT, REGION, "old", None),
    ],
    "unchanged": [
        (*FIRST, "both", "go1", OLD),
        (*FIRST, "svc/f", "go1", OLD),
        (OTHER_ACCOUNT, REGION, "old", "java11", OLD),
    ],
    "unused_layers": [(*FIRST, "unused"), (*FIRST, "unused2")],
}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    return write(tmp_path_factory.mktemp("page") / "snapshots", TABLES, {"fc_aliases": Status.DENIED})


@pytest.fixture(scope="module")
def crawled(tmp_path_factory):
    """A crawl of two accounts of the built-in cloud, all tables that the questions are about."""

    async def crawl(folder):
        async with site(folder, fast_cloud(regions=(REGION, "cn-shanghai"))) as served:
            await served.crawl(served.config(tables=["fc_*", "fc2_*", "opensearch_app_groups"]))
            return served.output

    return open_snapshot(anyio.run(partial(crawl, tmp_path_factory.mktemp("crawled"))))


def ask(snapshot, name):
    with run_query(snapshot, QUESTIONS[name], TableNames(snapshot, lambda: catalog_keys(CATALOG))) as rows:
        return rows.schema.names, [tuple(row.values()) for batch in rows.batches for row in batch.to_pylist()]


def as_cell(value):
    """A value of a query as a cell of the report."""
    if hasattr(value, "hour"):
        return value.isoformat().replace("+00:00", "Z")
    return str(value) if hasattr(value, "strftime") else value


def test_every_question_is_a_finding_or_has_a_known_answer():
    assert len(QUESTIONS) == PAGE.count("```sql")
    assert set(QUESTIONS) == set(SAME) | set(ANSWERS)
    assert len(SAME) >= 8


@pytest.mark.parametrize("name", SAME)
def test_a_question_with_the_name_of_a_finding_is_its_sql(name):
    assert QUESTIONS[name] == FINDINGS[name].sql


@pytest.mark.parametrize("name", SAME)
def test_a_question_of_a_crawl_is_answered_as_the_report_does(crawled, name):
    [result] = evaluate_findings(crawled, [FINDINGS[name]], CATALOG, Evaluation(None))
    names, rows = ask(crawled, name)
    assert tuple(names) == result.columns
    assert tuple(tuple(map(as_cell, row)) for row in rows) == result.rows
    assert (len(rows), result.coverage) == (result.total, "complete")


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_is_the_known_one(snapshot, name):
    assert ask(snapshot, name)[1] == ANSWERS[name]


def test_a_crawl_has_an_answer_to_the_other_questions(crawled):
    answered = {name: len(ask(crawled, name)[1]) for name in ANSWERS}
    # The times of the built-in cloud stay as they are: after some months, nothing was changed recently.
    assert {name for name, number in answered.items() if not number} - {"changed"} == {"gaps"}


def test_the_owners_are_those_of_the_report(crawled):
    [result] = evaluate_findings(crawled, [FINDINGS["secret_names_in_environment"]], CATALOG, Evaluation(None))
    owners = {tuple(row[:3]): row[3] for row in ask(crawled, "owners")[1]}
    found = {
        (row.subject.account_id, row.subject.region_id, row.subject.resource): row.subject for row in result.found.open
    }
    assert found
    assert {key: subject.owner for key, subject in found.items()} == {key: owners[key] for key in found}
    assert {subject.is_owner_known for subject in found.values()} == {True}


@pytest.mark.parametrize("status", [Status.DENIED, Status.TRUNCATED])
def test_no_layer_is_said_to_be_unused_where_the_functions_were_not_read_to_the_end(tmp_path, status):
    tables = {table: TABLES[table] for table in ("fc_layers", "fc2_layers", "fc_functions", "fc2_functions")}
    places = {"fc2_functions": [(OTHER_ACCOUNT, REGION)]}
    snapshot = write(tmp_path, tables, {("fc2_functions", ACCOUNT, REGION): status}, places=places)
    assert ask(snapshot, "unused_layers")[1] == []


def test_a_question_about_functions_asks_both_function_computes():
    sections = re.split(r"^##+ ", PAGE, flags=re.MULTILINE)
    asked = [
        (section.splitlines()[0], set(re.findall(r"\b(fc2?)_[a-z]", section)))
        for section in sections
        if "```sql" in section
    ]
    assert len(asked) > 10
    assert [title for title, products in asked if len(products) == 1] == []
