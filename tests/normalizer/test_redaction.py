"""Secrets: their replacements, the values never kept, and the key."""

from __future__ import annotations

import base64
import errno
import hashlib
import hmac
import json
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import OutputError
from crawler.local_files import open_regular
from crawler.normalizer.exact_json import parse
from crawler.normalizer.fingerprint_key import load_key
from crawler.normalizer.redaction import MASK, Redaction
from crawler.secret_text import MARKS, LiteralSecrets, base64_cores, has_secret_markers, is_never_kept
from tests.support.odd_files import ODD, ends_within, put

KEY = b"k" * 32
FINGERPRINT = re.compile(r"hmac:[0-9a-f]{16}")
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----"
SIGNED = "https://code.oss-cn-hangzhou.aliyuncs.com/x.zip?Expires=1&Signature=abc%3D"
NEVER = [
    PEM,
    PEM.replace("RSA ", ""),
    PEM.replace("RSA", "ENCRYPTED"),
    PEM.replace("RSA", "OPENSSH"),
    PEM.lower(),
    f"text before {PEM}",
    json.dumps({"key": PEM}),
    PEM.replace("KEY", "KEY BLOCK"),
    "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----",
    quote(PEM),
    quote_plus(PEM),
    *(base64.b64encode(b"x" * shift + PEM.encode()).decode() for shift in range(3)),
    SIGNED,
    SIGNED.replace("Signature", "x-oss-signature"),
    f"https://example.com/?next={quote(SIGNED, safe='')}",
    "https://example.com/?security-token=abc",
    "https://example.com/?x-oss-Security-Token=abc",
]
KEPT = [
    "",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
    "before you begin, rotate the private key",
    "Signature: none",
    "the signature",
    base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode(),
    "https://example.com/?Expires=1",
]


def hmac_of(text, key=KEY):
    return "hmac:" + hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:16]


def fingerprint(key=KEY, unknown="fingerprint"):
    return Redaction("fingerprint", unknown, key)


def keep():
    return Redaction("keep", "keep", KEY)


# --- replacements of secrets ---


def test_a_fingerprint_is_16_hex_digits_of_an_hmac_of_the_text():
    """T09."""
    assert fingerprint().secret("password") == hmac_of("password")
    assert FINGERPRINT.fullmatch(fingerprint().secret("密码"))


def test_equal_secrets_have_equal_fingerprints_and_others_have_not():
    texts = [f"secret-{number}" for number in range(1000)]
    assert [fingerprint().secret(text) for text in texts] == [fingerprint().secret(text) for text in texts]
    assert len({fingerprint().secret(text) for text in texts}) == 1000


def test_another_key_gives_another_fingerprint_and_no_plain_hash_is_one():
    """T09."""
    secret = "admin"
    prints = {fingerprint(bytes([number]) * 32).secret(secret) for number in range(50)}
    assert len(prints) == 50
    for name in hashlib.algorithms_guaranteed - {"shake_128", "shake_256"}:
        digest = hashlib.new(name, secret.encode()).hexdigest()
        assert not any(found.removeprefix("hmac:") in digest for found in prints)


def test_a_fingerprint_of_one_account_is_no_fingerprint_of_another():
    """T09, T39: a value that is written in one account says nothing of a secret in another."""
    redaction = Redaction("fingerprint", "fingerprint", KEY, scope="account")
    one, two = redaction.for_account("1"), redaction.for_account("2")
    words = [f"{number:04}" for number in range(1000)]
    assert not {one.secret(word) for word in words} & {two.secret(word) for word in words}
    assert one.secret("4711") == redaction.for_account("1", is_scanning=False).secret("4711")
    assert hmac_of("4711") not in {one.secret("4711"), two.secret("4711")}


def test_no_value_of_one_account_forges_a_fingerprint_of_another():
    """T39: the account is in the key and not before the value, where another account could write it."""
    redaction = Redaction("fingerprint", "fingerprint", KEY, scope="account")
    secret = redaction.for_account("12").secret("34")
    forged = ["1234", "12\x0034", "12 34", "fingerprints of account 12", "fingerprints of account 1234"]
    for account in ("", "1", "2", "123"):
        assert secret not in map(redaction.for_account(account).secret, forged)
    assert secret not in map(Redaction("fingerprint", "fingerprint", KEY, scope="all").for_account("1").secret, forged)


