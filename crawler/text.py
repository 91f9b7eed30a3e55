"""Text that every layer shares: patterns of IDs and hosts, and messages of the service."""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Each one is for `fullmatch`. Paths of the output, requests and the configuration use the same pattern.
ACCOUNT_ID = re.compile(r"[0-9]{1,32}")
# The region of a product that has one host for all regions.
GLOBAL_REGION = "global"
# At most 63 characters, such as cn-hangzhou; or `global`.
REGION_ID = re.compile(rf"(?!.{{64}})(?:{GLOBAL_REGION}|[a-z0-9]+(?:-[a-z0-9]+)+)")
ROLE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
ROLE_ARN = re.compile(rf"acs:ram::{ACCOUNT_ID.pattern}:role/{ROLE_NAME.pattern}")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
LOOPBACK_HOST = re.compile(rf"127(?:\.{_OCTET}){{3}}|::1|localhost")  # an IPv6 address without brackets

# Names of buckets in S3 and OSS.
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_BUCKET_LENGTHS = range(3, 64)
_PREFIX_PART = re.compile(r"[A-Za-z0-9_=.+-]{1,200}")

LONGEST_MESSAGE = 500

_CLOUD = ("ALIBABA_CLOUD_", "AWS_", "OSS_", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


# Much more than is kept, so that enough is left after removals, and little enough for a fast search.
LONGEST_READ = 4000


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
    text = "".join(character if character.isprintable() else " " for character in message[:LONGEST_READ])
    text = _ECHO.sub("[string to sign removed]", text)
    text = _QUERY.sub("", _USERINFO.sub(r"\1", text))
    text = _KEY_ID.sub("***", _NAMED_SECRET.sub(r"\1***", text))
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def missing_action(message: str) -> str:
    """Return the RAM action in `… not authorized to perform 'fc:ListFunctions' on …` or `… Action: ram:GetRole`."""
    found = _NAMED_ACTION.search(message[:LONGEST_READ])
    return found.group(1) if found else ""


def bucket_uri_problem(uri: str) -> str:
    """Return what is wrong with an `s3://` or `oss://` URI, for a sentence that begins with it; else empty."""
    scheme, _, rest = uri.partition("://")
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        return f"names no bucket; write {scheme}://bucket/prefix"
    if len(bucket) not in _BUCKET_LENGTHS:
        size = "short" if len(bucket) < _BUCKET_LENGTHS.start else "long"
        return f"has a bucket's name that is too {size}; a bucket has 3 to 63 characters"
    if not _BUCKET.fullmatch(bucket):
        return (
            "has a bucket's name that none can have; use small letters, digits, dots and hyphens, with a letter or "
            "digit at both ends"
        )
    for part in prefix.strip("/").split("/") if prefix.strip("/") else ():
        if not part:
            return "has an empty part in its prefix; write single slashes"
        if not part.strip("."):
            return "has a part of dots alone in its prefix; write the prefix without it"
        if not _PREFIX_PART.fullmatch(part):
            return (
                f"has a part in its prefix that can't be used, {part[:40]!a}; use letters, digits, _ = . + and -, at "
                "most 200 per part"
            )
    return ""


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


def account_label(account_id: str, name: str) -> str:
    """Return an account for a reader, safe for a terminal: `prod (1000000000000001)`, or the ID alone."""
    return f"{escape_control(name)} ({account_id})" if name else account_id


def gap_note(since: datetime | None, at: datetime | None, until: str = "", reason: str = "") -> str:
    """Return how long a scope has been incomplete at a time, and until when this is accepted; empty for neither."""
    days = (at - since).days if since is not None and at is not None else 0
    age = f"since {since:%Y-%m-%d}, {'1 day' if days == 1 else f'{days:,} days'}" if days > 0 else ""
    return "; ".join(filter(None, (age, f"accepted until {until}: {reason}" if until else "")))


def decode_text(content: bytes) -> str:
    """Return the text of a file that an editor or a shell of Windows may have written. Raises ValueError.

    A byte order mark is left out. With the mark of UTF-16 or UTF-32 the text is decoded as that, else as UTF-8.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding)
    return content.decode("utf-8")


def with_clean_ends(environ: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables without white space around the values of the cloud's, the bucket's and the proxy's.

    A secret of Kubernetes or the content of a file often ends with a line break, which no key has.
    """
    return {name: value.strip() if name.upper().startswith(_CLOUD) else value for name, value in environ.items()}


def ends_with_line_break(environ: Mapping[str, str], names: Collection[str] = ()) -> list[str]:
    """Return which variables end with a line break: of `names` and of those that `with_clean_ends` changes."""
    ending = (name for name, value in environ.items() if value.endswith(("\n", "\r")))
    return sorted(name for name in ending if name in names or name.upper().startswith(_CLOUD))


def is_encodable(text: str) -> bool:
    """Whether the text can be encoded as UTF-8: it has no lone surrogate."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
