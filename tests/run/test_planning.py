"""P33, F135: the plan of a run says what is the same for all its processes, and has nothing that nobody may read."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from crawler.client.rate_limit import LimitRule
from crawler.clock import SystemClock
from crawler.emulator import CloudOrganization, Deny
from crawler.errors import ConfigError, CredentialsError, ExitCode, unwrap_group
from crawler.run import balance
from crawler.run.plan import make_plan
from crawler.run.planning import RunSize, check_run_conditions, in_run, plan_run, shared_rules
from crawler.run.session import open_session
from crawler.snapshot.layout import moved_id
from crawler.snapshot.shards.documents import decode_plan, encode
from tests.support.crawl_runner import FAST, fast_cloud
from tests.support.object_stores import KEY_ID, KEY_SECRET
from tests.support.secret_sweep import Sweep
from tests.support.shared_crawls import KEY, many_accounts, shared_output
from tests.support.snapshot_fakes import NEW, START

TABLES = ["fc_*", "opensearch_*"]


def organized(members=6, **odd):
    accounts = tuple(str(10**15 + n) for n in range(1, members + 2))
    rates = {"sts": FAST, "resourcedirectory": FAST}
    return fast_cloud(
        accounts=accounts, regions=("cn-shanghai",), rates=rates, organization=CloudOrganization(**odd), is_wide=True
    )


@pytest.fixture
async def output(tmp_path):
    async with shared_output("folder", tmp_path, many_accounts(8, 2)) as found:
        yield found


@pytest.fixture
async def organization(tmp_path):
    async with shared_output("folder", tmp_path, organized(9, without_role=(str(10**15 + 3),))) as found:
        yield found


async def plan(output, config=None, size=None, ledger=()):
    prepared = output.prepared(config)
    try:
        async with open_session(prepared.resolved, prepared.system) as session:
            return await plan_run(prepared, session, KEY, size or RunSize(2), (NEW, START), ledger)
    except BaseExceptionGroup as group:
        raise unwrap_group(group) from None


async def plan_of_one(output, config=None):
    prepared = output.prepared(config)
    async with open_session(prepared.resolved, prepared.system) as session:
        return await make_plan(session)


def targets(found):
    """(account, region) → tables, of all shards."""
    each = [entry for shard in range(found.shard_count) for entry in found.targets(shard)]
    whole = {(account.id, region): tables for account, region, tables in each}
    assert len(whole) == len(each), "each target is in one shard"
    return whole


def same(found, one):
    assert targets(found) == {(each.target.account_id, each.target.region_id): each.tables for each in one.targets}
    assert found.plan_sha256 == one.sha256
    assert found.directory == one.membership.directory
    assert tuple(found.left_out) == one.membership.left_out
    assert found.not_offered == {key: list(regions) for key, regions in one.not_offered.items()}


# --- what it has ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [RunSize(1), RunSize(2), RunSize(4, 4), RunSize(16, 16)])
async def test_the_targets_are_those_of_one_process(output, size):
    config = output.config(tables=TABLES)
    found = await plan(output, config, size)
    same(found, await plan_of_one(output, config))
    assert found.tables == sorted(found.tables, key=list(found.tables).index)
    assert decode_plan(encode(found), "plan.json") == found
    assert found.at_once == min(size.workers, found.shard_count)


async def test_regions_that_a_product_lacks_are_told_as_by_one_process(tmp_path):
    async with shared_output("folder", tmp_path, fast_cloud()) as output:
        config = output.config(tables=TABLES, regions=["cn-hangzhou", "cn-shanghai"])
        found = await plan(output, config)
        same(found, await plan_of_one(output, config))
    assert found.not_offered == {"opensearch": ["cn-shanghai"]}


async def test_an_account_that_is_too_large_is_split_by_region(output, monkeypatch):
    one = await plan_of_one(output)
    monkeypatch.setattr(balance, "LARGEST_S", 0.001)
    found = await plan(output, size=RunSize(16, 16))
    same(found, one)
    assert all(entry.regions is not None and len(entry.regions) == 1 for shard in found.shards for entry in shard)


async def test_more_processes_than_accounts_have_empty_shards(output):
    found = await plan(output, size=RunSize(11, 11))
    assert found.shard_count == 11
    assert [len(shard) for shard in found.shards] == [1] * 8 + [0] * 3
    assert not any("would be idle" in warning for warning in found.warnings), "they were started already"


async def test_the_last_ledger_decides_which_shard_is_the_heaviest(output):
    result = await output.crawl()
    heavy = result.ledger
    rows = [row for row in heavy if row.account_id == "1000000000000005"]
    for row in rows:
        row.rows = row.rows_seen = 1_000_000
    others = [row for row in heavy if row.account_id != "1000000000000005"]
    found = await plan(output, size=RunSize(4, 4), ledger=[*others, *rows])
    [entry] = found.shards[0]
    assert found.accounts[entry.account].id == "1000000000000005"


async def test_only_as_many_accounts_are_identified_as_are_needed(output):
    """The planner of thousands of accounts isn't the process for which all others wait."""
    await plan(output)
    requests = output.cloud.cloud.requests
    assert requests.count(action="GetCallerIdentity") == 3
    assert requests.count(action="DescribeRegions") == 1
    assert requests.count(product="fc", action="ListFunctions") == 0


