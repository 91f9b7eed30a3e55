"""The signature against vectors of each stage, and against the official implementation on a thousand odd requests."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl, quote

import pytest
from alibabacloud_tea_openapi import utils as official
from hypothesis import given
from hypothesis import strategies as st

from crawler.client import signing
from crawler.errors import CredentialsError

VECTORS = sorted((Path(__file__).parents[1] / "vectors" / "acs3").iterdir())
NOW = datetime(2026, 11, 22, 6, 30, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Key:
    access_key_id: str = "LTAI5tUNITexample0001"
    access_key_secret: str = "unit-secret-0001"
    security_token: str = ""


def signed_by_us(request, credentials):
    return signing.sign(
        request["method"],
        request["host"],
        request["path"],
        signing.canonical_query(request["query"]),
        request["headers"],
        request["body"].encode(),
        credentials,
        action=request["action"],
        version=request["version"],
        now=datetime.fromisoformat(request["now"]),
        nonce=request["nonce"],
    )


def signed_officially(method, path, query, sent, credentials):
    """The official code's Authorization for the same headers, with the texts that it hashed and signed."""
    stages = []
    covered = {name: sent[name] for name in signing.signed_headers(sent)}
    real_hash, real_method = official.Utils.hash, official.signature_method
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(official.Utils, "hash", lambda raw, kind: (stages.append(raw.decode()), real_hash(raw, kind))[1])
        patch.setattr(
            official, "signature_method", lambda key, text, kind: (stages.append(text), real_method(key, text, kind))[1]
        )
        authorization = official.Utils.get_authorization(
            SimpleNamespace(method=method, pathname=path, query=query, headers=covered),
            signing.ALGORITHM,
            sent["x-acs-content-sha256"],
            credentials.access_key_id,
            credentials.access_key_secret,
        )
    return authorization, *stages


@pytest.fixture(params=VECTORS, ids=lambda folder: folder.name)
def vector(request):
    folder = request.param
    return SimpleNamespace(
        request=json.loads((folder / "request.json").read_text("utf-8")),
        canonical_request=(folder / "canonical_request.txt").read_bytes().decode(),
        string_to_sign=(folder / "string_to_sign.txt").read_bytes().decode(),
        headers=json.loads((folder / "headers.json").read_text("utf-8")),
    )


def test_there_are_vectors_for_every_kind_of_request():
    assert len(VECTORS) >= 12


def test_canonical_request_of_a_vector(vector):
    request = vector.request
    made = signing.canonical_request(
        request["method"],
        request["path"],
        signing.canonical_query(request["query"]),
        vector.headers,
        hashlib.sha256(request["body"].encode()).hexdigest(),
    )
    assert made == vector.canonical_request


def test_string_to_sign_of_a_vector(vector):
    assert signing.string_to_sign(vector.canonical_request) == vector.string_to_sign


def test_signature_of_a_vector(vector):
    secret = vector.request["credentials"]["access_key_secret"]
    expected = vector.headers["Authorization"].rpartition("Signature=")[2]
    assert signing.signature(secret, vector.string_to_sign) == expected


def test_headers_of_a_vector(vector):
    assert signed_by_us(vector.request, Key(**vector.request["credentials"])) == vector.headers


def test_a_vector_is_what_the_official_implementation_makes(vector):
    request = vector.request
    made = signed_officially(
        request["method"], request["path"], request["query"], vector.headers, Key(**request["credentials"])
    )
    assert made == (vector.headers["Authorization"], vector.canonical_request, vector.string_to_sign)


AWKWARD = [
    "",
    " ",
    "~",
    "+",
    "%",
    "*",
    "/",
    "//",
    "..",
    "%2F",
    "%%",
    "=",
    "&",
    "?",
    "#",
    ":",
    "é",
    "函数",
    "🚀",
    "\t",
    "a b",
]
NAME_CHARACTERS = "abcXYZ019-._~"


def awkward_text(source: random.Random) -> str:
    return "".join(source.choice([*AWKWARD, "a", "Z", "9", "-", "_", "."]) for _ in range(source.randrange(7)))


def awkward_request(source: random.Random) -> dict:
    steps = [
        source.choice(["", "..", ".", "*", quote(awkward_text(source), safe="~")]) for _ in range(source.randrange(6))
    ]
    names = ["".join(source.choices(NAME_CHARACTERS, k=source.randrange(1, 9))) for _ in range(source.randrange(6))]
    return {
        "method": source.choice(["GET", "POST", "PUT"]),
        "host": source.choice(["fcv3.cn-hangzhou.aliyuncs.com", "127.0.0.1:8080"]),
        "path": "".join(f"/{step}" for step in steps),
        "query": {name: awkward_text(source) for name in names},
        "headers": source.choice([{}, {"Content-Type": "application/json"}, {"x-acs-retry-attempts": " 3"}]),
        "body": awkward_text(source),
        "action": source.choice(["ListFunctions", "ListAppGroups"]),
        "version": "2023-03-30",
        "now": NOW.isoformat(),
        "nonce": f"{source.getrandbits(128):032x}",
    }


