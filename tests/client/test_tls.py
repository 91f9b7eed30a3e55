"""The file of `[tls] ca_file`: what it may be, and one sentence for everything else (T43)."""

from __future__ import annotations

import base64
import codecs
import os
import ssl
import textwrap

import pytest
import trustme

from crawler.client.tls import check_ca_file, tls_context
from crawler.errors import ConfigError

PEM = trustme.CA().cert_pem.bytes()
DER = ssl.PEM_cert_to_DER_cert(PEM.decode())
# The beginnings of the two containers, in DER: a sequence with the object identifier of its kind.
SIGNED_DATA = bytes.fromhex("3082030006092a864886f70d010702a0820300") + DER
PFX = bytes.fromhex("308203000201033082020006092a864886f70d010701") + DER
KEY = trustme.CA().private_key_pem.bytes()


def block(kind: str, data: bytes) -> bytes:
    lines = textwrap.fill(base64.b64encode(data).decode(), 64)
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n".encode()


TAKEN = {
    "one certificate": PEM,
    "several with comments": b"# \xe4\xf6 corp\n" + PEM + b"\n# other\n" + PEM.replace(b"\n", b"\r\n"),
    "with a key": KEY + PEM,
    "with the mark of UTF-8": codecs.BOM_UTF8 + PEM,
    "in UTF-16, as PowerShell writes": codecs.BOM_UTF16_LE + PEM.decode().encode("utf-16-le"),
}
REFUSED = {
    "DER": (DER, "is in DER; convert it with `openssl x509 -inform der"),
    "PKCS #7 in DER": (SIGNED_DATA, "is in PKCS #7; convert it with `openssl pkcs7 -inform der"),
    "PKCS #7 in PEM": (block("PKCS7", SIGNED_DATA), "is in PKCS #7; convert it with `openssl pkcs7 -print_certs"),
    "PKCS #12": (PFX, "is in PKCS #12; convert it with `openssl pkcs12"),
    "a Java key store": (bytes.fromhex("feedfeed00000002"), "is a Java key store; export"),
    "a page": (b"\n<!DOCTYPE html><title>Sign in</title>", "is a web page"),
    "XML": (b"<Error/>", "is a web page"),
    "nothing": (b"", "is empty"),
    "blanks": (b"\n \n", "is empty"),
    "a key": (KEY, "has a private key and no certificate"),
    "a request": (block("CERTIFICATE REQUEST", DER), "is a request for a certificate"),
    "text": (b"hello", "has no certificate in PEM"),
    "binary": (b"\x00\x01\x02", "has no certificate in PEM"),
    "cut short": (PEM[: len(PEM) // 2], "is cut short or damaged"),
    "cut in its end": (PEM[:-20], "is cut short or damaged"),
    "no Base64": (PEM.replace(b"M", b"*"), "is cut short or damaged"),
    "not of a certificate": (block("CERTIFICATE", b"hello"), "is cut short or damaged"),
    "the second cut short": (PEM + PEM[:200], "is cut short or damaged"),
    "huge": (PEM + b"\n" * (8 * 1024 * 1024), "is larger than 8 MiB"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_certificates_in_pem_are_taken_however_they_were_written(tmp_path, name):
    """T43."""
    path = tmp_path / "ca.pem"
    path.write_bytes(TAKEN[name])
    check_ca_file(path)
    assert tls_context(path).cert_store_stats()["x509_ca"] >= 1


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_a_sentence_that_says_how_to_convert_it(tmp_path, name):
    """T43."""
    content, says = REFUSED[name]
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        check_ca_file(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["folder", "pipe", "missing"])
def test_what_is_no_file_is_named_and_a_pipe_is_never_waited_for(tmp_path, kind):
    """T43."""
    path = tmp_path / "ca.pem"
    if kind == "folder":
        path.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(ConfigError, match="no such file" if kind == "missing" else "is not a file that can be read"):
        check_ca_file(path)


def test_a_file_that_has_gone_since_the_configuration_was_read_is_a_sentence(tmp_path):
    """T43."""
    with pytest.raises(ConfigError, match=r"^\[tls\] ca_file /.*/ca\.pem can't be read: no such file"):
        tls_context(tmp_path / "ca.pem")


def test_a_context_for_buckets_trusts_the_file_and_the_system(tmp_path, monkeypatch):
    """T44: an output at the cloud and a store of one's own may be used by one configuration."""
    (tmp_path / "system.pem").write_bytes(trustme.CA().cert_pem.bytes())
    (tmp_path / "own.pem").write_bytes(PEM)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert len(tls_context(tmp_path / "own.pem").get_ca_certs()) == 1
    both = tls_context(tmp_path / "own.pem", with_system=True)
    assert len(both.get_ca_certs()) == 2
    assert both.check_hostname
    assert both.minimum_version == ssl.TLSVersion.TLSv1_2
