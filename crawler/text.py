"""What of a service's own words may stand in a log or a manifest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

LONGEST_MESSAGE = 500


# Far more than is kept, so that what is removed leaves something, and little enough to search at once.
_LONGEST_READ = 4000


# Gateways repeat what they signed where the signature didn't match: the access key ID and the whole request.
_ECHO = re.compile(r"(?:server\s*)?(?:string\s*to\s*sign|canonical(?:ized)?\s*request)\b.*", re.IGNORECASE)
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]{0,15}://)[^/\s@?#]*@", re.IGNORECASE)
_QUERY = re.compile(r"\?[^\s\"'<>?=]*=[^\s\"'<>]*")


_NAMED_SECRET = re.compile(
    r"((?:signature(?:nonce)?|(?:oss)?access[-_ ]?key[-_ ]?(?:id|secret)|security[-_ ]?token|credential|authorization)"
    r"[\"']?\s*(?:=|:|%3D|(?=['\"])))\s*[\"']?(?:(?:Bearer|Basic|ACS3[\w-]*)\s+(?![\w-]+=))?[^\s&,;'\"<>]+",
    re.IGNORECASE,
)
_KEY_ID = re.compile(r"\b(?:LTAI|STS\.|TMP\.)[A-Za-z0-9]{8,}")
ACTION = re.compile(r"[a-z][a-z0-9-]{1,30}:[A-Za-z][A-Za-z0-9*]{1,60}")
_NAMED_ACTION = re.compile(rf"\b(?:perform|action)\W{{1,4}}({ACTION.pattern})", re.IGNORECASE)


def clean_message(message: str, longest: int = LONGEST_MESSAGE) -> str:
    """A service's text as it may stand in a log: one printable line of at most `longest` characters.

    Removed are queries and user names of URLs, the echoed string to sign, access key IDs, and values of anything named
    Signature, AccessKeyId, security-token, Credential or Authorization.
    """
    text = "".join(character if character.isprintable() else " " for character in message[:_LONGEST_READ])
    text = _ECHO.sub("[string to sign removed]", text)
    text = _QUERY.sub("", _USERINFO.sub(r"\1", text))
    text = _KEY_ID.sub("***", _NAMED_SECRET.sub(r"\1***", text))
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def missing_action(message: str) -> str:
    """The RAM action in `… not authorized to perform 'fc:ListFunctions' on …` or `… Action: ram:GetRole`."""
    found = _NAMED_ACTION.search(message[:_LONGEST_READ])
    return found.group(1) if found else ""


def printable(text: str) -> str:
    """The text with everything that could steer a terminal or begin a line replaced by its escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def is_encodable(text: str) -> bool:
    """Whether the text has no lone surrogate, and so can be written as UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