async def test_accounts_that_do_not_work_are_followed_by_others(output):
    config = output.config(change=lambda text: text.replace("{EMULATOR_KEY_SECRET_2}", "{EMULATOR_KEY_SECRET_3}"))
    found = await plan(output, config)
    assert output.cloud.cloud.requests.count(action="GetCallerIdentity") == 6
    same(found, await plan_of_one(output, config))


async def test_without_an_account_that_works_there_is_no_plan(output):
    config = output.config(change=lambda text: text.replace("{EMULATOR_KEY_SECRET_", "{EMULATOR_KEY_ID_"))
    with pytest.raises(CredentialsError, match="No account's credentials work") as told:
        await plan(output, config)
    assert told.value.exit_code == ExitCode.CREDENTIALS


async def test_members_are_planned_without_trying_all_their_roles(organization):
    found = await plan(organization)
    requests = organization.cloud.cloud.requests
    assert requests.count(action="ListAccounts") == 1
    assert requests.count(action="AssumeRole") == 6, "one of the first three has no such role"
    same(found, await plan_of_one(organization))
    assert Counter(account.is_member for account in found.accounts) == {True: 9, False: 1}
    assert found.directory.members == 9


async def test_a_member_without_the_role_is_in_the_ledger_of_a_run_as_of_one_process(organization):
    one = (await organization.crawl()).manifest
    result = await organization.shards(3)
    assert organization.ledger(result.manifest) == organization.ledger(one)
    assert result.manifest.directory == one.directory
    assert result.exit_code == 3
    assert organization.rows(result.manifest) == organization.rows(one)


async def test_a_directory_that_can_not_be_listed_makes_a_run_partial_as_a_crawl(organization):
    organization.cloud.cloud.faults.add(Deny(), action="ListAccounts")
    one = await organization.crawl()
    result = await organization.shards(2)
    assert (result.exit_code, result.manifest.status) == (one.exit_code, one.manifest.status) == (3, "partial")
    assert result.directory.status == one.directory.status == "denied"
    assert organization.ledger(result.manifest) == organization.ledger(one.manifest)


async def test_the_start_is_by_the_corrected_clock(output):
    clock = SystemClock()
    now = clock.now
    clock.now = lambda: now() - timedelta(minutes=20)
    output.clock = clock
    found = await plan(output)
    assert found.clock_skew_s == pytest.approx(1200, abs=5)
    assert found.started_at == START + timedelta(seconds=found.clock_skew_s)
    assert found.snapshot_id == moved_id(NEW, found.started_at)


async def test_the_deadline_is_that_of_the_whole_run(output):
    assert (await plan(output)).deadline_at is None
    found = await plan(output, output.config(deadline=7200))
    assert found.deadline_at == found.started_at + timedelta(hours=2)


# --- conditions ----------------------------------------------------------------------------------------------------


def replaced(old, new):
    def change(text):
        assert old in text
        return text.replace(old, new)

    return change


OUTPUT = "[output]\n"
DIFFERENCES = [
    ({"tables": ["fc_functions"]}, str, "", "[crawl] tables"),
    ({"regions": ["cn-hangzhou"]}, str, "", "set of accounts or regions"),
    ({"details": ["fc_functions"]}, str, "", "[crawl] details"),
    ({}, replaced(OUTPUT, f'{OUTPUT}secrets = "keep"\n'), "", "[output] secrets"),
    ({}, replaced(OUTPUT, f'{OUTPUT}unknown = "keep"\n'), "", "[output] unknown"),
    ({}, replaced(OUTPUT, f'{OUTPUT}fingerprint_scope = "all"\n'), "", "[output] fingerprint_scope"),
    ({}, replaced('"${ACS_INVENTORY_DEMO_KEY}"', '"another-key-of-32-characters-and-more"'), "", "fingerprint key"),
    ({}, str, '\n[opensearch]\nfunctions = ["ctr"]\n', "[opensearch] functions"),
    ({}, replaced("fc-open = {", "opensearch = { rate = 1, burst = 1 }\nfc-open = {"), "", "[rate_limits]"),
    ({}, replaced('sts = "http://127.0.0.1', 'sts = "http://localhost'), "", "[endpoints]"),
    ({}, str, '\n[organization]\nrole_name = "auditor"\n', "[organization]"),
    ({}, lambda text: text[: text.index("[[accounts]]\nid = \"1000000000000008\"")] + text[text.index("[endpoints]") :],
     "", "set of accounts or regions"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "change", "more", "name"), DIFFERENCES)
