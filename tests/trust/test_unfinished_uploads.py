"""F58: an upload that ends at any moment leaves no invisible, billed parts in a bucket; a real S3 server."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import obstore
import pytest
from obstore.store import S3Store

from crawler.snapshot import BucketDestination, ObjectStore, SnapshotWriter
from crawler.snapshot.location import bucket_place
from tests.support.object_stores import BUCKET, KEY_ID, KEY_SECRET, s3_server
from tests.support.snapshot_fakes import NEW, ROWS, SCHEMAS, START, draft, write_scopes

ROOT = Path(__file__).parents[2]
BYTES = 32 * 1024 * 1024

UPLOAD = """
import asyncio, sys
from pathlib import Path
from crawler.snapshot import ObjectStore
from crawler.snapshot.location import bucket_place
import os
async def main():
    bucket = ObjectStore(bucket_place(sys.argv[1], os.environ, Path("/nowhere")))
    await bucket.put("before", b"")
    print("sending", flush=True)
    await bucket.put("part", bytes(int(sys.argv[2])))
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


@pytest.mark.trust
@pytest.mark.parametrize("ends", ["commit", "abandon"])
async def test_a_crawl_begins_none(server, ends):
    bucket = ObjectStore(bucket_place(f"s3://{BUCKET}/{ends}", server, Path("/nowhere")))
    writer = SnapshotWriter(await BucketDestination.begin(bucket, NEW, START, SCHEMAS), SCHEMAS)
    ledger = await write_scopes(writer, ROWS)
    assert multipart_uploads(server) == []
    if ends == "commit":
        await writer.commit(draft(), ledger)
    await writer.abandon()
    assert multipart_uploads(server) == []


@pytest.mark.trust
@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.1])
def test_a_process_that_dies_while_it_sends_leaves_the_whole_object_or_none(server, after_s):
    """The largest part that there is."""
    uri = f"s3://{BUCKET}/died{after_s}"
    environ = {**os.environ, **server, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", UPLOAD, uri, str(BYTES)], env=environ, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "sending\n"
        time.sleep(after_s)
        child.kill()
    time.sleep(0.2)  # for requests in flight
    store = second_client(server, f"died{after_s}")
    sizes = {entry["path"]: entry["size"] for chunk in obstore.list(store) for entry in chunk}
    assert sizes in ({"before": 0}, {"before": 0, "part": BYTES})
    assert multipart_uploads(server) == []
