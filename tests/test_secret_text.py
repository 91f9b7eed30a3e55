"""Literal secrets: their echoes in every encoding, cut or not, and the texts that must not be taken for one."""

from __future__ import annotations

import base64
import json
import re
import sys
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.secret_text import (
    EVERYONE,
    HIDDEN_CHARACTER,
    LiteralSecrets,
    has_private_key,
    has_secret_markers,
    is_never_kept,
    url_secrets,
)
from tests.support.secret_sweep import Sweep

TOKEN = "CAISplanted+TOKEN/" + "Ab1+/" * 40 + "zz=="
KEY_ID = "STS.NPlantedKeyId0001abcdef"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----"


def lower_percent(text):
    return re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quote(text, safe=""))


ENCODINGS = {
    "plain": str,
    "upper": str.upper,
    "lower": str.lower,
    **{f"base64 at {at}": lambda t, at=at: base64.b64encode(b"x" * at + t.encode() + b"y").decode() for at in range(3)},
    **{
        f"base64 for URLs at {at}": lambda t, at=at: base64.urlsafe_b64encode(b"\xfb" * at + t.encode()).decode()
        for at in range(3)
    },
    "base64 in a URL": lambda t: quote(base64.b64encode(t.encode()).decode(), safe=""),
    "quote": quote,
    "quote all": lambda t: quote(t, safe=""),
    "quote in lower case": lower_percent,
    "quote plus": quote_plus,
    "quote twice": lambda t: quote(quote(t, safe=""), safe=""),
    "every byte percent-encoded": lambda t: "".join(f"%{byte:02x}" for byte in t.encode()),
    "every byte in upper case": lambda t: "".join(f"%{byte:02X}" for byte in t.encode()),
    "plus read as space": lambda t: t.replace("+", " "),
    "JSON": lambda t: json.dumps(t)[1:-1],
    "JSON with escaped slashes": lambda t: t.replace("/", "\\/"),
    "JSON escapes": lambda t: "".join(f"\\u{ord(c):04x}" for c in t),
    "JSON in JSON": lambda t: json.dumps("".join(f"\\u{ord(c):04X}" for c in t))[1:-1],
    "repr": lambda t: "".join(f"\\x{ord(c):02x}" for c in t),
    "URL-safe": lambda t: t.replace("+", "-").replace("/", "_"),
    "HTML entities": lambda t: "".join(f"&#{ord(c)};" for c in t),
    "HTML entities in hex": lambda t: "".join(f"&#x{ord(c):X};" for c in t),
    "HTML entities twice": lambda t: "".join(f"&amp;#{ord(c):03};" for c in t),
    "named HTML entities": lambda t: t.replace("+", "&plus;").replace("/", "&sol;").replace("=", "&amp;equals;"),
    "base64 in lines": lambda t: base64.encodebytes(b"x" * 24 + t.encode()).decode(),
    "base64 in lines in JSON": lambda t: json.dumps(base64.encodebytes(t.encode()).decode())[1:-1],
    "lines": lambda t: "\r\n ".join(t[at : at + 20] for at in range(0, len(t), 20)),
    "hex": lambda t: t.encode().hex(),
    "HEX": lambda t: t.encode().hex().upper(),
    "HeX": lambda t: "".join(c.upper() if n % 2 else c for n, c in enumerate(t.encode().hex())),
}
AROUND = ["{}", "The token {} is malformed.", '{{"token":"{}"}}', "a={}&b=c", "a%3D{}%26b", "x{}x", "({})"]


def secrets_of(*texts, owner=EVERYONE):
    secrets = LiteralSecrets()
    secrets.add(*texts, owner=owner)
    return secrets


@pytest.mark.parametrize("literal", [TOKEN, KEY_ID, "PLANTEDSECRETxyz01"])
@pytest.mark.parametrize("name", ENCODINGS)
def test_an_echo_is_replaced_in_every_encoding(name, literal):
    """P21, T36: the sweep, which decodes what is left, finds nothing of it."""
    secrets, encoded = secrets_of(literal), ENCODINGS[name](literal)
    for around in AROUND:
        said = around.format(encoded)
        hidden = secrets.hide(said)
        assert "***" in hidden
        assert Sweep(literal, literal[:16], literal[-12:]).found(hidden.encode()) == set()
        assert len(hidden) < len(said)


