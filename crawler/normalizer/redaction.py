"""Replaces secrets by a keyed fingerprint or a mask, or keeps them if the configuration says so.

A fingerprint is `hmac:` and 16 hex digits of HMAC-SHA-256: equal secrets of an account have equal fingerprints in all
snapshots. A guess can't be tested without the key, or the right to write a value in the same account.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from crawler.normalizer.exact_json import to_text
from crawler.secret_text import (
    EVERYONE,
    HIDDEN_CHARACTER,
    MARKS,
    MASK,
    LiteralSecrets,
    has_secret_markers,
    is_never_kept,
)
from crawler.text import is_encodable

__all__ = ["MASK", "Mode", "Redaction", "Scope"]

Mode = Literal["fingerprint", "mask", "keep"]
# The accounts within which equal secrets have equal fingerprints: one account, or all of a crawl.
Scope = Literal["account", "all"]
# From this size on, RE2 is faster than one search for each mark, although it compiles the marks each time.
_LARGE_BYTES = 262_144
# Redactions that are held: making one takes some microseconds, and pages of all accounts come in turn. One takes 1 KB.
_MOST_MADE = 2048
# A letter or digit as an escape of JSON, which hides it from a search in the bytes.
_ESCAPED_IN_JSON = re.compile(rb"\\u00(?:3[0-9]|[46][1-9a-f]|[57][0-9a])", re.IGNORECASE)


_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))


class _Hmac:
    """HMAC-SHA-256 (RFC 2104) that hashes the key's two blocks once: `hmac.digest` takes twice as long per text."""

    def __init__(self, key: bytes) -> None:
        block = (key if len(key) <= 64 else hashlib.sha256(key).digest()).ljust(64, b"\0")
        self._inner = hashlib.sha256(block.translate(_INNER_PAD))
        self._outer = hashlib.sha256(block.translate(_OUTER_PAD))

    def digest(self, text: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.digest()


class Redaction:
    """The redaction of one crawl, or with `for_account` of the rows of one account. Without a `key` it masks.

    `literals` are the secrets that the crawl sends: they are replaced in every text. `is_scanning` False: a page has
    been searched and has none of them, and no secret that is never kept, so that names aren't searched again.
    """

    def __init__(
        self,
        secrets: Mode,
        unknown: Literal["fingerprint", "keep"],
        key: bytes | None,
        *,
        scope: Scope = "all",
        literals: LiteralSecrets | None = None,
        account_id: str = "",
        is_scanning: bool = True,
    ) -> None:
        self.mode: Mode = "mask" if secrets == "fingerprint" and key is None else secrets
        self.scope: Scope = scope
        self.account_id = account_id
        self.is_scanning = is_scanning
        self._arguments = (secrets, unknown, key)
        self._literals = literals or LiteralSecrets()
        self._keeps_unknown = unknown == "keep"
        self._key = None if secrets == "mask" else key
        self._made: dict[tuple[str, bool], Redaction] = {}

    @property
    def key_id(self) -> str:
        """Sixteen hex digits that identify the key without revealing it; "" without a key."""
        return "" if self._key is None else hmac.digest(self._key, b"the key's own fingerprint", "sha256").hex()[:16]

    def for_account(self, account_id: str, *, is_scanning: bool = True) -> Redaction:
        """Return the redaction of the rows of an account: its fingerprints have the account in them, by the scope.

        `is_scanning` False is for a page in which `has_markers` found nothing.
        """
        found = self._made.get((account_id, is_scanning))
        if found is None:
            options: dict[str, Any] = {"scope": self.scope, "literals": self._literals}
            found = Redaction(*self._arguments, **options, account_id=account_id, is_scanning=is_scanning)
            if len(self._made) >= _MOST_MADE:
                self._made.clear()
            self._made[account_id, is_scanning] = found
        return found

    @cached_property
    def _hmac(self) -> _Hmac | None:
        return None if self._key is None else _Hmac(self._scoped_key(self._key))

    @property
    def is_same_for_all(self) -> bool:
        """Whether `secret` gives the same for all accounts."""
        return self.mode == "mask" or (self.mode == "fingerprint" and self.scope == "all")

    @property
    def marks(self) -> str:
        """A case-insensitive regular expression of RE2: a text without a match has nothing that `hide` replaces."""
        return self.marks_of([self.account_id])

    def marks_of(self, account_ids: Iterable[str]) -> str:
        """Return the `marks` of several accounts: those of one of them, or of no account, are in every text."""
        needles = dict.fromkeys(
            needle for owner in (EVERYONE, *account_ids) for needle in self._literals.needles(owner)
        )
        return "|".join([MARKS, HIDDEN_CHARACTER, *(_quoted(needle.decode("latin-1")) for needle in needles)])

    def may_have_own_literals(self, body: bytes) -> bool:
        """Whether text in this JSON may hold a literal secret that is sent for this account and not for every one."""
        own = self._literals.own_needles(self.account_id)
        if not own:
            return False
        if b"\\" in body and (_ESCAPED_IN_JSON.search(body) or not b"".join(own).isalnum()):
            return True
        lower = body.lower()
        for needle in own:  # noqa: SIM110 - `any` takes twice as long
            if needle in lower:
                return True
        return False

    def has_markers(self, body: bytes) -> bool:
        """Whether text in this JSON may hold something that `hide` replaces."""
        if len(body) >= _LARGE_BYTES:
            return b"\\u" in body or has_match(body, self.marks)
        return has_secret_markers(body, self._literals.needles(self.account_id))

    def fingerprint(self, text: str) -> str:
        """Return the fingerprint of a text, or the mask without a key. Empty text stays."""
        if not text:
            return text
        if self._hmac is None:
            return MASK
        return "hmac:" + self._hmac.digest(text.encode("utf-8", "surrogatepass")).hex()[:16]

    def secret(self, value: Any) -> str | None:
        """Redact a secret scalar. Null stays null; numbers and booleans count as their JSON text."""
        if value is None:
            return None
        text = value if isinstance(value, str) else to_text(value)
        is_kept = self.mode == "keep" and is_encodable(text)
        return self.hide(text) if is_kept else self.fingerprint(text)

    def secret_tree(self, value: Any) -> Any:
        """Redact all scalars of a JSON value as `secret` does; names and nesting stay.

        If secrets are kept, numbers and booleans keep their types.
        """
        return self._map_leaves(value, self.hide if self.mode == "keep" else self.secret)

    def secret_node(self, value: Any) -> Any:
        """Redact, for `_extra`, a type mismatch in a column with a secret.

        The result is one fingerprint of its JSON text; null and empty text stay. If secrets are kept, so is the value.
        """
        if self.mode == "keep" or value is None or value == "":
            return self.hide_tree(value)
        return self.fingerprint(to_text(_map_leaves(value, lambda leaf: leaf, list)))

    def unknown(self, value: Any) -> Any:
        """Redact the texts of an unknown field, for `_extra`."""
        return self._map_leaves(value, self.hide if self._keeps_unknown else self._hide_text)

    def unknown_beside_secrets(self, value: Any) -> Any:
        """Redact the texts of an unknown field next to secrets: they are kept only if secrets are kept."""
        return self.unknown(value) if self.mode == "keep" else self._map_leaves(value, self._hide_text)

    def hide(self, value: Any) -> Any:
        """Redact a text that is never kept, and the literal secrets in it; return other values as they are."""
        if not isinstance(value, str):
            return value
        return self.fingerprint(value) if is_never_kept(value) else self._literals.hide(value, self.account_id)

    def hide_all_but_key_id(self, value: Any) -> Any:
        """Apply `hide`, for a column of access key IDs: the ID of a key that the crawl signs with stays."""
        return value if self._literals.is_key_id(value) else self.hide(value)

    def hide_tree(self, value: Any) -> Any:
        """Apply `hide` to all leaves and names of a JSON value."""
        return self._map_leaves(value, self.hide)

    def hide_names(self, names: Iterable[str]) -> list[str]:
        """Apply `hide` to names of one object, which stay different: the second `***` becomes `*** (2)`."""
        if not self.is_scanning:
            return list(names)
        return distinct(map(self.hide, names))

    def _scoped_key(self, key: bytes) -> bytes:
        """Return the key of the account's fingerprints. With its own key, no value of another account can equal it."""
        if self.scope == "all" or not self.account_id:
            return key
        return hmac.digest(key, b"fingerprints of account " + self.account_id.encode(), "sha256")

    def _hide_text(self, value: Any) -> Any:
        return self.fingerprint(value) if isinstance(value, str) else value

    def _map_leaves(self, value: Any, change: Callable[[Any], Any]) -> Any:
        return _map_leaves(value, change, self.hide_names)


def has_match(data: bytes, pattern: str) -> bool:
    """Whether a case-insensitive regular expression of RE2 matches in the data."""
    ends = pa.array([0, len(data)], pa.int64()).buffers()[1]
    one = pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(data)])
    return bool(pc.match_substring_regex(one, pattern, ignore_case=True)[0].as_py())


