"""The resource directory: pages by number and by token, permissions, refusals, and the official SDK client."""

from __future__ import annotations

import pytest
from alibabacloud_resourcedirectorymaster20220419 import models
from alibabacloud_resourcedirectorymaster20220419.client import Client as DirectoryClient
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config
from anyio import to_thread

from crawler.emulator import Cloud, CloudOrganization, CloudSpec, Deny, PageFault
from crawler.errors import ConfigError

ACCOUNTS = tuple(str(1000000000000001 + number) for number in range(26))
MANAGER, MEMBER, DELEGATE = ACCOUNTS[:3]
ODD = CloudOrganization(
    statuses={ACCOUNTS[3]: "CreateFailed"},
    deletions={ACCOUNTS[4]: "Deleting"},
    without_role=(ACCOUNTS[5],),
    distrustful=(ACCOUNTS[6],),
    delegates=(DELEGATE,),
)


@pytest.fixture
def spec() -> CloudSpec:
    return CloudSpec(accounts=ACCOUNTS, organization=ODD)


async def listed(client, **query):
    return await client.get("resourcedirectory.ListAccounts", "/", query, method="POST")


def ids(got):
    return [record["AccountId"] for record in got.json["Accounts"]["Account"]]


async def test_pages_by_number_have_every_member_once_and_not_the_manager(client):
    found = []
    for number in range(1, 5):
        got = await listed(client, PageNumber=str(number), PageSize="10")
        assert (got.json["TotalCount"], got.json["PageNumber"], got.json["PageSize"]) == (25, number, 10)
        assert "NextToken" not in got.json
        found += ids(got)
    assert sorted(found) == list(ACCOUNTS[1:])
    assert ids(got) == [], "the fourth page is past the end"


async def test_pages_by_token_have_the_same(client):
    found, token = [], ""
    while token is not None:
        got = await listed(client, MaxResults="10", **({"NextToken": token} if token else {}))
        found += ids(got)
        token = got.json.get("NextToken")
    assert found == [record["AccountId"] for record in client.emulator.cloud.directory.members]


async def test_members_are_as_the_spec_has_them(client):
    got = await listed(client, PageSize="100")
    records = {record["AccountId"]: record for record in got.json["Accounts"]["Account"]}
    assert records[ACCOUNTS[3]]["Status"] == "CreateFailed"
    assert records[ACCOUNTS[4]]["DeletionStatus"] == "Deleting"
    others = [record for account, record in records.items() if account not in ACCOUNTS[3:5]]
    assert {record["Status"] for record in others} == {"CreateSuccess", "InviteSuccess"}
    assert not any("DeletionStatus" in record or "Tags" in record for record in others)


async def test_tags_and_a_keyword_may_be_asked_for(client):
    got = await listed(client, PageSize="100", IncludeTags="true", QueryKeyword="member 2")
    records = got.json["Accounts"]["Account"]
    assert sorted(record["DisplayName"] for record in records) == sorted(f"member {n}" for n in (2, *range(20, 26)))
    assert got.json["TotalCount"] == 7
    assert all(record["Tags"]["Tag"][0]["Key"] == "team" for record in records)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_ten_a_page_where_nothing_is_asked(client, method):
    got = await client.get("resourcedirectory.ListAccounts", "/", method=method)
    assert (len(ids(got)), got.json["PageNumber"], got.json["PageSize"]) == (10, 1, 10)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"PageSize": "101"}, "PageSize"),
        ({"PageSize": "0"}, "PageSize"),
        ({"PageNumber": "0"}, "PageNumber"),
        ({"PageNumber": "one"}, "PageNumber"),
        ({"MaxResults": "101"}, "MaxResults"),
        ({"MaxResults": "10", "NextToken": "guessed"}, "NextToken"),
        ({"IncludeTags": "maybe"}, "IncludeTags"),
        ({"pageNumber": "1"}, "pageNumber"),
    ],
)
async def test_bad_parameters_are_refused(client, query, name):
    got = await listed(client, **query)
    assert (got.status, got.code) == (400, f"InvalidParameter.{name}")


