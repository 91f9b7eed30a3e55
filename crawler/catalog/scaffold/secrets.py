"""Which fields of a record may hold a secret, by their names. The rule is generous: a person confirms each one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from crawler.catalog.columns import Column
from crawler.catalog.model import Catalog
from crawler.catalog.scaffold.names import plain, words

# (the field above, the field), by plain names.
KnownSecrets = frozenset[tuple[str, str]]

# A field with one of these words in its name may hold a secret.
_WORDS = {
    "password", "passwd", "pwd", "passphrase", "secret", "secrets", "token", "credential", "credentials", "cert",
    "certificate", "pem", "env", "envs", "environment", "payload", "command", "commands", "args", "arguments",
    "entrypoint", "script", "plaintext", "ciphertext", "authorization", "auth", "cookie", "cookies", "signature",
    "kubeconfig", "psk", "dsn", "placeholder",
}  # fmt: skip
# So may one whose name holds these letters.
_LETTERS = re.compile(
    r"userdata|keymaterial|privatekey|accesskey|secretkey|apikey|keypair|connectionstring|connectstring|extraoptions"
    r"|functionparameter|eventdetail|startupscript|initscript|plugins|rawdata|sshkey|publickeybody|keyvalue|kubeconfig"
    r"|configcontent|filecontent|passphrase|clientkey|webhook|signedurl|presigned|downloadurl|uploadurl"
)
# Everything below one of these may.
_ABOVE = {
    "headers", "params", "parameters", "plugins", "envs", "environment", "env", "auth", "authentication", "credential",
    "credentials", "secret", "secrets",
}  # fmt: skip
# A value beside its name, in a list of parameters.
_VALUES = {"value", "content", "val", "data"}
_PAIRS = re.compile(r"parameter|param|env|header|variable|config|option|setting|propert|replacement|secret|data$")
# The last word of a name that describes a secret and doesn't hold one.
_DESCRIBES = {
    "id", "ids", "name", "names", "type", "types", "status", "state", "count", "size", "arn", "arns", "enabled",
    "enable", "algorithm", "mode", "method", "policy", "version", "period", "time", "date", "region", "format", "usage",
    "spec", "expired", "expire", "length", "num", "number", "index", "order", "code", "domain", "source", "role",
    "level", "required", "switch", "flag",
}  # fmt: skip
_USERS = {"username", "user", "instanceusername", "account", "accountname"}


def known_secrets(catalog: Catalog) -> KnownSecrets:
    """Return the plain names of each secret of a catalog, with the field above it: (certconfig, privatekey)."""

    def below(column: Column, above: str) -> Iterator[tuple[str, str]]:
        name = plain(column.wire) or above
        if column.secret:
            yield above, name
        for child in column.children:
            yield from below(child, name)

    columns = [column for operation in catalog.operations.values() for column in operation.columns]
    return frozenset(pair for column in columns for pair in below(column, ""))


def secret_reason(
    path: tuple[str, ...],
    siblings: frozenset[str] = frozenset(),
    known: KnownSecrets = frozenset(),
    *,
    is_map: bool = False,
) -> str:
    """Return why the field at a path of wire names may hold a secret, "" if nothing says so.

    `siblings`: the plain names of the fields beside it. The names of items and values of maps are empty. `is_map`: the
    field has any values.
    """
    names = [name for name in path if name]
    leaf, above = names[-1], names[:-1]
    own, letters = words(leaf), plain(leaf)
    if _is_tag(names):
        return ""
    if own[-1:] and own[-1] not in _DESCRIBES:
        for word in own:
            if word in _WORDS and not (word == "token" and own[0] in {"next", "page", "client"}):
                return f"named {leaf}"
        if _LETTERS.search(letters):
            return f"named {leaf}"
        if letters == "location" and above and plain(above[-1]) == "code":
            return "an address that may be signed"
        if letters in _VALUES and above and _PAIRS.search(plain(above[-1])):
            return f"a value of {above[-1]}"
        for name in names if is_map else above:
            if _ABOVE & set(words(name)) or _LETTERS.search(plain(name)):
                return f"below {name}"
    above_it = plain(above[-1]) if above else ""
    if above_it and {(above_it, letters), (letters, letters)} & known:
        return "marked in a known table"
    if letters in _USERS and any("password" in name for name in siblings):
        return "a user beside a password"
    return ""


def _is_tag(names: list[str]) -> bool:
    """Whether the field is a part of a tag."""
    return any(word in {"tag", "tags"} for name in names[-3:] for word in words(name))
