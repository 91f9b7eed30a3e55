"""A store isn't trusted more than the cloud: redirects, endless and outsized answers, certificates (T15, T41, T44)."""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import random
import ssl
import time
from pathlib import Path

import pytest
import trustme

from crawler.errors import OutputError
from crawler.snapshot import BucketReader, ObjectStore, list_snapshots, read_manifest
from crawler.snapshot.location import bucket_place
from crawler.snapshot.manifest import PartFile
from crawler.snapshot.object_store import Content
from crawler.snapshot.s3.client import RetryPauses
from tests.support.hostile_store import HostileStore, hostile_store, listing, said

HOME = Path("/nowhere")
KNOWN = Content(b"x", '"tag"')


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("crawler.snapshot.s3.client.RETRIES", RetryPauses(1, 0.001, 0.002))


def opened(store: HostileStore, kind: str = "s3", **changes) -> ObjectStore:
    if kind == "oss":
        environ = {"OSS_ENDPOINT": store.url.replace("127.0.0.1", "oss.localhost"), "OSS_REGION": "cn-hangzhou"}
        environ |= {"OSS_ACCESS_KEY_ID": "a", "OSS_ACCESS_KEY_SECRET": "b", "OSS_SESSION_TOKEN": "canary-token"}
        return ObjectStore(bucket_place("oss://bucket/p", environ, HOME))
    return ObjectStore(bucket_place("s3://bucket/p", store.environ(**changes), HOME))


def part(size: int, sha256: str = "0" * 64) -> PartFile:
    return PartFile(path="t/part-0.parquet", rows=1, bytes=size, sha256=sha256)


OPERATIONS = {
    "read": lambda bucket, folder: bucket.read("_snapshots/LATEST"),
    "list": lambda bucket, folder: bucket.list("_snapshots"),
    "names": lambda bucket, folder: bucket.list_here("_snapshots"),
    "put": lambda bucket, folder: bucket.put("x", b"data"),
    "put a part": lambda bucket, folder: bucket.put("x", bytes(1 << 20)),
    "create": lambda bucket, folder: bucket.create("x", b"data"),
    "swap": lambda bucket, folder: bucket.swap("x", b"data", KNOWN),
    "delete": lambda bucket, folder: bucket.delete(["x", "y"]),
    "reader reads": lambda bucket, folder: asyncio.to_thread(BucketReader(bucket.place).read, "_snapshots/LATEST"),
    "reader lists": lambda bucket, folder: asyncio.to_thread(BucketReader(bucket.place).names, "_snapshots"),
    "reader fetches": lambda bucket, folder: asyncio.to_thread(BucketReader(bucket.place).fetch, [part(9)], folder),
}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_redirect_is_an_error_that_names_the_host_and_the_other_host_is_never_contacted(
    operation, status, tmp_path
):
    """T15, T41, P16: with every operation, of a crawl and of a reader."""
    async with hostile_store(said(b"20261129T000000Z-aaaa"), host="127.0.0.2") as other:
        location = f"Location: {other.url}/elsewhere?X-Amz-Signature=canary"
        async with hostile_store(said(b"", location, status=f"{status} Moved")) as store:
            with pytest.raises(OutputError) as caught:
                await OPERATIONS[operation](opened(store), tmp_path)
    assert f"answered {status}, a redirect to {other.url.partition('//')[2]}, which isn't followed" in str(caught.value)
    assert "canary" not in str(caught.value)
    assert other.connections == 0
    assert 1 <= len(store.asked) <= 2, "no attempt to repeat it; two removals are two requests"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_copy_isnt_redirected(status):
    """T15, T41: on OSS a manifest is created by a copy."""
    async with hostile_store(said(), host="127.0.0.2") as other:

        def answer(asked):
            is_copy = "x-amz-copy-source" in asked.headers
            return said(b"", f"Location: {other.url}/x", status=f"{status} Moved") if is_copy else said()

        async with hostile_store(answer) as store:
            with pytest.raises(OutputError, match=rf"answered {status}, a redirect to 127\.0\.0\.2:"):
                await opened(store, "oss").create("x", b"data")
    assert other.connections == 0


