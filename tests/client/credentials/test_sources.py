"""Roles, OIDC, ECS metadata and files: the requests, their parameters, and the errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crawler.client.credentials import Credentials, RoleDeniedError, assumed_role, build_provider
from crawler.client.credentials.base import StaticProvider
from crawler.client.credentials.cli_profiles import cli_profile
from crawler.client.credentials.metadata import ecs_role, uri_credentials
from crawler.client.credentials.spec import CredentialSpec, DefaultSpec, EcsRoleSpec, OidcSpec, ProfileSpec, RoleSpec
from crawler.client.credentials.sts import oidc_role
from crawler.errors import CredentialsError, DeniedError, FatalError, ReauthError, ThrottledError, TransientError
from crawler.validation import Secret
from tests.support.credentials_fakes import KEYS, ROLE, FakeCloud

OIDC_ARN = "acs:ram::1000000000000001:oidc-provider/ack"
TEMPORARY = {"access_key_id": Secret("STS.x"), "access_key_secret": Secret("s"), "security_token": Secret("t")}


def built(cloud: FakeCloud, spec: CredentialSpec, home=Path("/nonexistent"), **environ: str):
    outside = cloud.outside(home, **environ)
    return build_provider(
        spec,
        call=outside.call,
        fetch=outside.fetch,
        clock=outside.clock,
        environ=environ,
        home=outside.home,
    )


async def test_a_role_is_assumed_with_the_keys_beside_it():
    cloud = FakeCloud()
    spec = RoleSpec(
        access_key_id=Secret(KEYS.access_key_id),
        access_key_secret=Secret(KEYS.access_key_secret),
        role_arn=ROLE,
        role_session_name="nightly",
        role_session_expiration=900,
        external_id="ext-1",
        policy="{}",
    )
    await built(cloud, spec).get()
    parameters = {
        "RoleArn": ROLE,
        "RoleSessionName": "nightly",
        "DurationSeconds": "900",
        "ExternalId": "ext-1",
        "Policy": "{}",
    }
    assert cloud.asked == [("AssumeRole", parameters, KEYS)]


async def test_a_role_has_a_session_name_and_an_hour_by_default():
    cloud = FakeCloud()
    await assumed_role(cloud.outside(), StaticProvider("k", KEYS), ROLE).get()
    await assumed_role(cloud.outside(ALIBABA_CLOUD_ROLE_SESSION_NAME="from-env"), StaticProvider("k", KEYS), ROLE).get()
    assert [parameters["RoleSessionName"] for _, parameters, _ in cloud.asked] == ["acs-inventory", "from-env"]
    assert cloud.asked[0][1]["DurationSeconds"] == "3600"
    assert set(cloud.asked[0][1]) == {"RoleArn", "RoleSessionName", "DurationSeconds"}


@pytest.mark.parametrize(
    ("more", "environ", "source"),
    [
        (
            {"source": "default"},
            {"ALIBABA_CLOUD_ACCESS_KEY_ID": "ENVKEY", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "s"},
            "ENVKEY",
        ),
        ({"source": "ecs_ram_role", "role_name": "node"}, {}, "STS.FakeFakeFake0002"),
        (TEMPORARY, {}, "STS.x"),
        ({"source": "sts", **TEMPORARY}, {}, "STS.x"),
    ],
)
async def test_a_role_is_assumed_from_its_source(more, environ, source):
    cloud = FakeCloud()
    await built(cloud, RoleSpec(role_arn=ROLE, **more), **environ).get()
    ((_, _, credentials),) = cloud.asked
    assert credentials is not None
    assert credentials.access_key_id == source


async def test_a_role_whose_source_has_expired_is_assumed_with_a_refreshed_one():
    cloud = FakeCloud()
    first = assumed_role(cloud.outside(), StaticProvider("k", KEYS), ROLE)
    second = assumed_role(cloud.outside(), first, ROLE + "-2")
    await first.get()
    cloud.errors = [ReauthError("InvalidSecurityToken.Expired", "")]
    await second.get()
    sources = [credentials.access_key_id for _, _, credentials in cloud.asked if credentials]
    assert sources == [KEYS.access_key_id, "STS.FakeFakeFake0001", KEYS.access_key_id, "STS.FakeFakeFake0003"]


async def test_a_role_whose_fixed_source_has_expired_fails_after_one_request():
    cloud = FakeCloud(errors=[ReauthError("InvalidSecurityToken.Expired", "")])
    source = StaticProvider("sts", Credentials("STS.FakeFakeFake0009", "s", "t"))
    with pytest.raises(CredentialsError, match="security token has expired"):
        await assumed_role(cloud.outside(), source, ROLE).get()
    assert len(cloud.asked) == 1


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (DeniedError("NoPermission", "x", request_id="R-9"), r"NoPermission \(request R-9\); grant sts:AssumeRole"),
        (TransientError("Timeout", ""), "try again later"),
        (FatalError("EntityNotExist.Role", ""), "check the role's ARN"),
        (FatalError("bad\ncode", "", request_id="R\x1b[1m"), "an unreadable error; check"),
    ],
)
async def test_a_refused_role_says_why_and_what_to_do(error, advice):
    cloud = FakeCloud(errors=[error])
    with pytest.raises(CredentialsError, match=advice):
        await assumed_role(cloud.outside(), StaticProvider("k", KEYS), ROLE).get()


@pytest.mark.parametrize(
    ("error", "is_denied"),
    [
        (DeniedError("NoPermission", ""), True),
        (DeniedError("Forbidden.RAM", ""), True),
        (FatalError("EntityNotExist.Role", ""), True),
        (FatalError("InvalidParameter.RoleArn", ""), False),
        (TransientError("Timeout", ""), False),
        (ThrottledError("Throttling.User", ""), False),
    ],
)
async def test_a_role_that_is_denied_is_told_apart_with_its_code_for_every_caller(error, is_denied):
    cloud = FakeCloud(errors=[error])
    role, caught = assumed_role(cloud.outside(), StaticProvider("k", KEYS), ROLE), []
    for _ in range(2):
        with pytest.raises(CredentialsError) as failure:
            await role.get()
        caught.append(failure.value)
    assert len(cloud.asked) == 1, "the second caller gets the first one's failure"
    assert caught[0] is not caught[1]
    assert [isinstance(failure, RoleDeniedError) for failure in caught] == [is_denied] * 2
    assert {getattr(failure, "code", error.code) for failure in caught} == {error.code}
    assert str(caught[0]) == str(caught[1])


@pytest.mark.parametrize(
    "change",
    [
        {"SecurityToken": None},
        {"AccessKeySecret": ""},
        {"Expiration": "soon"},
        {"Expiration": "2026-11-22T00:00:00"},
        {"Expiration": "9999-12-31T23:59:59-23:59"},
        {"Expiration": "0001-01-01T00:00:00+14:00"},
    ],
)
async def test_an_incomplete_answer_of_sts_is_an_error(change):
    cloud = FakeCloud()
    issue = cloud.issue
    cloud.issue = lambda number: issue(number) | change
    with pytest.raises(CredentialsError, match="without complete credentials"):
        await assumed_role(cloud.outside(), StaticProvider("k", KEYS), ROLE).get()


async def test_oidc_is_unsigned_and_reads_its_token_anew_each_time(tmp_path):
    cloud = FakeCloud()
    token_file = tmp_path / "token"
    spec = OidcSpec(role_arn=ROLE, oidc_provider_arn=OIDC_ARN, oidc_token_file=token_file)
    provider = built(cloud, spec)
    for token in ("first", "second"):
        token_file.write_text(token + "\n")
        await provider.get()
        cloud.clock.advance(3601)
    assert [(action, asked["OIDCToken"], credentials) for action, asked, credentials in cloud.asked] == [
        ("AssumeRoleWithOIDC", "first", None),
        ("AssumeRoleWithOIDC", "second", None),
    ]
    assert cloud.asked[0][1]["OIDCProviderArn"] == OIDC_ARN


async def test_oidc_takes_what_a_pod_has_in_its_environment(tmp_path):
    (tmp_path / "token").write_text("t")
    environ = {
        "ALIBABA_CLOUD_ROLE_ARN": ROLE,
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": OIDC_ARN,
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE": str(tmp_path / "token"),
    }
    cloud = FakeCloud()
    await built(cloud, OidcSpec(), **environ).get()
    assert cloud.asked[0][1]["RoleArn"] == ROLE
    for variable in environ:
        less = {name: value for name, value in environ.items() if name != variable}
        provider = built(cloud, OidcSpec(), **less)
        with pytest.raises(CredentialsError, match=variable):
            await provider.get()


@pytest.mark.parametrize(("content", "says"), [(None, "no such file"), (b"", "is empty"), (b"\xff\x00", "not UTF-8")])
async def test_an_unusable_token_file_is_named(tmp_path, content, says):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    provider = oidc_role(FakeCloud().outside(), role_arn=ROLE, provider_arn=OIDC_ARN, token_file=str(path))
    with pytest.raises(CredentialsError, match=says) as caught:
        await provider.get()
    assert str(path) in str(caught.value)


async def test_t29_metadata_is_read_in_token_mode_and_names_its_role():
    """T29."""
    cloud = FakeCloud()
    await ecs_role(cloud.outside()).get()
    base = "http://100.100.100.200/latest"
    header = {"X-aliyun-ecs-metadata-token": "metadata-token"}
    assert cloud.fetched == [
        ("PUT", f"{base}/api/token", {"X-aliyun-ecs-metadata-token-ttl-seconds": "60"}),
        ("GET", f"{base}/meta-data/ram/security-credentials/", header),
        ("GET", f"{base}/meta-data/ram/security-credentials/instance-role", header),
    ]


@pytest.mark.parametrize("given", ["spec", "environment"])
async def test_a_named_ecs_role_is_not_asked_for(given):
    cloud = FakeCloud()
    name = "node" if given == "spec" else None
    environ = {"ALIBABA_CLOUD_ECS_METADATA": "node"} if given == "environment" else {}
    await built(cloud, EcsRoleSpec(role_name=name), **environ).get()
    assert [url.rpartition("/")[2] for _, url, _ in cloud.fetched] == ["token", "node"]


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_t29_without_a_metadata_token_nothing_else_is_asked(status):
    """T29."""
    cloud = FakeCloud(statuses={"token": status})
    with pytest.raises(CredentialsError, match=f"HTTP {status}"):
        await ecs_role(cloud.outside(), "node").get()
    assert [method for method, _, _ in cloud.fetched] == ["PUT"]


@pytest.mark.parametrize("roles", ["", "../../user-data", "<html>", "a/b", "x" * 65, "a\r\nb"])
async def test_a_role_name_that_cannot_be_one_is_never_asked_for(roles):
    cloud = FakeCloud(roles=roles)
    with pytest.raises(CredentialsError, match="no usable role name"):
        await ecs_role(cloud.outside()).get()
    assert len(cloud.fetched) == 2


async def test_no_metadata_service_says_so():
    cloud = FakeCloud(errors=[TransientError("ConnectionFailed", "")])
    with pytest.raises(CredentialsError, match="doesn't answer: is this an ECS instance"):
        await ecs_role(cloud.outside(), "node").get()


async def test_switched_off_metadata_is_this_account_s_trouble_and_not_the_configuration_s():
    provider = built(FakeCloud(), EcsRoleSpec(), ALIBABA_CLOUD_ECS_METADATA_DISABLED="True")
    for ask in (provider.get, lambda: provider.refresh(KEYS)):
        with pytest.raises(CredentialsError, match="ALIBABA_CLOUD_ECS_METADATA_DISABLED"):
            await ask()


@pytest.mark.parametrize("uri", ["ftp://h/x", "h/x", "http://", "http://[", "file:///etc/passwd"])
def test_a_credentials_uri_that_is_none_is_an_error(uri):
    with pytest.raises(CredentialsError, match="isn't an http or https URL"):
        uri_credentials(FakeCloud().outside(ALIBABA_CLOUD_CREDENTIALS_URI=uri))


async def test_a_credentials_uri_is_renewed_like_a_role():
    cloud = FakeCloud()
    provider = uri_credentials(cloud.outside(ALIBABA_CLOUD_CREDENTIALS_URI="http://127.0.0.1:9/keys?a=b"))
    old = await provider.get()
    cloud.clock.advance(3500)
    assert await provider.get() != old
    assert cloud.fetched == [("GET", "http://127.0.0.1:9/keys?a=b", {})] * 2


@pytest.mark.parametrize(
    ("environ", "places"),
    [
        ({}, ["environment", "CLI", "credentials file", "ECS"]),
        ({"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}, ["environment", "CLI", "credentials file"]),
        (
            {
                "ALIBABA_CLOUD_ROLE_ARN": ROLE,
                "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": OIDC_ARN,
                "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "/nonexistent",
                "ALIBABA_CLOUD_CREDENTIALS_URI": "http://127.0.0.1:9/",
            },
            ["environment", "OIDC", "CLI", "credentials file", "ECS", "URI"],
        ),
    ],
)
async def test_an_empty_chain_lists_the_places_it_looked_at_and_what_to_set(environ, places):
    errors = [TransientError("ConnectionFailed", "")] * 9
    with pytest.raises(CredentialsError, match="set ALIBABA_CLOUD_ACCESS_KEY_ID and") as caught:
        await built(FakeCloud(errors=errors), DefaultSpec(), **environ).get()
    tried = str(caught.value).partition("(tried: ")[2]
    assert [reason.partition(": ")[0] for reason in tried.split("; ")] == places


async def profile_error(tmp_path, content: str, profile: str = "") -> str:
    (tmp_path / ".aliyun").mkdir()
    (tmp_path / ".aliyun" / "config.json").write_text(content)
    with pytest.raises(CredentialsError) as caught:
        await cli_profile(FakeCloud().outside(tmp_path), profile).get()
    return str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"profiles": [1]}', '{"profiles": {"a": 1}}', "[" * 100_000])
async def test_a_malformed_cli_configuration_is_named_with_what_to_do(tmp_path, content):
    message = await profile_error(tmp_path, content, "prod")
    assert str(tmp_path / ".aliyun" / "config.json") in message
    assert "aliyun configure" in message


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        ({"mode": "CloudSSO"}, "signs in through a browser"),
        ({"mode": "OAuth"}, "signs in through a browser"),
        ({"mode": "External"}, "runs a program"),
        ({"mode": "RsaKeyPair"}, "mode RsaKeyPair"),
        ({"mode": "BearerToken", "bearer_token": "b"}, "mode BearerToken, which has no access key"),
        ({"mode": "Anonymous"}, "mode Anonymous, which has no access key"),
        ({"mode": "Foo"}, "mode Foo, which isn't supported: use one of AK, StsToken"),
        ({"mode": ["AK"]}, "mode must be text in quotes"),
        ({}, "neither a mode nor keys"),
        ({"process_command": "touch x"}, "runs a program"),
        ({"bearer_token": "b"}, "mode BearerToken"),
        ({"private_key": "/x", "key_pair_name": "x"}, "mode RsaKeyPair"),
        ({"cloud_sso_sign_in_url": "https://x"}, "mode CloudSSO"),
        ({"mode": "RamRoleArnWithRoleName"}, "has no ram_role_arn"),
        ({"mode": "CredentialsURI", "credentials_uri": "ftp://h/canary"}, "credentials_uri of profile 'prod'"),
        ({"mode": "AK", "access_key_id": {"a": 1}, "access_key_secret": "s"}, "access_key_id must be text in quotes"),
        ({"mode": "AK", "access_key_id": "k"}, "has no access key secret"),
        ({"mode": "StsToken", "access_key_id": "k", "access_key_secret": "s"}, "has no sts_token"),
        ({"mode": "ChainableRamRoleArn", "source_profile": "prod", "ram_role_arn": ROLE}, "is its own source"),
        ({"mode": "ChainableRamRoleArn", "source_profile": "gone", "ram_role_arn": ROLE}, "'gone' isn't in"),
        ({"mode": "ChainableRamRoleArn", "ram_role_arn": ROLE}, "has no source_profile"),
        (
            {
                "mode": "RamRoleArn",
                "access_key_id": "k",
                "access_key_secret": "s",
                "ram_role_arn": ROLE,
                "expired_seconds": 60,
            },
            "expired_seconds must be a whole number, 900 or more",
        ),
        ({"mode": "RamRoleArn", "access_key_id": "k", "access_key_secret": "s"}, "has no ram_role_arn"),
    ],
)
async def test_a_profile_that_cannot_be_used_says_what_to_do_instead(tmp_path, profile, says):
    content = json.dumps({"current": "prod", "profiles": [{"name": "prod", **profile}]})
    assert says in await profile_error(tmp_path, content)


async def test_a_profile_s_name_says_what_was_found(tmp_path):
    (tmp_path / ".aliyun").mkdir()
    profile = {"name": "prod", "mode": "AK", "access_key_id": "k", "access_key_secret": "s"}
    (tmp_path / ".aliyun" / "config.json").write_text(json.dumps({"profiles": [profile]}))
    provider = built(FakeCloud(), ProfileSpec(profile="prod"), tmp_path)
    assert provider.name == "CLI profile 'prod'"
    await provider.get()
    assert provider.name == "CLI profile 'prod' (AK of profile 'prod')"