def test_with_the_scope_of_all_accounts_equal_secrets_have_equal_fingerprints():
    redaction = Redaction("fingerprint", "fingerprint", KEY, scope="all")
    assert redaction.for_account("1").secret("a") == redaction.for_account("2").secret("a") == hmac_of("a")
    assert redaction.key_id == redaction.for_account("1").key_id
    assert redaction.key_id == Redaction("fingerprint", "fingerprint", KEY, scope="account").for_account("1").key_id


def test_null_and_empty_text_stay():
    for redaction in (fingerprint(), Redaction("mask", "fingerprint", KEY), keep()):
        assert redaction.secret(None) is None
        assert redaction.secret("") == ""
        assert redaction.secret_node(None) is None
        assert redaction.secret_node("") == ""


@pytest.mark.parametrize(
    ("body", "text"), [(b"true", "true"), (b"12", "12"), (b"1.10", "1.10"), (b"123456789012345678901234567890", None)]
)
def test_a_number_or_flag_counts_as_its_json_text(body, text):
    assert fingerprint().secret(parse(body)) == hmac_of(text or body.decode())
    assert keep().secret(parse(body)) == (text or body.decode())


def test_a_lone_surrogate_has_a_fingerprint():
    assert FINGERPRINT.fullmatch(fingerprint().secret("a\ud800"))
    assert FINGERPRINT.fullmatch(keep().secret("a\ud800"))


def test_mask_says_nothing_at_all():
    masked = Redaction("mask", "fingerprint", KEY)
    assert masked.secret("a") == masked.secret("b") == masked.unknown("c") == MASK
    assert masked.mode == "mask"


def test_without_a_key_masks_stand_in():
    """T09."""
    keyless = Redaction("fingerprint", "fingerprint", None)
    assert (keyless.mode, keyless.secret("a"), keyless.unknown(["b"])) == ("mask", MASK, [MASK])
    keeping = Redaction("keep", "fingerprint", None)
    assert (keeping.mode, keeping.secret("plain"), keeping.secret(PEM)) == ("keep", "plain", MASK)


def test_a_tree_keeps_names_and_nesting_and_hides_each_leaf_by_itself():
    tree = {"a": ["x", 1, None, ""], "b": {"c": True}}
    assert fingerprint().secret_tree(tree) == {
        "a": [hmac_of("x"), hmac_of("1"), None, ""],
        "b": {"c": hmac_of("true")},
    }
    assert keep().secret_tree({**tree, "d": PEM}) == {**tree, "d": hmac_of(PEM)}


def test_a_node_of_the_wrong_type_is_one_fingerprint_of_its_json_text():
    assert fingerprint().secret_node({"a": ["x", 1.5]}) == hmac_of('{"a":["x",1.5]}')
    assert fingerprint().secret_node("x") == hmac_of('"x"')
    assert fingerprint().secret_node(7) == hmac_of("7")
    assert fingerprint().secret_node(parse(b'{"a":1,"a":2}')) == hmac_of('{"a":[1,2]}')
    assert keep().secret_node({"a": ["x", PEM]}) == {"a": ["x", hmac_of(PEM)]}


def test_of_unknown_fields_numbers_and_flags_stay_and_text_is_hidden():
    """T08."""
    value = {"name": "x", "size": 12, "on": True, "list": [None, "", "y"]}
    assert fingerprint().unknown(value) == {
        "name": hmac_of("x"),
        "size": 12,
        "on": True,
        "list": [None, "", hmac_of("y")],
    }
    assert fingerprint(unknown="keep").unknown({**value, "key": PEM}) == {**value, "key": hmac_of(PEM)}


def test_beside_secrets_only_who_keeps_secrets_keeps_unknown_text():
    """T08."""
    value = {"name": "x", "size": 12, "list": [None, PEM]}
    hidden = {"name": hmac_of("x"), "size": 12, "list": [None, hmac_of(PEM)]}
    assert fingerprint().unknown_beside_secrets(value) == hidden
    assert fingerprint(unknown="keep").unknown_beside_secrets(value) == hidden
    assert keep().unknown_beside_secrets(value) == {**value, "list": [None, hmac_of(PEM)]}
    assert Redaction("keep", "fingerprint", KEY).unknown_beside_secrets(value) == hidden


# --- values that are never kept ---


