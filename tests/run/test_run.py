"""Whole crawls of the emulated cloud: the committed rows, the reasons for missing ones, and untouched files."""

from __future__ import annotations

import hashlib
import json
import re
import ssl
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import anyio
import duckdb
import polars as pl
import pyarrow.dataset as ds
import pytest
import structlog
import trustme

from crawler.catalog import load_catalog
from crawler.emulator import Body, Cloud, CloudSpec, Deny, Drop, Error, PageFault, Rate, Refuse, RepeatToken, Throttle
from crawler.emulator.apis.operation import EmulatedPaging
from crawler.emulator.apis.operations import BY_NAME
from crawler.emulator.keyring import Keyring
from crawler.errors import ConfigError, CredentialsError, OutputBusyError
from crawler.snapshot import FolderDestination, read_manifest
from crawler.snapshot.layout import part_path
from crawler.snapshot.rows import merge
from crawler.telemetry import logs as log
from tests.support.crawl_runner import BIG, FAST, SMALL, fast_cloud, scope_statuses, site

CATALOG = load_catalog()
DEFAULT = {table: CATALOG.operations[table] for table in CATALOG.select(["*"])}
CANARY = re.compile(rb"canary[0-9a-f]{24}")


def tables_of(product):
    """The tables of a product that are crawled by default."""
    return [table for table, op in DEFAULT.items() if op.product == product]


def below(table):
    """Every default table that hangs from this one, directly or not."""
    children = [child for child in CATALOG.children(table) if child in DEFAULT]
    return {*children, *(name for child in children for name in below(child))}


def root_of(table):
    """The table whose lists have to be read before any of this one can be."""
    parents = CATALOG.operations[table].parent_tables
    return root_of(parents[0]) if parents else table


def called(operation):
    """The cloud's name of an operation: `fc.ListFunctions`."""
    return f"{operation.product}.{operation.action}"


def counts_by_table(cloud):
    """Default table → records that the cloud has in all accounts and regions."""
    numbers = Counter()
    for (_, _, name), number in cloud.counts().items():
        numbers[name] += number
    return {table: numbers[called(op)] for table, op in DEFAULT.items()}


def records_of(cloud, table):
    """All records of a table that the cloud has."""
    places = [(account, region) for account in cloud.spec.accounts for region in cloud.spec.regions]
    return [record for place in places for record in cloud.records(*place, called(DEFAULT[table]))]


def scopes_of(cloud):
    """(account, region, table) of every default table that is offered in the region."""
    offered = cloud.counts().keys()
    tables = {called(op): table for table, op in DEFAULT.items()}
    return {(account, region, tables[name]) for account, region, name in offered if name in tables}


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


@pytest.fixture(scope="module")
def written(whole):
    """Default table → its rows in that crawl's snapshot."""
    here, _ = whole
    return {table: here.rows(table) for table in DEFAULT}


def test_every_table_has_the_rows_that_the_cloud_has(whole):
    """P6."""
    here, result = whole
    assert result.exit_code == 0
    assert result.manifest.status == "complete"
    wanted = counts_by_table(here.cloud)
    assert {t: e.rows for t, e in result.manifest.tables.items()} == wanted
    assert all(wanted.values()), "a table without rows shows nothing"
    assert scope_statuses(result) == {}
    scopes = [(row.account_id, row.region_id, row.table) for row in result.ledger]
    assert len(scopes) == len(set(scopes))
    assert set(scopes) == scopes_of(here.cloud)


def test_what_is_opt_in_or_out_is_neither_asked_for_nor_written(whole):
    here, result = whole
    left_out = {table: op for table, op in CATALOG.operations.items() if table not in CATALOG.with_parents(DEFAULT)}
    by_default = [op for op in left_out.values() if CATALOG.products[op.product].is_default]
    assert {op.selection for op in by_default} == {"opt-in", "out"}
    assert not {row.table for row in result.ledger} & left_out.keys()
    assert {path.name for path in here.output.glob("[!_]*")} == set(DEFAULT)
    asked = {f"{entry.product}.{entry.action}" for entry in here.cloud.requests.entries}
    assert not asked & {called(op) for op in left_out.values()}


def test_rows_of_each_scope_are_the_clouds(whole):
    here, result = whole
    counts = here.cloud.counts()
    for row in result.ledger:
        key = (row.account_id, row.region_id, called(DEFAULT[row.table]))
        assert row.rows == counts[key], key


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect(config={"threads": 1}) as connection:
        yield connection


