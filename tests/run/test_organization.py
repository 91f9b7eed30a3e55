"""`[organization]`: the members found, crawled and skipped, their credentials, and the messages about them."""

from __future__ import annotations

import json
import re
from collections import Counter

import anyio
import pytest

from crawler.catalog import load_catalog
from crawler.cli.doctor_checks import run_checks
from crawler.config.resolve import DEFAULT_LIMITS, resolve_config
from crawler.emulator import Body, Cloud, CloudOrganization, CloudSpec, Deny, Error, PageFault, Refuse
from crawler.errors import ConfigError, CrawlError, CredentialsError, PaginationError
from crawler.run.organization import find_members
from crawler.run.resource_directory import Member, choose_members, list_members
from crawler.run.session import open_session
from crawler.run.system import System
from crawler.snapshot.manifest import SkippedMember
from crawler.testing import LoopClock
from tests.support.commands import acs_inventory, emulated
from tests.support.crawl_runner import FAST, scope_statuses, site

MANAGER = "1000000000000001"
NOT_ACTIVE = ("CreateVerifying", "CreateFailed", "CreateExpired", "CreateCancelled", "Suspended", "Removed")
HERE = {"tables": '["fc_functions"]', "regions": '["cn-shanghai"]'}
RETRY = "\n[retry]\nmax_attempts = 2\nmax_delay = 0.01\n"


def accounts(number):
    """The management account and so many members."""
    return tuple(str(int(MANAGER) + n) for n in range(number + 1))


def organized(members=4, *, clock=None, sts=FAST, **odd):
    """A cloud whose first account manages the others; `odd` sets the irregularities of some of them."""
    rates = {"sts": sts, "resourcedirectory": FAST}
    spec = CloudSpec(accounts=accounts(members), rate=FAST, rates=rates, organization=CloudOrganization(**odd))
    return Cloud(spec, clock)


def crawl_with(tmp_path, cloud, *, more="", change=str, pick=(), prepare=None, **crawl):
    """Crawl one table of one region: the site and the result."""

    async def main():
        async with site(tmp_path, cloud) as here:
            if prepare is not None:
                prepare(here.cloud)
            config = here.config(RETRY, change=lambda text: change(text) + more, **{**HERE, **crawl})
            return here, await here.crawl(config.with_overrides(accounts=pick))

    return anyio.run(main)


def rows_by_account(here):
    return Counter(row["account_id"] for row in here.rows("fc_functions"))


def functions_of(cloud, *account_ids):
    counted = {a: len(cloud.records(a, "cn-shanghai", "fc.ListFunctions")) for a in account_ids}
    return Counter({account_id: number for account_id, number in counted.items() if number})


def manifest_of(here):
    [path] = here.output.glob("_snapshots/*Z-????.json")
    return json.loads(path.read_text())


# The whole


