"""Reads the envelope of an error response: JSON in any spelling, or XML. Other bodies, such as HTML, have none.

The content type decides nothing: gateways and proxies send wrong ones. Document types and entities are refused, and
sizes are bounded. Sources, checked 2026-11-30: the error code pages of the OpenAPI gateway, Function Compute and
OpenSearch; alibabacloud-tea-openapi 0.4.6, which reads `Code` and `code` in JSON, and the element `Error` in
`text/xml;charset=utf-8`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn
from xml.parsers import expat

import msgspec

from crawler.json_bounds import MAX_VALUES, excess_of
from crawler.text import ACTION

# Field names without case, underscores and hyphens.
_FIELDS = frozenset(
    ("code", "errorcode", "message", "errormessage", "requestid", "error", "errors", "success", "accessdenieddetail")
)
_ONLY_ID = {"requestid"}
_LONGEST_NAME = 32
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])

# An error is a few hundred bytes. Pages of proxies are larger, and are not worth parsing.
MAX_XML_BYTES = 65_536
_MAX_XML_DEPTH = 8
_XML_ROOTS = frozenset(("error", "errorresponse", "response"))
_SPACE = b" \t\r\n"
_DECLARED = re.compile(rb"<\?xml[^>]*\bencoding=")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Envelope:
    """The error fields of a response. `code` "": no error. `action`: the missing RAM action.

    `is_document`: the body is complete JSON, or the XML of an error.
    """

    code: str = ""
    message: str = ""
    request_id: str = ""
    action: str = ""
    is_document: bool = True


def read_envelope(body: bytes, success_codes: Collection[str] = ()) -> Envelope:
    """Return the envelope of a decompressed body. Raises nothing.

    `success_codes`: codes, in lower case, that count as none; the body may still be an error by its other fields.
    Nothing is read out of a body that isn't UTF-8, except for XML that declares its encoding. A body beyond the bounds
    of any JSON has no envelope.
    """
    if len(body) > MAX_VALUES and excess_of(body):
        return Envelope()
    is_utf_8 = body.isascii() or is_text(body)
    fields = _json_fields(body) if is_utf_8 else None
    if fields is None and (is_utf_8 or _DECLARED.match(body)):
        fields = _xml_fields(body)
    if fields is None:
        return Envelope(is_document=False)
    if not fields or fields.keys() == _ONLY_ID:
        return Envelope(request_id=_text(fields.get("requestid")))
    return _envelope(fields, success_codes)


def is_text(body: bytes) -> bool:
    """Whether a body is UTF-8."""
    try:
        body.decode()  # a decoder of JSON doesn't look into the texts that it skips
    except UnicodeDecodeError:
        return False
    return True


def _envelope(fields: Mapping[str, object], success_codes: Collection[str]) -> Envelope:
    inner = fields.get("error")
    nested = _named(inner.items()) if isinstance(inner, dict) else {}
    code, message = _code_and_message(fields)
    code = "" if code.lower() in success_codes else code
    if not code:
        code, inner_message = _code_and_message(nested)
        message = inner_message if code else message
    if not code:
        code, message = _first_of_errors(fields.get("errors"), message)
    if not code and fields.get("success") in (False, "false", "False"):
        code = "Unsuccessful"
    request_id = _text(fields.get("requestid")) or _text(nested.get("requestid"))
    action = _missing_action(fields) or _missing_action(nested)
    return Envelope(code, message, request_id, action)


def _code_and_message(fields: Mapping[str, object]) -> tuple[str, str]:
    code = _text(fields.get("code")) or _text(fields.get("errorcode"))
    return code, _text(fields.get("message")) or _text(fields.get("errormessage"))


def _first_of_errors(errors: object, message: str) -> tuple[str, str]:
    """Return code and message of OpenSearch's `errors`, a list of objects or texts."""
    if not isinstance(errors, list) or not errors:
        return "", message
    first = errors[0]
    if not isinstance(first, dict):
        return "Unsuccessful", _text(first) or message
    code, own = _code_and_message(_named(first.items()))
    return code or "Unsuccessful", own or message