@pytest.mark.parametrize("table", DEFAULT)
def test_duckdb_polars_and_pyarrow_read_the_same(whole, connection, table):
    here, _ = whole
    wanted = counts_by_table(here.cloud)[table]
    files = f"{here.output}/{table}/snapshot_date=*/**/*.parquet"
    source = f"read_parquet('{files}', hive_partitioning = true)"
    query = f"SELECT count(*), any_value(typeof(account_id)) FROM {source}"
    assert connection.execute(query).fetchall() == [(wanted, "VARCHAR")]
    frame = pl.read_parquet(files, hive_partitioning=False)
    assert frame.height == wanted
    assert frame.schema["account_id"] == pl.String
    dataset = ds.dataset(here.output / table, format="parquet", partitioning="hive")
    assert dataset.count_rows() == wanted
    assert str(dataset.schema.field("account_id").type) == "string"


def test_a_key_comes_once_in_a_table(written):
    """P7: Records that have a key; those of a list of texts or of free objects have none and may be equal."""
    keyed = {table: operation.key for table, operation in DEFAULT.items() if operation.key}
    assert len(keyed) > len(DEFAULT) / 2
    for table, key in keyed.items():
        keys = Counter((row["account_id"], row["region_id"], *(row[name] for name in key)) for row in written[table])
        assert max(keys.values()) == 1, table


