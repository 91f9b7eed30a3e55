"""The files of an Iceberg table in a bucket, for pyiceberg: each access is one of `crawler.snapshot.s3`.

Locations begin with `s3://` or `oss://`, whichever store it is: some engines know one of them, some the other.
"""

from __future__ import annotations

import dataclasses
import io
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from pyiceberg.io import FileIO, InputFile, OutputFile

from crawler.errors import OutputError
from crawler.snapshot.location import AccessKeys, BucketLocation, oss_origin
from crawler.snapshot.s3.client import S3Client, StoreRefusedError
from crawler.snapshot.s3.connection import wait_for
from crawler.text import LOOPBACK_HOST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from crawler.snapshot.s3.client import KeySource

PLACE = "acs-inventory.place"
KEYS = "acs-inventory.keys"
_LOCATION = re.compile(r"(?:s3a?|oss)://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.+)")
_SIZE = re.compile(r"bytes (?:[0-9]+-[0-9]+|\*)/([0-9]{1,18})")
_BUFFER_BYTES = 256 * 1024
# The names of Iceberg's own module for OSS.
_OSS_KEY_ID, _OSS_SECRET, _OSS_TOKEN = "client.access-key-id", "client.access-key-secret", "client.security-token"
# Metadata of Iceberg: JSON and Avro files of some megabytes.
_MOST_BYTES = 256 * 1024 * 1024


