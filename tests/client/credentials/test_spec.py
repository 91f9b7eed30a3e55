"""The settings under `[accounts.credentials]`, the messages about them, and credentials that never show themselves."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from crawler.client.credentials import Credentials, describe, mask
from crawler.client.credentials.base import checked_keys
from crawler.config.checks import is_secret
from crawler.config.sections import Settings
from crawler.errors import ConfigError, CredentialsError
from crawler.validation import Document

ROLE = "acs:ram::1000000000000001:role/inventory-reader"
PROVIDER = "acs:ram::1000000000000001:oidc-provider/ack"
KEYS = {"access_key_id": "LTAI5tFakeFakeFakeabcd", "access_key_secret": "canary-secret"}

GOOD = {
    "default": {"type": "default"},
    "access_key": {"type": "access_key", **KEYS},
    "sts": {"type": "sts", **KEYS, "security_token": "canary-token"},
    "role by keys": {"type": "ram_role_arn", **KEYS, "role_arn": ROLE, "external_id": "canary-external"},
    "role by temporary keys": {"type": "ram_role_arn", **KEYS, "security_token": "canary-token", "role_arn": ROLE},
    "role by default": {"type": "ram_role_arn", "role_arn": ROLE, "source": "default"},
    "role by profile": {"type": "ram_role_arn", "role_arn": ROLE, "source": "profile", "profile": "prod"},
    "role by ecs": {"type": "ram_role_arn", "role_arn": ROLE, "source": "ecs_ram_role", "role_name": "node"},
    "oidc": {"type": "oidc_role_arn", "role_arn": ROLE, "oidc_token_file": "/t", "oidc_provider_arn": PROVIDER},
    "oidc by environment": {"type": "oidc_role_arn"},
    "ecs": {"type": "ecs_ram_role"},
    "ecs by name": {"type": "ecs_ram_role", "role_name": "node"},
    "profile": {"type": "profile", "profile": "prod"},
    "current profile": {"type": "profile"},
}

LINES = {
    "default": "the default chain",
    "access_key": "access_key LTAI…abcd",
    "sts": "sts LTAI…abcd",
    "role by keys": f"role {ROLE} from access_key LTAI…abcd",
    "role by temporary keys": f"role {ROLE} from sts LTAI…abcd",
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


def parsed(table):
    """The spec of a table, as the configuration reads it."""
    values = {"accounts": [{"id": "1000000000000001", "credentials": table}]}
    return Document("config.toml", values, values, is_secret).convert(Settings).accounts[0].credentials


@pytest.mark.parametrize("name", GOOD)
def test_a_good_spec_is_taken_and_described_in_one_line_without_secrets(name):
    spec = parsed(GOOD[name])
    assert describe(spec) == LINES[name]
    assert "canary" not in f"{spec!r}{spec}"


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"type": "acces_key"}, 'type is "acces_key", but must be default, access_key'),
        ({"type": "qqq"}, 'type is "qqq", but must be default, access_key'),
        ({"type": "access_key", "access_key_id": "k"}, 'access_key_secret is missing: type = "access_key" needs it'),
        ({"type": "access_key", "access_key_secret": "s"}, "access_key_id"),
        ({"type": "sts", **KEYS}, "security_token"),
        (
            {"type": "access_key", **KEYS, "security_token": "t"},
            'security_token isn\'t used with type = "access_key", only with "sts" or "ram_role_arn"',
        ),
        ({"type": "access_key", **KEYS, "role_arn": ROLE}, 'role_arn isn\'t used with type = "access_key"'),
        ({"type": "default", **KEYS}, 'access_key_id isn\'t used with type = "default"'),
        ({"type": "ram_role_arn", **KEYS}, "role_arn"),
        ({"type": "ram_role_arn", "role_arn": ROLE}, 'source = "default"'),
        ({"type": "ram_role_arn", "role_arn": ROLE, "access_key_id": "k"}, "access_key_secret"),
        (
            {"type": "ram_role_arn", "role_arn": ROLE, "source": "sts", **KEYS},
            'security_token is missing: source = "sts"',
        ),
        (
            {"type": "ram_role_arn", "role_arn": ROLE, "source": "defualt"},
            'source is "defualt", but must be access_key',
        ),
        ({"type": "ram_role_arn", "role_arn": ROLE, "source": "default", **KEYS}, "access_key_id"),
        ({"type": "ram_role_arn", "role_arn": "role/x", "source": "default"}, "a RAM role's ARN such as acs:ram"),
        (
            {**GOOD["role by default"], "role_session_expiration": 899},
            "is 899, but must be whole seconds from 900 to 3600",
        ),
        (
            {**GOOD["role by default"], "role_session_expiration": 3601},
            "is 3601, but must be whole seconds from 900 to",
        ),
        ({**GOOD["role by default"], "role_session_name": "a b"}, "role_session_name"),
        ({**GOOD["ecs"], "role_name": "../x"}, "role_name"),
        ({**GOOD["ecs"], "external_id": "x"}, "external_id"),
    ],
)
def test_a_bad_spec_is_one_sentence_that_names_the_key_and_no_secret(table, says):
    with pytest.raises(ConfigError) as caught:
        parsed(table)
    assert says in str(caught.value)
    assert str(caught.value).startswith("config.toml: accounts[0].credentials.")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("seconds", [900, 3600])
def test_the_ends_of_the_session_s_range_are_taken(seconds):
    parsed({**GOOD["role by default"], "role_session_expiration": seconds})


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
    assert checked_keys(" k\n", "s\r\n", "\tt", "here") == Credentials("k", "s", "t")


@pytest.mark.parametrize("bad", ["a\nb", "a b", "a\x00b", "ключ", "a\x7fb"])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_keys_that_cannot_stand_in_a_header_are_refused_without_being_shown(bad, position):
    texts = ["k", "s", "t"]
    texts[position] = bad
    with pytest.raises(CredentialsError, match="stray character") as caught:
        checked_keys(*texts, "here")
    assert bad not in str(caught.value)
