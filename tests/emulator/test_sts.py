"""The caller's identity, and temporary keys: issued, used, expired."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from crawler.emulator import CloudSpec

FIRST, SECOND = "1000000000000001", "1000000000000002"
ROLE = f"acs:ram::{SECOND}:role/inventory-reader"
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def assume(client, **parameters):
    query = {"RoleArn": ROLE, "RoleSessionName": "crawl", **parameters}
    return await client.get("sts.AssumeRole", "/", query, method="POST")


def temporary(got):
    found = got.json["Credentials"]
    return {"key": (found["AccessKeyId"], found["AccessKeySecret"]), "token": found["SecurityToken"]}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_lasting_key_is_the_account(client, method):
    got = await client.get("sts.GetCallerIdentity", "/", method=method)
    assert got.json.pop("RequestId")
    assert (got.json["AccountId"], got.json["IdentityType"], got.json["Arn"]) == (
        FIRST,
        "Account",
        f"acs:ram::{FIRST}:root",
    )


async def test_a_role_of_another_account_is_assumed_and_used(client, cloud):
    got = await assume(client)
    keys = temporary(got)
    assert keys["key"][0].startswith("STS.")
    assert got.json["Credentials"]["Expiration"] == "2026-11-22T09:00:00Z"
    identity = (await client.get("sts.GetCallerIdentity", "/", **keys)).json
    assert (identity["AccountId"], identity["IdentityType"]) == (SECOND, "AssumedRoleUser")
    assert identity["Arn"] == f"acs:ram::{SECOND}:assumed-role/inventory-reader/crawl"
    listed = await client.get("fc.ListFunctions", "/2023-03-30/functions", {"fcVersion": "v3", "limit": "100"}, **keys)
    assert listed.json["functions"] == cloud.records(SECOND, "cn-hangzhou", "fc.ListFunctions")


async def test_parameters_may_come_in_a_form(client):
    body = urlencode({"RoleArn": ROLE, "RoleSessionName": "crawl", "DurationSeconds": "900"}).encode()
    got = await client.get("sts.AssumeRole", "/", method="POST", body=body, headers=FORM)
    assert got.json["Credentials"]["Expiration"] == "2026-11-22T08:15:00Z"


async def test_a_temporary_key_ends(client, clock):
    keys = temporary(await assume(client, DurationSeconds="900"))
    clock.elapsed_s = 899
    assert (await client.get("fc.ListFunctions", "/2023-03-30/functions", **keys)).status == 200
    clock.elapsed_s = 900
    got = await client.get("fc.ListFunctions", "/2023-03-30/functions", **keys)
    assert (got.status, got.code) == (400, "InvalidSecurityToken.Expired")


async def test_a_temporary_key_needs_its_own_token_signed(client):
    keys, other = temporary(await assume(client)), temporary(await assume(client))
    assert keys["key"] != other["key"]
    path = "/2023-03-30/functions"
    assert (await client.get("fc.ListFunctions", path, key=keys["key"])).code == "MissingSecurityToken"
    mixed = await client.get("fc.ListFunctions", path, key=keys["key"], token=other["token"])
    assert mixed.code == "InvalidSecurityToken.MismatchWithAccessKey"
    unsigned = await client.get("fc.ListFunctions", path, **keys, unsigned=("x-acs-security-token",))
    assert (unsigned.status, unsigned.code) == (400, "SignatureDoesNotMatch")


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        ({"DurationSeconds": "899"}, 400, "InvalidParameter.DurationSeconds"),
        ({"DurationSeconds": "3601"}, 400, "InvalidParameter.DurationSeconds"),
        ({"DurationSeconds": "long"}, 400, "InvalidParameter.DurationSeconds"),
        ({"RoleArn": "inventory-reader"}, 400, "InvalidParameter.RoleArn"),
        ({"RoleArn": ""}, 400, "MissingRoleArn"),
        ({"RoleArn": f"acs:ram::{SECOND}:role/admin"}, 404, "EntityNotExist.Role"),
        ({"RoleArn": "acs:ram::42:role/inventory-reader"}, 404, "EntityNotExist.Role"),
        ({"RoleSessionName": "a b"}, 400, "InvalidParameter.RoleSessionName"),
        ({"RoleSessionName": ""}, 400, "MissingRoleSessionName"),
    ],
)
async def test_bad_parameters_are_refused(client, parameters, status, code):
    got = await assume(client, **parameters)
    assert (got.status, got.code) == (status, code)


async def test_a_role_is_assumed_with_an_identity_token_and_no_signature(client):
    parameters = {
        "Action": "AssumeRoleWithOIDC",
        "Version": "2015-04-01",
        "RoleArn": ROLE,
        "RoleSessionName": "crawl",
        "OIDCProviderArn": f"acs:ram::{SECOND}:oidc-provider/cluster",
        "OIDCToken": "head.body.signature",
    }
    url, signed = client.request("sts.AssumeRoleWithOIDC", "/", parameters)
    got = await client.send(url, {"host": signed["host"]}, "POST")
    keys = temporary(got)
    assert (await client.get("sts.GetCallerIdentity", "/", **keys)).json["AccountId"] == SECOND
    broken, _ = client.request("sts.AssumeRoleWithOIDC", "/", {**parameters, "OIDCToken": "nonsense"})
    got = await client.send(broken, {"host": signed["host"]}, "POST")
    assert (got.status, got.code) == (400, "AuthenticationFail.OIDCToken.Invalid")


async def test_the_other_actions_need_a_signature(client):
    url, signed = client.request("sts.AssumeRole", "/", {"RoleArn": ROLE, "RoleSessionName": "crawl"})
    del signed["Authorization"]
    assert (await client.send(url, signed, "POST")).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("action", "headers", "code"),
    [("sts.GetSecret", {}, "InvalidAction.NotFound"), ("sts.AssumeRole", {"x-acs-version": "2014"}, "InvalidVersion")],
)
async def test_an_unknown_action_or_version_is_refused(client, action, headers, code):
    assert (await client.get(action, "/", headers=headers)).code == code


async def test_sts_allows_a_hundred_requests_a_second(client, clock):
    codes = [(await client.get("sts.GetCallerIdentity", "/")).status for _ in range(101)]
    assert codes == [200] * 100 + [429]
    clock.elapsed_s += 0.5
    assert (await client.get("sts.GetCallerIdentity", "/")).status == 200


class TestExternalId:
    @pytest.fixture
    def spec(self) -> CloudSpec:
        return CloudSpec(external_id="agreed")

    async def test_a_role_may_ask_for_an_external_id(self, client):
        got = await assume(client, ExternalId="guessed")
        assert (got.status, got.code) == (403, "NoPermission")
        assert (await assume(client, ExternalId="agreed")).status == 200
