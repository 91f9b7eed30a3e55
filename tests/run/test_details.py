"""`[crawl] details`: records asked for one by one, against the emulator's ListFunctions and GetFunction."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import anyio
import pytest

from crawler.emulator import Deny, Error, Rate
from crawler.errors import CatalogError, ConfigError
from crawler.normalizer.redaction import Redaction
from tests.support.crawl_runner import BIG, fast_cloud, scope_statuses, site
from tests.support.expected_records import Comparison

KEY = b"the-demo-has-no-secrets-to-protect"
HOME = {"regions": ["cn-hangzhou"], "tables": ["fc_functions"], "details": ["fc_functions"]}
GONE = Error(status=404, code="FunctionNotFound", message="function does not exist")


def crawl(folder, *faults, cloud=None, change=str, **crawl):
    """One crawl of the functions with their details: the site and the result."""

    async def main():
        async with site(folder, cloud) as here:
            for effect, selectors in faults:
                here.cloud.faults.add(effect, product="fc", action="GetFunction", **selectors)
            return here, await here.crawl(here.config(change=change, **{**HOME, **crawl}))

    return anyio.run(main)


@pytest.fixture(scope="module")
def detailed(tmp_path_factory):
    return crawl(tmp_path_factory.mktemp("detailed"))


def requests(here, action="GetFunction"):
    return [entry for entry in here.cloud.requests.entries if entry.action == action]


def statuses(here):
    return Counter(row["details_status"] for row in here.rows("fc_functions"))


def quick(text):
    return f"{text}\n[retry]\nmax_attempts = 2\nmax_delay = 0.01\n"


def test_every_row_is_what_get_function_says(detailed):
    here, result = detailed
    assert result.exit_code == 0
    secrets = set(here.cloud.canaries)
    comparison = Comparison(
        Redaction("fingerprint", "fingerprint", KEY, scope="account"),
        lambda text: any(secret in text for secret in secrets),
    )
    rows = {(row["account_id"], row["function_name"]): row for row in here.rows("fc_functions")}
    assert {row["details_status"] for row in rows.values()} == {"fetched"}
    for account in here.cloud.spec.accounts:
        details = here.cloud.lists(account, "cn-hangzhou", "fc.GetFunction")
        assert len(details) == len(here.cloud.records(account, "cn-hangzhou", "fc.ListFunctions")) >= 100
        for (name,), [record] in details.items():
            comparison.check(record, rows.pop((account, name)), [])
    assert not rows
    assert comparison.in_extra == {}


def test_details_have_what_the_list_leaves_out(detailed, tmp_path):
    here, plain = crawl(tmp_path, details=[])
    assert plain.rows == detailed[1].rows
    states = Counter(row["state"] is None for row in here.rows("fc_functions"))
    assert states[True] > 50, "most functions of the list have no state"
    assert {row["details_status"] for row in here.rows("fc_functions")} == {None}


def test_one_request_a_function_and_no_more(detailed):
    here, result = detailed
    assert max(Counter((e.account, e.parent) for e in requests(here)).values()) == 1
    assert len(requests(here)) == result.rows
    [row] = [row for row in result.ledger if row.account_id == BIG]
    assert row.requests == row.pages + row.rows
    assert row.walk == "token + GetFunction"


def test_no_secret_of_the_details_is_written(detailed):
    """T01."""
    here, _ = detailed
    written = b"\0".join(path.read_bytes() for path in here.folder.rglob("*") if path.is_file())
    rows = repr(here.rows("fc_functions")).encode()
    assert not [secret for secret in here.cloud.canaries if secret.encode() in written + rows]


def test_a_function_that_is_gone_between_list_and_get_is_no_error(tmp_path):
    """F39."""
    here, result = crawl(tmp_path, (GONE, {"nth": (3, 7)}))
    assert result.exit_code == 0
    assert statuses(here)["vanished"] == 2
    assert result.rows == len(here.rows("fc_functions"))
    assert all(row["runtime"] for row in here.rows("fc_functions")), "what the list says stays"


def test_denied_details_leave_the_list_and_say_so(tmp_path):
    here, result = crawl(tmp_path, (Deny(), {"account": BIG}))
    assert result.exit_code == 3
    assert result.manifest.status == "partial"
    assert scope_statuses(result) == {(BIG, "cn-hangzhou", "fc_functions"): "truncated"}
    [row] = [row for row in result.ledger if row.account_id == BIG]
    assert row.error_code == "AccessDenied"
    assert row.error_message.startswith(f"GetFunction failed for {row.rows} of {row.rows} rows: ")
    assert "fc:GetFunction" in row.error_message
    found = Counter((r["account_id"] == BIG, r["details_status"]) for r in here.rows("fc_functions"))
    assert found == {(True, "denied"): row.rows, (False, "fetched"): result.rows - row.rows}
    asked = [entry for entry in requests(here) if entry.account == BIG]
    assert len(asked) == 1, "what one request was denied isn't asked for again"


def test_a_failing_detail_fails_its_row_only(tmp_path):
    faults = (Error(status=500, code="InternalServerError"), {"account": BIG, "nth": (5, 6)})
    here, result = crawl(tmp_path, (Error(status=400, code="OddRequest"), {"account": BIG, "nth": (2,)}), change=quick)
    assert result.exit_code == 3
    assert statuses(here) == {"failed": 1, "fetched": result.rows - 1}
    retried, result = crawl(tmp_path / "b", faults, change=quick)
    assert result.requests.retries > 0
    assert statuses(retried)["failed"] <= 1


def test_details_keep_the_operations_own_rate(tmp_path):
    """The emulator's rate for GetFunction is far below the product's: the setting keeps the crawl from throttling."""
    cloud = fast_cloud(rates={"sts": Rate(5000, 1000), "fc.GetFunction": Rate(300, 5)})
    limit = '\n"fc.GetFunction" = { rate = 250, burst = 1 }\n'
    here, result = crawl(
        tmp_path, cloud=cloud, change=lambda text: text.replace("[rate_limits]\n", f"[rate_limits]{limit}")
    )
    assert result.exit_code == 0
    assert result.requests.throttled == 0
    assert statuses(here)["fetched"] == result.rows


def test_policy_asks_for_get_function_only_where_details_do(tmp_path):
    """T29."""
    file = tmp_path / "config.toml"
    for details, expected in (
        ("[]", {"fc:ListFunctions"}),
        ('["fc_functions"]', {"fc:ListFunctions", "fc:GetFunction"}),
    ):
        file.write_text(f'[crawl]\ntables = ["fc_functions"]\ndetails = {details}\n[[accounts]]\nid = "1"\n')
        file.chmod(0o600)
        command = [sys.executable, "-m", "crawler", "policy", "--config", str(file)]
        done = subprocess.run(command, capture_output=True, check=True)
        assert set(json.loads(done.stdout)["Statement"][0]["Action"]) == expected


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        (
            "fc_layers",
            (
                "'fc_layers' matches no table with details to fetch; tables with details: "
                "fc_functions, ram_access_keys, ram_roles, ram_users."
            ),
        ),
        ("fc_function", "No table is called or matches 'fc_function'; did you mean 'fc_functions'?"),
    ],
)
def test_details_of_a_table_that_has_none_are_refused(tmp_path, pattern, sentence):
    with pytest.raises((CatalogError, ConfigError)) as caught:
        crawl(tmp_path, details=[pattern])
    assert str(caught.value) == sentence


def test_details_of_a_table_that_is_not_crawled_ask_for_nothing(tmp_path):
    here, result = crawl(tmp_path, tables=["fc_layers"])
    assert result.exit_code == 0
    assert requests(here) == []