A = accounts(8)
CONFIGURED, WELL, INVITED, NO_ROLE, DISTRUSTFUL, DELETING, UNBORN, EXCLUDED = A[1:]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One crawl of an organization in which everything comes up that can: the site and the result."""
    cloud = organized(
        8,
        statuses={INVITED: "InviteSuccess", UNBORN: "CreateVerifying"},
        deletions={DELETING: "Deleting", WELL: "CheckFailed"},
        without_role=(NO_ROLE,),
        distrustful=(DISTRUSTFUL,),
    )

    def configure(text):
        text = text.replace("[organization]", f'[organization]\nexclude = ["{EXCLUDED}"]')
        role = f'type = "ram_role_arn"\nrole_arn = "acs:ram::{CONFIGURED}:role/inventory-reader"\n'
        keys = re.search(r"^access_key_id.*\naccess_key_secret.*\n", text, re.MULTILINE)[0]
        return text + f'\n[[accounts]]\nid = "{CONFIGURED}"\n[accounts.credentials]\n{role}{keys}'

    return crawl_with(tmp_path_factory.mktemp("whole"), cloud, change=configure)


def test_every_active_member_is_crawled_beside_the_configured_accounts(whole):
    here, result = whole
    assert rows_by_account(here) == functions_of(here.cloud, MANAGER, CONFIGURED, WELL, INVITED)
    assert (result.exit_code, result.manifest.status) == (3, "partial")
    assert set(scope_statuses(result)) == {(a, "cn-shanghai", "fc_functions") for a in (NO_ROLE, DISTRUSTFUL)}


def test_a_member_whose_role_cannot_be_assumed_is_denied_with_the_code_and_the_role(whole):
    _, result = whole
    refused = {row.account_id: row for row in result.manifest.scopes.not_complete}
    assert {account: (row.status, row.error_code) for account, row in refused.items()} == {
        NO_ROLE: ("denied", "EntityNotExist.Role"),
        DISTRUSTFUL: ("denied", "NoPermission"),
    }
    for account, row in refused.items():
        assert f"acs:ram::{account}:role/inventory-reader" in row.error_message
    assert "sts:AssumeRole" in refused[DISTRUSTFUL].error_message


def test_members_that_are_not_active_or_are_excluded_are_left_out_with_their_reason(whole):
    here, result = whole
    manifest = manifest_of(here)
    assert manifest["left_out"] == [
        {"account_id": DELETING, "name": "member 6", "reason": result.left_out[0].reason},
        {"account_id": UNBORN, "name": "member 7", "reason": result.left_out[1].reason},
        {"account_id": EXCLUDED, "name": "member 8", "reason": "[organization] exclude names it."},
    ]
    assert "Deleting" in manifest["left_out"][0]["reason"]
    assert "CreateVerifying" in manifest["left_out"][1]["reason"]
    assert manifest["format"] == 2
    for account in (DELETING, UNBORN, EXCLUDED):
        assert here.cloud.requests.count(account=account) == 0
        assert account not in {row.account_id for row in result.ledger}


def test_the_manifest_says_how_the_directory_was_listed(whole):
    here, result = whole
    assert manifest_of(here)["directory"] == {
        "account_id": MANAGER,
        "status": "complete",
        "members": 8,
        "error_code": "",
        "error_message": "",
        "request_id": "",
    }
    assert result.overhead["directory"] == here.cloud.requests.count(product="resourcedirectory") == 1


def test_roles_are_assumed_by_who_asks_once_each_and_named_after_us(whole):
    here, result = whole
    requests = here.cloud.requests
    assert requests.count(action="AssumeRole", outcome="OK") == 3
    assert requests.count(action="AssumeRole") == requests.count(action="AssumeRole", account=MANAGER) == 5
    assert requests.count(action="GetCallerIdentity") == 4, "the manager, the configured role, two members"
    assert result.overhead["sts"] == 9
    sessions = {key.session for key in here.cloud.keys._keys.values() if key.role}
    assert sessions == {"acs-inventory"}


def test_an_organization_in_order_is_complete(tmp_path):
    here, result = crawl_with(tmp_path, organized())
    assert (result.exit_code, result.manifest.status, result.left_out) == (0, "complete", ())
    assert rows_by_account(here) == functions_of(here.cloud, *accounts(4))
    assert (here.output / "_snapshots" / "LATEST").read_text().strip() == result.snapshot_id


def test_a_configured_member_keeps_its_own_regions_and_the_others_have_all(tmp_path):
    def configure(text):
        keys = re.search(r"^\[accounts.credentials\]\n(.*\n){3}", text, re.MULTILINE)[0]
        role = f'"ram_role_arn"\nrole_arn = "acs:ram::{accounts(2)[1]}:role/inventory-reader"'
        own = f'\n[[accounts]]\nid = "{accounts(2)[1]}"\nregions = ["ap-southeast-1"]\n'
        return text + own + keys.replace('"access_key"', role)

    regions = '["cn-shanghai", "ap-southeast-1"]'
    _, result = crawl_with(tmp_path, organized(2), change=configure, regions=regions)
    assert result.exit_code == 0
    manager, configured, member = accounts(2)
    assert Counter(row.account_id for row in result.ledger) == {manager: 2, configured: 1, member: 2}


def test_a_delegated_administrator_may_ask_and_is_itself_a_member(tmp_path):
    delegate = accounts(2)[1]

    def configure(text):
        text = text.replace(f'id = "{MANAGER}"', f'id = "{delegate}"')
        return text.replace("EMULATOR_KEY_ID_1", "DELEGATE_ID").replace("EMULATOR_KEY_SECRET_1", "DELEGATE_SECRET")

    async def main():
        async with site(tmp_path, organized(2, delegates=(delegate,))) as here:
            key_id, secret = here.cloud.credentials(delegate)
            plain = lambda text: configure(text).replace("${DELEGATE_ID}", key_id).replace("${DELEGATE_SECRET}", secret)  # noqa: E731
            return here, await here.crawl(here.config(change=plain, **HERE))

    here, result = anyio.run(main)
    assert (result.exit_code, result.directory.account_id, result.directory.members) == (0, delegate, 2)
    assert rows_by_account(here) == functions_of(here.cloud, *accounts(2)[1:])


def test_a_member_whose_token_expires_gets_another_one(tmp_path):
    cloud, member = organized(1), accounts(1)[1]
    expired = Error(status=400, code="InvalidSecurityToken.Expired")
    here, result = crawl_with(
        tmp_path, cloud, prepare=lambda c: c.faults.add(expired, account=member, action="ListFunctions", times=1)
    )
    assert result.exit_code == 0
    assert rows_by_account(here) == functions_of(cloud, *accounts(1))
    assert cloud.requests.count(action="AssumeRole", outcome="OK") == 2


# Faults of the directory


DIRECTORY_FAULTS = {
    "denied": (Deny(), "denied", "Forbidden.RAM", "resourcemanager:ListAccounts"),
    "unreachable": (Refuse(), "failed", "ConnectionFailed", "no answer|closed|connection"),
    "no directory": (Error(status=404, code="EntityNotExists.ResourceDirectory"), "failed", "EntityNotExists", "error"),
    "loop": (
        Body(body=json.dumps({"Accounts": {"Account": [{"AccountId": "7"}] * 100}, "TotalCount": 300}).encode()),
        "failed",
        "PageRepeated",
        "loops",
    ),
    "no list": (Body(body=b'{"TotalCount": 3}'), "failed", "ListMissing", "no list"),
    "no page": (Body(body=b"[]"), "failed", "InvalidResponse", "not a JSON object"),
    "cut": (Body(body=b'{"Accounts": {"Acc'), "failed", "InvalidResponse", "JSON"),
    "no ID": (
        Body(body=b'{"Accounts": {"Account": [{"AccountId": "7/../8"}]}, "TotalCount": 1}'),
        "failed",
        "MemberInvalid",
        "account ID",
    ),
}


@pytest.mark.parametrize("fault", DIRECTORY_FAULTS)
def test_a_directory_that_cannot_be_listed_is_said_and_the_configured_accounts_go_on(tmp_path, fault):
    effect, status, code, reason = DIRECTORY_FAULTS[fault]
    cloud = organized()
    here, result = crawl_with(tmp_path, cloud, prepare=lambda c: c.faults.add(effect, product="resourcedirectory"))
    assert (result.exit_code, result.manifest.status) == (3, "partial")
    assert scope_statuses(result) == {}, "the configured account's own scope is complete"
    assert rows_by_account(here) == functions_of(cloud, MANAGER)
    assert cloud.requests.count(action="AssumeRole") == 0
    directory = manifest_of(here)["directory"]
    assert (directory["account_id"], directory["status"], directory["members"]) == (MANAGER, status, 0)
    assert directory["error_code"].startswith(code)
    assert re.search(reason, directory["error_message"])
    assert "The resource directory can't be listed" in directory["error_message"]
    assert not (here.output / "_snapshots" / "LATEST").exists()


def test_require_complete_commits_nothing_without_the_members(tmp_path):
    _, result = crawl_with(
        tmp_path, organized(), prepare=lambda c: c.faults.add(Deny(), action="ListAccounts"), require_complete=True
    )
    assert (result.exit_code, result.manifest) == (1, None)
    assert result.directory.status == "denied"


def test_a_total_that_promises_more_members_is_unstable_and_those_seen_are_crawled(tmp_path):
    cloud = organized()
    here, result = crawl_with(
        tmp_path, cloud, prepare=lambda c: c.faults.add(PageFault(total=99), action="ListAccounts")
    )
    assert (result.exit_code, result.directory.status, result.directory.members) == (3, "unstable", 4)
    assert "total said 99, had 4" in result.directory.error_message
    assert rows_by_account(here) == functions_of(cloud, *accounts(4))


def test_who_asks_having_no_credentials_leaves_the_other_configured_accounts(tmp_path):
    def configure(text):
        other = re.search(r"^\[\[accounts\]\](.*\n)+?(?=\n)", text, re.MULTILINE)[0]
        broken = text.replace("${EMULATOR_KEY_SECRET_1}", "wrong")
        return f"{broken}\n{other.replace(MANAGER, accounts(2)[1]).replace('_1}', '_2}')}"

    async def main():
        async with site(tmp_path, organized(2)) as here:
            key_id, secret = here.cloud.credentials(accounts(2)[1])

            def change(text):
                text = configure(text)
                return text.replace("${EMULATOR_KEY_ID_2}", key_id).replace("${EMULATOR_KEY_SECRET_2}", secret)

            return here, await here.crawl(here.config(change=change, **HERE))

    here, result = anyio.run(main)
    assert result.exit_code == 3
    assert (result.directory.status, result.directory.error_code) == ("failed", "InvalidCredentials")
    assert rows_by_account(here) == functions_of(here.cloud, accounts(2)[1])
    assert here.cloud.requests.count(product="resourcedirectory") == 0


def test_no_account_that_works_is_the_credentials_error_that_it_was(tmp_path):
    with pytest.raises(CredentialsError, match="No account's credentials work"):
        crawl_with(tmp_path, organized(), change=lambda text: text.replace("${EMULATOR_KEY_SECRET_1}", "wrong"))


def test_sts_out_of_reach_fails_the_members_and_denies_them_nothing(tmp_path):
    cloud = organized(2)
    here, result = crawl_with(tmp_path, cloud, prepare=lambda c: c.faults.add(Refuse(), action="AssumeRole"))
    assert result.exit_code == 3
    refused = {(row.account_id, row.status, row.error_code) for row in result.manifest.scopes.not_complete}
    assert refused == {(account, "failed", "Unreachable") for account in accounts(2)[1:]}
    assert rows_by_account(here) == functions_of(cloud, MANAGER)


def test_a_name_from_the_directory_steers_no_terminal(tmp_path):
    """T26."""

    def rename(cloud):
        cloud.directory.members[0]["DisplayName"] = "\x1b[31mred\nlast " + "x" * 400
        cloud.directory.members[0]["Status"] = "CreateFailed"

    here, result = crawl_with(tmp_path, organized(1), prepare=rename)
    [left] = result.left_out
    assert left.name.startswith("\\x1b[31mred\\nlast xx")
    assert len(left.name) == 256
    assert manifest_of(here)["left_out"][0]["name"] == left.name


# One member


def test_a_member_can_be_picked_and_who_asks_is_not_crawled_then(tmp_path):
    cloud, member = organized(), accounts(4)[2]
    here, result = crawl_with(tmp_path, cloud, pick=[member])
    assert (result.exit_code, result.left_out) == (0, ())
    assert rows_by_account(here) == functions_of(cloud, member)
    assert cloud.requests.count(action="AssumeRole") == 1


def test_configured_accounts_picked_need_no_directory(tmp_path):
    here, result = crawl_with(tmp_path, organized(), pick=[MANAGER])
    assert (result.exit_code, result.directory) == (0, None)
    assert here.cloud.requests.count(product="resourcedirectory") == 0


@pytest.mark.parametrize(
    ("picked", "fault", "kind", "reason"),
    [
        ("77", None, ConfigError, "--account: '77' is neither configured nor a member of the resource directory"),
        (accounts(4)[4], None, ConfigError, "No account is left to crawl.*Deleting"),
        (accounts(4)[2], Deny(), CrawlError, "The resource directory can't be listed.*resourcemanager:ListAccounts"),
    ],
)
def test_a_picked_member_that_cannot_be_crawled_is_a_sentence(tmp_path, picked, fault, kind, reason):
    def prepare(cloud):
        if fault is not None:
            cloud.faults.add(fault, action="ListAccounts")

    with pytest.raises(kind, match=reason) as caught:
        crawl_with(tmp_path, organized(deletions={accounts(4)[4]: "Deleting"}), pick=[picked], prepare=prepare)
    assert type(caught.value) is kind
    assert not list((tmp_path / "snapshots").glob("_snapshots/*"))


# Many members


async def membership(tmp_path, cloud, *, change=str):
    """The session and the members that it finds, without a crawl."""
    async with site(tmp_path, cloud) as here:
        config = here.config(change=change, **HERE)
        surroundings = System(clock=cloud.clock, environ={}, home=tmp_path)
        async with open_session(resolve_config(config), surroundings) as session:
            identities = await session.identify()
            return session, await find_members(session, identities)


@pytest.mark.parametrize("number", [0, 99, 100, 101, 230])
async def test_every_page_of_the_directory_is_read(tmp_path, number):
    cloud = organized(number)
    session, found = await membership(tmp_path, cloud)
    assert [identity.account.id for identity in found.identities] == list(accounts(number)[1:])
    assert all(identity.refusal is None for identity in found.identities)
    assert (found.directory.status, found.directory.members) == ("complete", number)
    sizes = {entry.query["PageSize"] for entry in cloud.requests.entries if entry.product == "resourcedirectory"}
    assert sizes == {"100"}
    once = number < 100
    assert session.overhead["directory"].requests == (1 if once else 2 * (number // 100 + 2 - (number % 100 == 0)))


async def test_a_smaller_largest_page_is_asked_for_where_the_directory_has_one(tmp_path):
    cloud = organized(70)
    cloud.faults.add(PageFault(caps=20), product="resourcedirectory")
    _, found = await membership(tmp_path, cloud)
    assert (found.directory.status, len(found.identities)) == ("complete", 70)


async def test_a_directory_that_never_stands_still_is_unstable(tmp_path):
    cloud = organized(150)
    late = cloud.directory.members[:40]
    del cloud.directory.members[:40]
    read = cloud.directory.page

    def growing(*request):
        page = read(*request)
        if late:
            cloud.directory.members.insert(0, late.pop())
        return page

    cloud.directory.page = growing
    _, found = await membership(tmp_path, cloud)
    assert found.directory.status == "unstable"


@pytest.mark.looptime
async def test_three_hundred_members_are_paced_below_what_sts_allows(tmp_path):
    """F17: the limits in force without a configuration, against the emulated cloud's own 100 per second."""

    def unlimited(text):
        return re.sub(r"^sts = \{.*\n", "", text, flags=re.MULTILINE)

    cloud = organized(300, clock=LoopClock(), sts=CloudSpec().rate_of("sts", "AssumeRole"))
    began_s = anyio.current_time()
    session, found = await membership(tmp_path, cloud, change=unlimited)
    assert [identity.refusal for identity in found.identities] == [None] * 300
    assert session.client.total.throttled == cloud.requests.count(outcome="Throttling.User") == 0
    assert cloud.requests.count(action="AssumeRole") == 300
    assert cloud.requests.count(action="GetCallerIdentity") == 301, "one a credential"
    rule = DEFAULT_LIMITS["sts"]
    assert anyio.current_time() - began_s >= (301 - rule.burst) / rule.rate
    times = [entry.monotonic_s for entry in cloud.requests.entries if entry.action == "AssumeRole"]
    assert max(sum(at <= other < at + 1 for other in times) for at in times) <= rule.rate + rule.burst


