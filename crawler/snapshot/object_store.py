"""One bucket: objects are put whole, created once, swapped, listed, deleted. Only this module writes with obstore.

Parts are bounded in size, so that each is one PUT: no failure can leave a multipart upload, and an object is whole or
doesn't exist. Nothing is sent as aws-chunked.

S3 protects an object from being overwritten by If-None-Match and swaps it by If-Match. OSS answers 501 to both. There,
an object is created as a copy of one that was put under `_staging`, with `x-oss-forbid-overwrite`, which is signed.

Every failure becomes an `OutputError` of one sentence: the action, the status and code, never a URL or a header.
"""

from __future__ import annotations

import math
import re
import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio

from crawler.errors import CrawlError, OutputError
from crawler.snapshot.layout import STAGING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from datetime import datetime
    from mmap import mmap

    from obstore.store import S3Store

    from crawler.snapshot.location import AccessKeys, BucketLocation

    KeySource = Callable[[], Awaitable[AccessKeys]]

_STATUS = re.compile(r"status code: ([0-9]{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>")
_REFUSED = range(400, 500)
_CREATE_ATTEMPTS = 3
# The limit of a small request with all its retries. The request of a part has the client's own limit.
_PATIENCE_S = 45.0
_RETRIES = {
    "max_retries": 5,
    "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=5), "base": 2},
    "retry_timeout": timedelta(seconds=60),
}


class UncertainError(OutputError):
    """The object may or may not have been created: there was no answer, and it can't be read back."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing, its path relative to the output."""

    path: str
    bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Content:
    """A small object, and its tag, which a swap needs."""

    data: bytes
    tag: str


class ObjectStore:
    """The output in a bucket, for one event loop. All paths are relative to its prefix. Methods raise OutputError."""

    def __init__(self, place: BucketLocation, keys: KeySource | None = None) -> None:
        self.place = place
        self._refusal = ""
        self._store = open_store(place, self._watched(keys) if keys is not None else None)

    @property
    def can_swap(self) -> bool:
        """Whether an object can be replaced on condition that it hasn't changed."""
        return self.place.kind == "s3"

    async def put(self, path: str, data: bytes | mmap) -> None:
        """Put an object, or replace it."""
        with self._translate_errors("write", path, patience_s=math.inf):
            await _obstore().put_async(self._store, path, data, use_multipart=False)

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
            except _NoAnswerError as error:
                reason = str(error)
                found = await self._read_back(path)
                if found is not None:
                    return found.data == data
            else:
                return True
        raise UncertainError(reason)

    async def swap(self, path: str, data: bytes, known: Content | None) -> bool:
        """Replace the content that was read before, or None. Return False if it has changed. Only if `can_swap`."""
        mode: Any = "create" if known is None else {"e_tag": known.tag}
        with self._translate_errors("replace", path):
            try:
                await _obstore().put_async(self._store, path, data, mode=mode)
            except (_exceptions().AlreadyExistsError, _exceptions().PreconditionError):
                return False
        return True

    async def read(self, path: str) -> Content | None:
        """Return a small object; None if it doesn't exist."""
        with self._translate_errors("read", path):
            try:
                got = await _obstore().get_async(self._store, path)
                return Content(bytes(await got.bytes_async()), got.meta["e_tag"] or "")
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
        return None

    async def list(self, folder: str) -> list[StoredObject]:
        """Return all objects below a folder, sorted by path."""
        found = []
        with self._translate_errors("list", folder):
            async for chunk in _obstore().list(self._store, f"{folder}/"):
                found += [StoredObject(entry["path"], entry["size"], entry["last_modified"]) for entry in chunk]
        return sorted(found, key=lambda entry: entry.path)

    async def delete(self, paths: Sequence[str]) -> None:
        """Remove objects, those that exist."""
        if paths:
            with self._translate_errors("remove", paths[0], patience_s=math.inf), suppress(FileNotFoundError):
                await _obstore().delete_async(self._store, list(paths))

    async def _create_once(self, path: str, data: bytes) -> None:
        """Raises FileExistsError if the object exists, _NoAnswerError if the store didn't answer."""
        with self._translate_errors("write", path):
            try:
                if self.can_swap:
                    await _obstore().put_async(self._store, path, data, mode="create")
                else:
                    await self._copy_new(path, data)
            except (_exceptions().AlreadyExistsError, _exceptions().PreconditionError):
                raise FileExistsError from None

    async def _copy_new(self, path: str, data: bytes) -> None:
        source = f"{STAGING}/new-{secrets.token_hex(8)}"
        await _obstore().put_async(self._store, source, data, use_multipart=False)
        try:
            await _obstore().copy_async(self._store, source, path, overwrite=False)
        finally:
            with anyio.CancelScope(shield=True), suppress(Exception):
                await _obstore().delete_async(self._store, source)

    async def _read_back(self, path: str) -> Content | None:
        try:
            return await self.read(path)
        except OutputError as error:
            raise UncertainError(str(error)) from error

    def _watched(self, keys: KeySource) -> Callable[[], Awaitable[dict[str, Any]]]:
        async def provide() -> dict[str, Any]:
            try:
                return as_credential(await keys())
            except CrawlError as error:
                self._refusal = str(error)
                raise

        return provide

    @contextmanager
    def _translate_errors(self, action: str, path: str, patience_s: float | None = None) -> Iterator[None]:
        try:
            with anyio.fail_after(_PATIENCE_S if patience_s is None else patience_s):
                yield
        except FileExistsError:
            raise
        except (_exceptions().BaseError, OSError, ValueError) as error:
            raise translate(error, action, path, self.place.uri, self._refusal) from None