_FINGERPRINT = re.compile(r"hmac:[0-9a-f]{16}")


def is_redacted(text: str) -> bool:
    """Whether `hide` has changed the text: no name of the service has the mask in it."""
    return MASK in text or _FINGERPRINT.fullmatch(text) is not None


def distinct(names: Iterable[str]) -> list[str]:
    """Return the names in their order, each repeated one with its number: `***`, `*** (2)`."""
    found: dict[str, None] = {}
    for name in names:
        unused, number = name, 1
        while unused in found:
            number += 1
            unused = f"{name} ({number})"
        found[unused] = None
    return list(found)


def _quoted(needle: str) -> str:
    """Quote a text for RE2, which takes no escaped letters or digits."""
    return re.sub("[^a-z0-9]", lambda match: f"\\x{{{ord(match[0]):x}}}", needle)


def _map_leaves(value: Any, change: Callable[[Any], Any], rename: Callable[[Iterable[str]], list[str]]) -> Any:
    """Change all leaves and names of a value; the values of a name that an object has twice become a plain list."""
    if isinstance(value, dict):
        inner = [_map_leaves(item, change, rename) for item in value.values()]
        return dict(zip(rename(value), inner, strict=True))
    if isinstance(value, list):
        return [_map_leaves(item, change, rename) for item in value]
    return change(value)
