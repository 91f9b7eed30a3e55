"""Keys of the machine's role for s3://: web identity, container, instance; what answers is never trusted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from crawler.errors import OutputError
from crawler.snapshot import ObjectStore
from crawler.snapshot.location import bucket_place
from crawler.snapshot.s3.machine_role import MachineKeys
from tests.support.hostile_store import HostileStore, hostile_store, said

HOME = Path("/nowhere")
KEYS = {"AccessKeyId": "ASIAROLE", "SecretAccessKey": "canary-secret", "Token": "canary-token"}


def role_keys(**environ: str) -> MachineKeys:
    return MachineKeys(bucket_place("s3://bucket/p", {"AWS_REGION": "eu-west-1", **environ}, HOME))


def issued(life: timedelta = timedelta(hours=1), **change) -> bytes:
    expires = f"{datetime.now(UTC) + life:%Y-%m-%dT%H:%M:%SZ}"
    return said(json.dumps({"Code": "Success", "Expiration": expires, **KEYS, **change}).encode())


def instance(asked) -> bytes:
    if asked.line.startswith("PUT"):
        return said(b"metadata-token")
    if asked.headers.get("x-aws-ec2-metadata-token") != "metadata-token":
        return said(status="401 Unauthorized")
    return said(b"node-role\n") if asked.line.split()[1].endswith("/security-credentials/") else issued()


async def test_the_instances_role_is_asked_in_token_mode_once():
    """T29: no request without a token; the keys are kept until five minutes before their end."""
    async with hostile_store(instance) as store:
        keys = role_keys(AWS_EC2_METADATA_SERVICE_ENDPOINT=store.url)
        found = await keys.get()
        assert (found.access_key_id, found.access_key_secret, found.security_token) == tuple(KEYS.values())
        assert await keys.get() is found
    base = "/latest/meta-data/iam/security-credentials/"
    assert store.lines == ["PUT /latest/api/token", f"GET {base}", f"GET {base}node-role"]


async def test_keys_that_end_soon_are_fetched_again():
    async with hostile_store(lambda asked: issued(timedelta(minutes=4))) as store:
        keys = role_keys(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{store.url}/x")
        assert await keys.get() is not await keys.get()


async def test_a_containers_service_gets_the_token_of_its_file(tmp_path):
    """As EKS gives it to a pod."""
    (tmp_path / "token").write_text("pod-token\n")
    async with hostile_store(lambda asked: issued()) as store:
        variables = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{store.url}/v1/credentials"}
        found = await role_keys(**variables, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(tmp_path / "token")).get()
    assert found.access_key_id == "ASIAROLE"
    assert store.asked[0].headers["authorization"] == "pod-token"


async def test_a_web_identity_assumes_its_role(tmp_path):
    (tmp_path / "token").write_text("jwt\n")
    fields = "<AccessKeyId>ASIAWEB</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
    body = f'<R xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Credentials>{fields}</Credentials></R>'
    async with hostile_store(said(body.encode())) as store:
        variables = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"), "AWS_ROLE_ARN": "arn:aws:iam::1:role/r"}
        found = await role_keys(**variables, AWS_ENDPOINT_URL_STS=store.url).get()
    assert (found.access_key_id, found.security_token) == ("ASIAWEB", "t")
    asked = {name: values[0] for name, values in parse_qs(store.asked[0].body.decode()).items()}
    assert asked["Action"] == "AssumeRoleWithWebIdentity"
    assert (asked["RoleArn"], asked["WebIdentityToken"]) == ("arn:aws:iam::1:role/r", "jwt")


@pytest.mark.parametrize(
    "answer",
    [
        said(status="404 Not Found"),
        said(b"", "Location: http://127.0.0.2:1/", status="302 Found"),
        said(b"<html>"),
        issued(SecretAccessKey=None),
        issued(Token=""),
        issued(AccessKeyId="a\nb"),
    ],
)
async def test_what_gives_no_keys_is_a_sentence_without_them(answer):
    """T11, T15."""

    def by_turns(asked):
        return answer if asked.line.endswith("/node-role HTTP/1.1") else instance(asked)

    async with hostile_store(by_turns) as store:
        with pytest.raises(OutputError, match="there is no access key, and the instance's metadata service") as caught:
            await role_keys(AWS_EC2_METADATA_SERVICE_ENDPOINT=store.url).get()
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("role", ["", "../../user-data", "a b", "\x00"])
async def test_a_role_name_that_cannot_be_one_is_never_asked_for(role):
    def answer(asked):
        return said(role.encode()) if asked.line.split()[1].endswith("/security-credentials/") else instance(asked)

    async with hostile_store(answer) as store:
        with pytest.raises(OutputError, match="names no role"):
            await role_keys(AWS_EC2_METADATA_SERVICE_ENDPOINT=store.url).get()
    assert len(store.asked) == 2


@pytest.mark.parametrize("variable", ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ENDPOINT_URL_STS"])
async def test_a_token_is_sent_in_clear_to_this_machine_only(variable, tmp_path):
    (tmp_path / "token").write_text("t")
    web = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"), "AWS_ROLE_ARN": "arn:aws:iam::1:role/r"}
    environ = {variable: "http://elsewhere.example/x", **(web if "STS" in variable else {})}
    with pytest.raises(OutputError, match=f"{variable} must be https"):
        await role_keys(**environ).get()


@pytest.mark.parametrize("url", ["http://[::1/CANARY", "http://127.0.0.1:99999/CANARY"])
@pytest.mark.parametrize("variable", ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT"])
async def test_an_address_that_is_none_is_one_sentence(variable, url):
    """T10."""
    with pytest.raises(OutputError, match=r"isn't a URL|doesn't answer") as caught:
        await role_keys(**{variable: url}).get()
    assert "CANARY" not in str(caught.value)


async def test_a_containers_token_with_a_line_break_is_named_and_not_shown():
    """T10."""
    variables = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x"}
    with pytest.raises(OutputError, match="authorization token has a stray character") as caught:
        await role_keys(**variables, AWS_CONTAINER_AUTHORIZATION_TOKEN="canary\nx").get()
    assert "canary" not in str(caught.value)


async def test_the_bucket_is_read_with_the_roles_keys():
    def answer(asked):
        return said(b"data") if "authorization" in asked.headers else instance(asked)

    async with hostile_store(answer) as store:
        assert await read_with_role(store) == b"data"
    assert store.asked[-1].headers["x-amz-security-token"] == "canary-token"


async def read_with_role(store: HostileStore) -> bytes:
    environ = {"AWS_ENDPOINT_URL": store.url, "AWS_EC2_METADATA_SERVICE_ENDPOINT": store.url}
    found = await ObjectStore(bucket_place("s3://bucket/p", environ, HOME)).read("x")
    assert found is not None
    return found.data