async def test_a_process_with_another_configuration_is_refused_by_the_name_of_the_difference(
    output, keys, change, more, name
):
    """F135."""
    found = await plan(output)
    other = output.config(more, change, **keys)
    with pytest.raises(ConfigError) as told:
        check_run_conditions(found, output.prepared(other))
    assert told.value.exit_code == ExitCode.USAGE
    assert str(told.value).startswith(f"this process can't share the run '{KEY}' of snapshot {NEW}, which was planned ")
    assert f"another {name}" in str(told.value)
    assert "give all processes of a run one configuration and one version" in str(told.value)


async def test_another_version_is_refused(output, monkeypatch):
    """F135."""
    found = await plan(output)
    monkeypatch.setattr("crawler.run.plan.__version__", "0.0.1")
    with pytest.raises(ConfigError, match="another version of acs-inventory;"):
        check_run_conditions(found, output.prepared())


@pytest.mark.parametrize(
    ("keys", "change"),
    [
        ({"concurrency": 3}, str),
        ({"deadline": 3600}, str),
        ({"require_complete": True}, str),
        ({}, replaced("{EMULATOR_KEY_SECRET_2}", "{EMULATOR_KEY_SECRET_3}")),
    ],
)
async def test_what_each_process_may_have_by_itself_is_no_difference(output, keys, change):
    check_run_conditions(await plan(output), output.prepared(output.config(change=change, **keys)))


async def test_a_shard_with_another_configuration_asks_for_nothing(output):
    """F135."""
    await output.some_shards([0], 2)
    before = output.cloud.cloud.requests.count()
    with pytest.raises(ConfigError, match=r"another \[output\] secrets"):
        await output.shard(1, 2, config=output.config(change=replaced(OUTPUT, f'{OUTPUT}secrets = "keep"\n')))
    assert output.cloud.cloud.requests.count() == before
    assert (await output.shard(1, 2)).joined.exit_code == 0


# --- rates ---------------------------------------------------------------------------------------------------------


def test_limits_that_hold_for_the_asking_key_are_divided_and_the_others_are_whole():
    rules = {
        "default": LimitRule(10.0, 10),
        "sts": LimitRule(100.0, 90),
        "sts.AssumeRole": LimitRule(90.0, 5),
        "resourcedirectory": LimitRule(20.0, 20),
        "fc": LimitRule(100.0, 100),
        "fc.ListFunctions": LimitRule(30.0, 30),
        "stsx": LimitRule(7.0, 7),
    }
    divided = shared_rules(rules, 8)
    assert divided["sts"] == LimitRule(12.5, 11)
    assert divided["sts.AssumeRole"] == LimitRule(11.25, 1), "a bucket has at least one token"
    assert divided["resourcedirectory"] == LimitRule(2.5, 2)
    assert {key: rule for key, rule in divided.items() if "sts" not in key and "res" not in key} == {
        key: rule for key, rule in rules.items() if "sts" not in key and "res" not in key
    }
    assert divided["stsx"] == rules["stsx"]
    assert shared_rules(rules, 1) == rules


async def test_a_process_of_a_run_has_its_part_of_the_shared_limits(output):
    prepared = output.prepared()
    part = in_run(prepared, 4).resolved.limit_rules
    whole = prepared.resolved.limit_rules
    assert part["sts"].rate == whole["sts"].rate / 4
    assert part["fc"] == whole["fc"]


# --- secrets -------------------------------------------------------------------------------------------------------


def credentials(output):
    """Every access key, those of members among them, and the key of the fingerprints."""
    keys = [text for key in output.cloud.cloud.keys._keys.values() for text in (key.key_id, key.secret, key.token)]
    return [*filter(None, keys), "the-demo-has-no-secrets-to-protect"]


@pytest.mark.parametrize("kind", ["folder", "s3"])
async def test_nothing_secret_is_in_the_files_of_a_run(tmp_path, kind):
    """P33. Neither in the plan, nor in leases, reports, journals, parts and ledgers, in any usual encoding."""
    async with shared_output(kind, tmp_path, organized()) as output:
        await output.some_shards([0, 2], 4)
        await output.report(1, 4)
        needles = [*credentials(output), *([KEY_ID, KEY_SECRET] if output.uri else [])]
        assert len(needles) > 2 * 7 + 3, "members are reached by temporary keys"
        paths = [path for path in output.paths() if "/run-" in path]
        assert {path.rpartition(".")[2] for path in paths} >= {"json", "lease", "parquet"}
        sweep = Sweep(*needles)
        assert {path: found for path in paths if (found := sweep.found(output.read(path)))} == {}


async def test_a_plan_has_names_and_numbers_and_no_setting(output):
    """P33."""
    found = await plan(output)
    text = encode(found).decode()
    for secret in [*credentials(output), "EMULATOR_KEY", str(output.root), str(output.cloud.folder)]:
        assert secret not in text
    assert len(found.conditions["[endpoints]"]) == len(found.conditions["[rate_limits]"]) == 64
