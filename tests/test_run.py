"""Whole crawls of the emulated cloud: what lands, what is said of what doesn't, and what is left alone."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections import Counter
from datetime import UTC, datetime, timedelta

import anyio
import duckdb
import polars as pl
import pyarrow.dataset as ds
import pytest
import structlog
import trustme
from crawling import BIG, FAST, SMALL, fast_cloud, scope_statuses, site

from crawler import log
from crawler.catalog import load_catalog
from crawler.cli.demo import table_counts
from crawler.emulator import Body, Cloud, CloudSpec, Deny, Drop, Error, Page, Rate, Refuse, RepeatToken, Throttle
from crawler.emulator.keyring import Keyring
from crawler.errors import ConfigError, CredentialsError, OutputBusyError
from crawler.snapshot import SnapshotWriter, read_manifest

FC2 = ("fc2_services", "fc2_functions", "fc2_instances", "fc2_function_async_invoke_configs")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One crawl of the whole default cloud, at DEBUG: the site, the result and everything that was logged."""
    folder = tmp_path_factory.mktemp("whole")

    async def main():
        async with site(folder) as here:
            with (folder / "log").open("w") as stream:
                log.configure("json", "debug", stream)
                try:
                    return here, await here.crawl()
                finally:
                    structlog.reset_defaults()

    return anyio.run(main)


def test_every_table_has_the_rows_that_the_cloud_has(whole):
    here, result = whole
    assert result.exit_code == 0
    assert result.manifest.status == "complete"
    assert {t: e.rows for t, e in result.manifest.tables.items()} == table_counts(here.cloud)
    assert scope_statuses(result) == {}
    assert len(result.ledger) == 2 * 3 * 6 + 2 * 2 * 3, "OpenSearch is in two of the three regions"


def test_rows_of_each_scope_are_the_clouds(whole):
    here, result = whole
    operations = load_catalog().operations
    for row in result.ledger:
        operation = operations[row.table]
        key = (row.account_id, row.region_id, f"{operation.product}.{operation.action}")
        assert row.rows == here.cloud.counts().get(key, 0), key


@pytest.mark.parametrize("table", load_catalog().operations)
def test_duckdb_polars_and_pyarrow_read_the_same(whole, table):
    here, _ = whole
    wanted = table_counts(here.cloud)[table]
    files = f"{here.output}/{table}/*/*/*/*/*.parquet"
    with duckdb.connect() as connection:
        source = f"read_parquet('{files}', hive_partitioning = true)"
        query = f"SELECT count(*), any_value(typeof(account_id)) FROM {source}"
        assert connection.execute(query).fetchall() == [(wanted, "VARCHAR")]
    frame = pl.read_parquet(files, hive_partitioning=False)
    assert frame.height == wanted
    assert frame.schema["account_id"] == pl.String
    dataset = ds.dataset(here.output / table, format="parquet", partitioning="hive")
    assert dataset.count_rows() == wanted
    assert str(dataset.schema.field("account_id").type) == "string"


def test_a_key_comes_once_in_a_table(whole):
    here, _ = whole
    for table, operation in load_catalog().operations.items():
        keys = Counter(
            (row["account_id"], row["region_id"], *(row[name] for name in operation.key)) for row in here.rows(table)
        )
        assert max(keys.values()) == 1, table


def test_no_request_too_many(whole):
    """Pages that there are, an identity an account, the regions of two products, and the second reading of one list."""
    here, result = whole
    assert result.requests.requests == here.cloud.requests.count()
    assert result.overhead == {"sts": 2, "regions": 2}
    asked = Counter(
        (e.account, e.region, e.product, e.action, e.parent, e.page, str(e.query)) for e in here.cloud.requests.entries
    )
    twice = {key[:4] for key, number in asked.items() if number > 1}
    assert twice == {(BIG, "cn-hangzhou", "opensearch", "ListAppGroups")}


def test_files_are_what_the_manifest_says(whole):
    here, result = whole
    files = [file for entry in result.manifest.tables.values() for file in entry.files]
    for file in [*files, result.manifest.ledger]:
        content = (here.output / file.path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)
    on_disk = {str(path.relative_to(here.output)) for path in here.output.glob("*/snapshot_date=*/**/*.parquet")}
    assert on_disk == {file.path for file in files}
    assert (here.output / "_snapshots" / "LATEST").read_text().strip() == result.snapshot_id
    assert read_manifest(here.output, "latest") == result.manifest