# The choice of members


@pytest.mark.parametrize(
    ("status", "deletion", "is_left_out"),
    [
        *((status, "", False) for status in ("CreateSuccess", "InviteSuccess", "PromoteSuccess", "PromoteVerifying")),
        *((status, "", False) for status in ("PromoteFailed", "PromoteExpired", "PromoteCancelled")),
        *((status, "", True) for status in NOT_ACTIVE),
        *(("CreateSuccess", deletion, False) for deletion in ("Checking", "CheckFailed", "DeleteFailed")),
        ("CreateSuccess", "Deleting", True),
        ("", "", False),
        ("NobodyKnowsThisOne", "", False),
    ],
)
def test_only_a_status_that_says_so_leaves_a_member_out(status, deletion, is_left_out):
    chosen, left_out = choose_members([Member("2", "two", status, deletion)], [], [], "all")
    assert (len(chosen), len(left_out)) == ((0, 1) if is_left_out else (1, 0))
    assert all(
        (left.account_id, left.name) == ("2", "two") and (deletion or status) in left.reason for left in left_out
    )


def test_configured_accounts_are_neither_chosen_nor_left_out():
    members = [Member(str(number), status="CreateFailed" if number == 1 else "") for number in range(1, 6)]
    chosen, left_out = choose_members(members, ["1"], ["2", "9"], "all")
    assert [member.account_id for member in chosen] == ["3", "4", "5"]
    assert left_out == [SkippedMember("2", "", "[organization] exclude names it.")]
    assert choose_members(members, ["1"], ["2"], ["4", "1"]) == ([Member("4")], [])


