"""Profiles of the aliyun CLI: each mode that needs no person, and a file as any editor or shell may have written it."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest
from alibabacloud_credentials.provider import RamRoleArnCredentialsProvider
from Tea.core import TeaCore

from crawler.client.credentials.cli_profiles import cli_profile
from crawler.errors import CredentialsError
from tests.support.credentials_fakes import ROLE, FakeCloud

KEYS = {"access_key_id": "LTAI5tFakeFakeFake0001", "access_key_secret": "canary-secret"}
TEMPORARY = {**KEYS, "sts_token": "source-token"}


def write(home: Path, content: bytes | str | dict, encoding: str = "utf-8") -> None:
    (home / ".aliyun").mkdir(exist_ok=True)
    if isinstance(content, dict):
        content = json.dumps({"current": "main", "profiles": [{"name": "main", **content}]})
    data = content if isinstance(content, bytes) else content.encode(encoding)
    (home / ".aliyun" / "config.json").write_bytes(data)


async def found(home: Path, profile: dict, cloud: FakeCloud | None = None, **environ: str):
    cloud = cloud or FakeCloud()
    write(home, profile)
    return await cli_profile(cloud.outside(home, **environ)).get(), cloud


async def test_a_role_is_assumed_with_the_token_beside_its_keys(tmp_path):
    """F81: `sts_token` of a profile of mode RamRoleArn signs AssumeRole with the keys."""
    _, cloud = await found(tmp_path, {"mode": "RamRoleArn", **TEMPORARY, "ram_role_arn": ROLE})
    [(action, _, source)] = cloud.asked
    assert action == "AssumeRole"
    assert (source.access_key_id, source.access_key_secret, source.security_token) == tuple(TEMPORARY.values())


async def test_the_token_signs_as_it_does_in_the_official_library(tmp_path, monkeypatch):
    """F81: the official library, given the same three keys as the CLI gives it, sends the same token."""
    asked = []

    def network(request, _options=None):
        asked.append(request.query)
        raise ConnectionError

    monkeypatch.setattr(TeaCore, "do_action", staticmethod(network))
    library = RamRoleArnCredentialsProvider(
        access_key_id=TEMPORARY["access_key_id"],
        access_key_secret=TEMPORARY["access_key_secret"],
        security_token=TEMPORARY["sts_token"],
        role_arn=ROLE,
        role_session_name="me",
    )
    with pytest.raises(Exception):  # noqa: B017, PT011 - of the library, after its request
        library.get_credentials()
    _, cloud = await found(
        tmp_path, {"mode": "RamRoleArn", **TEMPORARY, "ram_role_arn": ROLE, "ram_session_name": "me"}
    )
    [(_, parameters, source)] = cloud.asked
    assert (asked[0]["AccessKeyId"], asked[0]["SecurityToken"]) == (source.access_key_id, source.security_token)
    assert {name: asked[0][name] for name in parameters} == parameters


async def test_a_role_of_the_instance_assumes_another(tmp_path):
    """F81: RamRoleArnWithRoleName assumes its role with the keys of the instance's role."""
    profile = {"mode": "RamRoleArnWithRoleName", "ram_role_name": "node", "ram_role_arn": ROLE, "ram_session_name": "s"}
    keys, cloud = await found(tmp_path, profile)
    assert cloud.fetched[-1][1].endswith("/node")
    [(action, parameters, source)] = cloud.asked
    assert (action, parameters["RoleArn"], parameters["RoleSessionName"]) == ("AssumeRole", ROLE, "s")
    assert source.security_token == f"issued-token-{len(cloud.fetched)}"
    assert keys.security_token == "issued-token-1"


@pytest.mark.parametrize("in_file", [True, False])
async def test_a_credentials_uri_is_asked(tmp_path, in_file):
    """F81: CredentialsURI asks the profile's URI, else that of the environment as the CLI does."""
    uri = "http://127.0.0.1:9/keys?a=canary"
    profile = {"mode": "CredentialsURI", **({"credentials_uri": uri} if in_file else {})}
    keys, cloud = await found(tmp_path, profile, **({} if in_file else {"ALIBABA_CLOUD_CREDENTIALS_URI": uri}))
    assert cloud.fetched == [("GET", uri, {})]
    assert keys.security_token == "issued-token-1"