def test_no_secret_is_in_any_byte_written_or_logged(whole):
    here, _ = whole
    secrets = {canary.encode() for canary in here.cloud.canaries}
    secrets |= {here.cloud.credentials(account)[1].encode() for account in here.cloud.spec.accounts}
    assert len(secrets) > 5000
    haystack = b"\0".join(path.read_bytes() for path in here.folder.rglob("*") if path.is_file())
    haystack += b"\0".join(repr(row).encode() for table in load_catalog().operations for row in here.rows(table))
    assert haystack.count(b'"event": "request"') == 1473, "every request is logged at DEBUG"
    assert not [secret for secret in secrets if secret in haystack]


def test_one_denied_account_one_dead_region_and_one_loop_leave_the_rest_complete(tmp_path):
    async def main():
        async with site(tmp_path) as here:
            faults = here.cloud.faults
            faults.add(Deny(), account=SMALL, product="fc")
            faults.add(Refuse(), region="cn-shanghai", product="fc-open")
            faults.add(RepeatToken(), account=BIG, region="cn-hangzhou", product="fc")
            config = here.config(change=lambda text: text + "\n[retry]\nmax_attempts = 2\nmax_delay = 0.01\n")
            return here, await here.crawl(config)

    here, result = anyio.run(main)
    assert result.exit_code == 3
    assert result.manifest.status == "partial"
    statuses = scope_statuses(result)
    denied = {(SMALL, region, "fc_functions"): "denied" for region in here.cloud.spec.regions}
    dead = {
        (account, "cn-shanghai", table): "failed"
        for account in (BIG, SMALL)
        for table in (*FC2, "fc2_stateful_async_invocation_functions")
    }
    loop = {(BIG, "cn-hangzhou", "fc_functions"): "failed"}
    assert statuses == denied | dead | loop
    reasons = {(row.account_id, row.region_id, row.table): row for row in result.manifest.scopes.not_complete}
    assert reasons.keys() == statuses.keys()
    assert "fc:ListFunctions" in reasons[SMALL, "cn-hangzhou", "fc_functions"].error_message
    assert reasons[BIG, "cn-shanghai", "fc2_services"].error_code == "ConnectionFailed"
    assert "fc2_services" in reasons[BIG, "cn-shanghai", "fc2_instances"].error_message
    assert reasons[BIG, "cn-hangzhou", "fc_functions"].error_code == "TokenRepeated"
    assert not (here.output / "_snapshots" / "LATEST").exists()
    there = {(row["account_id"], row["region_id"], t) for t in load_catalog().operations for row in here.rows(t)}
    assert not there & statuses.keys(), "rows of a scope that isn't complete are not in the snapshot"
    complete = [row for row in result.ledger if row.status == "complete"]
    assert sum(row.rows for row in complete) == sum(entry.rows for entry in result.manifest.tables.values())


def crawl_with(tmp_path, *, cloud=None, prepare=None, more="", change=str, **crawl):
    async def main():
        async with site(tmp_path, cloud) as here:
            if prepare is not None:
                prepare(here.cloud)
            return here, await here.crawl(here.config(more, change=change, **crawl))

    return anyio.run(main)


def test_a_parent_not_asked_for_is_walked_and_not_written(tmp_path):
    here, result = crawl_with(tmp_path, tables='["fc2_instances"]', regions='["cn-shanghai"]')
    assert result.exit_code == 0
    assert set(result.manifest.tables) == {"fc2_instances"}
    assert {(row.table, row.written) for row in result.ledger} == {
        ("fc2_services", False),
        ("fc2_functions", False),
        ("fc2_instances", True),
    }
    assert not (here.output / "fc2_services").exists()
    assert here.cloud.requests.count(action="ListFunctionAsyncInvokeConfigs") == 0


def test_an_empty_table_has_one_file_with_the_schema(tmp_path):
    here, result = crawl_with(
        tmp_path,
        tables='["fc_functions"]',
        prepare=lambda cloud: empty(cloud),
        regions='["cn-hangzhou", "cn-shanghai"]',
    )
    assert result.exit_code == 0
    [file] = result.manifest.tables["fc_functions"].files
    assert file.rows == 0
    assert f"account={BIG}/region=cn-hangzhou" in file.path
    schema = ds.dataset(here.output / file.path).schema
    assert schema.names == load_catalog().operations["fc_functions"].schema.names


def empty(cloud):
    for account in cloud.spec.accounts:
        for region in cloud.spec.regions:
            cloud.edit(account, region, "fc.ListFunctions", [])


