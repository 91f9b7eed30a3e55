"""Text that is never written: private keys, signed URLs, and the literal secrets that this process sends.

The error parsing, the log and the normalizer ask this module, so that an echo of a secret is found in the same way
everywhere, also if it is encoded: Base64 at each offset, percent-encoded, escaped as in JSON, or hex.
"""

from __future__ import annotations

import base64
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from html.entities import html5
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

MASK = "***"
# The characters of a fingerprint key: sixteen random bytes in hex. A shorter key can be guessed, and the manifest's
# `fingerprint_key_id` would confirm the guess.
SHORTEST_KEY = 32
# Of 32 random digits, one in sixteen million has fewer different ones.
_FEWEST_DIFFERENT = 6


def is_weak_key(key: str | bytes) -> bool:
    """Whether a fingerprint key is too short, or a repetition of few characters, so that it can be guessed."""
    return len(key) < SHORTEST_KEY or len(set(key)) < _FEWEST_DIFFERENT


def base64_cores(text: bytes) -> tuple[str, ...]:
    """Return the texts of which each Base64 text has one, if its bytes contain `text`: one for each offset modulo 3."""
    cores = []
    for start in range(3):
        encoded = base64.b64encode(bytes(start) + text).decode()
        first, end = -(-start * 8 // 6), (start + len(text)) * 8 // 6
        cores.append(encoded[first:end])
    return tuple(cores)


# Never written, even with secrets = "keep": private keys (plain, in a URL, Base64, hex) and URLs that are credentials.
_KEY_CORES = (*base64_cores(b"PRIVATE KEY"), b"PRIVATE KEY".hex())
_SPACE = r"(?: |\+|%20)"
_PRIVATE_KEY = rf"--{_SPACE}?BEGIN(?:[A-Z0-9 +]|%20){{1,80}}?PRIVATE{_SPACE}KEY|" + "|".join(map(re.escape, _KEY_CORES))
_FIND_PRIVATE_KEY = re.compile(_PRIVATE_KEY, re.IGNORECASE | re.ASCII)
_FIND_NEVER = re.compile(rf"{_PRIVATE_KEY}|(?:Signature|security-token)(?:=|%3D)", re.IGNORECASE | re.ASCII)

# A letter or digit that is percent-encoded or escaped, which no usual encoder does, and other escapes.
HIDDEN_CHARACTER = r"%(?:25)*(?:3[0-9]|[46][1-9a-f]|[57][0-9a])|\\(?:u00|x)[0-7]|&(?:amp;)*#x?[0-9a-f]"
_FIND_HIDDEN_BYTES = re.compile(HIDDEN_CHARACTER.encode(), re.IGNORECASE)
_FIND_HIDDEN = re.compile(HIDDEN_CHARACTER, re.IGNORECASE)
# A run of backslashes is read from its first one only: else a long run takes time that grows with its square.
_ESCAPES = (
    r"""%(?:25)*([0-7][0-9a-f])|(?<!\\)\\++(?:(?:u00|x)([0-7][0-9a-f])|([/"']))"""
    r"""|&(?:amp;)*(?:\#(?:x0{0,6}([0-7]?[0-9a-f])|0{0,6}([0-9]{1,2}|1[01][0-9]|12[0-7]))|([a-z]{2,8}));"""
)
_ESCAPE = re.compile(_ESCAPES, re.IGNORECASE)
# Base64 and headers that are cut into lines, also in an escaped text.
_LINE_BREAK = re.compile(r"[\r\n]|\\[rn]")
_ESCAPE_OR_BREAK = re.compile(rf"{_ESCAPES}|(?:(?<!\\)\\++[rn]|[\r\n])[ \t]*", re.IGNORECASE)
_LONGEST_DECODED = 1024 * 1024
# The named entities of HTML for one character of ASCII.
_ENTITIES = {
    name.removesuffix(";").lower(): text
    for name, text in html5.items()
    if name.endswith(";") and text.isascii() and len(text) == 1
}

_MARKS = tuple(
    mark.lower().encode()
    for mark in (
        *("PRIVATE KEY", "PRIVATE+KEY", "PRIVATE%20KEY", *_KEY_CORES),
        *("Signature=", "Signature%3D", "security-token=", "security-token%3D"),
    )
)
# The beginnings of all secret markers: half as many searches.
_STEMS = tuple(stem.lower().encode() for stem in ("PRIVATE", *_KEY_CORES, "Signature", "security-token"))
# The secret markers as a case-insensitive regular expression in the syntax of RE2.
MARKS = "|".join(re.escape(mark.decode()) for mark in _MARKS)


def has_secret_markers(body: bytes, needles: Sequence[bytes] = ()) -> bool:
    """Whether text in this JSON may hold a secret that is never written, or a lone surrogate. Escapes may hide both.

    `needles` are those of literal secrets, see `LiteralSecrets.needles`.
    """
    if b"\\u" in body or b"\\x" in body:
        return True
    lower = body.lower()  # a case-insensitive search takes 15 times as long
    for stem in _STEMS:  # most pages have none
        if stem in lower and any(mark in lower for mark in _MARKS):
            return True
    if (b"%" in body or b"&" in body) and _FIND_HIDDEN_BYTES.search(lower):
        return True
    return any(needle in lower for needle in needles)


def is_never_kept(text: str) -> bool:
    """Whether the text contains a private key or a signed URL, in any of the encodings of this module.

    A text of more than `_LONGEST_DECODED` characters with escaped letters counts, too: to decode it takes seconds.
    """
    if len(text) > _LONGEST_DECODED and _has_hidden_characters(text):
        return True
    return _is_found(_FIND_NEVER, text)


def has_private_key(text: str) -> bool:
    """Whether the text contains a private key, in any of the encodings of this module."""
    return _is_found(_FIND_PRIVATE_KEY, text)


def _is_found(pattern: re.Pattern[str], text: str) -> bool:
    if pattern.search(text):
        return True
    return _has_hidden_characters(text) and pattern.search(_Decoded(text).text) is not None


def _has_hidden_characters(text: str) -> bool:
    return ("%" in text or "\\" in text or "&" in text) and _FIND_HIDDEN.search(text) is not None


class _Decoded:
    """A text without its escapes. A page may have millions of them: the arrays take 16 bytes for each."""

    def __init__(self, text: str, escape: re.Pattern[str] = _ESCAPE) -> None:
        self._ends = array("q")  # of the escapes, in the decoded text
        self._shifts = array("q")  # from there on: how much later a character is in the original
        self._shift = 0
        self.text = escape.sub(self._decode, text)

    def original(self, at: int) -> int:
        """Return the position in the original of a character, or of the end."""
        after = bisect_right(self._ends, at)
        return at + (self._shifts[after - 1] if after else 0)

    def _decode(self, match: re.Match[str]) -> str:
        decoded = _decoded(match)
        start = match.start() - self._shift
        self._shift += match.end() - match.start() - len(decoded)
        self._ends.append(start + len(decoded))
        self._shifts.append(self._shift)
        return decoded


def _decoded(match: re.Match[str]) -> str:
    """Return the character of an escape, nothing for a line break, and an unknown entity as it is."""
    if digits := match[1] or match[2] or match[4]:
        return chr(int(digits, 16))
    if match[5]:
        return chr(int(match[5]))
    if match[6]:
        return _ENTITIES.get(match[6].lower(), match[0])
    return match[3] or ""


# Shorter texts are too common to be searched for. A text of fewer than `_LONG` characters counts as a word of its own
# only, and a longer one also if it was cut after so many.
SHORTEST_LITERAL = 8
_LONG = 16
_MOST_PER_OWNER = 12
# A longer text is searched for each form: that is faster than to look up each of its places.
_SHORT_TEXT = 4096
_FOLDED = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ ", "abcdefghijklmnopqrstuvwxyz+"
)  # a server may decode the plus of a token to a space
_RUN = re.compile("[a-z0-9]+")

