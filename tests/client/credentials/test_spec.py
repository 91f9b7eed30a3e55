"""What may stand under `[accounts.credentials]`, what is said of it, and that credentials never show themselves."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from crawler.client.credentials import Credentials, CredentialSpec, describe, mask, validate
from crawler.client.credentials.base import checked
from crawler.errors import ConfigError, CredentialsError

ROLE = "acs:ram::1000000000000001:role/inventory-reader"
KEYS = {"access_key_id": "LTAI5tFakeFakeFakeabcd", "access_key_secret": "canary-secret"}

GOOD = {
    "default": CredentialSpec(),
    "access_key": CredentialSpec("access_key", **KEYS),
    "sts": CredentialSpec("sts", **KEYS, security_token="canary-token"),
    "role by keys": CredentialSpec("ram_role_arn", **KEYS, role_arn=ROLE, external_id="canary-external"),
    "role by default": CredentialSpec("ram_role_arn", role_arn=ROLE, source="default"),
    "role by profile": CredentialSpec("ram_role_arn", role_arn=ROLE, source="profile", profile="prod"),
    "role by ecs": CredentialSpec("ram_role_arn", role_arn=ROLE, source="ecs_ram_role", role_name="node"),
    "oidc": CredentialSpec("oidc_role_arn", role_arn=ROLE, oidc_token_file="/t", oidc_provider_arn="acs:p"),
    "oidc by environment": CredentialSpec("oidc_role_arn"),
    "ecs": CredentialSpec("ecs_ram_role"),
    "ecs by name": CredentialSpec("ecs_ram_role", role_name="node"),
    "profile": CredentialSpec("profile", profile="prod"),
    "current profile": CredentialSpec("profile"),
}

LINES = {
    "default": "the default chain",
    "access_key": "access_key LTAI…abcd",
    "sts": "sts LTAI…abcd",
    "role by keys": f"role {ROLE} from access_key LTAI…abcd",
    "role by default": f"role {ROLE} from the default chain",
    "role by profile": f"role {ROLE} from CLI profile 'prod'",
    "role by ecs": f"role {ROLE} from ECS RAM role node",
    "oidc": f"role {ROLE} from the OIDC token in /t",
    "oidc by environment": "role $ALIBABA_CLOUD_ROLE_ARN from the OIDC token in $ALIBABA_CLOUD_OIDC_TOKEN_FILE",
    "ecs": "the instance's ECS RAM role",
    "ecs by name": "ECS RAM role node",
    "profile": "CLI profile 'prod'",
    "current profile": "the CLI's current profile",
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_spec_is_taken_and_described_in_one_line_without_secrets(name):
    validate(GOOD[name])
    assert describe(GOOD[name]) == LINES[name]
    assert "canary" not in f"{GOOD[name]!r}{GOOD[name]}"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (CredentialSpec("acces_key"), "did you mean 'access_key'"),
        (CredentialSpec("qqq"), "it is one of default, access_key"),
        (CredentialSpec("access_key", access_key_id="k"), 'access_key_secret: type = "access_key" needs it'),
        (CredentialSpec("access_key", access_key_secret="s"), "access_key_id"),
        (CredentialSpec("sts", **KEYS), "security_token"),
        (CredentialSpec("access_key", **KEYS, security_token="t"), 'type = "sts" is for temporary keys'),
        (CredentialSpec("access_key", **KEYS, role_arn=ROLE), 'role_arn: type = "access_key" has no use'),
        (CredentialSpec("default", **KEYS), 'access_key_id: type = "default" has no use'),
        (CredentialSpec("ram_role_arn", **KEYS), "role_arn"),
        (CredentialSpec("ram_role_arn", role_arn=ROLE), 'source = "default"'),
        (CredentialSpec("ram_role_arn", role_arn=ROLE, access_key_id="k"), "access_key_secret"),
        (CredentialSpec("ram_role_arn", role_arn=ROLE, source="defualt"), "source: 'defualt' is unknown"),
        (CredentialSpec("ram_role_arn", role_arn=ROLE, source="default", **KEYS), "access_key_id"),
        (CredentialSpec("ram_role_arn", role_arn="role/x", source="default"), "isn't like acs:ram"),
        (replace(GOOD["role by default"], role_session_expiration=899), "899 isn't 900 to 3600"),
        (replace(GOOD["role by default"], role_session_expiration=3601), "3601 isn't 900 to 3600"),
        (replace(GOOD["role by default"], role_session_name="a b"), "role_session_name"),
        (replace(GOOD["ecs"], role_name="../x"), "role_name"),
        (replace(GOOD["ecs"], external_id="x"), "external_id"),
    ],
)
def test_a_bad_spec_is_one_sentence_that_names_the_key_and_no_secret(spec, says):
    with pytest.raises(ConfigError) as caught:
        validate(spec, "account 1: [accounts.credentials]")
    assert says in str(caught.value)
    assert str(caught.value).startswith("account 1: [accounts.credentials] ")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("seconds", [900, 3600])
def test_the_ends_of_the_session_s_range_are_taken(seconds):
    validate(replace(GOOD["role by default"], role_session_expiration=seconds))


@pytest.mark.parametrize(
    ("key_id", "shown"),
    [("LTAI5tFakeFakeFakeabcd", "LTAI…abcd"), ("short", "…"), ("", "…"), ("\x1b[31" + "x" * 20, "?[31…xxxx")],
)
def test_a_mask_shows_eight_characters_at_most(key_id, shown):
    assert mask(key_id) == shown


def test_credentials_show_a_masked_id_in_every_text_form():
    keys = Credentials("LTAI5tFakeFakeFakeabcd", "canary-secret", "canary-token", datetime(2026, 1, 1, tzinfo=UTC))
    for text in (
        repr(keys),
        str(keys),
        f"{keys}",
        f"{keys!s:>40}",
        format(keys),
        repr([keys]),
    ):
        assert "Credentials('LTAI…abcd', temporary=True)" in text
        assert "canary" not in text
    assert repr(replace(keys, security_token="")) == "Credentials('LTAI…abcd')"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_credentials_are_not_pickled(protocol):
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(Credentials("k", "canary-secret"), protocol)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_credentials_are_not_copied(duplicate):
    with pytest.raises(TypeError, match="can't be pickled or copied"):
        duplicate(Credentials("k", "canary-secret"))


def test_credentials_are_frozen_and_equal_by_value():
    keys = Credentials("k", "s")
    assert keys == Credentials("k", "s")
    assert keys != Credentials("k", "s", "t")
    with pytest.raises(AttributeError):
        keys.access_key_id = "other"


def test_white_space_around_keys_is_cut():
    assert checked(" k\n", "s\r\n", "\tt", "here") == Credentials("k", "s", "t")


@pytest.mark.parametrize("bad", ["a\nb", "a b", "a\x00b", "ключ", "a\x7fb"])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_keys_that_cannot_stand_in_a_header_are_refused_without_being_shown(bad, position):
    texts = ["k", "s", "t"]
    texts[position] = bad
    with pytest.raises(CredentialsError, match="stray character") as caught:
        checked(*texts, "here")
    assert bad not in str(caught.value)