@pytest.mark.parametrize("location", ["/other-bucket/x", "", "//[", "https://\x1b[31mhost/", "http://me:canary@host/"])
async def test_a_redirect_within_the_host_or_to_nowhere_is_an_error_too(location):
    """T15, T41: the path is signed, and a bucket beside ours may be anyone's."""
    lines = [f"Location: {location}"] if location else []
    async with hostile_store(said(b"x", *lines, status="307 Temporary Redirect")) as store:
        with pytest.raises(OutputError, match="a redirect to") as caught:
            await opened(store).read("x")
    assert len(store.asked) == 1
    assert str(caught.value).isprintable()
    assert "canary" not in str(caught.value)


async def test_the_region_of_a_bucket_that_is_elsewhere_is_named():
    """T41: S3 answers so to a request for a bucket of another region."""
    header = "x-amz-bucket-region: eu-west-1"
    async with hostile_store(
        said(b"<Error><Code>PermanentRedirect</Code></Error>", header, status="301 Moved")
    ) as store:
        with pytest.raises(OutputError, match="the bucket is in eu-west-1: set AWS_REGION to it"):
            await opened(store).list("x")


@pytest.mark.parametrize("reads", ["list", "names"])
@pytest.mark.parametrize(
    ("pages", "says"),
    [
        (["A", "A"], "repeats itself and has no end"),
        (["A", "B", "C", "A"], "repeats itself and has no end"),
        ([str(number) for number in range(60)], "doesn't end after 50 objects"),
    ],
)
async def test_a_listing_without_end_is_an_error(reads, pages, says, monkeypatch):
    """T41: whatever its tokens are; no request is sent after it is known."""
    monkeypatch.setattr("crawler.snapshot.s3.client._MOST_PAGES", 50)
    turns = iter(pages)

    def answer(asked):
        return listing(f"p/_snapshots/{len(store.asked)}", token=next(turns, "Z"))

    async with hostile_store(answer) as store:
        with pytest.raises(OutputError, match=says):
            await (opened(store).list if reads == "list" else opened(store).list_here)("_snapshots")
    assert len(store.asked) <= min(len(pages), 50)


async def test_a_listing_without_end_and_without_objects_is_an_error(monkeypatch):
    """T41: empty pages are bounded as others are."""
    monkeypatch.setattr("crawler.snapshot.s3.client._MOST_PAGES", 20)
    async with hostile_store(lambda asked: listing(token=str(len(store.asked)))) as store:
        with pytest.raises(OutputError, match="doesn't end after 0 objects"):
            await asyncio.to_thread(list_snapshots, BucketReader(opened(store).place))
    assert len(store.asked) == 1 + 20, "LATEST, and the pages"


async def test_a_listing_of_too_many_objects_is_an_error(monkeypatch):
    """T41."""
    monkeypatch.setattr("crawler.snapshot.s3.client._MOST_LISTED", 5)
    keys = [f"p/x/{number}" for number in range(3)]
    async with hostile_store(lambda asked: listing(*keys, token=str(len(store.asked)))) as store:
        with pytest.raises(OutputError, match="doesn't end after 6 objects"):
            await opened(store).list("x")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>sign in</html>",
        b"{}",
        b"<ListBucketResult>",
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]><ListBucketResult>&a;</ListBucketResult>',
        b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        b"<ListBucketResult><Contents><Key>p/x/1</Key></Contents></ListBucketResult>",
        b"<ListBucketResult><Contents><Key>p/x/1</Key><Size>-1</Size></Contents></ListBucketResult>",
        listing("p/x/1").partition(b"\r\n\r\n")[2].replace(b"2026-11-29T", b"yesterday"),
        b"<ListBucketResult>" + b"<a>" * 100_000,
    ],
)
async def test_what_is_no_listing_is_an_error_and_never_an_empty_one(body):
    """T41: an empty listing would mean that nothing is there."""
    async with hostile_store(said(body)) as store:
        with pytest.raises(OutputError, match="the store's answer is no listing"):
            await opened(store).list("x")