def test_throttling_slows_and_loses_nothing(tmp_path):
    limits = CloudSpec(rate=Rate(rate=40, burst=5), rates={"sts": FAST})
    here, result = crawl_with(
        tmp_path, cloud=Cloud(limits), tables='["fc2_functions"]', regions='["cn-shanghai", "ap-southeast-1"]'
    )
    assert result.exit_code == 0
    assert result.requests.throttled > 0
    assert result.manifest.tables["fc2_functions"].rows == sum(
        number
        for (_, region, action), number in here.cloud.counts().items()
        if action == "fc-open.ListFunctions" and region != "cn-hangzhou"
    )


def test_an_assumed_role_lasts_through_its_expiry_with_one_more_assumption(tmp_path, monkeypatch):
    def assume(text):
        role = f'type = "ram_role_arn"\nrole_arn = "acs:ram::{BIG}:role/inventory-reader"\n'
        return text.replace('type = "access_key"\n', role, 1)

    async def main():
        async with site(tmp_path, fast_cloud(accounts=(BIG,))) as here:
            config = here.config(change=assume, tables='["fc2_instances"]', regions='["cn-shanghai"]')

            async def expire_once():
                while here.cloud.requests.count(action="ListInstances") < 3:
                    await anyio.sleep(0.001)
                here.cloud.expire_sessions()

            with (tmp_path / "log").open("w") as stream:
                log.configure("json", "debug", stream)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(expire_once)
                    result = await here.crawl(config)
            return here, result

    issued = []
    issue = Keyring.issue
    monkeypatch.setattr(Keyring, "issue", lambda *given: issued.append(issue(*given)) or issued[-1])
    here, result = anyio.run(main)
    assert result.exit_code == 0
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b'"action": "AssumeRole"' in written
    assert len(issued) == 2
    assert not any(part.encode() in written for key in issued for part in (key.secret, key.token, key.token[:40]))
    assert here.cloud.requests.count(action="AssumeRole") == 2
    assert here.cloud.requests.count(outcome="InvalidSecurityToken.Expired") >= 1


def test_credentials_of_another_account_stop_that_account_only(tmp_path):
    def swap(text):
        return text.replace("EMULATOR_KEY_ID_2", "EMULATOR_KEY_ID_1").replace(
            "EMULATOR_KEY_SECRET_2", "EMULATOR_KEY_SECRET_1"
        )

    here, result = crawl_with(tmp_path, change=swap, tables='["fc_functions"]')
    assert result.exit_code == 3
    refused = [row for row in result.ledger if row.account_id == SMALL]
    assert {(row.status, row.error_code) for row in refused} == {("failed", "AccountMismatch")}
    assert BIG in refused[0].error_message
    assert here.cloud.requests.count(account=SMALL) == 0
    assert {row["account_id"] for row in here.rows("fc_functions")} == {BIG}


def test_no_working_account_is_said_with_each_reason_and_nothing_is_listed(tmp_path):
    async def main():
        async with site(tmp_path) as here:
            config = here.config(change=lambda text: text.replace("EMULATOR_KEY_SECRET_1", "EMULATOR_KEY_SECRET_2"))
            alone = config.with_overrides(accounts=[BIG])
            with pytest.raises(CredentialsError, match=f"No account's credentials work. {BIG}: .*secret is wrong"):
                await here.crawl(alone)
            assert here.cloud.requests.count(outcome="OK") == 0
            assert list((here.output / "_snapshots").glob("*")) == []

    anyio.run(main)


def test_tls_by_the_configured_authority_and_by_no_other(tmp_path):
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def main(trusted):
        trusted.cert_pem.write_to_path(tmp_path / "ca.pem")
        async with site(tmp_path, ssl_context=context) as here:
            config = here.config(ca_file=str(tmp_path / "ca.pem"), tables='["fc_functions"]', regions='["cn-shanghai"]')
            return here, await here.crawl(config)

    _, result = anyio.run(main, authority)
    assert result.exit_code == 0
    with pytest.raises(CredentialsError, match="TLS isn't trusted"):
        anyio.run(main, other)