def _missing_action(fields: Mapping[str, object]) -> str:
    detail = fields.get("accessdenieddetail")
    found = {name.lower(): value for name, value in detail.items()} if isinstance(detail, dict) else {}
    action = found.get("authaction")
    return action if isinstance(action, str) and ACTION.fullmatch(action) else ""


def _text(value: object) -> str:
    """Return a code or message as text, "" for another type. A code of 0 means no error: some services use numbers."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and value != 0 else ""


def _named(items: Any, read: Callable[[Any], object] | None = None) -> dict[str, object]:
    """Return the envelope's fields of (name, value) pairs by their plain names. The first one with a value counts.

    `read` decodes the value of a field.
    """
    fields: dict[str, object] = {}
    for name, found in items:
        if len(name) <= _LONGEST_NAME and (plain := _plain(name)) in _FIELDS:
            value = found if read is None else read(found)
            if value not in (None, ""):
                fields.setdefault(plain, value)
    return fields


@lru_cache(maxsize=256)
def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _json_fields(body: bytes) -> dict[str, object] | None:
    """Return the fields of the envelope, {} for JSON without any, None for a body that isn't complete JSON.

    The rest of the body is validated but not decoded: 250 kB take half a millisecond.
    """
    try:
        raws = _DECODER.decode(body)
    except msgspec.ValidationError:
        return {}
    except (ValueError, RecursionError):
        return _lenient(body.decode().removeprefix("\ufeff"))
    return _named(raws.items(), _value)


def _lenient(text: str) -> dict[str, object] | None:
    """Parse JSON that the strict parser rejects (a lone surrogate, NaN): it may still be rows or an error."""
    try:
        found = json.loads(text)  # of bytes it would guess the encoding
    except (ValueError, RecursionError):
        return None
    return _named(found.items()) if isinstance(found, dict) else {}


def _value(raw: msgspec.Raw) -> object:
    try:
        value: object = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return bytes(raw).decode("utf-8", "replace").strip('"')
    return value


class _RefusedXmlError(Exception):
    """The document has a part that no error has."""


class _XmlReader:
    """Collects the texts of a small XML document as nested dictionaries, by names without namespaces."""

    def __init__(self) -> None:
        self.root = ""
        self.fields: dict[str, Any] = {}
        self._open: list[tuple[str, dict[str, Any], list[str]]] = []

    def read(self, document: bytes) -> None:
        """Parse a document. Raises _RefusedXmlError, and the errors of expat."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.Parse(document, True)

    def _refuse(self, *_: object) -> NoReturn:
        raise _RefusedXmlError

    def _start(self, name: str, _: object) -> None:
        if len(self._open) >= _MAX_XML_DEPTH:
            raise _RefusedXmlError
        self._open.append((name.rpartition(" ")[2], {}, []))
        self.root = self.root or self._open[0][0]

    def _characters(self, text: str) -> None:
        self._open[-1][2].append(text)

    def _end(self, _: str) -> None:
        name, children, texts = self._open.pop()
        value: Any = children or "".join(texts).strip()
        if self._open:
            self._open[-1][1].setdefault(name, value)
        else:
            self.fields = children


def _xml_fields(body: bytes) -> dict[str, object] | None:
    """Return the fields of an XML error, None for another document. The root of HTML is no root of an error."""
    document = body.removeprefix(_BOM).lstrip(_SPACE)
    if len(document) > MAX_XML_BYTES or not document.startswith(b"<"):
        return None
    reader = _XmlReader()
    try:
        reader.read(document)
    except (expat.ExpatError, _RefusedXmlError, ValueError, LookupError):
        return None
    if reader.root.lower() not in _XML_ROOTS:
        return None
    return _named(reader.fields.items()) or None
