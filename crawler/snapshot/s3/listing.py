"""One page of ListObjectsV2, read from XML that a hostile store may have written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

# No listing declares a document type. Without one there are no entities that could expand.
_DECLARATION = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object of a listing, with its whole key."""

    key: str
    bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class ListingPage:
    """Objects, the prefixes up to the delimiter, and the token of the next page, empty on the last one."""

    objects: list[ListedObject]
    prefixes: list[str]
    next_token: str


def parse_listing(content: bytes) -> ListingPage:
    """Return a page. Raises ValueError for anything that isn't a page of a listing."""
    if _DECLARATION.search(content):
        raise ValueError("a document type in a listing")
    try:
        root = ET.fromstring(content)  # noqa: S314 - without a document type, and bounded by the caller
    except ET.ParseError:
        raise ValueError("no XML") from None
    if _name(root) != "ListBucketResult":
        raise ValueError("another document")
    texts = _texts(root)
    is_truncated = texts.get("IsTruncated", "").strip().lower() == "true"
    token = texts.get("NextContinuationToken", "")
    if is_truncated and not token:
        raise ValueError("a page that isn't the last, without a token")
    return ListingPage(
        [_object(_texts(element)) for element in root if _name(element) == "Contents"],
        [_texts(element).get("Prefix", "") for element in root if _name(element) == "CommonPrefixes"],
        token if is_truncated else "",
    )


def _object(texts: dict[str, str]) -> ListedObject:
    size = texts.get("Size", "")
    if not size.isascii() or not size.isdigit() or len(size) > 18:
        raise ValueError("an object without a size")
    modified_at = datetime.fromisoformat(texts.get("LastModified", ""))
    if modified_at.tzinfo is None:
        modified_at = modified_at.replace(tzinfo=UTC)
    return ListedObject(texts.get("Key", ""), int(size), modified_at)


def _texts(element: ET.Element) -> dict[str, str]:
    return {_name(child): child.text or "" for child in element}


def _name(element: ET.Element) -> str:
    """Return the name without its namespace, which some stores leave out."""
    return element.tag.rpartition("}")[2]
