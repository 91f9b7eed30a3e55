"""F58, F100, F103: no upload stays unfinished, and no late request changes a committed file; a real S3 server."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import random
import re
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import obstore
import pytest
from obstore.store import S3Store

from crawler.errors import OutputError
from crawler.snapshot import BucketDestination, BucketReader, ObjectStore, SnapshotWriter
from crawler.snapshot.bucket.notes import clean_up_others
from crawler.snapshot.bucket.uploads import Uploads
from crawler.snapshot.layout import part_path, staged
from crawler.snapshot.location import bucket_place
from crawler.snapshot.manifest import PartFile
from crawler.snapshot.s3.connection import wait_for
from crawler.snapshot.verify import verify_all
from tests.support.object_stores import BUCKET, KEY_ID, KEY_SECRET, s3_server
from tests.support.snapshot_fakes import NEW, ROWS, SCHEMAS, START, draft, write_scopes

ROOT = Path(__file__).parents[2]
BYTES = 40 * 1024 * 1024
PATH = part_path("fc_functions", NEW, 0, "0123abcd")

UPLOAD = """
import asyncio, os, sys
from pathlib import Path
from crawler.snapshot import ObjectStore
from crawler.snapshot.bucket.uploads import Uploads
from crawler.snapshot.location import bucket_place
from crawler.snapshot.manifest import PartFile
async def main():
    bucket = ObjectStore(bucket_place(sys.argv[1], os.environ, Path("/nowhere")))
    await bucket.put("before", b"")
    print("sending", flush=True)
    await Uploads(bucket, Path(sys.argv[2]), sys.argv[3]).send([PartFile(sys.argv[4], 1, int(sys.argv[5]), "")])
    print("sent", flush=True)
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as environ:
        yield environ


def second_client(environ, prefix=None):
    """Another client of S3, which can send an object in several parts."""
    config = {"endpoint": environ["AWS_ENDPOINT_URL"], "region": "us-east-1"}
    config |= {"access_key_id": KEY_ID, "secret_access_key": KEY_SECRET, "virtual_hosted_style_request": False}
    return S3Store(BUCKET, prefix=prefix, config=config, client_options={"allow_http": True})


def multipart_uploads(environ):
    """The keys of uploads that were begun and not ended, as the server lists them."""
    host, now = urlsplit(environ["AWS_ENDPOINT_URL"]).netloc, datetime.now(UTC)
    date, at, empty = f"{now:%Y%m%d}", f"{now:%Y%m%dT%H%M%SZ}", hashlib.sha256(b"").hexdigest()
    names = "host;x-amz-content-sha256;x-amz-date"
    canonical = (
        f"GET\n/{BUCKET}\nuploads=\nhost:{host}\nx-amz-content-sha256:{empty}\nx-amz-date:{at}\n\n{names}\n{empty}"
    )
    scope = f"{date}/us-east-1/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{KEY_SECRET}".encode()
    for part in (date, "us-east-1", "s3", "aws4_request", text):
        key = hmac.digest(key, part.encode(), "sha256")
    signed = f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    headers = {"x-amz-date": at, "x-amz-content-sha256": empty, "Authorization": signed}
    asked = urllib.request.Request(f"http://{host}/{BUCKET}?uploads", headers=headers)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        listing = answer.read().decode()
    assert "ListMultipartUploadsResult" in listing
    return re.findall("<Key>(.*?)</Key>", listing)


@pytest.mark.trust
def test_the_server_would_show_an_upload_that_was_not_ended(server):
    store = second_client(server)
    upload = obstore.open_writer(store, "begun", buffer_size=5 * 1024 * 1024, max_concurrency=1)
    upload.write(bytes(6 * 1024 * 1024))
    deadline = time.monotonic() + 10
    while not multipart_uploads(server):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert multipart_uploads(server) == ["begun"]
    upload.close()
    assert multipart_uploads(server) == []


def opened(environ, prefix):
    return ObjectStore(bucket_place(f"s3://{BUCKET}/{prefix}", environ, Path("/nowhere")))


def staged_file(scratch, path=PATH, size=BYTES, seed=1):
    place = scratch / staged(NEW, path)
    place.parent.mkdir(parents=True, exist_ok=True)
    content = random.Random(seed).randbytes(1 << 20) * (size >> 20)
    place.write_bytes(content)
    return PartFile(path=path, rows=1, bytes=size, sha256=hashlib.sha256(content).hexdigest()), content