class OnePage:
    """A client that answers with one body."""

    def __init__(self, body):
        self.body = body

    def channel(self, *names):
        return names

    async def call(self, request, caller, channel, read, tally):
        return read(self.body)


async def read_members(body):
    from crawler.client.client import RequestCounts, SignedAccount

    return await list_members(OnePage(body), SignedAccount(MANAGER, None), RequestCounts())


async def test_the_documented_sample_is_read():
    """The reference's own answer, in which the total counts one member more than there is."""
    sample = {
        "TotalCount": 1,
        "RequestId": "7B8A4E7D-6CFF-471D-84DF-195A7A241ECB",
        "PageSize": 5,
        "PageNumber": 1,
        "Accounts": {
            "Account": [
                {
                    "Status": "CreateSuccess",
                    "Type": "ResourceAccount",
                    "DisplayName": "test",
                    "FolderId": "fd-QRzuim0000",
                    "JoinTime": "2021-01-18T08:01:50.522Z",
                    "AccountId": "1817610956900000",
                    "JoinMethod": "created",
                    "DeletionStatus": "Checking",
                    "Tags": {"Tag": [{"Key": "tag_key", "Value": "tag_value"}]},
                }
            ]
        },
    }
    listing = await read_members(json.dumps(sample).encode())
    assert listing.members == (Member("1817610956900000", "test", "CreateSuccess", "Checking"),)
    assert (listing.status, listing.note) == ("complete", "page-number")