def test_a_clock_that_is_20_minutes_off_is_corrected_once(tmp_path):
    class Ahead:
        def now(self):
            return datetime.now(UTC) + timedelta(minutes=20)

        def monotonic(self):
            return anyio.current_time()

        async def sleep(self, duration_s):
            await anyio.sleep(duration_s)

    cloud = Cloud(CloudSpec(rate=FAST, rates={"sts": FAST}), Ahead())
    here, result = crawl_with(tmp_path, cloud=cloud, tables='["fc_functions"]', regions='["cn-shanghai"]')
    assert result.exit_code == 0
    assert result.manifest.clock_skew_s == pytest.approx(1200, abs=5)
    stale = here.cloud.requests.count(outcome="InvalidTimeStamp.Expired")
    assert 1 <= stale <= 2, "the accounts are identified side by side, and each may be refused before the first is back"


def test_a_deadline_commits_what_there_is(tmp_path):
    def stall(cloud):
        cloud.faults.add(Throttle(retry_after_ms=600_000), account=SMALL, product="fc")

    here, result = crawl_with(tmp_path, prepare=stall, tables='["fc_functions"]', regions='["cn-shanghai"]', deadline=2)
    assert result.exit_code == 3
    assert scope_statuses(result).keys() == {(SMALL, "cn-shanghai", "fc_functions")}
    assert len(here.rows("fc_functions")) == 45


def test_require_complete_commits_nothing_unless_all_is_complete(tmp_path):
    here, result = crawl_with(
        tmp_path,
        prepare=lambda cloud: cloud.faults.add(Deny(), account=SMALL),
        tables='["fc_functions"]',
        regions='["cn-shanghai"]',
        require_complete=True,
    )
    assert (result.exit_code, result.manifest) == (1, None)
    assert here.rows("fc_functions") == []
    assert list((here.output / "_staging").glob("2*")) == []


def test_nothing_readable_anywhere_is_exit_1_and_leaves_the_output_as_it_was(tmp_path):
    here, result = crawl_with(
        tmp_path, prepare=lambda cloud: cloud.faults.add(Deny(), product="fc"), tables='["fc_functions"]'
    )
    assert (result.exit_code, result.manifest) == (1, None)
    assert {row.status for row in result.ledger} == {"denied"}
    assert not list(here.output.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<html>proxy</html>", "InvalidResponse"),
        (b"null", "ListMissing"),
        (b"{}", "ListMissing"),
        (b'{"functions": null}', "ListMissing"),
        (b'{"functions": {}}', "ListMissing"),
        (b'{"function": []}', "ListMissing"),
        (b'{"functions": [{"functionName": "a"}], "nextToken": {}}', "TokenInvalid"),
        (b'{"functions": [{"runtime": "python3.12"}]}', "KeyMissing"),
        (b'{"Code": "AccessDenied", "Message": "not authorized to perform this", "functions": []}', "AccessDenied"),
    ],
)
def test_an_odd_answer_is_a_reason_and_never_zero_rows(tmp_path, body, code):
    here, result = crawl_with(
        tmp_path,
        prepare=lambda cloud: cloud.faults.add(Body(body=body), account=SMALL, action="ListFunctions", product="fc"),
        tables='["fc_functions"]',
        regions='["cn-shanghai"]',
        more="\n[retry]\nmax_attempts = 2\nmax_delay = 0.01\n",
    )
    assert result.exit_code == 3
    [reason] = result.manifest.scopes.not_complete
    assert (reason.account_id, reason.error_code) == (SMALL, code)
    assert {row["account_id"] for row in here.rows("fc_functions")} == {BIG}


def test_a_product_that_is_not_activated_is_unsupported_and_the_snapshot_complete(tmp_path):
    refusal = Error(status=403, code="AccessDenied", message="FC service is not enabled for current user.")
    here, result = crawl_with(
        tmp_path,
        prepare=lambda cloud: cloud.faults.add(refusal, account=SMALL, product="fc-open"),
        tables='["fc2_*"]',
        regions='["cn-shanghai"]',
    )
    assert result.exit_code == 0
    assert set(scope_statuses(result).values()) == {"unsupported"}
    assert len(scope_statuses(result)) == 5
    assert (here.output / "_snapshots" / "LATEST").exists()


def test_a_full_limit_only_list_is_truncated_and_its_rows_are_there(tmp_path):
    cloud = fast_cloud(accounts=(BIG,), first_function_instances=1000)
    _, result = crawl_with(tmp_path, cloud=cloud, tables='["fc2_instances"]', regions='["cn-hangzhou"]')
    assert result.exit_code == 3
    [reason] = result.manifest.scopes.not_complete
    assert (reason.table, reason.status) == ("fc2_instances", "truncated")
    assert result.manifest.tables["fc2_instances"].rows >= 1000


