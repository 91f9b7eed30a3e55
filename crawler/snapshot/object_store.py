"""One bucket: objects are put whole, created once, swapped, listed, deleted. `crawler.snapshot.s3` sends the requests.

An object is whole or doesn't exist, whether it is one PUT or a multipart upload. Nothing is sent as aws-chunked.

S3 protects an object from being overwritten by If-None-Match and swaps it by If-Match. OSS answers 501 to both. There,
an object is created as a copy of one that was put under `_staging`, with `x-oss-forbid-overwrite`, which is signed.

Every failure becomes an `OutputError` of one sentence: the action, the status and code, never a URL or a header.
"""

from __future__ import annotations

import re
import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import anyio

from crawler.errors import OutputError
from crawler.snapshot.layout import LATEST, STAGING
from crawler.snapshot.limits import LINE_BYTES, MANIFEST_BYTES
from crawler.snapshot.s3.client import USABLE_TAG, NoAnswerError, S3Client, StoreRefusedError
from crawler.snapshot.s3.multipart import MultipartUpload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from mmap import mmap

    from crawler.snapshot.location import BucketLocation
    from crawler.snapshot.s3.client import KeySource

_CREATE_ATTEMPTS = 3
# The limit of a small request with all its retries. The request of a part has a limit of its own.
_PATIENCE_S = 45.0
# The longest listing has five hundred pages.
_LISTING_PATIENCE_S = 1800.0
_SMALL_AT_ONCE = 16
# The answer to a small range may be an error, whose code is shown.
_ERROR_BYTES = 4096
_WHOLE = re.compile(r"bytes [0-9]+-[0-9]+/([0-9]{1,18})")
_CHECK = "check the endpoint"
_FORBID_OVERWRITE = {"x-oss-forbid-overwrite": "true"}


class UncertainError(OutputError):
    """The object may or may not have been created: there was no answer, and it can't be read back."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing, its path relative to the output."""

    path: str
    bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """A multipart upload that was begun and not ended, the path of its object relative to the output."""

    path: str
    upload_id: str
    begun_at: datetime


@dataclass(frozen=True, slots=True)
class ObjectRange:
    """A range of an object, shorter or empty where the object ends before, and the size of the whole object."""

    data: bytes
    object_bytes: int