@pytest.mark.parametrize(
    ("profile", "token", "asked"),
    [
        (KEYS, "", []),
        (TEMPORARY, "source-token", []),
        ({**KEYS, "ram_role_arn": ROLE}, "issued-token-1", ["AssumeRole"]),
        ({**TEMPORARY, "ram_role_arn": ROLE}, "source-token", []),
        ({"ram_role_name": "node"}, "issued-token-2", []),
        ({**KEYS, "mode": ""}, "", []),
        ({**KEYS, "mode": None}, "", []),
        ({**KEYS, "mode": "ak"}, "", []),
        ({"Mode": "AK", "Access_Key_Id": "LTAI5tFakeFakeFake0001", "ACCESS_KEY_SECRET": "s"}, "", []),
    ],
)
async def test_a_missing_mode_is_guessed_as_the_cli_guesses(tmp_path, profile, token, asked):
    """F81: a profile without a mode has the mode that its keys show; modes and keys may have any case."""
    keys, cloud = await found(tmp_path, profile)
    assert keys.security_token == token
    assert [action for action, _, _ in cloud.asked] == asked


@pytest.mark.parametrize("content", [{}, {"current": None}])
async def test_a_file_without_a_current_profile_means_default(tmp_path, content):
    """F81: the CLI's own current profile is `default` until the file says otherwise."""
    profiles = [{"name": "other", "mode": "Anonymous"}, {"name": "default", "mode": "AK", **KEYS}]
    write(tmp_path, json.dumps({**content, "profiles": profiles}))
    keys = await cli_profile(FakeCloud().outside(tmp_path)).get()
    assert keys.access_key_id == KEYS["access_key_id"]


async def test_a_chain_without_a_source_is_named(tmp_path):
    """F81."""
    with pytest.raises(CredentialsError, match=r"profile 'main' .* has no source_profile"):
        await found(tmp_path, {"mode": "ChainableRamRoleArn", "ram_role_arn": ROLE})


async def test_an_oidc_profile_without_a_mode_is_guessed(tmp_path):
    """F81: the three keys of OIDC show its mode."""
    (tmp_path / "token").write_text("t")
    arn = "acs:ram::1000000000000001:oidc-provider/ack"
    profile = {"oidc_provider_arn": arn, "oidc_token_file": str(tmp_path / "token"), "ram_role_arn": ROLE}
    _, cloud = await found(tmp_path, profile)
    assert [action for action, _, _ in cloud.asked] == ["AssumeRoleWithOIDC"]


@pytest.mark.parametrize(
    ("seconds", "asked"),
    [
        (0, 3600),
        (-1, 3600),
        (None, 3600),
        ("", 3600),
        ("0", 3600),
        (900, 900),
        (900.0, 900),
        ("900", 900),
        (43200, 43200),
    ],
)
async def test_seconds_of_a_session_are_read_as_the_cli_reads_them(tmp_path, seconds, asked):
    """F82: 0 and less count as absent, and a whole number counts in any form of JSON."""
    _, cloud = await found(tmp_path, {"mode": "RamRoleArn", **KEYS, "ram_role_arn": ROLE, "expired_seconds": seconds})
    assert cloud.asked[0][1]["DurationSeconds"] == str(asked)


@pytest.mark.parametrize("seconds", [899, 900.5, "15m", True, [900], float("nan"), "1e999"])
async def test_seconds_that_no_session_has_are_named(tmp_path, seconds):
    """F82: any other value is one sentence with the key."""
    with pytest.raises(CredentialsError, match="expired_seconds must be a whole number, 900 or more"):
        await found(tmp_path, {"mode": "RamRoleArn", **KEYS, "ram_role_arn": ROLE, "expired_seconds": seconds})


async def test_a_number_counts_as_its_digits(tmp_path):
    """F82: an external ID without quotes is sent, not left out."""
    _, cloud = await found(tmp_path, {"mode": "RamRoleArn", **KEYS, "ram_role_arn": ROLE, "external_id": 12345})
    assert cloud.asked[0][1]["ExternalId"] == "12345"


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
async def test_a_file_that_windows_wrote_is_read(tmp_path, mark, encoding):
    """F83: byte order marks of UTF-8, UTF-16 and UTF-32 are read in the CLI's file."""
    text = json.dumps({"current": "main", "profiles": [{"name": "main", "mode": "AK", **KEYS}]})
    write(tmp_path, mark + text.replace("\n", "\r\n").encode(encoding))
    assert (await cli_profile(FakeCloud().outside(tmp_path)).get()).access_key_id == KEYS["access_key_id"]


async def test_bytes_that_are_no_text_are_named(tmp_path):
    """F83: another encoding is named with the file, and no byte of it is shown."""
    write(tmp_path, b'{"current": "\xe4\xf6", "canary": 1}')
    with pytest.raises(CredentialsError, match=r"config\.json can't be read: not UTF-8 or UTF-16 text") as caught:
        await cli_profile(FakeCloud().outside(tmp_path)).get()
    assert caught.value.__context__ is None