async def test_objects_outside_of_the_folder_are_refused():
    """T41: a removal goes by the listing."""
    async with hostile_store(listing("p/x/1", "other/secret")) as store:
        with pytest.raises(OutputError, match="lists objects that weren't asked for"):
            await opened(store).list("x")


def announced(size: int):
    """An answer of a size, of which it sends as much as it can."""

    async def answer(asked):
        asked.writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        await flood(asked.writer)

    return answer


async def chunked(asked):
    asked.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    await flood(asked.writer, b"10000\r\n" + bytes(1 << 16) + b"\r\n")


async def flood(writer, piece: bytes = bytes(1 << 16)):
    writer.sent = 0
    while not writer.is_closing():
        writer.write(piece)
        await writer.drain()
        writer.sent += len(piece)


@pytest.mark.parametrize("answer", [announced(10 << 30), chunked], ids=["announced", "chunked"])
async def test_a_pointer_of_ten_gigabytes_is_not_downloaded(answer):
    """T41: LATEST has one line."""
    async with hostile_store(answer) as store:
        started = time.monotonic()
        with pytest.raises(OutputError, match="what the store sends is larger than 1,024 bytes"):
            await asyncio.to_thread(read_manifest, BucketReader(opened(store).place), "latest")
    assert time.monotonic() - started < 10
    assert len(store.asked) == 1


@pytest.mark.parametrize("answer", [announced(10 << 30), chunked], ids=["announced", "chunked"])
async def test_of_a_part_at_most_its_size_in_the_manifest_is_read(answer, tmp_path):
    """T41: an object that has grown since isn't downloaded whole."""
    async with hostile_store(answer) as store:
        with pytest.raises(OutputError, match=r"part-0\.parquet .*what the store sends is larger than 4,096 bytes"):
            await asyncio.to_thread(BucketReader(opened(store).place).fetch, [part(100)], tmp_path)
    assert store.asked[0].headers["range"] == "bytes=0-99"
    assert not list((tmp_path / "t").iterdir())


async def test_the_code_of_an_error_is_shown_however_small_the_part_is(tmp_path):
    answer = said(b"<Error><Code>AccessDenied</Code></Error>", status="403 Forbidden")
    async with hostile_store(answer) as store:
        with pytest.raises(OutputError, match="the store answered 403 AccessDenied"):
            await asyncio.to_thread(BucketReader(opened(store).place).fetch, [part(3)], tmp_path)


async def test_a_large_part_is_read_in_ranges_and_compared(tmp_path, monkeypatch):
    """T41: a store that ignores ranges, or ends early, gives no file."""
    monkeypatch.setattr("crawler.snapshot.bucket.downloads._RANGE_BYTES", 4)
    data = b"0123456789"

    def answer(asked):
        first, last = asked.headers["range"].removeprefix("bytes=").split("-")
        body = data[int(first) : int(last) + 1]
        return said(body, f"Content-Range: bytes {first}-{last}/{len(data)}", status="206 Partial Content")

    async with hostile_store(answer) as store:
        reader = BucketReader(opened(store).place)
        await asyncio.to_thread(reader.fetch, [part(10, hashlib.sha256(data).hexdigest())], tmp_path / "x")
        assert (tmp_path / "x/t/part-0.parquet").read_bytes() == data
        assert sorted(asked.headers["range"] for asked in store.asked) == ["bytes=0-3", "bytes=4-7", "bytes=8-9"]
        for size in (9, 11):
            with pytest.raises(OutputError, match="isn't what its manifest names"):
                await asyncio.to_thread(reader.fetch, [part(size, hashlib.sha256(data).hexdigest())], tmp_path / "y")
            assert not list((tmp_path / "y/t").iterdir())
    async with hostile_store(said(data[:4])) as store:
        with pytest.raises(OutputError, match="the store ignores ranges"):
            await asyncio.to_thread(BucketReader(opened(store).place).fetch, [part(10)], tmp_path / "z")


