"""The XML of answers, which a hostile store may have written: pages of listings, and the answers to uploads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

# No listing declares a document type. Without one there are no entities that could expand.
_DECLARATION = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_UPLOAD_ID = re.compile(r"[!-~]{1,2048}")


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object of a listing, with its whole key."""

    key: str
    bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class ListedUpload:
    """One multipart upload of a listing that was begun and not ended, with the whole key of its object."""

    key: str
    upload_id: str
    begun_at: datetime


@dataclass(frozen=True, slots=True)
class ListingPage:
    """Objects or uploads, the prefixes up to the delimiter, and the query for the next page, empty on the last one."""

    objects: list[ListedObject]
    uploads: list[ListedUpload]
    prefixes: list[str]
    next_query: dict[str, str]

    @property
    def names(self) -> list[str]:
        """All keys and prefixes."""
        return [*(entry.key for entry in self.objects), *(entry.key for entry in self.uploads), *self.prefixes]


def parse_listing(content: bytes) -> ListingPage:
    """Return a page of objects. Raises ValueError for anything that isn't one."""
    root = _document(content, "ListBucketResult")
    return ListingPage(
        [_object(_texts(element)) for element in root if _name(element) == "Contents"],
        [],
        [_texts(element).get("Prefix", "") for element in root if _name(element) == "CommonPrefixes"],
        _next_query(root, {"continuation-token": "NextContinuationToken"}),
    )


def parse_uploads(content: bytes) -> ListingPage:
    """Return a page of unfinished uploads. Raises ValueError for anything that isn't one."""
    root = _document(content, "ListMultipartUploadsResult")
    markers = {"key-marker": "NextKeyMarker", "upload-id-marker": "NextUploadIdMarker"}
    uploads = [_upload(_texts(element)) for element in root if _name(element) == "Upload"]
    return ListingPage([], uploads, [], _next_query(root, markers))


def parse_upload_id(content: bytes) -> str:
    """Return the ID of an upload that was begun. Raises ValueError for another document, or without a usable ID."""
    return checked_upload_id(_texts(_document(content, "InitiateMultipartUploadResult")).get("UploadId", ""))


def is_completion(content: bytes) -> bool:
    """Return whether the answer says that an upload was completed."""
    try:
        _document(content, "CompleteMultipartUploadResult")
    except ValueError:
        return False
    return True


def checked_upload_id(text: str) -> str:
    """Return an upload's ID. Raises ValueError for one that no store gives."""
    if not _UPLOAD_ID.fullmatch(text):
        raise ValueError("no ID of an upload")
    return text


def _document(content: bytes, name: str) -> ET.Element:
    if _DECLARATION.search(content):
        raise ValueError("a document type in an answer")
    try:
        # A long operation sends white space before the document, to keep the connection open.
        root = ET.fromstring(content.strip())  # noqa: S314 - without a document type, and bounded by the caller
    except ET.ParseError:
        raise ValueError("no XML") from None
    if _name(root) != name:
        raise ValueError("another document")
    return root


def _next_query(root: ET.Element, names: dict[str, str]) -> dict[str, str]:
    """Return the query for the next page: its parameters are those of `names`, from the elements named there."""
    texts = _texts(root)
    if texts.get("IsTruncated", "").strip().lower() != "true":
        return {}
    found = {parameter: texts.get(element, "") for parameter, element in names.items()}
    if not any(found.values()):
        raise ValueError("a page that isn't the last, without a token")
    return found


def _object(texts: dict[str, str]) -> ListedObject:
    size = texts.get("Size", "")
    if not size.isascii() or not size.isdigit() or len(size) > 18:
        raise ValueError("an object without a size")
    return ListedObject(texts.get("Key", ""), int(size), _instant(texts.get("LastModified", "")))


def _upload(texts: dict[str, str]) -> ListedUpload:
    upload_id = checked_upload_id(texts.get("UploadId", ""))
    return ListedUpload(texts.get("Key", ""), upload_id, _instant(texts.get("Initiated", "")))


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _texts(element: ET.Element) -> dict[str, str]:
    return {_name(child): child.text or "" for child in element}


def _name(element: ET.Element) -> str:
    """Return the name without its namespace, which some stores leave out."""
    return element.tag.rpartition("}")[2]