@pytest.mark.parametrize("text", NEVER)
def test_private_keys_and_signed_urls_are_never_kept(text):
    """T02, T06."""
    assert is_never_kept(text)
    hidden = hmac_of(text)
    assert keep().secret(text) == keep().hide(text) == keep().unknown(text) == hidden
    assert keep().hide_tree({"a": [text, "plain"]}) == {"a": [hidden, "plain"]}


@pytest.mark.parametrize("text", KEPT)
def test_what_only_looks_alike_is_kept(text):
    assert not is_never_kept(text)
    assert keep().secret(text) == keep().hide(text) == text


@pytest.mark.parametrize("text", NEVER)
@pytest.mark.parametrize("is_ascii", [True, False])
def test_bytes_with_what_is_never_kept_need_care(text, is_ascii):
    assert has_secret_markers(json.dumps({"a": f"é {text}"}, ensure_ascii=is_ascii).encode())


@pytest.mark.parametrize("mark", MARKS.split("|"))
def test_every_mark_is_found_in_any_case(mark):
    text = mark.replace("\\", "")
    assert has_secret_markers(f'{{"a": "x{text}"}}'.encode())
    assert has_secret_markers(f'{{"a": "{text.upper()}x"}}'.encode())


def test_what_marks_begin_with_needs_no_care_by_itself():
    assert not has_secret_markers(b'{"private": "Signature", "security-token": "PRIVATE"}')


def test_escapes_need_care_since_they_hide_what_is_there():
    assert has_secret_markers(b'"-----BEGIN PRIVATE\\u0020KEY-----"')
    assert has_secret_markers(b'"\\ud800"')
    assert not has_secret_markers(b'{"description":"plain \\n text", "key": "value"}')


@given(st.text(), st.sampled_from(NEVER), st.text())
def test_no_text_around_it_hides_what_is_never_kept(before, text, after):
    """T02."""
    assert is_never_kept(f"{before} {text}{after}")


@given(st.binary(max_size=8), st.binary(min_size=3, max_size=20), st.binary(max_size=8))
def test_whatever_is_around_a_text_one_of_its_cores_is_in_the_base64_of_both(before, text, after):
    """T02."""
    cores = base64_cores(text)
    assert cores[len(before) % 3] in base64.b64encode(before + text + after).decode()


@pytest.mark.parametrize("text", [b"PRIVATE KEY", b"abc", b"abcd", b"abcde"])
def test_a_core_has_every_base64_character_that_is_the_texts_alone(text):
    """T02: a shorter one would cause false matches."""
    assert len(base64_cores(text)) == 3
    for shift, core in enumerate(base64_cores(text)):
        around = [bytes([byte]) * shift + text + bytes([byte]) * (6 - shift) for byte in (0x00, 0x55, 0xAA, 0xFF)]
        encoded = [base64.b64encode(each).decode() for each in around]
        same = [len(set(letters)) == 1 for letters in zip(*encoded, strict=True)]
        is_text = [alike and letter != "=" for letter, alike in zip(encoded[0], same, strict=True)]
        assert core == "".join(letter for letter, is_its in zip(encoded[0], is_text, strict=True) if is_its)


# --- the key ---


def test_a_configured_key_is_taken_as_it_is(tmp_path):
    assert load_key("configured", tmp_path / "state") == b"configured"
    assert load_key(os.fsdecode(b"\xff\xfe"), tmp_path / "state") == b"\xff\xfe"
    assert not (tmp_path / "state").exists()


def test_the_key_is_made_once_and_is_ones_own(tmp_path):
    """T09."""
    old = os.umask(0)
    try:
        first = load_key("", tmp_path / "a" / "state")
    finally:
        os.umask(old)
    path = tmp_path / "a" / "state" / "fingerprint.key"
    assert re.fullmatch(rb"[0-9a-f]{64}", first)
    assert load_key("", path.parent) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]
    assert load_key("", tmp_path / "b") != first


def test_threads_at_once_have_one_key(tmp_path):
    barrier, keys = threading.Barrier(8), []

    def load():
        barrier.wait()
        keys.append(load_key("", tmp_path))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1
    assert keys[0] is not None
    assert [path.name for path in tmp_path.iterdir()] == ["fingerprint.key"]