@pytest.mark.parametrize(
    ("record", "member"),
    [
        ('{"AccountId": 17}', Member("17")),
        ('{"accountId": "17", "displayName": null, "status": 3}', Member("17", status="3")),
    ],
)
async def test_other_spellings_are_read(record, member):
    listing = await read_members(f'{{"accounts": {{"account": [{record}]}}, "totalCount": "1"}}'.encode())
    assert listing.members == (member,)


@pytest.mark.parametrize(
    "record", ["{}", '"17"', "null", '{"AccountId": "1 7"}', '{"AccountId": true}', '{"AccountId": 1.5}']
)
async def test_a_member_without_an_account_id_is_an_error_and_not_left_out(record):
    with pytest.raises(PaginationError, match="MemberInvalid"):
        await read_members(f'{{"Accounts": {{"Account": [{record}]}}, "TotalCount": 1}}'.encode())


# The commands


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """The configuration of an `emulate --organization`: one member has no role, another is being deleted."""
    folder = tmp_path_factory.mktemp("commands")
    with emulated(folder, options=["--organization"]) as config:
        yield config


def test_plan_shows_the_members_the_refused_and_the_left_out(commands, tmp_path):
    code, out, err = acs_inventory("plan", "--config", commands, "--table", "fc_functions", "--json", cwd=tmp_path)
    assert code == 0, err
    plan = json.loads(out)
    refusals = {entry["account_id"]: entry["refusal"] for entry in plan["accounts"]}
    assert [account for account, refusal in refusals.items() if refusal] == [accounts(4)[3]]
    assert refusals[accounts(4)[3]].startswith("EntityNotExist.Role: ")
    assert [entry["account_id"] for entry in plan["left_out"]] == [accounts(4)[4]]
    assert (plan["directory"]["status"], plan["directory"]["members"]) == ("complete", 4)
    assert plan["discovery_requests"] == {"sts": 6, "regions": 1, "directory": 1}
    _, text, _ = acs_inventory("plan", "--config", commands, "--table", "fc_functions", cwd=tmp_path)
    assert re.search(rf"{accounts(4)[4]} +member 4 +It isn't active", text)


