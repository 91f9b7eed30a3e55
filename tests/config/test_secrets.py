"""The secrets of a configuration are found by their type, wherever they are."""

from __future__ import annotations

import msgspec
import pytest

from crawler.config import load_config, parse_config
from crawler.config.load import OpenSecretsError
from crawler.config.secrets import register_secrets, secret_values
from crawler.config.sections import Settings
from crawler.errors import ConfigError
from crawler.secret_text import LiteralSecrets
from crawler.validation import Secret, dotted
from tests.support.config_keys import structs_in

ACCOUNT = '[[accounts]]\nid = "1000000000000001"\n'
LONG = "planted-" + "k" * 32
IN_CLEAR = {
    "output.fingerprint_key": f'[output]\nfingerprint_key = "{LONG}"\n',
    "output.iceberg.catalog_uri": f'[output.iceberg]\ncatalog_uri = "postgresql://u:{LONG}@127.0.0.1/x"\n',
    "network.proxy": f'[network]\nproxy = "http://user:{LONG}@127.0.0.1:9"\n',
    "metrics.push": f'[metrics]\npush = "https://push.example/metrics/job/x?token={LONG}"\n',
    "ping.url": f'[ping]\nurl = "https://hc.example/{LONG}"\n',
    "accounts[0].credentials.access_key_secret": '[accounts.credentials]\ntype = "access_key"\n'
    f'access_key_id = "${{ID}}"\naccess_key_secret = "{LONG}"\n',
    "accounts[0].credentials.security_token": '[accounts.credentials]\ntype = "sts"\naccess_key_id = "${ID}"\n'
    f'access_key_secret = "${{SECRET}}"\nsecurity_token = "{LONG}"\n',
}
ENVIRON = {"ID": "LTAI5tPlanted", "SECRET": LONG, "PROXY": f"http://user:{LONG}@127.0.0.1:9", "PASSWORD": LONG}


def text_of(more):
    return f"{ACCOUNT}{more}" if more.startswith("[accounts") else f"{more}{ACCOUNT}"


def load(tmp_path, more, mode):
    path = tmp_path / "config.toml"
    path.write_text(text_of(more))
    path.chmod(mode)
    return load_config(path, ENVIRON, cwd=tmp_path)


def secret_keys(kind, above=()):
    """All keys of the file whose type is Secret, without positions."""
    for field in msgspec.structs.fields(kind):
        options = [field.type, *getattr(field.type, "__args__", ())]
        path = (*above, field.encode_name)
        if any(option is Secret or Secret in getattr(option, "__args__", ()) for option in options):
            yield path
        for nested in structs_in(field.type):
            yield from secret_keys(nested, path)


def test_every_key_of_type_secret_has_a_case_here():
    """T38: a new key needs one."""
    cases = {tuple(name.replace("[0]", "").split(".")) for name in IN_CLEAR}
    assert set(secret_keys(Settings)) == cases
    assert ("accounts", "credentials", "access_key_id") not in cases


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
@pytest.mark.parametrize("key", IN_CLEAR)
def test_a_secret_in_clear_in_a_file_that_others_may_open_is_refused(tmp_path, key, mode):
    """T14, T38: whatever its key is."""
    with pytest.raises(OpenSecretsError) as caught:
        load(tmp_path, IN_CLEAR[key], mode)
    assert f"{key} is in clear" in str(caught.value)
    assert LONG not in str(caught.value)


@pytest.mark.parametrize("key", IN_CLEAR)
def test_the_same_in_a_file_of_ones_own_is_accepted(tmp_path, key):
    assert key in {dotted(path) for path, _ in secret_values(load(tmp_path, IN_CLEAR[key], 0o600))}


@pytest.mark.parametrize(
    "more",
    [
        '[network]\nproxy = "${PROXY}"\n',
        '[network]\nproxy = "http://user:${PASSWORD}@127.0.0.1:9"\n',
        '[ping]\nurl = "https://hc.example/${PASSWORD}"\n',
        '[ping]\nurl = "https://${ID}.example/ping/${PASSWORD}"\n',
        '[output.iceberg]\ncatalog_uri = "postgresql://u@${ID}/x?sslmode=require&password=${PASSWORD}"\n',
        '[output]\nfingerprint_key = "${SECRET}"\n',
        '[output.iceberg]\ncatalog_uri = "postgresql://u:${PASSWORD}@127.0.0.1/x"\n',
    ],
)
def test_a_secret_of_the_environment_may_be_named_in_an_open_file(tmp_path, more):
    """T38."""
    load(tmp_path, more, 0o644)


