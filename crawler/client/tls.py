"""TLS contexts, made in this one place, and the file of `[tls] ca_file`, judged before anything is sent."""

from __future__ import annotations

import os
import ssl
import stat
from typing import TYPE_CHECKING

from crawler.errors import ConfigError
from crawler.text import decode_text

if TYPE_CHECKING:
    from pathlib import Path

# The certificates of all public authorities are 250 KB.
_LARGEST_FILE_BYTES = 8 * 1024 * 1024
_CERTIFICATES = tuple(f"-----BEGIN {kind}CERTIFICATE-----" for kind in ("", "TRUSTED ", "X509 "))
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_DATA = bytes.fromhex("06092a864886f70d010701")
_KEY_STORES = (bytes.fromhex("feedfeed"), bytes.fromhex("cececece"))
_SEQUENCE = 0x30
_CONVERT = "convert it with `openssl"


def tls_context(ca_file: Path | None, *, with_system: bool = False) -> ssl.SSLContext:
    """Return a context for TLS 1.2 or later that verifies by the system's authorities, or by `ca_file` alone.

    `with_system`: by both. Raises ConfigError if the file has no certificate.
    """
    if ca_file is None:
        context = ssl.create_default_context()
    else:
        try:
            text = _marked_text(read_certificates(ca_file))
        except ConfigError as error:
            raise ConfigError(f"[tls] ca_file {ca_file} {error}") from None
        try:
            context = ssl.create_default_context(cadata=text) if text else ssl.create_default_context(cafile=ca_file)
        except (OSError, ValueError):
            raise ConfigError(f"[tls] ca_file {ca_file} {_DAMAGED}") from None
        if with_system:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def check_ca_file(ca_file: Path) -> None:
    """Raise ConfigError unless the file has certificates in PEM. The sentence continues after the file's name."""
    content = read_certificates(ca_file)
    if not any(mark in _text_of(content) for mark in _CERTIFICATES):
        raise ConfigError(_why_no_pem(content))
    try:
        context = tls_context(ca_file)
    except ConfigError:
        raise ConfigError(_DAMAGED) from None
    if not context.cert_store_stats()["x509"]:
        raise ConfigError(_NO_CERTIFICATE)


_DAMAGED = "has a certificate that is cut short or damaged; copy it again"
_NO_CERTIFICATE = "has no certificate in PEM (-----BEGIN CERTIFICATE-----); give the authority's certificate"


def read_certificates(ca_file: Path) -> bytes:
    """Return the content of a regular file of a plausible size. Raises ConfigError; a pipe is never waited for."""
    try:
        descriptor = os.open(ca_file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"can't be read: {(error.strerror or type(error).__name__).lower()}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError("is not a file that can be read; give a file with certificates in PEM")
        if found.st_size > _LARGEST_FILE_BYTES:
            raise ConfigError("is larger than 8 MiB; give a file with the authority's certificates in PEM only")
        return os.read(descriptor, _LARGEST_FILE_BYTES)
    finally:
        os.close(descriptor)


def _marked_text(content: bytes) -> str:
    """Return the certificates of a text with a byte order mark, which OpenSSL can't read; empty for other files."""
    text = _text_of(content)
    is_marked = not content.startswith(b"-") and content[:1] > b"\x7f" and bool(text)
    return text.encode("ascii", "ignore").decode() if is_marked else ""


def _text_of(content: bytes) -> str:
    try:
        return decode_text(content)
    except ValueError:
        return content.decode("latin-1")


def _why_no_pem(content: bytes) -> str:
    """Return the form in which an authority's certificate often comes, with how to convert it."""
    text = _text_of(content)
    head = text.lstrip()[:64].lower()
    if not text.strip():
        return "is empty; give the authority's certificate in PEM"
    if content.startswith(_KEY_STORES):
        return "is a Java key store; export the certificate with `keytool -exportcert -rfc -keystore FILE -file ca.pem`"
    if "-----BEGIN PKCS7-----" in text or "-----BEGIN CMS-----" in text:
        return f"is in PKCS #7; {_CONVERT} pkcs7 -print_certs -in FILE -out ca.pem`"
    if content[0] == _SEQUENCE and _SIGNED_DATA in content[:64]:
        return f"is in PKCS #7; {_CONVERT} pkcs7 -inform der -print_certs -in FILE -out ca.pem`"
    if content[0] == _SEQUENCE and _DATA in content[:64]:
        return f"is in PKCS #12; {_CONVERT} pkcs12 -in FILE -cacerts -nokeys -out ca.pem`"
    if content[0] == _SEQUENCE and "-----" not in text:
        return f"is in DER; {_CONVERT} x509 -inform der -in FILE -out ca.pem`"
    if head.startswith(("<!doctype", "<html", "<?xml", "<")):
        return "is a web page, not a certificate; download the authority's certificate itself"
    if "PRIVATE KEY-----" in text:
        return "has a private key and no certificate; give the authority's certificate, and keep the key apart"
    if "-----BEGIN CERTIFICATE REQUEST-----" in text or "-----BEGIN NEW CERTIFICATE REQUEST-----" in text:
        return "is a request for a certificate; give the authority's certificate"
    return _NO_CERTIFICATE