def test_crawl_and_snapshots_show_say_who_is_left_out(commands, tmp_path):
    options = ["--table", "fc_functions", "--region", "cn-shanghai"]
    code, out, _ = acs_inventory("crawl", "--config", commands, *options, "--json", cwd=tmp_path)
    summary = json.loads(out)
    assert (code, summary["directory"]["members"]) == (3, 4)
    assert [entry["account_id"] for entry in summary["left_out"]] == [accounts(4)[4]]
    _, text, _ = acs_inventory("crawl", "--config", commands, *options, cwd=tmp_path)
    assert re.search(rf"{accounts(4)[4]} +member 4 +It isn't active", text)
    place = rf"member 3 \({accounts(4)[3]}\) in cn-shanghai"
    cause = rf"^denied +EntityNotExist.Role: .*\n(?: .*\n)* +{place} *\n +fc_functions *$"
    assert re.search(cause, text, re.MULTILINE)
    _, shown, _ = acs_inventory("snapshots", "show", "--output", "snapshots", cwd=tmp_path)
    assert re.search(rf"{accounts(4)[4]} +member 4 +It isn't active", shown)


def test_policy_adds_what_the_account_that_asks_needs(commands, tmp_path):
    code, out, _ = acs_inventory("policy", "--config", commands, cwd=tmp_path)
    chosen = [argument for pattern in load_catalog().all_patterns for argument in ("--table", pattern)]
    _, alone, _ = acs_inventory("policy", *chosen, cwd=tmp_path)
    assert code == 0
    first, *more = json.loads(out)["Statement"]
    assert [first] == json.loads(alone)["Statement"]
    assert more == [
        {"Effect": "Allow", "Action": ["resourcemanager:ListAccounts"], "Resource": "*"},
        {"Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": ["acs:ram:*:*:role/inventory-reader"]},
    ]