def test_a_page_that_broke_on_its_way_is_asked_for_again(tmp_path):
    def breakages(cloud):
        cloud.faults.add(Drop(when="after"), action="ListFunctions", product="fc", nth=(1, 3))
        cloud.faults.add(
            Error(status=500, code="InternalServerError", message="try again"),
            action="ListFunctions",
            product="fc",
            nth=(5,),
        )

    here, result = crawl_with(
        tmp_path,
        prepare=breakages,
        tables='["fc_functions"]',
        regions='["cn-hangzhou"]',
        more="\n[retry]\nmax_delay = 0.01\n",
    )
    assert result.exit_code == 0
    assert len(here.rows("fc_functions")) == 336
    assert result.requests.retries > 0


def test_a_list_whose_total_is_too_large_is_unstable(tmp_path):
    def lie(cloud):
        cloud.faults.add(Page(total=10**12), account=SMALL, action="ListAppGroups")

    _, result = crawl_with(tmp_path, prepare=lie, tables='["opensearch_app_groups"]', regions='["cn-hangzhou"]')
    assert result.exit_code == 3
    [reason] = result.manifest.scopes.not_complete
    assert (reason.account_id, reason.status) == (SMALL, "unstable")
    assert "1000000000000" in reason.walk


def test_all_regions_are_the_products_own(tmp_path):
    """DescribeRegions says where FC 3.0 is; `all` leaves no region of it out and adds none."""
    _, result = crawl_with(tmp_path, tables='["fc_functions"]', regions='"all"')
    assert {row.region_id for row in result.ledger} == {"cn-hangzhou", "cn-shanghai", "ap-southeast-1"}


def test_a_region_that_no_product_has_is_a_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"cn-hangzhuo.*did you mean 'cn-hangzhou'"):
        crawl_with(tmp_path, tables='["fc_functions"]', regions='["cn-hangzhuo"]')


def test_a_second_crawl_of_the_same_output_leaves_at_once(tmp_path):
    async def main():
        async with site(tmp_path) as here:
            now = datetime.now(UTC)
            other = await SnapshotWriter.begin(here.output, "20260101T000000Z-0000", now, {})
            try:
                with pytest.raises(OutputBusyError):
                    await here.crawl()
            finally:
                await other.abandon()
            assert here.cloud.requests.count() == 0

    anyio.run(main)


def test_secrets_kept_are_marked_and_warned_of(tmp_path):
    here, result = crawl_with(
        tmp_path,
        change=lambda text: text.replace("[output]\n", '[output]\nsecrets = "keep"\n'),
        tables='["fc_functions"]',
        regions='["cn-shanghai"]',
    )
    assert result.manifest.secrets == "keep"
    assert "kept in clear" in result.warnings[0]
    kept = json.dumps(here.rows("fc_functions"), default=str)
    assert any(canary in kept for canary in here.cloud.canaries)


def test_equal_secrets_look_equal_night_after_night_and_others_do_not(tmp_path):
    async def main():
        async with site(tmp_path) as here:
            config = here.config(tables='["fc_functions"]', regions='["cn-shanghai"]')
            first, second = await here.crawl(config), await here.crawl(config)
            return here, first, second

    here, first, second = anyio.run(main)
    nights = {first.snapshot_id: {}, second.snapshot_id: {}}
    for row in here.rows("fc_functions"):
        nights[row["snapshot_id"]][row["account_id"], row["function_name"]] = row["environment_variables"]
    assert nights[first.snapshot_id] == nights[second.snapshot_id]
    values = {value for variables in nights[first.snapshot_id].values() for _, value in variables or [] if value}
    assert len(values) > 10
    assert all(value.startswith("hmac:") for value in values)


def test_a_new_field_is_kept_counted_and_hidden(tmp_path):
    def add_field(cloud):
        records = cloud.records(BIG, "cn-shanghai", "fc.ListFunctions")
        changed = [{**record, "brandNew": {"flag": True, "text": "canary-in-a-new-field"}} for record in records]
        cloud.edit(BIG, "cn-shanghai", "fc.ListFunctions", changed)

    here, result = crawl_with(tmp_path, prepare=add_field, tables='["fc_functions"]', regions='["cn-shanghai"]')
    assert result.unknown_fields == {"fc_functions": {"brandNew": 45}}
    extras = [json.loads(row["_extra"]) for row in here.rows("fc_functions") if row["account_id"] == BIG]
    assert all(extra["brandNew"]["flag"] is True for extra in extras)
    assert all(extra["brandNew"]["text"].startswith("hmac:") for extra in extras)