def test_two_processes_at_once_have_one_key(tmp_path):
    program = (
        "import sys, pathlib; from crawler.normalizer.fingerprint_key import load_key; print('ready', flush=True);"
        "sys.stdin.readline();"
        "sys.stdout.write(load_key('', pathlib.Path(sys.argv[1])).decode())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "state")]
    root = Path(__file__).parents[2]
    both = [
        subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    keys = [process.communicate(timeout=30)[0] for process in both]
    assert keys[0] == keys[1] == (tmp_path / "state" / "fingerprint.key").read_text().strip()


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o666])
def test_a_key_that_others_can_read_is_refused(tmp_path, mode):
    """T09."""
    load_key("", tmp_path)
    path = tmp_path / "fingerprint.key"
    path.chmod(mode)
    with pytest.raises(OutputError) as caught:
        load_key("", tmp_path)
    assert str(caught.value) == f"{path}: others can read the fingerprint key; run chmod 600 on it."


@pytest.mark.parametrize("text", ["0123456789abcdef0123456789abcde", "01230" * 20])
def test_a_key_that_is_cut_short_is_refused_and_not_shown(tmp_path, text):
    path = tmp_path / "fingerprint.key"
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    with pytest.raises(OutputError) as caught:
        load_key("", tmp_path)
    assert str(path) in str(caught.value)
    assert "0123" not in str(caught.value)


KEY_TEXT = "0123456789abcdef0123456789abcdef\n"


def linked_key(tmp_path, mode=0o600):
    """A key as a mounted secret has it: a link to a link to a file."""
    (tmp_path / "mount/..data").mkdir(parents=True)
    target = tmp_path / "mount/..data/key"
    target.write_text(KEY_TEXT)
    target.chmod(mode)
    (tmp_path / "mount/key").symlink_to("..data/key")
    (tmp_path / "fingerprint.key").symlink_to(tmp_path / "mount/key")
    return target


def test_key_that_a_link_leads_to_is_used(tmp_path):
    """F77"""
    linked_key(tmp_path)
    assert load_key("", tmp_path) == KEY_TEXT.strip().encode()