def test_doctor_names_the_members_that_cannot_be_entered_with_a_remedy(commands, tmp_path):
    text = re.sub(r"^tables = .*", 'tables = ["fc_functions"]', commands.read_text(), flags=re.MULTILINE)
    (tmp_path / "one.toml").write_text(text)
    (tmp_path / "one.toml").chmod(0o600)
    code, out, _ = acs_inventory("doctor", "--config", "one.toml", "--json", cwd=tmp_path)
    assert code == 1
    findings = {finding["subject"]: finding for finding in json.loads(out)}
    assert "lists 4 members; 3 will be crawled" in findings["resource directory"]["seen"]
    assert "assumed in 2 of 3" in findings["members"]["seen"]
    wrong = [finding for finding in findings.values() if not finding["is_well"]]
    assert [finding["subject"] for finding in wrong] == [f"member member 3 ({accounts(4)[3]})"]
    assert wrong[0]["remedy"].startswith("Create the role inventory-reader in this account")
    assert "skipped" in findings[f"member member 4 ({accounts(4)[4]})"]["seen"]
    assert f"fc_functions in member 1 ({accounts(4)[1]}) cn-hangzhou" in findings
    assert f"fc_functions in member 2 ({accounts(4)[2]}) cn-hangzhou" not in findings, "one member stands for all"


MEMBER = f"member member 1 ({accounts(2)[1]})"
REMEDIES = {
    "denied": (Deny(), "ListAccounts", "resource directory", "Allow resourcemanager:ListAccounts"),
    "unreachable": (Refuse(), "ListAccounts", "resource directory", "Check the network"),
    "no directory": (
        Error(status=404, code="EntityNotExists.ResourceDirectory"),
        "ListAccounts",
        "resource directory",
        "Set [organization] account to the directory's management account",
    ),
    "defective": (Body(body=b"{}"), "ListAccounts", "resource directory", "Fix account 1000000000000001 first"),
    "unstable": (PageFault(total=9), "ListAccounts", "resource directory", "Try again when"),
    "no permission": (
        Error(status=403, code="NoPermission"),
        "AssumeRole",
        MEMBER,
        "Allow sts:AssumeRole for the credentials of account 1",
    ),
    "odd answer": (Error(status=400, code="InvalidParameter"), "AssumeRole", MEMBER, "Look up the code"),
}


