"""One bucket by the S3 protocol: single requests, with their retries, their bounds and their errors.

An answer counts only if it is what the operation returns. A redirect is an error and never followed: the request is
signed for its host, and the other host's answer would be taken for the bucket's.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from crawler.errors import ApiError, CrawlError, OutputError
from crawler.snapshot.s3.connection import StoreAnswer, StoreRequest, exchange
from crawler.snapshot.s3.listing import ListingPage, parse_listing, parse_uploads
from crawler.snapshot.s3.machine_role import MachineKeys
from crawler.snapshot.s3.signing import EMPTY_SHA256, encoded_path, encoded_query, signed_headers
from crawler.text import escape_control

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from mmap import mmap

    from crawler.snapshot.location import AccessKeys, BucketLocation

    KeySource = Callable[[], Awaitable[AccessKeys]]

_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
# An ETag is sent back, in a header or in XML.
USABLE_TAG = re.compile(r'(?:W/)?"?[!#-~]{1,1024}"?')
# Answers without an object: an error, or the result of a copy.
_SMALL_BYTES = 1024 * 1024
# A thousand entries with keys of a kibibyte.
_LISTING_BYTES = 8 * 1024 * 1024
_MOST_PAGES = 10_000
_MOST_LISTED = 500_000
_LARGE_BYTES = 1024 * 1024
_SMALL_TIMEOUT_S = 30.0
_LARGE_TIMEOUT_S = 300.0
NOT_A_STORE = "it isn't an S3 server, or is damaged; check the endpoint"


@dataclass(frozen=True, slots=True)
class RetryPauses:
    """How often a request is sent again, and the bounds of the growing pause before it, in seconds."""

    most: int = 5
    first_pause_s: float = 0.2
    longest_pause_s: float = 5.0

    def pause_s(self, attempt: int) -> float:
        """Return the pause after an attempt from 0."""
        return float(random.uniform(0.5, 1.0) * min(self.longest_pause_s, self.first_pause_s * 2**attempt))  # noqa: S311


RETRIES = RetryPauses()


class NoAnswerError(OutputError):
    """There was no definite answer: the request may have been carried out."""


class StoreRefusedError(OutputError):
    """The store refused. `status` and `code` are those of its answer."""

    def __init__(self, message: str, status: int, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class S3Client:
    """Sends requests to one bucket. Keys are those of the location, of `source`, or of the machine's role.

    Methods raise StoreRefusedError for 4xx, NoAnswerError without a definite answer, and OutputError for the rest. Each
    message is one sentence that begins with `failure`, and never has a URL, a header or text of the store.
    """

    def __init__(self, place: BucketLocation, source: KeySource | None = None) -> None:
        self.place = place
        scheme, _, rest = (place.endpoint or _aws_endpoint(place)).partition("://")
        self._host = rest.rstrip("/")
        # Names of RFC 6761, which few resolvers know. TLS needs the name, so that this is for plain http only.
        is_own = scheme == "http" and (urlsplit(f"//{self._host}").hostname or "").endswith(".localhost")
        reached = f"127.0.0.1:{urlsplit(f'//{self._host}').port or 80}" if is_own else self._host
        self._origin = f"{scheme}://{reached}"
        self._base = "/" if place.is_virtual_host else f"/{place.bucket}/"
        self._source = source or (MachineKeys(place).get if place.keys is None else None)

    async def put(
        self, key: str, body: bytes | mmap, failure: str, headers: Mapping[str, str] | None = None
    ) -> StoreAnswer:
        """Put an object by one request, however large it is. See `multipart` for several requests side by side."""
        return await self.ask("PUT", key, failure, body=body, headers=headers)

    async def copy(self, source: str, key: str, failure: str, headers: Mapping[str, str]) -> None:
        """Copy an object within the bucket."""
        named = {"x-amz-copy-source": encoded_path(f"{self.place.bucket}/{source}"), **headers}
        await self.ask("PUT", key, failure, headers=named, is_long=True)

    async def get(
        self, key: str, failure: str, most_bytes: int, headers: Mapping[str, str] | None = None
    ) -> StoreAnswer:
        """Return an object, or the range that the headers name. Raises OutputError if it is larger than the bound."""
        return await self.ask("GET", key, failure, headers=headers, most_bytes=most_bytes)

    async def delete(self, key: str, failure: str, query: Mapping[str, str] | None = None) -> None:
        """Remove an object, or the upload of it that the query names, if it exists."""
        try:
            await self.ask("DELETE", key, failure, query=query)
        except StoreRefusedError as error:
            if error.status != HTTPStatus.NOT_FOUND or error.code == "NoSuchBucket":
                raise

    async def list(self, prefix: str, failure: str, delimiter: str = "") -> AsyncIterator[ListingPage]:
        """Yield the pages of a listing, of which no store can make an endless one. Raises OutputError for a loop."""
        query = {"list-type": "2", "prefix": prefix, **({"delimiter": delimiter} if delimiter else {})}
        async for page in self._pages(query, failure, parse_listing):
            yield page

    async def list_uploads(self, prefix: str, failure: str) -> AsyncIterator[ListingPage]:
        """Yield the pages of the multipart uploads that were begun and not ended, as `list` does."""
        async for page in self._pages({"uploads": "", "prefix": prefix}, failure, parse_uploads):
            yield page

    async def _pages(
        self, query: dict[str, str], failure: str, parse: Callable[[bytes], ListingPage]
    ) -> AsyncIterator[ListingPage]:
        seen, listed, more = set[tuple[str, ...]](), 0, dict[str, str]()
        for _ in range(_MOST_PAGES):
            answer = await self.ask("GET", "", failure, query={**query, **more}, most_bytes=_LISTING_BYTES)
            try:
                page = parse(answer.body)
            except (ValueError, OverflowError, RecursionError):
                raise OutputError(f"{failure}: the store's answer is no listing: {NOT_A_STORE}") from None
            if not all(name.startswith(query["prefix"]) for name in page.names):
                raise OutputError(f"{failure}: the store lists objects that weren't asked for: {NOT_A_STORE}")
            yield page
            listed += len(page.names)
            more = page.next_query
            if not more:
                return
            if tuple(more.values()) in seen:
                raise OutputError(f"{failure}: the store's listing repeats itself and has no end: {NOT_A_STORE}")
            seen.add(tuple(more.values()))
            if listed > _MOST_LISTED:
                break
        raise OutputError(
            f"{failure}: the listing doesn't end after {listed:,} objects; remove what doesn't belong there"
        )

    async def ask(
        self,
        method: str,
        key: str,
        failure: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | mmap = b"",
        headers: Mapping[str, str] | None = None,
        most_bytes: int = _SMALL_BYTES,
        is_long: bool = False,
    ) -> StoreAnswer:
        """Send a request, again where that may help, and return the answer.

        `is_long`: S3 may answer 200 at once, carry the request out, and then say in the body that it failed.
        """
        path, text = (
            encoded_path(self._base + key if key else self._base.rstrip("/") or "/"),
            encoded_query(query or {}),
        )
        url = f"{self._origin}{path}{f'?{text}' if text else ''}"
        named = {"host": self._host, "x-amz-content-sha256": await _sha256(body), **(headers or {})}
        is_large = is_long or max(len(body), most_bytes) > _LARGE_BYTES
        timeout_s = _LARGE_TIMEOUT_S if is_large else _SMALL_TIMEOUT_S
        problem: OutputError | None = None
        for attempt in range(RETRIES.most + 1):
            if problem is not None:
                await anyio.sleep(RETRIES.pause_s(attempt - 1))
            keys = await self._keys(failure)
            signed = signed_headers(method, path, text, named, keys, region=self.place.region, now=datetime.now(UTC))
            sent = {**signed, "accept-encoding": "identity", "content-length": str(len(body))}
            request = StoreRequest(method, url, sent, body, timeout_s, most_bytes)
            try:
                answer = await exchange(self.place.route, request)
            except ApiError as error:
                problem = _unanswered(error, failure, most_bytes)
                if error.code not in _PASSING:
                    raise problem from None
                continue
            is_good = answer.status in _GOOD
            if is_good and not (is_long and _code(answer)):
                return answer
            problem = _refusal(answer, failure)
            if not is_good and not _may_pass(answer):
                raise problem
        assert problem is not None
        raise problem

    async def _keys(self, failure: str) -> AccessKeys:
        if self.place.keys is not None:
            return self.place.keys
        assert self._source is not None
        try:
            return await self._source()
        except CrawlError as error:
            raise OutputError(f"{failure}: {error}") from None


_GOOD = {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT, HTTPStatus.PARTIAL_CONTENT}
_REDIRECTS = range(300, 400)
_REFUSALS = range(400, 500)
# Codes of the transport after which another attempt may help.
_PASSING = {"Timeout", "ConnectionFailed", "DnsFailed", "InvalidResponse"}
_LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
# Codes of S3 for requests that met another one, and may be sent again.
_CONFLICTS = {"ConditionalRequestConflict", "OperationAborted"}


def _aws_endpoint(place: BucketLocation) -> str:
    domain = "amazonaws.com.cn" if place.region.startswith("cn-") else "amazonaws.com"
    host = f"s3.{place.region}.{domain}"
    return f"https://{place.bucket}.{host}" if place.is_virtual_host else f"https://{host}"


async def _sha256(body: bytes | mmap) -> str:
    if not len(body):
        return EMPTY_SHA256
    if len(body) <= _LARGE_BYTES:
        return hashlib.sha256(body).hexdigest()
    return (await anyio.to_thread.run_sync(hashlib.sha256, body)).hexdigest()


def _may_pass(answer: StoreAnswer) -> bool:
    return answer.status >= 500 or answer.status in _LATER or _code(answer) in _CONFLICTS


def _code(answer: StoreAnswer) -> str:
    found = _CODE.search(answer.body[:_SMALL_BYTES])
    return found[1].decode() if found else ""


def _unanswered(error: ApiError, failure: str, most_bytes: int) -> OutputError:
    """Return the error for a request without an answer that counts; the transport says why."""
    if error.code == "TooLarge":
        return OutputError(
            f"{failure}: what the store sends is larger than {most_bytes:,} bytes; check which program wrote it"
        )
    if error.code in _PASSING:
        return NoAnswerError(
            f"{failure}: the store can't be reached, or doesn't answer; check the endpoint and the network"
        )
    reason = error.message.rstrip(".")
    return OutputError(f"{failure}: the store can't be reached: {reason[:1].lower()}{reason[1:]}")


def _refusal(answer: StoreAnswer, failure: str) -> OutputError:
    if answer.status in _REDIRECTS:
        return OutputError(f"{failure}: {_redirect(answer)}")
    code = _code(answer)
    said = f"{failure}: the store answered {answer.status}{f' {code}' if code else ''}"
    if answer.status in _REFUSALS and not _may_pass(answer):
        return StoreRefusedError(f"{said}{_advice(answer.status, code)}", answer.status, code)
    return NoAnswerError(said)


def _redirect(answer: StoreAnswer) -> str:
    """Return the words for a redirect, with the host alone: the rest of the address may be a signed URL."""
    region = answer.headers.get("x-amz-bucket-region", "")
    advice = "check the endpoint and the bucket's region"
    if _REGION.fullmatch(region):
        advice = f"the bucket is in {region}: set AWS_REGION to it"
    try:
        host = urlsplit(answer.headers.get("Location", "")).netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    to = f"to {escape_control(host[:253])}" if host else "to another address"
    return f"the store answered {answer.status}, a redirect {to}, which isn't followed; {advice}"


def _advice(status: int, code: str) -> str:
    match code:
        case "NoSuchBucket":
            return "; create the bucket, or correct its name"
        case "SignatureDoesNotMatch" | "InvalidAccessKeyId":
            return "; check the access key and its secret"
        case "RequestTimeTooSkewed":
            return "; correct this machine's clock"
        case "AccessDenied":
            return (
                "; the key needs GetObject, PutObject, DeleteObject, AbortMultipartUpload and ListBucket there, and on "
                "S3 ListBucketMultipartUploads"
            )
    return "; check the credentials and their permissions" if status in {401, 403} else ""