def test_key_that_a_link_leads_to_has_the_same_rules(tmp_path, monkeypatch):
    """F77: the message says that it is a link, and where it leads."""
    target = linked_key(tmp_path, 0o640)
    link = tmp_path / "fingerprint.key"
    with pytest.raises(OutputError) as caught:
        load_key("", tmp_path)
    where = f"{link} is a symbolic link to {target}"
    assert str(caught.value) == f"{where}: others can read the fingerprint key; run chmod 600 on it."
    target.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(target, 12345, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(OutputError, match=f"{where}: the fingerprint key belongs to another user; make it"):
        load_key("", tmp_path)


def test_link_to_nothing_is_said_to_be_one_and_never_a_night_of_masks(tmp_path):
    """F77"""
    (tmp_path / "fingerprint.key").symlink_to("nowhere")
    with pytest.raises(OutputError, match="the fingerprint key, is a symbolic link to a missing file; "):
        load_key("", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["fingerprint.key"]


@pytest.mark.parametrize("kind", ODD)
def test_key_that_is_not_a_regular_file_is_said_to_be_none(tmp_path, kind):
    """F77"""
    put(tmp_path / "fingerprint.key", kind)
    with ends_within(5), pytest.raises(OutputError, match=r"the fingerprint key, is a .*, not a regular file"):
        load_key("", tmp_path)


def test_key_without_end_is_refused(tmp_path):
    with (tmp_path / "fingerprint.key").open("wb") as file:
        file.truncate(1 << 40)
    (tmp_path / "fingerprint.key").chmod(0o600)
    with ends_within(5), pytest.raises(OutputError, match="is larger than 65,536 bytes"):
        load_key("", tmp_path)


def test_key_that_is_there_and_cannot_be_read_is_an_error(tmp_path, monkeypatch):
    """F77: with masks in place of fingerprints, every secret would look changed."""
    (tmp_path / "fingerprint.key").write_text(KEY_TEXT)

    def refuse(*args, **named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OutputError, match="the fingerprint key, can't be read: Permission denied; make it a regular"):
        load_key("", tmp_path)


def test_a_key_of_32_characters_is_long_enough(tmp_path):
    path = tmp_path / "fingerprint.key"
    path.write_text("0123456789abcdef0123456789abcdef\n")
    path.chmod(0o600)
    assert load_key("", tmp_path) == b"0123456789abcdef0123456789abcdef"


def test_a_key_that_another_crawl_made_in_the_meantime_is_taken(tmp_path, monkeypatch):
    """T09."""
    others = "0123456789abcdef" * 4

    def too_late(path, target):
        path.write_text(f"{others}\n")
        path.chmod(0o600)
        raise FileExistsError

    monkeypatch.setattr(Path, "hardlink_to", too_late)
    assert load_key("", tmp_path) == others.encode()
    assert [path.name for path in tmp_path.iterdir()] == ["fingerprint.key"]


def test_a_key_that_another_crawl_makes_after_the_first_look_is_taken(tmp_path, monkeypatch):
    """T09."""
    others, looks = "0123456789abcdef" * 4, []

    def look(path, **options):
        looks.append(path)
        if len(looks) == 1:
            path.write_text(f"{others}\n")
            path.chmod(0o600)
            raise FileNotFoundError
        return open_regular(path, **options)

    monkeypatch.setattr("crawler.normalizer.fingerprint_key.open_regular", look)
    assert load_key("", tmp_path) == others.encode()


def test_a_link_in_the_place_of_a_key_that_is_being_made_is_not_written_through(tmp_path, monkeypatch):
    """T23."""
    monkeypatch.setattr("secrets.token_hex", lambda length: "ab" * length)
    (tmp_path / f"fingerprint.key.{'ab' * 8}").symlink_to(tmp_path / "elsewhere")
    assert load_key("", tmp_path) is None
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(("is_folder", "has_key"), [(True, True), (False, False)])
def test_a_key_that_can_not_be_flushed_is_none_but_its_folder_may_be(tmp_path, monkeypatch, is_folder, has_key):
    """T09: not every file system flushes folders."""
    flush = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) is is_folder:
            raise OSError(errno.EINVAL, "no")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert (load_key("", tmp_path) is not None) is has_key
    assert (tmp_path / "fingerprint.key").exists() is has_key


def test_where_no_key_can_be_kept_there_is_none(tmp_path):
    """T09."""
    file = tmp_path / "file"
    file.touch()
    assert load_key("", file) is None
    assert load_key("", file / "below") is None
    assert load_key("", Path("/proc/nowhere")) is None


@pytest.mark.parametrize("key", [b"", b"k", b"k" * 64, b"k" * 65, bytes(range(256))])
@pytest.mark.parametrize("text", ["x", "a secret" * 100, "ü\ud800"])
def test_a_fingerprint_is_hmac_sha_256(key, text):
    expected = hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256").hex()[:16]
    assert Redaction("fingerprint", "fingerprint", key).fingerprint(text) == f"hmac:{expected}"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans(), st.data())
def test_a_literal_secret_of_an_account_is_found_in_json_however_it_is_written(around, is_ascii, data):
    """T36: pages of many accounts are searched as bytes."""
    key_id, token = "LTAI5tPLANTEDKEYID00001", "CAISplanted+TOKEN/Ab1+/Ab1+/Ab1+/zz=="
    secrets = LiteralSecrets()
    secrets.add(key_id, token, owner="1")
    redaction = Redaction("fingerprint", "fingerprint", KEY, literals=secrets)
    encoded = (base64.b64encode(token.encode()).decode(), token.encode().hex(), quote(token, safe=""), token[:20])
    text = data.draw(st.sampled_from([key_id, token, *encoded]))
    body = json.dumps({"a": f"{around}{text}{around}"}, ensure_ascii=is_ascii)
    letter = data.draw(st.sampled_from(sorted(set(filter(str.isalnum, text)))))
    escaped = body.replace(
        letter, data.draw(st.sampled_from([letter, f"\\u{ord(letter):04x}", f"\\u{ord(letter):04X}"]))
    )
    assert redaction.for_account("1").may_have_own_literals(escaped.encode())
    assert not redaction.for_account("2").may_have_own_literals(escaped.encode())


def test_a_literal_secret_without_letters_is_found_wherever_json_has_escapes():
    secrets = LiteralSecrets()
    secrets.add('"/"/"/"/"/"/"/"/"/', owner="1")
    redaction = Redaction("fingerprint", "fingerprint", KEY, literals=secrets).for_account("1")
    assert redaction.may_have_own_literals(rb'{"a": "\"\/\"\/\"\/\"\/\"\/\"\/\"\/\"\/\"\/"}')
    assert not redaction.may_have_own_literals(b'{"a": "b"}')