class BucketIO(FileIO):
    """See `FileIO`. The property `PLACE` is the location of an output in a store, whose other buckets may be named.

    The property `KEYS` is the source of the keys that the location doesn't have; it is asked for each request.
    `given` are the properties that a catalog gave for one table, with keys of its own perhaps.
    """

    def __init__(self, properties: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> None:
        super().__init__(dict(properties))
        self._place = _with_given_keys(properties[PLACE], given or {})
        self._keys: KeySource | None = properties.get(KEYS) if self._place.keys is None else None
        self._clients: dict[str, S3Client] = {}

    def new_input(self, location: str) -> _Input:
        """See `FileIO`."""
        return _Input(location, *self._find(location))

    def new_output(self, location: str) -> _Output:
        """See `FileIO`."""
        return _Output(location, *self._find(location))

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """See `FileIO`."""
        text = location if isinstance(location, str) else location.location
        client, key = self._find(text)
        wait_for(client.delete(key, f"can't remove {text}"))

    def _find(self, location: str) -> tuple[S3Client, str]:
        """Return the client of the bucket in a location, and the key in it. Raises OutputError for another scheme."""
        found = _LOCATION.fullmatch(location)
        if found is None:
            raise OutputError("the catalog names a file outside of a bucket; check its warehouse")
        bucket = found[1]
        if bucket not in self._clients:
            self._clients[bucket] = S3Client(_in_bucket(self._place, bucket), self._keys)
        return self._clients[bucket], found[2]


class _Input(InputFile):
    def __init__(self, location: str, client: S3Client, key: str) -> None:
        super().__init__(location)
        self._client = client
        self._key = key
        self._failure = f"can't read {location}"

    def __len__(self) -> int:
        """Return the size. Raises FileNotFoundError."""
        return self._begin(1)[1]

    def exists(self) -> bool:
        """See `InputFile`."""
        try:
            len(self)
        except FileNotFoundError:
            return False
        return True

    def open(self, seekable: bool = True) -> io.BufferedReader:  # noqa: ARG002 - the base's
        """See `InputFile`. A small file is read by one request, another by ranges as they are asked for."""
        begin, size = self._begin(_BUFFER_BYTES)
        if len(begin) == size:
            return io.BufferedReader(io.BytesIO(begin))
        return io.BufferedReader(_Ranges(self, size), _BUFFER_BYTES)

    def read_range(self, start: int, length: int) -> bytes:
        """Return a range that is within the file. Raises FileNotFoundError."""
        named = {"range": f"bytes={start}-{start + length - 1}"}
        try:
            answer = wait_for(self._client.get(self._key, self._failure, max(length, 1), named))
        except StoreRefusedError as error:
            raise _as_missing(error, self.location) from None
        if len(answer.body) != length:
            raise OutputError(f"{self._failure}: the store answered with another range; check the endpoint")
        return answer.body

    def _begin(self, length: int) -> tuple[bytes, int]:
        """Return the first bytes of the file, or all that there are, and its size. Raises FileNotFoundError."""
        named = {"range": f"bytes=0-{length - 1}"}
        try:
            answer = wait_for(self._client.get(self._key, self._failure, _MOST_BYTES, named))
        except StoreRefusedError as error:
            if error.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return b"", 0
            raise _as_missing(error, self.location) from None
        found = _SIZE.fullmatch(answer.headers.get("Content-Range", ""))
        return answer.body, int(found[1]) if found else len(answer.body)


class _Ranges(io.RawIOBase):
    """A file that is read range by range."""

    def __init__(self, file: _Input, size: int) -> None:
        self._file = file
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = max(0, min(len(buffer), self._size - self._at))
        if length:
            buffer[:length] = self._file.read_range(self._at, length)
            self._at += length
        return length


class _Output(OutputFile):
    def __init__(self, location: str, client: S3Client, key: str) -> None:
        super().__init__(location)
        self._client = client
        self._key = key

    def __len__(self) -> int:
        """See `OutputFile`."""
        return len(self.to_input_file())

    def exists(self) -> bool:
        """See `OutputFile`."""
        return self.to_input_file().exists()

    def to_input_file(self) -> _Input:
        """See `OutputFile`."""
        return _Input(self.location, self._client, self._key)

    def create(self, overwrite: bool = False) -> _Upload:
        """See `OutputFile`. Raises FileExistsError."""
        if not overwrite and self.exists():
            raise FileExistsError(self.location)
        return _Upload(self._client, self._key, f"can't write {self.location}")


class _Upload(io.BytesIO):
    """A file that is put whole when it is closed, and not at all if writing it failed."""

    def __init__(self, client: S3Client, key: str, failure: str) -> None:
        super().__init__()
        self._client = client
        self._key = key
        self._failure = failure
        self._is_wanted = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_wanted = kind is None
        self.close()

    def close(self) -> None:
        if not self.closed:
            content = self.getvalue()
            super().close()
            if self._is_wanted:
                wait_for(self._client.put(self._key, content, self._failure))

    def __del__(self) -> None:
        """Leave out what was never closed."""
        self._is_wanted = False


def _as_missing(error: StoreRefusedError, location: str) -> Exception:
    is_missing = error.status == HTTPStatus.NOT_FOUND and error.code != "NoSuchBucket"
    return FileNotFoundError(location) if is_missing else error


def _with_given_keys(place: BucketLocation, given: Mapping[str, Any]) -> BucketLocation:
    """Return the location with the keys and the endpoint of the catalog, where it gives keys; none is mixed."""
    texts = {name: value for name, value in given.items() if isinstance(value, str)}

    def first(*names: str) -> str:
        return next(filter(None, (texts.get(name, "") for name in names)), "")

    key_id, secret = first("s3.access-key-id", _OSS_KEY_ID), first("s3.secret-access-key", _OSS_SECRET)
    if not key_id or not secret:
        return place
    keys = AccessKeys(key_id, secret, first("s3.session-token", _OSS_TOKEN))
    region = first("s3.region", "client.region") or place.region
    endpoint = first("s3.endpoint", "oss.endpoint")
    parts = urlsplit(endpoint)
    is_own = parts.scheme == "http" and LOOPBACK_HOST.fullmatch(parts.hostname or "") is not None
    if not endpoint or (parts.scheme != "https" and not is_own):
        return dataclasses.replace(place, keys=keys, region=region)
    if place.kind == "oss":
        origin = oss_origin(parts.scheme, place.bucket, parts.netloc)
        return dataclasses.replace(place, keys=keys, region=region, endpoint=origin)
    origin = f"{parts.scheme}://{parts.netloc}"
    return dataclasses.replace(place, keys=keys, region=region, endpoint=origin, is_virtual_host=False)


def _in_bucket(place: BucketLocation, bucket: str) -> BucketLocation:
    """Return the location of another bucket in the same store."""
    endpoint = place.endpoint
    if endpoint and place.is_virtual_host:
        endpoint = endpoint.replace(f"://{place.bucket}.", f"://{bucket}.", 1)
    return dataclasses.replace(place, bucket=bucket, endpoint=endpoint)