# The owner of secrets that every request may carry.
EVERYONE = ""


class _Entry(NamedTuple):
    """One form of a literal secret: the number of its encoding."""

    owner: str
    literal: str
    encoding: int


@lru_cache(256)
def _forms(literal: str) -> tuple[str, ...]:
    """Return the folded forms of a literal: plain, Base64 at each offset, hex, and those for URLs if they differ."""
    raw = literal.encode("utf-8", "surrogatepass")
    cores = base64_cores(raw)
    plain = (literal, *cores)
    for_urls = (form.translate({43: "-", 47: "_"}) for form in plain)
    forms = (*plain, raw.hex(), *(form for form in for_urls if form not in plain))
    return tuple(form.translate(_FOLDED) for form in forms)


def _needle(form: str) -> bytes:
    """Return a part of the form that no encoder changes, from its first characters: a cut form has it, too.

    A form in a page that has a line break within these characters isn't found. Errors are searched without needles.
    """
    return max(_RUN.findall(form[:_LONG]), key=len, default=form[:SHORTEST_LITERAL]).encode("utf-8", "surrogatepass")


class LiteralSecrets:
    """The literal secrets that this process sends. Safe to read in another thread while secrets are added.

    An owner is the account for which a secret is sent, or `EVERYONE`. Each owner but `EVERYONE` keeps its newest ones:
    a session token is replaced every hour, and its predecessors are no longer sent.
    """

    def __init__(self) -> None:
        self._by_gram: dict[str, tuple[_Entry, ...]] = {}
        self._literals: dict[str, dict[str, None]] = {}
        self._needles: dict[str, tuple[bytes, ...]] = {}
        self._grams: dict[str, tuple[str, ...]] = {}
        self._key_ids: set[str] = set()

    def add_access_key(self, key_id: str, *secrets: str, owner: str = EVERYONE) -> None:
        """Add an access key with its secret and token. Its ID is hidden as they are, but in columns that list keys."""
        self.add(key_id, *secrets, owner=owner)
        self._key_ids.add(key_id)

    def is_key_id(self, text: object) -> bool:
        """Whether a value is an access key ID that this process signs with, and nothing else."""
        return isinstance(text, str) and text in self._key_ids

    def add(self, *texts: str, owner: str = EVERYONE) -> None:
        """Add secrets of an owner. Texts with fewer than `SHORTEST_LITERAL` characters are not searched for."""
        known = self._literals.setdefault(owner, {})
        found = [text for text in texts if len(text) >= SHORTEST_LITERAL]
        for text in found:
            is_new = text not in known
            known.pop(text, None)
            known[text] = None  # the newest one is the last
            if is_new:
                self._index(owner, text)
        if owner != EVERYONE:
            for text in list(known)[:-_MOST_PER_OWNER]:
                del known[text]
                self._forget(owner, text)
        self._grams[owner] = tuple({form[:SHORTEST_LITERAL] for text in known for form in _forms(text)})
        self._needles[owner] = tuple(dict.fromkeys(_needle(form) for text in known for form in _forms(text)))

    def needles(self, owner: str) -> tuple[bytes, ...]:
        """Return texts in lower case: without one of them a page has no literal secret that is sent for this owner."""
        return (*self._needles.get(EVERYONE, ()), *self.own_needles(owner))

    def own_needles(self, owner: str) -> tuple[bytes, ...]:
        """Return the `needles` without those of `EVERYONE`."""
        return self._needles.get(owner, ()) if owner != EVERYONE else ()

    def hide(self, text: str, owner: str | None = None) -> str:
        """Return the text with `***` in place of each literal secret, or only those of an owner and `EVERYONE`."""
        if len(text) < SHORTEST_LITERAL or not self._by_gram:
            return text
        if owner is not None and not self._may_be_in(text, owner):
            return text
        spans = list(self._spans(text, owner))
        if "%" in text or "\\" in text or "&" in text:  # a secret may itself look like an escape, so both are searched
            spans += self._hidden_spans(_Decoded(text), owner)
        if _LINE_BREAK.search(text):  # apart, since a text without its breaks has other words
            spans += self._hidden_spans(_Decoded(text, _ESCAPE_OR_BREAK), owner)
        return _masked(text, spans) if spans else text

    def clean(self, text: str) -> str:
        """Return a service's text without literal secrets; `***` if it has a private key or a signed URL."""
        return MASK if is_never_kept(text) else self.hide(text)

    def hide_all(self, value: object) -> object:
        """Apply `hide` to all texts of a value of lists and mappings, names included."""
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, dict):
            return {self.hide_all(name): self.hide_all(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide_all(inner) for inner in value]
        return value

    def _index(self, owner: str, text: str) -> None:
        for encoding, form in enumerate(_forms(text)):
            gram = form[:SHORTEST_LITERAL]
            self._by_gram[gram] = (*self._by_gram.get(gram, ()), _Entry(owner, text, encoding))

    def _forget(self, owner: str, text: str) -> None:
        for encoding, form in enumerate(_forms(text)):
            gram, entry = form[:SHORTEST_LITERAL], _Entry(owner, text, encoding)
            left = tuple(other for other in self._by_gram[gram] if other != entry)
            if left:
                self._by_gram[gram] = left
            else:
                del self._by_gram[gram]

    def _may_be_in(self, text: str, owner: str) -> bool:
        lower = text.lower().encode("utf-8", "surrogatepass")
        return any(needle in lower for needle in self.needles(owner)) or _has_hidden_characters(text)

    def _places(self, folded: str, owner: str | None) -> Iterator[int]:
        """Yield the places at which a form may begin, in no order."""
        if owner is None or len(folded) <= _SHORT_TEXT:
            by_gram = self._by_gram
            for at in range(len(folded) - SHORTEST_LITERAL + 1):
                if folded[at : at + SHORTEST_LITERAL] in by_gram:
                    yield at
            return
        for gram in {*self._grams.get(owner, ()), *self._grams.get(EVERYONE, ())}:
            at = folded.find(gram)
            while at >= 0:
                yield at
                at = folded.find(gram, at + 1)

    def _hidden_spans(self, decoded: _Decoded, owner: str | None) -> list[tuple[int, int]]:
        return [(decoded.original(at), decoded.original(end)) for at, end in self._spans(decoded.text, owner)]

    def _spans(self, text: str, owner: str | None) -> Iterator[tuple[int, int]]:
        folded = text.translate(_FOLDED)
        for at in self._places(folded, owner):
            for entry in self._by_gram.get(folded[at : at + SHORTEST_LITERAL], ()):
                if owner is None or entry.owner in (owner, EVERYONE):
                    form = _forms(entry.literal)[entry.encoding]
                    is_word = entry.encoding == 0 and len(form) < _LONG
                    length = _match_length(folded, at, form)
                    if length and not (is_word and _is_inside_a_word(text, at, at + length)):
                        yield at, at + length


def _match_length(text: str, at: int, form: str) -> int:
    """Return how much of the form is at this place; 0 unless it is whole, or has `_LONG` characters or more."""
    if text.startswith(form, at):
        return len(form)
    if len(form) <= _LONG or not text.startswith(form[:_LONG], at):
        return 0
    length = _LONG
    while at + length < len(text) and text[at + length] == form[length]:
        length += 1
    return length


def _is_inside_a_word(text: str, start: int, end: int) -> bool:
    around = text[max(0, start - 1) : start] + text[end : end + 1]
    return any(character.isalnum() or character == "_" for character in around)


def _masked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    parts, at = list[str](), 0
    for start, end in sorted(spans):
        if start > at or not parts:
            parts += [text[at : max(at, start)], MASK]
        at = max(at, end)
    return "".join([*parts, text[at:]])


def url_secrets(url: str, *, has_secret_path: bool = False) -> Iterator[str]:
    """Yield the secret parts of a URL: the password, also behind the user name, long values of the query, its path."""
    try:
        parts = urlsplit(url)
        password, user = parts.password, parts.username
    except ValueError:
        return
    if password:
        yield from (password, unquote(password), f"{unquote(user or '')}:{unquote(password)}")
    values = [value for _, value in parse_qsl(parts.query)]
    if has_secret_path:
        yield parts.path.rstrip("/")
        values += parts.path.split("/")
    yield from (value for value in values if len(value) >= _LONG)