@pytest.mark.parametrize("fault", REMEDIES)
async def test_doctor_says_what_to_do_about_the_directory(tmp_path, fault):
    effect, action, subject, remedy = REMEDIES[fault]
    async with site(tmp_path, organized(2)) as here:
        here.cloud.faults.add(effect, action=action)
        findings = await run_checks(here.config(RETRY, **HERE), here.surroundings())
    found = {finding.subject: finding for finding in findings}
    assert found[subject].remedy.startswith(remedy)
    assert found[f"account {MANAGER}"].is_well


def test_a_directory_that_cannot_be_listed_is_on_the_screen_and_exit_3(tmp_path):
    fault = '[[rules]]\neffect = "deny"\naction = "ListAccounts"\n'
    with emulated(tmp_path, fault, options=["--organization"]) as config:
        options = ["--table", "fc_functions", "--region", "cn-shanghai"]
        code, out, err = acs_inventory("crawl", "--config", config, *options, cwd=tmp_path)
    assert code == 3
    assert "denied Forbidden.RAM: The resource directory can't be listed, so its members aren't crawled" in out
    assert "directory_not_listed" in err
    _, shown, _ = acs_inventory("snapshots", "show", "--output", "snapshots", cwd=tmp_path)
    assert "The resource directory can't be listed" in shown


# Names


def test_names_of_members_are_in_ledger_and_manifest(tmp_path):
    _, result = crawl_with(
        tmp_path, organized(), change=lambda text: text.replace(f'id = "{MANAGER}"', f'id = "{MANAGER}"\nname = "root"')
    )
    names = {row.account_id: row.account_name for row in result.ledger}
    assert names == {MANAGER: "root", **{account: f"member {n}" for n, account in enumerate(accounts(4)[1:], 1)}}
    assert result.manifest.account_names == names
    assert [entry.source for entry in result.manifest.accounts] == ["configured", *["member"] * 4]


def test_a_member_is_picked_by_its_name(tmp_path):
    cloud, member = organized(), accounts(4)[2]
    here, result = crawl_with(tmp_path, cloud, pick=["member 2"])
    assert result.exit_code == 0
    assert rows_by_account(here) == functions_of(cloud, member)
    assert result.manifest.selection.options == "--account member 2"


@pytest.mark.parametrize(
    ("picked", "names", "reason"),
    [
        ("membr 2", {}, "'membr 2' is neither configured nor a member of the resource directory; did you mean"),
        ("twin", {0: "twin", 1: "twin"}, "'twin' is the name of the members [0-9]+ and [0-9]+; give one of the IDs"),
    ],
)
def test_a_name_that_no_member_or_several_have_is_a_sentence(tmp_path, picked, names, reason):
    def rename(cloud):
        for number, name in names.items():
            cloud.directory.members[number]["DisplayName"] = name

    with pytest.raises(ConfigError, match=reason):
        crawl_with(tmp_path, organized(), pick=[picked], prepare=rename)


def test_a_member_that_is_configured_under_another_name_is_not_entered_by_its_role(tmp_path):
    member = accounts(4)[2]
    other = f'\n[[accounts]]\nid = "{member}"\nname = "mine"\n'
    with pytest.raises(ConfigError, match=f"'member 2' is the member {member}, which .* has under another name"):
        crawl_with(tmp_path, organized(), more=other, pick=["member 2"])


def test_a_hostile_name_of_a_member_is_escaped_in_the_ledger(tmp_path):
    """T26."""

    def rename(cloud):
        cloud.directory.members[0]["DisplayName"] = "\x1b[31mred\nlast"

    _, result = crawl_with(tmp_path, organized(1), prepare=rename)
    assert result.manifest.account_names[accounts(1)[1]] == "\\x1b[31mred\\nlast"
