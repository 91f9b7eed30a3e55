"""The secrets of a configuration, found by the types of its sections: a new key of type `Secret` is found, too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from crawler.client.proxies import FROM_ENVIRONMENT
from crawler.config.sections import Settings
from crawler.secret_text import EVERYONE, LiteralSecrets, url_secrets
from crawler.validation import Document, KeyPath, Secret, SecretName

_PING = ("ping", "url")
_PUSH = ("metrics", "push")
_PASSWORD = re.compile(r"://[^/@]*?:([^/@]*)@")
_PARAMETER = re.compile(r"[?&;][^=&;#]*(?:pass|pwd|secret|token|key|sign|auth|cred)[^=&;#]*=([^&;#]*)", re.IGNORECASE)


def secret_values(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Secret]]:
    """Yield every value of type `Secret` in a section, with its key in the file; not the word of a proxy."""
    match value:
        case Secret():
            if value.reveal() != FROM_ENVIRONMENT:
                yield path, value
        case msgspec.Struct():
            for field in msgspec.structs.fields(value):
                yield from secret_values(getattr(value, field.name), (*path, field.encode_name))
        case tuple():
            for index, item in enumerate(value):
                yield from secret_values(item, (*path, index))
        case dict():
            for key, item in value.items():
                yield from secret_values(item, (*path, key))


def open_secrets(settings: Settings, document: Document) -> Iterator[KeyPath]:
    """Yield the keys of the secrets that the file holds in clear text.

    A URL may have a part from the environment, and is in clear text if it has none, or if its password, a parameter
    named like a secret, or a ping's path is not one. The URL of a Pushgateway need not hold a secret.
    """
    for path, secret in secret_values(settings):
        if not isinstance(secret, SecretName) and _is_in_clear(document, path, secret.reveal()):
            yield path


def _is_in_clear(document: Document, path: KeyPath, text: str) -> bool:
    if "://" not in text or not (document.has_reference(path) or path == _PUSH):
        return document.is_literal(path)
    written = document.text(path)
    if path == _PING and "://" in written:  # its path is the secret
        return "${" not in written.partition("://")[2].partition("/")[2]
    found = [match[1] for pattern in (_PASSWORD, _PARAMETER) for match in pattern.finditer(written)]
    return any(value and "${" not in value for value in found)


def register_secrets(settings: Settings, secrets: LiteralSecrets, proxy_url: str = "") -> None:
    """Add the secrets of a configuration to the literal secrets: keys for their account, others for every account.

    `proxy_url`: the proxy that is used, which may be that of the environment.
    """
    secrets.add(*url_secrets(proxy_url))
    for path, secret in secret_values(settings):
        text = secret.reveal()
        owner = settings.accounts[int(path[1])].id if path[0] == "accounts" else EVERYONE
        if "://" in text:
            secrets.add(*url_secrets(text, has_secret_path=path == _PING), owner=owner)
        else:
            secrets.add(text, owner=owner)