def test_1200_awkward_requests_are_signed_as_the_official_implementation_does():
    source = random.Random(20261122)
    seen = set()
    for _ in range(1200):
        request = awkward_request(source)
        key = Key(security_token=source.choice(["", "CAIS/token+=="]))
        sent = signed_by_us(request, key)
        expected = signed_officially(request["method"], request["path"], request["query"], sent, key)[0]
        assert sent["Authorization"] == expected, request
        seen.add(expected)
    assert len(seen) == 1200


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.dictionaries(texts, texts, max_size=6))
def test_a_server_that_decodes_the_query_rebuilds_the_same_one(query):
    sent = signing.canonical_query(query)
    decoded = dict(parse_qsl(sent, keep_blank_values=True, strict_parsing=bool(sent)))
    assert decoded == query
    assert signing.canonical_query(decoded) == sent
    assert re.fullmatch(r"[A-Za-z0-9_.~%=&-]*", sent)


@given(texts)
def test_percent_encoding_comes_back_after_one_decode_and_leaves_no_reserved_character(text):
    encoded = signing.percent_encode(text)
    assert bytes.fromhex("".join(_hex(encoded))).decode() == text
    assert re.fullmatch(r"(?:[A-Za-z0-9_.~-]|%[0-9A-F]{2})*", encoded)


def _hex(encoded):
    for match in re.finditer(r"%(..)|(.)", encoded):
        yield match[1] or match[2].encode().hex()


def _sign(credentials=Key(), now=NOW, **headers):
    return signing.sign(
        "GET", "h.aliyuncs.com", "/", "", headers, b"", credentials, action="A", version="V", now=now, nonce="n"
    )


def test_a_session_token_is_sent_and_signed_and_a_long_lived_key_sends_neither_header():
    temporary, permanent = _sign(Key(security_token="token")), _sign()
    assert temporary["x-acs-security-token"] == "token"
    assert temporary["x-acs-accesskey-id"] == Key.access_key_id
    assert "x-acs-accesskey-id;x-acs-action" in temporary["Authorization"]
    assert "x-acs-security-token" in temporary["Authorization"]
    assert not {"x-acs-security-token", "x-acs-accesskey-id"} & set(permanent)


def test_without_credentials_there_is_no_authorization():
    headers = _sign(None)
    assert "Authorization" not in headers
    assert headers["x-acs-action"] == "A"


def test_the_date_is_utc_whatever_the_zone_of_now():
    there = NOW.astimezone(timezone(timedelta(hours=8)))
    assert _sign(now=there)["x-acs-date"] == "2026-11-22T06:30:05Z"
    with pytest.raises(ValueError, match="naive"):
        _sign(now=NOW.replace(tzinfo=None))


def test_only_host_content_type_and_x_acs_headers_are_signed():
    headers = _sign(accept="*/*", **{"X-Acs-Extra": "1", "user-agent": "x"})
    names = re.search("SignedHeaders=([^,]*)", headers["Authorization"])[1].split(";")
    assert "x-acs-extra" in names
    assert not {"accept", "user-agent"} & set(names)
    assert headers["accept"] == "*/*"


def test_the_caller_cannot_replace_a_signed_header():
    assert _sign(**{"X-Acs-Action": "DeleteFunction", "Host": "evil.example"}) == _sign()


@pytest.mark.parametrize("bad", ["", "key\r\nx-injected: 1", "key with space", "clé"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(bad):
    """T11."""
    with pytest.raises(CredentialsError, match="access key ID") as caught:
        _sign(Key(access_key_id=bad))
    assert not bad or bad not in str(caught.value)


def test_a_token_with_a_line_break_is_refused_without_being_shown():
    with pytest.raises(CredentialsError, match="security token") as caught:
        _sign(Key(security_token="canary\n"))
    assert "canary" not in str(caught.value)


def nonces(count: int) -> list[str]:
    return [signing.new_nonce() for _ in range(count)]


def test_nonces_are_distinct_over_100_000_calls_in_4_processes():
    """F12."""
    # Forks of one process that has imported the module: state that they shared would repeat itself here.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["crawler.client.signing"])
    with context.Pool(4) as pool:
        made = [nonce for part in pool.map(nonces, [25_000] * 4, chunksize=1) for nonce in part]
        pool.close()
        pool.join()
    assert len(set(made)) == 100_000
    assert all(re.fullmatch("[0-9a-f]{32}", nonce) for nonce in made[:100])