@pytest.mark.parametrize(
    ("account", "status", "code"),
    [(MANAGER, 200, ""), (DELEGATE, 200, ""), (MEMBER, 409, "NoPermission.ResourceDirectory.MemberAccount")],
)
async def test_the_manager_and_delegates_may_ask(client, account, status, code):
    client.account = account
    got = await listed(client)
    assert (got.status, got.code) == (status, code)


class TestDelegatedServices:
    """ListDelegatedServicesForAccount: the services that a member administers."""

    async def asked(self, client, **query):
        return await client.get("resourcedirectory.ListDelegatedServicesForAccount", "/", query, method="POST")

    async def test_pages_by_token_are_the_list_of_the_member(self, client, cloud):
        for member in (MEMBER, DELEGATE, ACCOUNTS[7]):
            found, token = [], ""
            while token is not None:
                got = await self.asked(client, AccountId=member, **({"NextToken": token} if token else {}))
                found += got.json["DelegatedServices"]["DelegatedService"]
                token = got.json.get("NextToken")
            assert found == cloud.directory.services[member]
        assert len(cloud.directory.services[MEMBER]) == 23

    async def test_a_member_is_needed_and_must_be_one(self, client):
        assert (await self.asked(client)).code == "MissingAccountId"
        unknown = await self.asked(client, AccountId=MANAGER)
        assert (unknown.status, unknown.code) == (404, "EntityNotExists.Account")

    async def test_a_token_of_another_member_or_operation_is_refused(self, client):
        theirs = (await self.asked(client, AccountId=MEMBER)).json["NextToken"]
        accounts = (await listed(client, MaxResults="5")).json["NextToken"]
        for member, token in ((DELEGATE, theirs), (MEMBER, accounts)):
            assert (await self.asked(client, AccountId=member, NextToken=token)).code == "InvalidParameter.NextToken"
        assert (await listed(client, MaxResults="5", NextToken=theirs)).code == "InvalidParameter.NextToken"

    async def test_parameters_of_the_other_operation_are_refused(self, client):
        assert (await self.asked(client, AccountId=MEMBER, PageNumber="1")).code == "InvalidParameter.PageNumber"
        assert (await listed(client, AccountId=MEMBER)).code == "InvalidParameter.AccountId"

    async def test_a_denial_names_its_own_action(self, client, cloud):
        cloud.faults.add(Deny(), product="resourcedirectory", action="ListDelegatedServicesForAccount")
        denied = await self.asked(client, AccountId=MEMBER)
        assert "resourcemanager:ListDelegatedServicesForAccount" in denied.json["Message"]
        assert (await listed(client)).status == 200


async def test_a_signature_and_the_version_are_needed(client):
    url, signed = client.request("resourcedirectory.ListAccounts", "/", method="POST")
    del signed["Authorization"]
    assert (await client.send(url, signed, "POST")).code == "SignatureDoesNotMatch"
    older = await client.get(
        "resourcedirectory.ListAccounts", "/", method="POST", headers={"x-acs-version": "2020-03-31"}
    )
    assert older.code == "InvalidVersion"


async def test_twenty_requests_a_second(client, clock):
    statuses = [(await listed(client)).status for _ in range(21)]
    assert statuses == [200] * 20 + [429]
    clock.elapsed_s += 0.5
    assert (await listed(client)).status == 200


async def test_faults_go_by_the_pages_number_and_name_the_action(client, cloud):
    cloud.faults.add(Deny(), product="resourcedirectory", page=(2,))
    cloud.faults.add(PageFault(total="many", rows=3), product="resourcedirectory", page=(3,))
    assert (await listed(client, PageNumber="1")).status == 200
    denied = await listed(client, PageNumber="2")
    assert (denied.status, "resourcemanager:ListAccounts" in denied.json["Message"]) == (403, True)
    odd = await listed(client, PageNumber="3")
    assert (odd.json["TotalCount"], len(ids(odd))) == ("many", 3)
    assert [entry.page for entry in cloud.requests.entries] == [1, 2, 3]