@dataclass(frozen=True, slots=True)
class Content:
    """A small object, and its tag, which a swap needs."""

    data: bytes
    tag: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The objects and the names of the folders directly in a folder, or all objects below it; sorted."""

    objects: list[StoredObject]
    folders: list[str]


class ObjectStore:
    """The output in a bucket, for one event loop. All paths are relative to its prefix. Methods raise OutputError."""

    def __init__(self, place: BucketLocation, keys: KeySource | None = None) -> None:
        self.place = place
        self.keys = keys
        self._client = S3Client(place, keys)

    @property
    def can_swap(self) -> bool:
        """Whether an object can be replaced on condition that it hasn't changed."""
        return self.place.kind == "s3"

    @property
    def can_list_uploads(self) -> bool:
        """Whether the store lists unfinished uploads: OSS doesn't, by the S3 protocol."""
        return self.place.kind == "s3"

    async def put(self, path: str, data: bytes | mmap) -> None:
        """Put an object, or replace it."""
        await self._client.put(self._key(path), data, self._failure("write", path))

    async def create(self, path: str, data: bytes) -> bool:
        """Put an object if none exists. Return False if one with other content exists.

        After a lost answer it is read: the same content means that it was created. UncertainError if it can't be.
        """
        for _ in range(_CREATE_ATTEMPTS):
            try:
                await self._create_once(path, data)
            except FileExistsError:
                found = await self._read_back(path)
                return found is not None and found.data == data
            except NoAnswerError as error:
                reason = str(error)
                found = await self._read_back(path)
                if found is not None:
                    return found.data == data
            else:
                return True
        raise UncertainError(reason)

    async def swap(self, path: str, data: bytes, known: Content | None) -> bool:
        """Replace the content that was read before, or None. Return False if it has changed. Only if `can_swap`."""
        failure = self._failure("replace", path)
        if known is not None and not known.tag:
            raise OutputError(f"{failure}: the store gives no usable ETag, by which every S3 server knows a content")
        condition = {"if-none-match": "*"} if known is None else {"if-match": known.tag}
        with _patience(failure):
            try:
                await self._client.put(self._key(path), data, failure, condition)
            except StoreRefusedError as error:
                if _is_condition(error):
                    return False
                raise
        return True

    async def read(self, path: str, most_bytes: int = MANIFEST_BYTES) -> Content | None:
        """Return a small object; None if it doesn't exist. Raises OutputError if it is larger than any of its kind."""
        failure = self._failure("read", path)
        if path == LATEST or path.endswith(".sha256"):
            most_bytes = min(most_bytes, LINE_BYTES)
        with _patience(failure):
            try:
                answer = await self._client.get(self._key(path), failure, most_bytes)
            except StoreRefusedError as error:
                if _is_missing(error):
                    return None
                raise
        tag = answer.headers.get("ETag", "")
        return Content(answer.body, tag if USABLE_TAG.fullmatch(tag) else "")

    async def read_range(self, path: str, start: int, length: int) -> ObjectRange:
        """Return a range of an object, of at least a byte. FileNotFoundError if there is no such object."""
        failure = self._failure("read", path)
        named = {"range": f"bytes={start}-{start + length - 1}"}
        try:
            answer = await self._client.get(self._key(path), failure, max(length, _ERROR_BYTES), named)
        except StoreRefusedError as error:
            if error.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return ObjectRange(b"", start)
            if _is_missing(error):
                raise FileNotFoundError(f"{failure}: it isn't there") from None
            raise
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            if start:
                raise OutputError(f"{failure}: the store ignores ranges, which every S3 server knows; {_CHECK}")
            return ObjectRange(answer.body, len(answer.body))
        whole = _WHOLE.fullmatch(answer.headers.get("Content-Range", ""))
        if whole is None:
            raise OutputError(f"{failure}: the store doesn't say how large the object is; {_CHECK}")
        return ObjectRange(answer.body, int(whole[1]))

    async def begin_upload(self, path: str) -> MultipartUpload:
        """Begin a multipart upload of an object. The caller completes or aborts it."""
        return await MultipartUpload.begin(self._client, self._key(path), self._failure("write", path))

    async def abort_upload(self, path: str, upload_id: str) -> None:
        """Abort a multipart upload that another process began, unless it has ended."""
        failure = self._failure("abort the upload of", path)
        with _patience(failure):
            await MultipartUpload(self._client, self._key(path), upload_id, failure).abort()

    async def unfinished_uploads(self) -> list[UnfinishedUpload]:
        """Return the multipart uploads below the output that haven't ended. Only if `can_list_uploads`."""
        base = f"{self.place.prefix}/" if self.place.prefix else ""
        failure = f"can't list the unfinished uploads in {self.place.uri}"
        with _patience(failure, _LISTING_PATIENCE_S):
            return [
                UnfinishedUpload(entry.key.removeprefix(base), entry.upload_id, entry.begun_at)
                async for page in self._client.list_uploads(base, failure)
                for entry in page.uploads
            ]

    async def list_each(self, folders: Iterable[str]) -> list[StoredObject]:
        """Return all objects below these folders, which are listed side by side."""
        found, limiter = list[StoredObject](), anyio.CapacityLimiter(_SMALL_AT_ONCE)

        async def look(folder: str) -> None:
            async with limiter:
                found.extend(await self.list(folder))

        try:
            async with anyio.create_task_group() as tasks:
                for folder in folders:
                    tasks.start_soon(look, folder)
        except* OutputError as group:
            raise group.exceptions[0] from None
        return found

    async def list(self, folder: str) -> list[StoredObject]:
        """Return all objects below a folder, sorted by path."""
        failure = self._failure("list", folder)
        return (await self._listed(folder, "", failure)).objects

    async def list_here(self, folder: str) -> Listing:
        """Return the objects and folders directly in a folder, of which "" is the output."""
        return await self._listed(folder, "/", self._failure("list", folder))

    async def delete(self, paths: Sequence[str]) -> None:
        """Remove objects, those that exist."""
        limiter, failures = anyio.CapacityLimiter(_SMALL_AT_ONCE), list[OutputError]()

        async def remove(path: str) -> None:
            async with limiter:
                try:
                    await self._client.delete(self._key(path), self._failure("remove", path))
                except OutputError as error:
                    failures.append(error)
                    tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for path in paths:
                tasks.start_soon(remove, path)
        if failures:
            raise failures[0]

    def _key(self, path: str) -> str:
        return f"{self.place.prefix}/{path}" if self.place.prefix else path

    def _failure(self, action: str, path: str) -> str:
        return f"can't {action} {path or 'anything'} in {self.place.uri}"

    async def _listed(self, folder: str, delimiter: str, failure: str) -> Listing:
        base = f"{self.place.prefix}/" if self.place.prefix else ""
        prefix, found = f"{base}{folder}/" if folder else base, Listing([], [])
        with _patience(failure, _LISTING_PATIENCE_S):
            async for page in self._client.list(prefix, failure, delimiter):
                found.objects.extend(
                    StoredObject(entry.key.removeprefix(base), entry.bytes, entry.modified_at)
                    for entry in page.objects
                    if entry.key != prefix  # the marker of an empty folder, which other programs make
                )
                found.folders.extend(name.removeprefix(prefix).rstrip("/") for name in page.prefixes)
        found.objects.sort(key=lambda entry: entry.path)
        found.folders.sort()
        return found

    async def _create_once(self, path: str, data: bytes) -> None:
        """Raises FileExistsError if the object exists, NoAnswerError if the store didn't answer."""
        failure = self._failure("write", path)
        with _patience(failure):
            try:
                if self.can_swap:
                    await self._client.put(self._key(path), data, failure, {"if-none-match": "*"})
                else:
                    await self._copy_new(path, data, failure)
            except StoreRefusedError as error:
                if _is_condition(error):
                    raise FileExistsError from None
                raise

    async def _copy_new(self, path: str, data: bytes, failure: str) -> None:
        source = self._key(f"{STAGING}/new-{secrets.token_hex(8)}")
        await self._client.put(source, data, failure)
        try:
            await self._client.copy(source, self._key(path), failure, _FORBID_OVERWRITE)
        finally:
            with anyio.CancelScope(shield=True), suppress(Exception):
                await self._client.delete(source, failure)

    async def _read_back(self, path: str) -> Content | None:
        try:
            return await self.read(path)
        except OutputError as error:
            raise UncertainError(str(error)) from error


def _is_missing(error: StoreRefusedError) -> bool:
    return error.status == HTTPStatus.NOT_FOUND and error.code != "NoSuchBucket"


def _is_condition(error: StoreRefusedError) -> bool:
    """Whether a condition wasn't met: 412 of S3, 409 of OSS."""
    return error.status == HTTPStatus.PRECONDITION_FAILED or (
        error.status == HTTPStatus.CONFLICT and error.code in {"FileAlreadyExists", "ObjectAlreadyExists"}
    )


@contextmanager
def _patience(failure: str, patience_s: float | None = None) -> Iterator[None]:
    """Limit a small request with all its retries."""
    try:
        with anyio.fail_after(_PATIENCE_S if patience_s is None else patience_s):
            yield
    except TimeoutError:
        raise NoAnswerError(
            f"{failure}: the store can't be reached, or doesn't answer; check the endpoint and the network"
        ) from None