class _NoAnswerError(OutputError):
    """There was no definite answer: the request may have been carried out."""


def open_store(place: BucketLocation, provider: Callable[[], object] | None = None) -> S3Store:
    """Return obstore's store for a location. Without a provider the location's keys sign, else the machine's role."""
    from obstore.store import S3Store

    if provider is None and place.keys is not None:
        keys = place.keys

        def provider() -> dict[str, Any]:
            return as_credential(keys)

    config: dict[str, Any] = {"region": place.region, "virtual_hosted_style_request": place.is_virtual_host}
    if place.endpoint:
        config |= {"endpoint": place.endpoint, "aws_endpoint_url_s3": place.endpoint}
    if place.kind == "oss":
        config |= {
            "copy_if_not_exists": "header-with-status:x-oss-forbid-overwrite:true:409",
            "disable_bulk_delete": True,
            "disable_tagging": True,
        }
    client: Any = {"allow_http": place.endpoint.startswith("http://"), "connect_timeout": "10s", "timeout": "300s"}
    if place.proxy and not client["allow_http"]:  # plain http is for loopback only
        client["proxy_url"] = place.proxy
    retries: Any = _RETRIES
    return S3Store(
        place.bucket,
        prefix=place.prefix or None,
        config=config,  # type: ignore[arg-type]
        client_options=client,
        retry_config=retries,
        credential_provider=provider,  # type: ignore[arg-type]
    )


def as_credential(keys: AccessKeys) -> dict[str, Any]:
    """Return the keys in the form that obstore takes."""
    return {
        "access_key_id": keys.access_key_id,
        "secret_access_key": keys.access_key_secret,
        "token": keys.security_token or None,
        "expires_at": keys.expires_at,
    }


def translate(error: Exception, action: str, path: str, uri: str, refusal: str = "") -> OutputError:
    """Return one sentence for an error of obstore, whose own text isn't shown: it has URLs and the whole answer."""
    text = str(error)
    status, code = _STATUS.search(text), _CODE.search(text)
    answer = " ".join(found[1] for found in (status, code) if found)
    failure = f"can't {action} {path or 'anything'} in {uri}"
    if refusal:
        return OutputError(f"{failure}: {refusal}")
    if not answer:
        return _NoAnswerError(
            f"{failure}: the store can't be reached, or doesn't answer; check the endpoint and the network"
        )
    if status and int(status[1]) in _REFUSED:
        return OutputError(f"{failure}: the store answered {answer}{_advice(code[1] if code else '', answer)}")
    return _NoAnswerError(f"{failure}: the store answered {answer}")


def _advice(code: str, answer: str) -> str:
    match code:
        case "NoSuchBucket":
            return "; create the bucket, or correct its name"
        case "SignatureDoesNotMatch" | "InvalidAccessKeyId":
            return "; check the access key and its secret"
        case "AccessDenied":
            return "; the key needs GetObject, PutObject, DeleteObject and ListBucket there"
    return "; check the credentials and their permissions" if answer.startswith(("401", "403")) else ""


def _obstore() -> Any:
    import obstore

    return obstore


def _exceptions() -> Any:
    import obstore.exceptions

    return obstore.exceptions
