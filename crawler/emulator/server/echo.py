"""Errors that repeat the secrets of a request, as some gateways do."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from urllib.parse import quote

from crawler.emulator.faults.effects import Echo
from crawler.emulator.responses import RefusedError
from crawler.emulator.server.request import ReceivedRequest
from crawler.emulator.server.signature import parse_authorization

_ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "url": lambda text: quote(text, safe=""),
    "json": lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    "hex": lambda text: text.encode().hex(),
}
_PARAMETERS = ("OIDCToken", "ExternalId")


def echo_refusal(effect: Echo, received: ReceivedRequest) -> RefusedError:
    """Return an error with the request's key ID in its code, and each of its tokens in its message."""
    authorization, form = parse_authorization(received), received.form()
    key_id = authorization.key_id if authorization else ""
    secrets = [key_id, received.header("x-acs-security-token"), *(form.get(name, "") for name in _PARAMETERS)]
    shown = [_ENCODINGS[effect.encoding](text[: effect.at or None]) for text in secrets if text]
    message = f"The specified {' and '.join(shown)} is malformed."
    return RefusedError(effect.status, f"{effect.code}.{shown[0]}" if shown else effect.code, message)
