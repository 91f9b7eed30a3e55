"""Text that every layer shares: patterns of IDs and hosts, and messages of the service."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Each one is for `fullmatch`. Paths of the output, requests and the configuration use the same pattern.
ACCOUNT_ID = re.compile(r"[0-9]{1,32}")
REGION_ID = re.compile(r"(?!.{64})[a-z0-9]+(?:-[a-z0-9]+)+")  # at most 63 characters, such as cn-hangzhou
ROLE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
ROLE_ARN = re.compile(rf"acs:ram::{ACCOUNT_ID.pattern}:role/{ROLE_NAME.pattern}")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
LOOPBACK_HOST = re.compile(rf"127(?:\.{_OCTET}){{3}}|::1|localhost")  # an IPv6 address without brackets

LONGEST_MESSAGE = 500


# Much more than is kept, so that enough is left after removals, and little enough for a fast search.
_LONGEST_READ = 4000


# If a signature doesn't match, gateways quote the signed text: the access key ID and the whole request.
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
    """Return a service's text for a log or manifest: one printable line of at most `longest` characters.

    Removes queries and user names of URLs, the quoted string to sign, access key IDs, and values named Signature,
    AccessKeyId, security-token, Credential or Authorization.
    """
    text = "".join(character if character.isprintable() else " " for character in message[:_LONGEST_READ])
    text = _ECHO.sub("[string to sign removed]", text)
    text = _QUERY.sub("", _USERINFO.sub(r"\1", text))
    text = _KEY_ID.sub("***", _NAMED_SECRET.sub(r"\1***", text))
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def missing_action(message: str) -> str:
    """Return the RAM action in `… not authorized to perform 'fc:ListFunctions' on …` or `… Action: ram:GetRole`."""
    found = _NAMED_ACTION.search(message[:_LONGEST_READ])
    return found.group(1) if found else ""


# Dates outside of these years are malformed: no service is so far ahead or behind, and arithmetic would overflow.
_FIRST_YEAR, _LAST_YEAR = 1970, 9000


def instant_in_range(instant: datetime | None) -> datetime | None:
    """Return an instant in UTC; None for one without a zone, and for one that no service can mean."""
    if instant is None or instant.tzinfo is None or not _FIRST_YEAR < instant.year < _LAST_YEAR:
        return None
    return instant.astimezone(UTC)


def http_date(text: str) -> datetime | None:
    """Return the date of an HTTP header, in UTC; None for a malformed one. A date without a zone is in UTC."""
    if not text.isascii():
        return None
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return instant_in_range(found if found.tzinfo else found.replace(tzinfo=UTC))


def escape_control(text: str) -> str:
    """Replace characters that control a terminal or begin a line by their escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def is_encodable(text: str) -> bool:
    """Whether the text can be encoded as UTF-8: it has no lone surrogate."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
