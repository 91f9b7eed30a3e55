"""A cloud that repeats what it was sent, in errors and in rows: nothing of it is in any output of a crawl."""

from __future__ import annotations

import base64
import io
import json
from urllib.parse import quote

import anyio
import pytest
import structlog

from crawler.cli.crawl_summary import summarize
from crawler.emulator import Echo
from crawler.run.run import crawl as crawl_once
from crawler.telemetry import logs
from tests.support.crawl_runner import BIG, SMALL, fast_cloud, site
from tests.support.secret_sweep import Sweep

REGION = "cn-hangzhou"
EXTERNAL_ID = "planted-external-id+1"
TABLES = '["fc_functions", "fc_layers", "fc_custom_domains", "fc_vpc_bindings", "fc_aliases", "fc2_services"]'
ENCODINGS = {
    "ListLayers": Echo(),
    "ListCustomDomains": Echo(encoding="base64"),
    "ListServices": Echo(encoding="url"),
    "ListAliases": Echo(encoding="json"),
    "ListVpcBindings": Echo(encoding="hex", at=30),
}


def with_roles(text):
    """The configuration with a role for each account, assumed with its key."""
    for account in (BIG, SMALL):
        head = f'id = "{account}"\n[accounts.credentials]\ntype = "access_key"\n'
        role = f'type = "ram_role_arn"\nrole_arn = "acs:ram::{account}:role/inventory-reader"\n'
        assert head in text
        text = text.replace(head, head.replace('type = "access_key"\n', f'{role}external_id = "{EXTERNAL_ID}"\n'))
    return text


class Watched:
    """A cloud whose sessions are recorded, as the needles of the sweep."""

    def __init__(self, cloud):
        self.needles = {EXTERNAL_ID, "the-demo-has-no-secrets-to-protect"}
        for account in cloud.spec.accounts:
            self.needles |= set(cloud.credentials(account))
        self._issue = cloud.keys.issue
        cloud.keys.issue = self.issue

    def issue(self, *arguments):
        key = self._issue(*arguments)
        self.needles |= {key.key_id, key.secret, key.token}
        return key


def echo_in_rows(cloud, watched):
    """Put the keys of an account into its records, as a cloud does that stores what it was sent."""
    records = cloud.records(SMALL, REGION, "fc.ListFunctions")
    key_id, secret = cloud.credentials(SMALL)
    records[0] |= {"description": f"made by {key_id}", "environmentVariables": {key_id: "x", quote(secret): "y"}}
    records[1] |= {"description": base64.b64encode(f"a:{secret}".encode()).decode(), f"brandNew{key_id}": 1}
    cloud.edit(SMALL, REGION, "fc.ListFunctions", records)


@pytest.fixture(scope="module")
def echoed(tmp_path_factory):
    """The crawl's folder, its result, its log, and everything that was sent."""
    folder = tmp_path_factory.mktemp("echoed")

    async def main():
        cloud = fast_cloud(accounts=(BIG, SMALL), regions=(REGION,))
        watched = Watched(cloud)
        echo_in_rows(cloud, watched)
        for action, effect in ENCODINGS.items():
            cloud.faults.add(effect, action=action)
        async with site(folder, cloud) as here:
            config, system, stream = here.config(change=with_roles, tables=TABLES), here.surroundings(), io.StringIO()
            logs.configure("json", "debug", stream, secrets=system.secrets)
            try:
                return here, await crawl_once(config, system), stream.getvalue(), watched
            finally:
                structlog.reset_defaults()

    return anyio.run(main)


def test_no_secret_that_was_sent_is_in_any_output(echoed):
    """P21, T36: rows, names, manifest, ledger, log, summary."""
    here, result, log, watched = echoed
    assert len(watched.needles) >= 12
    sweep = Sweep(*watched.needles, *(needle[:16] for needle in watched.needles))
    assert sweep.found_in_folder(here.output) == {}
    assert sweep.found(log.encode()) == set()
    assert sweep.found(json.dumps(summarize(result, "out")).encode()) == set()
    assert sweep.found(repr(list(result.ledger)).encode()) == set()


def test_every_echo_was_made_and_says_what_it_can(echoed):
    """Control: without the faults the test above would prove nothing."""
    here, result, _, _ = echoed
    failed = {row.table: row for row in result.ledger if row.account_id == BIG and row.status == "failed"}
    assert failed.keys() == {"fc_layers", "fc_custom_domains", "fc_vpc_bindings", "fc_aliases", "fc2_services"}
    for row in failed.values():
        assert row.error_code.startswith("InvalidSecurityToken.Malformed.***")
        assert row.error_message.startswith("The specified ***")
    [hidden] = [row for row in here.rows("fc_functions") if row["description"] == "made by ***"]
    assert set(hidden["environment_variables"]) == {"***", "*** (2)"}


def test_the_manifest_says_within_which_accounts_fingerprints_are_equal(echoed):
    """T39."""
    here, result, _, _ = echoed
    assert result.manifest.fingerprint_scope == "account"
    [text] = [path.read_text() for path in here.output.glob("_snapshots/2*.json")]
    assert json.loads(text)["fingerprint_scope"] == "account"


async def test_the_log_hides_secrets_in_every_value_and_name():
    """P21, T10: whatever an event has in it."""
    from crawler.secret_text import LiteralSecrets

    secrets, stream = LiteralSecrets(), io.StringIO()
    secrets.add("a-session-token-of-the-crawl")
    for style in ("json", "console"):
        logs.configure(style, "debug", stream, secrets=secrets)
        structlog.get_logger().warning(
            "x", reason="a-session-token-of-the-crawl", waiting=["in a-session-token-of-the-crawl"], n=1
        )
    assert "session-token" not in stream.getvalue()
    assert stream.getvalue().count("***") == 4