def test_the_text_around_an_echo_stays():
    secrets = secrets_of(TOKEN, KEY_ID)
    assert secrets.hide(f"token {TOKEN}, key {KEY_ID}.") == "token ***, key ***."
    assert secrets.hide(f"{quote(TOKEN, safe='')}&{TOKEN}{TOKEN}") == "***&***"
    assert secrets.hide("100% of \\d in a&amp;b, höher") == "100% of \\d in a&amp;b, höher"
    assert secrets.hide(f"höher {TOKEN} Ü%20x") == "höher *** Ü%20x"


@pytest.mark.parametrize("at", [24, 64, len(TOKEN) - 1])
@pytest.mark.parametrize("name", ["plain", "base64 at 0", "quote all", "hex"])
def test_an_echo_that_was_cut_is_replaced_from_sixteen_characters_on(at, name):
    """P21, T36: gateways cut what they quote."""
    said = f"The token {ENCODINGS[name](TOKEN)[:at]}… is too long"
    hidden = secrets_of(TOKEN).hide(said)
    assert TOKEN[:12] not in hidden
    assert hidden.startswith("The token ***")
    assert hidden.endswith("… is too long")


def test_sixteen_characters_are_enough_and_fewer_stay():
    """T36."""
    assert secrets_of(TOKEN).hide(f"token {TOKEN[:16]}…") == "token ***…"
    assert secrets_of(TOKEN).hide(f"token {TOKEN[:15]}") == f"token {TOKEN[:15]}"


@pytest.mark.parametrize("text", ["", "a", "true", "acme", "1234567"])
def test_a_text_of_fewer_than_eight_characters_is_not_searched_for(text):
    """T36: it would blank out half of a log."""
    secrets = secrets_of(text)
    assert secrets.hide(f"x {text} y") == f"x {text} y"
    assert secrets.needles(EVERYONE) == ()


@pytest.mark.parametrize(
    ("said", "hidden"),
    [
        ("password", "***"),
        ("the password: 'Password'", "the ***: '***'"),
        ("DB_PASSWORD", "DB_PASSWORD"),
        ("passwords", "passwords"),
        ("user%3Apassword%40host", "user%3A***%40host"),
        ("password password", "*** ***"),
    ],
)
def test_a_text_of_fewer_than_sixteen_characters_is_a_word_of_its_own(said, hidden):
    """T36: a proxy's password may be a word that half of the cloud uses."""
    assert secrets_of("password").hide(said) == hidden


def test_what_is_sent_for_one_account_is_searched_for_in_its_rows_and_in_all_errors():
    secrets = secrets_of(TOKEN, owner="1")
    assert secrets.hide(TOKEN, "1") == secrets.hide(TOKEN) == "***"
    assert secrets.hide(TOKEN, "2") == TOKEN
    assert secrets.needles("2") == ()
    secrets.add(TOKEN)
    assert secrets.hide(TOKEN, "2") == "***"


def test_each_account_keeps_its_newest_secrets_and_the_bound_holds():
    """A crawl of days gets a session token per hour and account."""
    secrets = LiteralSecrets()
    for number in range(100):
        secrets.add("the-key-id-that-stays", f"token-{number:04}-{'x' * 30}", owner="1")
    assert secrets.hide(f"token-0099-{'x' * 30}") == secrets.hide("the-key-id-that-stays") == "***"
    assert secrets.hide(f"token-0000-{'x' * 30}") == f"token-0000-{'x' * 30}"
    assert len(secrets.needles("1")) < 100


@pytest.mark.parametrize("owner", [None, "1"])
@pytest.mark.parametrize("name", ENCODINGS)
def test_a_long_text_is_searched_as_a_short_one_is(name, owner):
    """T36: a message or a value may have millions of characters, and as many escapes."""
    secrets, filler = secrets_of(TOKEN, owner="1"), "%20\\u00e9 plain ü " * 400
    said = f"{filler}{ENCODINGS[name](TOKEN)} {filler}{ENCODINGS[name](TOKEN)}."
    hidden = secrets.hide(said, owner)
    assert Sweep(TOKEN, TOKEN[:16]).found(hidden.encode()) == set()
    assert hidden.startswith(filler[:-1])
    assert hidden.count("***") == 2
    assert hidden.count(filler[:-1]) == 2


def test_lists_and_mappings_are_searched_with_their_names():
    secrets = secrets_of(TOKEN)
    value = {TOKEN: [TOKEN, 1, None, (TOKEN,)], "plain": {"deep": f"x {TOKEN}"}}
    assert secrets.hide_all(value) == {"***": ["***", 1, None, ["***"]], "plain": {"deep": "x ***"}}