async def test_roles_of_some_members_cannot_be_assumed(client):
    codes = {}
    for account in (MEMBER, ACCOUNTS[5], ACCOUNTS[6]):
        query = {"RoleArn": f"acs:ram::{account}:role/inventory-reader", "RoleSessionName": "crawl"}
        got = await client.get("sts.AssumeRole", "/", query, method="POST")
        codes[account] = got.code
    assert codes == {MEMBER: "", ACCOUNTS[5]: "EntityNotExist.Role", ACCOUNTS[6]: "NoPermission"}


class TestWithout:
    @pytest.fixture
    def spec(self) -> CloudSpec:
        return CloudSpec()

    async def test_an_account_without_a_directory_has_no_members(self, client):
        got = await listed(client)
        assert (got.status, got.code) == (404, "EntityNotExists.ResourceDirectory")


def test_an_organization_of_strangers_is_refused():
    with pytest.raises(ConfigError, match="its members are the accounts but the first"):
        CloudSpec(organization=CloudOrganization(without_role=("1000000000000001",)))


class TestSdk:
    @pytest.fixture
    def cloud(self, spec) -> Cloud:
        """Return a cloud on the system's clock, which the SDK signs with."""
        return Cloud(spec)

    @pytest.fixture
    def sdk(self, emulator) -> DirectoryClient:
        key_id, secret = emulator.cloud.credentials(MANAGER)
        endpoint = emulator.url("resourcedirectory").removeprefix("http://")
        return DirectoryClient(
            Config(endpoint=endpoint, protocol="HTTP", access_key_id=key_id, access_key_secret=secret)
        )

    async def test_the_official_client_lists_the_same_by_number_and_by_token(self, sdk, emulator):
        def by_number():
            found, number = [], 1
            while True:
                request = models.ListAccountsRequest(page_number=number, page_size=10, include_tags=True)
                body = sdk.list_accounts(request).body
                found += body.accounts.account
                if not body.accounts.account:
                    return found, body.total_count
                number += 1

        def by_token():
            found, token = [], None
            while True:
                request = models.ListAccountsRequest(max_results=7, next_token=token, include_tags=True)
                body = sdk.list_accounts(request).body
                found += body.accounts.account
                token = body.next_token
                if token is None:
                    return found

        members = emulator.cloud.directory.members
        found, total = await to_thread.run_sync(by_number)
        assert ([model.to_map() for model in found], total) == (members, 25)
        assert [model.to_map() for model in await to_thread.run_sync(by_token)] == members

    async def test_the_official_client_lists_the_same_services_of_a_member(self, sdk, emulator):
        def services(member):
            found, token = [], None
            while True:
                request = models.ListDelegatedServicesForAccountRequest(
                    account_id=member, max_results=5, next_token=token
                )
                body = sdk.list_delegated_services_for_account(request).body
                found += [model.to_map() for model in body.delegated_services.delegated_service]
                token = body.next_token
                if token is None:
                    return found

        for member in (MEMBER, DELEGATE):
            assert await to_thread.run_sync(services, member) == emulator.cloud.directory.services[member]

    async def test_every_field_of_the_sdks_model_is_in_some_member(self, sdk, emulator):
        known = set(models.ListAccountsResponseBodyAccountsAccount().__dict__) - {"_map"}
        seen = {key for record in emulator.cloud.directory.members for key in record}
        assert len(seen) == len(known)

    async def test_the_official_client_sees_the_error(self, sdk):
        request = models.ListAccountsRequest(page_size=101)
        with pytest.raises(ClientException) as caught:
            await to_thread.run_sync(sdk.list_accounts, request)
        assert caught.value.code == "InvalidParameter.PageSize"