@pytest.mark.trust
@pytest.mark.parametrize("ends", ["commit", "abandon"])
async def test_a_crawl_leaves_none(server, ends, monkeypatch):
    monkeypatch.setattr("crawler.snapshot.bucket.uploads._LARGEST_PUT_BYTES", 0)
    destination = await BucketDestination.begin(opened(server, ends), NEW, START, SCHEMAS)
    writer = SnapshotWriter(destination, SCHEMAS, part_bytes=1)
    ledger = await write_scopes(writer, ROWS)
    if ends == "commit":
        await writer.commit(draft(), ledger)
    await writer.abandon()
    assert multipart_uploads(server) == []
    place = bucket_place(f"s3://{BUCKET}/{ends}", server, Path("/nowhere"))
    verdicts, _ = await asyncio.to_thread(verify_all, BucketReader(place))
    assert [verdict.is_whole for verdict in verdicts] == ([True] if ends == "commit" else [])


async def test_another_client_reads_what_was_sent_in_pieces(server, tmp_path):
    """F58: the S3 client of obstore, which is none of ours."""
    bucket = opened(server, "large")
    file, content = staged_file(tmp_path)
    await Uploads(bucket, tmp_path, NEW).send([file])
    store = second_client(server, "large")
    assert bytes(obstore.get(store, PATH).bytes()) == content
    assert "-" in obstore.head(store, PATH)["e_tag"], "the tag of an object that was made of parts"
    assert multipart_uploads(server) == []
    place = bucket_place(f"s3://{BUCKET}/large", server, Path("/nowhere"))
    await asyncio.to_thread(BucketReader(place).fetch, [file], tmp_path / "read")
    assert (tmp_path / "read" / PATH).read_bytes() == content


@pytest.mark.trust
@pytest.mark.parametrize("after_s", [None, 0.0, 0.05, 0.1, 0.2, 0.4], ids=str)
def test_a_process_that_dies_while_it_sends_leaves_the_whole_object_or_none(server, tmp_path, after_s):
    """Killed at once, or so long after its upload was begun. What cleans up a day later aborts the upload."""
    prefix = f"died{after_s}"
    environ = {**os.environ, **server, "PYTHONPATH": str(ROOT)}
    file, _ = staged_file(tmp_path)
    arguments = [f"s3://{BUCKET}/{prefix}", str(tmp_path), NEW, file.path, str(file.bytes)]
    with subprocess.Popen(
        [sys.executable, "-c", UPLOAD, *arguments], env=environ, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "sending\n"
        while after_s is not None and not multipart_uploads(server) and child.poll() is None:
            time.sleep(0.01)
        time.sleep(after_s or 0)
        child.kill()
    time.sleep(0.2)  # for requests in flight
    store, now = second_client(server, prefix), datetime.now(UTC)
    sizes = {entry["path"]: entry["size"] for chunk in obstore.list(store) for entry in chunk}
    assert sizes in ({"before": 0}, {"before": 0, PATH: BYTES})
    left = multipart_uploads(server)
    assert left == ([] if PATH in sizes else [f"{prefix}/{PATH}"]) or (after_s, left) == (None, [])
    wait_for(clean_up_others(opened(server, prefix), now))
    assert multipart_uploads(server) == left, "it may be of a crawl that runs"
    wait_for(clean_up_others(opened(server, prefix), now + timedelta(days=1, hours=1)))
    assert multipart_uploads(server) == []


@pytest.mark.parametrize("size", [1 << 20, BYTES], ids=["one PUT", "in pieces"])
async def test_late_requests_of_an_abandoned_crawl_change_no_committed_file(server, tmp_path, size):
    """F103: two crawls of one ID; the requests of the first are carried out after the second has committed."""
    bucket = opened(server, f"late{size}")
    late, late_content = staged_file(tmp_path / "late", part_path("fc_functions", NEW, 0, "aaaaaaaa"), size, 2)
    upload = await bucket.begin_upload(late.path) if size > 1 << 20 else None
    if upload is not None:
        await upload.send(1, late_content)
    committed, content = staged_file(tmp_path / "new", part_path("fc_functions", NEW, 0, "bbbbbbbb"), size, 3)
    await Uploads(bucket, tmp_path / "new", NEW).send([committed])
    if upload is not None:
        await upload.complete(size)
    else:
        await bucket.put(late.path, late_content)
    store = second_client(server, f"late{size}")
    assert bytes(obstore.get(store, committed.path).bytes()) == content
    abandoned = Uploads(bucket, tmp_path / "late", NEW)
    abandoned.paths.add(late.path)
    await bucket.delete(sorted(abandoned.paths))
    assert bytes(obstore.get(store, committed.path).bytes()) == content


async def test_an_upload_that_was_aborted_is_completed_by_no_late_request(server):
    """F103: the file of an abandoned crawl doesn't come back."""
    bucket = opened(server, "aborted")
    upload = await bucket.begin_upload(PATH)
    await upload.send(1, b"data")
    await upload.abort()
    await upload.abort()
    with pytest.raises(OutputError, match=r"answered 404 NoSuchUpload"):
        await upload.complete(4)
    with pytest.raises(OutputError, match=r"answered 404 NoSuchUpload"):
        await upload.send(2, b"data")
    assert await bucket.list("fc_functions") == []