literals = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40)


@given(literals, st.sampled_from(sorted(ENCODINGS)), st.text(max_size=5), st.text(max_size=5))
def test_what_hide_changes_has_a_mark_in_the_page_and_in_the_batch(literal, name, before, after):
    """P21: both paths search for marks first, so that a text without one must have nothing to hide."""
    secrets, said = secrets_of(literal), f"{before} {ENCODINGS[name](literal)} {after}"
    if secrets.hide(said) == said:
        return
    needles = secrets.needles(EVERYONE)
    for is_ascii in (True, False):
        assert has_secret_markers(json.dumps({"a": said}, ensure_ascii=is_ascii).encode("utf-8", "replace"), needles)
    assert has_secret_markers(json.dumps({"a": said}).replace("/", "\\/").encode(), needles)
    marks = "|".join([HIDDEN_CHARACTER, *(re.escape(needle.decode("latin-1")) for needle in needles)])
    assert re.search(marks.encode("latin-1"), said.encode("utf-8", "surrogatepass"), re.IGNORECASE)


@given(literals, st.text(max_size=20), st.text(max_size=20))
def test_no_text_around_it_keeps_a_long_secret_from_being_hidden(literal, before, after):
    """P21."""
    secret = literal * 2
    assert secret not in secrets_of(secret).hide(f"{before}{secret}{after}")


@pytest.mark.parametrize(
    "text",
    [
        PEM.replace("PRIVATE", "PRIV\\u0041TE"),
        json.dumps(json.dumps({"a": "\\u002d-BEGIN PRIVATE KEY-----"})),
        PEM.replace("KEY", "%4bEY"),
        "".join(f"%{byte:02x}" for byte in PEM.encode()),
        PEM.encode().hex(),
        PEM.replace("P", "\\x50"),
    ],
)
def test_a_private_key_is_found_behind_escapes(text):
    """T02, T37."""
    assert is_never_kept(text)
    assert has_private_key(text)
    assert has_secret_markers(json.dumps({"a": text}).encode())


def test_a_megabyte_with_escaped_letters_is_never_kept():
    """T21, T37: to decode 16 MB of them takes seconds."""
    assert is_never_kept("a" * 2**20 + "%41")
    assert not is_never_kept("a" * 2**20 + "%20")
    assert not is_never_kept("a" * 2**10 + "%41")


@pytest.mark.parametrize("unit", ["\\", "\\n", "%25", "&amp;", "&", "\n", "&#0"])
def test_a_run_of_escapes_takes_time_that_grows_with_its_length(unit):
    """T21, T37: 300,000 backslashes would take minutes if each were a start of the run."""
    secrets, text = secrets_of(TOKEN), unit * (300_000 // len(unit)) + "\\x41"
    before = time.process_time()
    assert secrets.hide(text) == text
    assert not is_never_kept(text)
    assert time.process_time() - before < 10


def test_a_signed_url_is_no_private_key():
    assert not has_private_key("https://x/?Signature=a")
    assert is_never_kept("https://x/?Signature\\u003da") is is_never_kept("https://x/?Signature=a") is True


@pytest.mark.parametrize(
    ("url", "options", "found"),
    [
        ("http://proxy.corp:3128", {}, set()),
        ("http://user:s3cr%2Ft@proxy:3128", {}, {"s3cr%2Ft", "s3cr/t", "user:s3cr/t"}),
        ("sqlite:////var/lib/a-folder-with-a-long-name/catalog.db", {}, set()),
        ("postgresql://u:p@h/x?password=0123456789abcdef0", {}, {"p", "u:p", "0123456789abcdef0"}),
        ("https://hc.example/ping/0123456789abcdef-uuid", {"has_secret_path": True},
         {"/ping/0123456789abcdef-uuid", "0123456789abcdef-uuid"}),
        ("http://[", {}, set()),
    ],
)  # fmt: skip
def test_the_secrets_of_a_url_are_its_password_and_its_long_parts(url, options, found):
    assert set(url_secrets(url, **options)) == found


def test_a_thousand_accounts_cost_little_memory():
    secrets = LiteralSecrets()
    for number in range(1000):
        secrets.add(f"STS.N{number:024}", f"{number:044}", f"CAIS{number:0700}", owner=str(number))
    assert sum(map(sys.getsizeof, secrets._by_gram)) < 2_000_000
    assert len(secrets.needles("7")) < 30
