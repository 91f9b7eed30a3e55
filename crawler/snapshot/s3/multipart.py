"""One object that is sent in pieces side by side, by a multipart upload that is completed or aborted.

Until then its pieces, which S3 calls parts, are in no listing of objects, and the store's owner pays for them. Each
piece is signed with its own hash, so that the store accepts no other content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self
from xml.sax.saxutils import escape

from crawler.errors import OutputError
from crawler.snapshot.s3.client import NOT_A_STORE, USABLE_TAG, NoAnswerError, StoreRefusedError
from crawler.snapshot.s3.listing import is_completion, parse_upload_id

if TYPE_CHECKING:
    from mmap import mmap

    from crawler.snapshot.s3.client import S3Client


class MultipartUpload:
    """One upload. Methods raise OutputError, as those of the client; `failure` begins each message."""

    def __init__(self, client: S3Client, key: str, upload_id: str, failure: str) -> None:
        self.upload_id = upload_id
        self._client = client
        self._key = key
        self._failure = failure
        self._tags: dict[int, str] = {}

    @classmethod
    async def begin(cls, client: S3Client, key: str, failure: str) -> Self:
        """Begin an upload, which leaves an object of the same key as it is until the upload is completed."""
        answer = await client.ask("POST", key, failure, query={"uploads": ""})
        try:
            return cls(client, key, parse_upload_id(answer.body), failure)
        except (ValueError, RecursionError):
            raise OutputError(f"{failure}: the store's answer begins no multipart upload: {NOT_A_STORE}") from None

    async def send(self, number: int, body: bytes | mmap) -> None:
        """Send a piece; numbers count from 1. All but the last have at least 5 MiB."""
        query = {"partNumber": str(number), "uploadId": self.upload_id}
        answer = await self._client.ask("PUT", self._key, self._failure, query=query, body=body)
        tag = answer.headers.get("ETag", "")
        if not USABLE_TAG.fullmatch(tag):
            raise OutputError(f"{self._failure}: the store gives no usable ETag for a piece of it: {NOT_A_STORE}")
        self._tags[number] = tag

    async def complete(self, size: int) -> None:
        """Make the object, of `size` bytes, out of all pieces.

        The answer may be lost, and a store that has done it before refuses to do it again. So after a failure the
        object is looked for: with this size it is complete.
        """
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag)}</ETag></Part>"
            for number, tag in sorted(self._tags.items())
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        query = {"uploadId": self.upload_id}
        problem = OutputError(f"{self._failure}: the store's answer completes no multipart upload: {NOT_A_STORE}")
        try:
            answer = await self._client.ask("POST", self._key, self._failure, query=query, body=body, is_long=True)
            if is_completion(answer.body):
                return
        except (NoAnswerError, StoreRefusedError) as error:
            problem = error
        if not await self._is_stored(size):
            raise problem

    async def abort(self) -> None:
        """End the upload and remove its pieces, unless it has ended."""
        await self._client.delete(self._key, self._failure, {"uploadId": self.upload_id})

    async def _is_stored(self, size: int) -> bool:
        try:
            async for page in self._client.list(self._key, self._failure):
                if any((entry.key, entry.bytes) == (self._key, size) for entry in page.objects):
                    return True
        except OutputError:
            return False
        return False
