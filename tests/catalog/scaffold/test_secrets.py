"""Which names of fields propose a secret; tests/catalog/scaffold/test_known_sdks.py measures the rule."""

from __future__ import annotations

import pytest

from crawler.catalog import load_catalog
from crawler.catalog.scaffold import known_secrets
from crawler.catalog.scaffold.secrets import secret_reason


@pytest.mark.parametrize(
    "path",
    [
        "Password", "AccountPassword", "MasterUserPwd", "SecretData", "AccessKeySecret", "KeyMaterial", "PlaintextKey",
        "Plaintext", "PrivateKey", "SecurityToken", "Credentials", "UserData", "EnvironmentVariables", "Envs",
        "ServerCertificate", "ConnectionString", "AuthConfig", "Authorization", "KubeConfig", "ExternalAgentToken",
        "BootstrapScript", "CommandContent.Command", "Parameters.Value", "Env.Value", "code.location", "apiKey",
        "Cookie", "WebhookUrl.Webhook", "Authentication.Secret.Text",
    ],
)  # fmt: skip
def test_a_name_proposes_a_secret(path):
    assert secret_reason(tuple(path.split(".")))


@pytest.mark.parametrize(
    "path",
    [
        "SecretName", "SecretType", "CertificateId", "PasswordPolicy", "NextToken", "ClientToken", "AccessKeyId",
        "KeyId", "AuthType", "CommandId", "Tags.Value", "Tag.TagValue", "UserName", "Name", "Location", "Value",
        "EnvironmentId", "CertName", "TokenStatus",
    ],
)  # fmt: skip
def test_a_name_that_only_describes_proposes_none(path):
    assert not secret_reason(tuple(path.split(".")))


def test_a_user_beside_a_password_is_one():
    assert secret_reason(("Source", "Username"), frozenset({"username", "password"}))
    assert not secret_reason(("Source", "Username"), frozenset({"username"}))


def test_a_map_named_like_parameters_is_one():
    assert secret_reason(("TracingConfig", "Params"), is_map=True)
    assert not secret_reason(("TracingConfig", "Params"))


def test_what_a_known_table_marks_is_proposed_without_such_a_name():
    known = known_secrets(load_catalog())
    assert ("certconfig", "privatekey") in known
    path = ("Box", "Colour")
    assert secret_reason(path, known=frozenset({("box", "colour")})) == "marked in a known table"
    assert not secret_reason(path, known=known)