@pytest.mark.parametrize(
    ("status", "requests"), [("500 x", 2), ("503 x", 2), ("429 x", 2), ("403 x", 1), ("400 x", 1), ("204 No", 1)]
)
async def test_what_may_pass_is_tried_again_and_a_refusal_is_not(status, requests):
    """P8."""
    async with hostile_store(said(b"", status=status)) as store:
        try:
            await opened(store).put("x", b"data")
        except OutputError as error:
            assert f"the store answered {status[:3]}" in str(error)  # noqa: PT017
    assert len(store.asked) == requests
    assert len({asked.headers["x-amz-date"] for asked in store.asked}) >= 1


async def test_a_part_is_sent_with_its_length_and_not_in_chunks(tmp_path):
    """OSS refuses aws-chunked, and S3 a body without a length. A map of the file is sent without a copy of it."""
    data = random.Random(1).randbytes(3 << 20)
    (tmp_path / "part").write_bytes(data)
    with (tmp_path / "part").open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    async with hostile_store(said()) as store:
        await opened(store).put("x", content)
    [asked] = store.asked
    assert asked.body == data
    assert asked.headers["content-length"] == str(len(data))
    assert asked.headers["x-amz-content-sha256"] == hashlib.sha256(data).hexdigest()
    assert "transfer-encoding" not in asked.headers


@pytest.mark.parametrize("tag", ["", "ETag: ", "ETag: \xff", 'ETag: "a b"', f"ETag: {'x' * 5000}"])
async def test_a_content_without_a_tag_that_can_be_sent_back_is_not_swapped(tag):
    """T41: without a condition, LATEST could move backwards."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n" + (f"{tag}\r\n" if tag else "").encode("latin-1") + b"\r\nx"
    async with hostile_store(answer) as store:
        found = await opened(store).read("x")
        with pytest.raises(OutputError, match="the store gives no usable ETag"):
            await opened(store).swap("x", b"data", found)
    assert len(store.asked) == 1


async def test_a_copy_that_fails_in_its_body_is_no_success():
    """F53: S3 and OSS begin a long copy with 200."""

    def answer(asked):
        is_copy = "x-amz-copy-source" in asked.headers
        if asked.line.startswith("GET"):
            return said(b"<Error><Code>NoSuchKey</Code></Error>", status="404 Not Found")
        return said(b"<Error><Code>InternalError</Code></Error>") if is_copy else said()

    async with hostile_store(answer) as store:
        with pytest.raises(OutputError, match="the store answered 200 InternalError"):
            await opened(store, "oss").create("x", b"data")


def served_by(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_a_store_of_a_private_authority_is_trusted_by_the_file_and_named_without_it(tmp_path):
    """T44: the sentence has the reason and the setting; nothing signed is sent before."""
    authority, other = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    other.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    async with hostile_store(said(b"data"), tls=served_by(authority)) as store:
        place = opened(store).place

        async def read(ca_file):
            route = {"ca_file": tmp_path / ca_file if ca_file else None}
            return await ObjectStore(type(place)(**{**fields(place), **route})).read("x")

        for ca_file in ("", "other.pem"):
            with pytest.raises(
                OutputError, match=r"the TLS of 127.0.0.1:[0-9]+ isn't trusted \(.*\); see \[tls\] ca_file"
            ):
                await read(ca_file)
        assert store.asked == []
        assert (await read("ca.pem")).data == b"data"


async def test_a_store_is_reached_by_the_configured_proxy_alone(monkeypatch):
    """T17, T42: the environment's is for other programs."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with hostile_store(said(b"data")) as store, hostile_store(said(status="403 No")) as proxy:
        place = opened(store).place
        assert (await ObjectStore(place).read("x")).data == b"data"
        there = type(place)(**{**fields(place), "endpoint": "https://store.example", "proxy": proxy.url})
        with pytest.raises(
            OutputError,
            match=r"the proxy 127.0.0.1:[0-9]+ refused the connection to store.example \(403\); see \[network\] proxy",
        ):
            await ObjectStore(there).read("x")
    assert proxy.lines == ["CONNECT store.example:443"]


def fields(place) -> dict:
    return {name: getattr(place, name) for name in place.__dataclass_fields__}