def requests_for(name, records):
    """How many requests a list of so many records takes with the largest pages that the cloud gives.

    A list by page numbers is read once where its first page says that it is all there is. Else it is read twice, both
    times to the empty page behind the last.
    """
    operation = BY_NAME[name]
    pages = -(-records // operation.bounds.high)
    match operation.paging:
        case EmulatedPaging.NONE | EmulatedPaging.LIMIT:
            return 1
        case EmulatedPaging.TOKEN | EmulatedPaging.VERSION:
            return max(1, pages)
        case EmulatedPaging.NUMBER:
            return 1 if operation.total and records < operation.bounds.high else 2 * (pages + 1)


def test_no_request_too_many(whole):
    """P8: a crawl sends its list requests, one identity per account, regions per product, and one per failed guess."""
    here, result = whole
    cloud = here.cloud
    assert result.requests.requests == cloud.requests.count()
    products = {op.product for op in DEFAULT.values() if CATALOG.products[op.product].regions is not None}
    overhead = {"sts": len(cloud.spec.accounts), "regions": len(products), "directory": 0}
    assert result.overhead == overhead
    names = {called(op) for op in DEFAULT.values()}
    listed, missed = Counter(), Counter()
    for entry in cloud.requests.entries:
        where = (entry.account, entry.region, f"{entry.product}.{entry.action}", entry.parent)
        if where[2] in names:
            (listed if entry.outcome == "OK" else missed)[where] += 1
    wanted = Counter()
    for account, region, name in cloud.counts():
        if name in names:
            for parent, records in cloud.lists(account, region, name).items():
                wanted[account, region, name, parent] = requests_for(name, len(records))
    assert listed - wanted == Counter(), "too many"
    assert wanted - listed == Counter(), "too few"
    assert listed.total() + missed.total() + sum(overhead.values()) == cloud.requests.count()
    unsure = [op for op in DEFAULT.values() if op.empty_codes or any(parent.values for parent in op.parents)]
    assert {name for _, _, name, _ in missed} == {called(op) for op in unsure}
    assert set(missed.values()) == {1}
    assert not missed.keys() & wanted.keys()


def test_files_are_what_the_manifest_says(whole):
    here, result = whole
    files = [file for entry in result.manifest.tables.values() for file in entry.files]
    assert len(files) == len(DEFAULT), "the rows of all accounts and regions share a part"
    for file in [*files, result.manifest.ledger]:
        content = (here.output / file.path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)
    on_disk = {str(path.relative_to(here.output)) for path in here.output.glob("*/snapshot_date=*/**/*.parquet")}
    assert on_disk == {file.path for file in files}
    assert (here.output / "_snapshots" / "LATEST").read_text().strip() == result.snapshot_id
    assert read_manifest(here.output, "latest") == result.manifest


def test_no_secret_is_in_any_byte_written_or_logged(whole, written):
    """P14, P15."""
    here, _ = whole
    cloud = here.cloud
    with_secrets = {table for table, op in DEFAULT.items() if any(column.has_secret for column in op.columns)}
    served = {table for table in DEFAULT if CANARY.search(json.dumps(records_of(cloud, table)).encode())}
    assert with_secrets, "no table has secrets"
    assert with_secrets <= served, "a table whose secrets the cloud hasn't got shows nothing"
    assert all(CANARY.fullmatch(canary.encode()) for canary in cloud.canaries)
    haystack = b"\0".join(path.read_bytes() for path in here.folder.rglob("*") if path.is_file())
    haystack += b"\0".join(repr(row).encode() for rows in written.values() for row in rows)
    assert haystack.count(b'"event": "request"') == cloud.requests.count(), "every request is logged at DEBUG"
    assert not CANARY.findall(haystack)
    assert not [account for account in cloud.spec.accounts if cloud.credentials(account)[1].encode() in haystack]


def lengthen(cloud, account, region, name, key):
    """Three records in place of each: a list of two pages has no third one to loop at."""
    records = cloud.records(account, region, name)
    cloud.edit(account, region, name, [{**record, key: f"{record[key]}-{n}"} for record in records for n in range(3)])


def test_one_denied_account_one_dead_region_and_one_loop_leave_the_rest_complete(tmp_path):
    """F40, F18, F28, P4."""

    async def main():
        async with site(tmp_path) as here:
            faults = here.cloud.faults
            faults.add(Deny(), account=SMALL, product="fc")
            faults.add(Refuse(), region="cn-shanghai", product="fc-open")
            faults.add(RepeatToken(), account=BIG, region="cn-hangzhou", product="fc")
            lengthen(here.cloud, BIG, "cn-hangzhou", "fc.ListFunctions", "functionName")
            config = here.config(change=lambda text: text + "\n[retry]\nmax_attempts = 2\nmax_delay = 0.01\n")
            return here, await here.crawl(config)

    here, result = anyio.run(main)
    assert result.exit_code == 3
    assert result.manifest.status == "partial"
    statuses = scope_statuses(result)
    denied = {(SMALL, region, table): "denied" for region in here.cloud.spec.regions for table in tables_of("fc")}
    dead = {(account, "cn-shanghai", table): "failed" for account in (BIG, SMALL) for table in tables_of("fc-open")}
    loop = {(BIG, "cn-hangzhou", table): "failed" for table in ("fc_functions", *below("fc_functions"))}
    assert statuses == denied | dead | loop
    reasons = {(row.account_id, row.region_id, row.table): row for row in result.manifest.scopes.not_complete}
    assert reasons.keys() == statuses.keys()
    for account, region, table in denied:
        assert DEFAULT[root_of(table)].ram in reasons[account, region, table].error_message
    assert reasons[BIG, "cn-shanghai", "fc2_services"].error_code == "ConnectionFailed"
    assert "fc2_services" in reasons[BIG, "cn-shanghai", "fc2_instances"].error_message
    assert {reasons[scope].error_code for scope in loop} == {"TokenRepeated"}
    assert not (here.output / "_snapshots" / "LATEST").exists()
    there = {(row["account_id"], row["region_id"], t) for t in DEFAULT for row in here.rows(t)}
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
    assert file.path == part_path("fc_functions", result.snapshot_id, 0)
    schema = ds.dataset(here.output / file.path).schema
    assert schema.names == DEFAULT["fc_functions"].schema.names


def test_parts_have_about_the_configured_size(tmp_path, monkeypatch):
    monkeypatch.setattr(merge, "GROUP_BYTES", 256 * 1024)
    dice = Random(1)

    def enlarge(cloud):
        records = [{"functionName": f"f{n:03}", "description": dice.randbytes(5000).hex()} for n in range(600)]
        cloud.edit(BIG, "cn-hangzhou", "fc.ListFunctions", records)

    here, result = crawl_with(
        tmp_path,
        prepare=enlarge,
        change=lambda text: text.replace("[output]\n", '[output]\npart_size = "1MiB"\n'),
        tables='["fc_functions"]',
        regions='["cn-hangzhou"]',
    )
    files = result.manifest.tables["fc_functions"].files
    assert [file.path for file in files] == [
        part_path("fc_functions", result.snapshot_id, n) for n in range(len(files))
    ]
    sizes = [file.bytes for file in files]
    assert len(sizes) >= 3
    assert all(1024**2 <= size < 1.6 * 1024**2 for size in sizes[:-1])
    assert sizes[-1] < 1.6 * 1024**2
    wanted = len(here.cloud.records(SMALL, "cn-hangzhou", "fc.ListFunctions")) + 600
    assert len(here.rows("fc_functions")) == result.manifest.tables["fc_functions"].rows == wanted


def empty(cloud):
    for account in cloud.spec.accounts:
        for region in cloud.spec.regions:
            cloud.edit(account, region, "fc.ListFunctions", [])


def test_throttling_slows_and_loses_nothing(tmp_path):
    """F01."""
    limits = CloudSpec(rate=Rate(rate=5, burst=1), rates={"sts": FAST})
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
    """F15, T10."""

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
    """T28."""

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
    """T28."""

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
    """T19."""
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
    with pytest.raises(ConfigError, match=r"The TLS of 127.0.0.1:[0-9]+ isn't trusted"):
        anyio.run(main, other)


def test_a_clock_that_is_20_minutes_off_is_corrected_once(tmp_path):
    """F13."""

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
    """P10, P4."""

    def stall(cloud):
        cloud.faults.add(Throttle(retry_after_ms=600_000), account=SMALL, product="fc")

    here, result = crawl_with(tmp_path, prepare=stall, tables='["fc_functions"]', regions='["cn-shanghai"]', deadline=2)
    assert result.exit_code == 3
    assert scope_statuses(result).keys() == {(SMALL, "cn-shanghai", "fc_functions")}
    assert len(here.rows("fc_functions")) == len(here.cloud.records(BIG, "cn-shanghai", "fc.ListFunctions"))


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
    """P4."""
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
        (b'{"Code": "AccessDenied", "Message": "not authorized to perform this", "functions": []}', "AccessDenied"),
    ],
)
def test_an_odd_answer_is_a_reason_and_never_zero_rows(tmp_path, body, code):
    """F22, F23."""
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
    """F41."""
    refusal = Error(status=403, code="AccessDenied", message="FC service is not enabled for current user.")
    here, result = crawl_with(
        tmp_path,
        prepare=lambda cloud: cloud.faults.add(refusal, account=SMALL, product="fc-open"),
        tables='["fc2_*"]',
        regions='["cn-shanghai"]',
    )
    assert result.exit_code == 0
    assert result.manifest.tables.keys() == set(tables_of("fc-open"))
    assert scope_statuses(result) == {(SMALL, "cn-shanghai", table): "unsupported" for table in tables_of("fc-open")}
    assert (here.output / "_snapshots" / "LATEST").exists()