def test_the_word_for_the_environments_proxy_is_no_secret_and_its_password_is_one(tmp_path, monkeypatch):
    """P21, T38."""
    monkeypatch.setitem(ENVIRON, "HTTPS_PROXY", "http://user:planted-password@127.0.0.1:9")
    secrets, config = LiteralSecrets(), load(tmp_path, '[network]\nproxy = "environment"\n', 0o644)
    register_secrets(config, secrets, config.proxy.url)
    assert secrets.hide("environment planted-password") == "environment ***"


@pytest.mark.parametrize(
    ("key", "more"),
    [
        ("ping.url", f'[ping]\nurl = "https://${{ID}}.example/{LONG}"\n'),
        (
            "output.iceberg.catalog_uri",
            f'[output.iceberg]\ncatalog_uri = "postgresql://${{ID}}@127.0.0.1/x?sslmode=require&Password={LONG}"\n',
        ),
        (
            "output.iceberg.catalog_uri",
            f'[output.iceberg]\ncatalog_uri = "https://${{ID}}.example/?api_token={LONG}"\n',
        ),
    ],
)
def test_a_secret_path_or_parameter_in_clear_beside_a_variable_is_refused(tmp_path, key, more):
    """T38."""
    with pytest.raises(OpenSecretsError) as caught:
        load(tmp_path, more, 0o644)
    assert f"{key} is in clear" in str(caught.value)


def test_a_password_in_clear_in_a_url_with_a_variable_elsewhere_is_refused(tmp_path):
    """T38."""
    with pytest.raises(OpenSecretsError, match=r"network\.proxy is in clear"):
        load(tmp_path, f'[network]\nproxy = "http://${{ID}}:{LONG}@127.0.0.1:9"\n', 0o644)


@pytest.mark.parametrize("key", ["a", "1234", "0123456789abcdef0123456789abcde", "k" * 32, "01234" * 20])
@pytest.mark.parametrize("text", ["{}", "${{KEY}}"])
def test_a_fingerprint_key_of_fewer_than_32_characters_is_refused(key, text):
    """T09, T40: in the file or from the environment; the manifest's key ID would confirm a guess of it."""
    written = f'[output]\nfingerprint_key = "{text.format(key)}"\n{ACCOUNT}'
    with pytest.raises(ConfigError, match=r"output\.fingerprint_key .*must be at least 32 random characters") as caught:
        parse_config(written, source="config.toml", environ={"KEY": key})
    assert key not in str(caught.value) or key == "a"


def test_a_fingerprint_key_of_32_characters_is_accepted():
    parse_config(f'[output]\nfingerprint_key = "{"0123456789abcdef" * 2}"\n{ACCOUNT}', source="config.toml", environ={})


@pytest.mark.parametrize("key", IN_CLEAR)
def test_every_secret_of_a_configuration_is_registered(tmp_path, key):
    """P21: the keys of an account for this account."""
    secrets, config = LiteralSecrets(), load(tmp_path, IN_CLEAR[key], 0o600)
    register_secrets(config, secrets)
    assert secrets.hide(f"x {LONG} y", "1000000000000001") == "x *** y"
    assert (secrets.hide(LONG, "2") == LONG) is key.startswith("accounts")


def test_an_access_key_id_is_hidden_and_may_be_in_an_open_file(tmp_path):
    """P21, T38: an ID opens nothing without its secret."""
    keys = 'type = "access_key"\naccess_key_id = "LTAI5tPlanted"\naccess_key_secret = "${SECRET}"\n'
    secrets, config = LiteralSecrets(), load(tmp_path, f"[accounts.credentials]\n{keys}", 0o644)
    register_secrets(config, secrets)
    assert secrets.hide("x LTAI5tPlanted y") == "x *** y"
    assert "LTAI5tPlanted" not in repr(config)