def test_a_full_limit_only_list_is_truncated_and_its_rows_are_there(tmp_path):
    """P4, P6."""
    cloud = fast_cloud(accounts=(BIG,), first_function_instances=1000)
    _, result = crawl_with(tmp_path, cloud=cloud, tables='["fc2_instances"]', regions='["cn-hangzhou"]')
    assert result.exit_code == 3
    [reason] = result.manifest.scopes.not_complete
    assert (reason.table, reason.status) == ("fc2_instances", "truncated")
    assert result.manifest.tables["fc2_instances"].rows >= 1000


def test_a_page_that_broke_on_its_way_is_asked_for_again(tmp_path):
    """F11."""

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
    functions = [here.cloud.records(account, "cn-hangzhou", "fc.ListFunctions") for account in (BIG, SMALL)]
    assert len(here.rows("fc_functions")) == sum(map(len, functions))
    assert [rule.fired for rule in here.cloud.faults.rules] == [2, 1]
    assert result.requests.retries > 0


def test_a_list_whose_total_is_too_large_is_unstable(tmp_path):
    """F37."""

    def lie(cloud):
        cloud.faults.add(PageFault(total=10**12), account=SMALL, action="ListAppGroups")

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
            other = await FolderDestination.begin(here.output, "20260101T000000Z-0000", now)
            try:
                with pytest.raises(OutputBusyError):
                    await here.crawl()
            finally:
                await other.abandon()
            assert here.cloud.requests.count() == 0

    anyio.run(main)


def test_secrets_kept_are_marked_and_warned_of(tmp_path):
    """P14, T01."""
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
    """T09."""

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
    pairs = {
        (value, nights[first.snapshot_id][account, record["functionName"]][name])
        for account in here.cloud.spec.accounts
        for record in here.cloud.records(account, "cn-shanghai", "fc.ListFunctions")
        for name, value in (record.get("environmentVariables") or {}).items()
        if value
    }
    assert len(pairs) > 10
    assert len({secret for secret, _ in pairs}) == len({written for _, written in pairs}) == len(pairs)
    assert all(written.startswith("hmac:") for _, written in pairs)


def test_a_new_field_is_kept_counted_and_hidden(tmp_path):
    """T08."""

    def add_field(cloud):
        records = cloud.records(BIG, "cn-shanghai", "fc.ListFunctions")
        changed = [{**record, "brandNew": {"flag": True, "text": "canary-in-a-new-field"}} for record in records]
        cloud.edit(BIG, "cn-shanghai", "fc.ListFunctions", changed)

    here, result = crawl_with(tmp_path, prepare=add_field, tables='["fc_functions"]', regions='["cn-shanghai"]')
    changed = here.cloud.records(BIG, "cn-shanghai", "fc.ListFunctions")
    assert result.unknown_fields == {"fc_functions": {"brandNew": len(changed)}}
    extras = [json.loads(row["_extra"]) for row in here.rows("fc_functions") if row["account_id"] == BIG]
    assert len(extras) == len(changed) > 0
    assert all(extra["brandNew"]["flag"] is True for extra in extras)
    assert all(extra["brandNew"]["text"].startswith("hmac:") for extra in extras)
