"""Object stores for tests: a real S3 server on loopback, and a fake with OSS's restrictions and faults on demand."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from aiohttp import web

from crawler.snapshot.location import bucket_place
from crawler.snapshot.object_store import ObjectStore
from crawler.snapshot.s3.connection import wait_for

KEY_ID, KEY_SECRET = "testkeyid0001", "testkeysecret0001"
BUCKET = "inventory"
HOST = "oss-test.localhost"


@contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, str]]:
    """Run a real S3 server with the bucket; return its environment, and its REST catalog as `CATALOG`."""
    identity = {"name": "t", "actions": ["Admin"], "credentials": [{"accessKey": KEY_ID, "secretKey": KEY_SECRET}]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    roles = ["master", "volume", "filer", "s3"]
    ports = free_ports(2 * len(roles) + 1)
    command = [Path(sys.executable).with_name("weed"), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += [f"-dir={folder}", "-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=20", "-filer"]
    command += ["-s3", f"-s3.config={folder / 's3.json'}", f"-s3.port.iceberg={ports[-1]}", "-s3.port.lance=0"]
    for number, role in enumerate(roles):
        command += [f"-{role}.port={ports[2 * number]}", f"-{role}.port.grpc={ports[2 * number + 1]}"]
    url = f"http://127.0.0.1:{ports[6]}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        wait_until_up(url, process, folder / "log")
        environ = {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": KEY_SECRET}
        # A bucket exists as soon as it has an object.
        wait_for(ObjectStore(bucket_place(f"s3://{BUCKET}", environ, folder)).put("first", b""))
        make_table_bucket(ports)
        yield {**environ, "CATALOG": f"http://127.0.0.1:{ports[-1]}"}
    finally:
        process.kill()
        process.wait()
        for port in ports:
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()


def make_table_bucket(ports: list[int]) -> None:
    """Make the warehouse `lake` in the server's REST catalog."""
    shell = [Path(sys.executable).with_name("weed"), "shell"]
    shell += [f"-master=127.0.0.1:{ports[0]}.{ports[1]}", f"-filer=127.0.0.1:{ports[4]}.{ports[5]}"]
    command = b"s3tables.bucket -create -name lake -account 000000000000\n"
    subprocess.run(shell, input=command, check=True, capture_output=True, timeout=60)


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    found = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return found


def wait_until_up(url: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{url}/healthz", timeout=5).close()
        except urllib.error.HTTPError as answered:
            answered.close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text()[-2000:])


class FakeStore:
    """Objects of one bucket in memory. `kind` "oss" refuses the requests that OSS refuses, "s3" has conditional PUTs.

    `fault` is called before each request with its number from 1, method and key. It may return "refuse" (403), "break"
    (the connection, before the request is done), "lose" (done, and the connection breaks), "error" (done, and the
    response is 500), "hang" (no response), else None. "refuse in the body" is a 200 that says in its body that nothing
    was done.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.uploads: dict[str, tuple[str, datetime, dict[int, bytes]]] = {}
        self.requests: list[str] = []
        self.fault: Callable[[int, str, str], str | None] = lambda number, method, key: None
        self.ignores_conditions = False
        self.age = timedelta()
        self.least_part_bytes = 0

    def put(self, key: str, data: bytes) -> None:
        # In milliseconds, as stores return it.
        now = datetime.now(UTC) - self.age
        self.objects[key] = data, now.replace(microsecond=now.microsecond // 1000 * 1000)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        target = urlsplit(request.raw_path)
        path = unquote(target.path).lstrip("/")
        if self.kind == "oss" and not request.host.startswith(f"{BUCKET}."):
            return failure(403, "SecondLevelDomainForbidden")
        key = path if self.kind == "oss" else path.removeprefix(f"{BUCKET}").lstrip("/")
        parameters = {name: values[0] for name, values in parse_qs(target.query, keep_blank_values=True).items()}
        action = next((name for name in ("uploads", "partNumber", "uploadId") if name in parameters), "")
        self.requests.append(f"{request.method} {key}{f'?{action}' if action else ''}")
        kind = self.fault(len(self.requests), request.method, key)
        if kind == "refuse":
            return failure(403, "AccessDenied")
        if kind == "refuse in the body":
            return web.Response(text="\n\n<Error><Code>InternalError</Code></Error>")
        if kind != "break":
            done = self.refusal(request, body, action)
            if done is None and action:
                done = self.carry_out_upload(request.method, key, body, parameters)
            done = done or self.carry_out(request, key, body, parse_qs(target.query))
            if kind is None:
                return done
            if kind == "error":
                return failure(500, "InternalError")
        if kind == "hang":
            await request.content.wait_eof()
            while request.transport is not None:
                await asyncio.sleep(0.01)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def refusal(self, request: web.Request, body: bytes, action: str) -> web.Response | None:
        headers = request.headers
        if signature(request) != headers.get("Authorization", "").rpartition("Signature=")[2]:
            return failure(403, "SignatureDoesNotMatch")
        if headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest() or "chunked" in str(headers).lower():
            return failure(400, "InvalidArgument")
        if self.kind == "oss":
            if request.method == "PUT" and {"if-match", "if-none-match"} & {name.lower() for name in headers}:
                return failure(501, "NotImplemented")
            # The S3 protocol of OSS has no listing of uploads.
            if (request.method == "POST" and not action) or (request.method, action) == ("GET", "uploads"):
                return failure(501, "NotImplemented")
        return None

    def carry_out_upload(self, method: str, key: str, body: bytes, query: dict[str, str]) -> web.Response:
        """Begin, send a part, complete, abort or list multipart uploads, as S3 and OSS do."""
        upload_id = query.get("uploadId", "")
        if method == "GET":
            return self.listed_uploads(query.get("prefix", ""), query.get("upload-id-marker", ""))
        if "uploads" in query:
            upload_id = f"{len(self.requests)}/+id"
            self.uploads[upload_id] = key, datetime.now(UTC) - self.age, {}
            found = f"<UploadId>{upload_id}</UploadId>"
            return web.Response(text=f"<InitiateMultipartUploadResult>{found}</InitiateMultipartUploadResult>")
        if upload_id not in self.uploads or self.uploads[upload_id][0] != key:
            return failure(404, "NoSuchUpload")
        parts = self.uploads[upload_id][2]
        if method == "PUT":
            parts[int(query["partNumber"])] = body
            return web.Response(headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})
        if method == "POST":
            listed = re.findall("<PartNumber>(.*?)</PartNumber><ETag>(.*?)</ETag>", body.decode())
            wanted = [(int(number), tag.replace("&quot;", '"')) for number, tag in listed]
            if wanted != [(number, f'"{hashlib.md5(data).hexdigest()}"') for number, data in sorted(parts.items())]:
                return failure(400, "InvalidPart")
            if any(len(data) < self.least_part_bytes for number, data in parts.items() if number != len(parts)):
                return failure(400, "EntityTooSmall")
            self.put(key, b"".join(data for _, data in sorted(parts.items())))
        del self.uploads[upload_id]
        if method == "DELETE":
            return web.Response(status=204)
        return web.Response(text="\n\n<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")

    def listed_uploads(self, prefix: str, after: str) -> web.Response:
        """Answer with a page of two uploads."""
        found = sorted((key, upload_id, at) for upload_id, (key, at, _) in self.uploads.items())
        found = [entry for entry in found if entry[0].startswith(prefix)]
        start = next((n + 1 for n, entry in enumerate(found) if entry[1] == after), 0)
        rows = "".join(
            f"<Upload><Key>{escape(key)}</Key><UploadId>{upload_id}</UploadId>"
            f"<Initiated>{at.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}</Initiated></Upload>"
            for key, upload_id, at in found[start : start + 2]
        )
        more = "<IsTruncated>false</IsTruncated>"
        if len(found) > start + 2:
            key, upload_id, _ = found[start + 1]
            markers = (
                f"<NextKeyMarker>{escape(key)}</NextKeyMarker><NextUploadIdMarker>{upload_id}</NextUploadIdMarker>"
            )
            more = f"<IsTruncated>true</IsTruncated>{markers}"
        return web.Response(text=f"<ListMultipartUploadsResult>{more}{rows}</ListMultipartUploadsResult>")

    def carry_out(self, request: web.Request, key: str, body: bytes, query: dict[str, list[str]]) -> web.Response:
        found = self.objects.get(key)
        tag = f'"{hashlib.md5(found[0]).hexdigest()}"' if found else ""
        match request.method:
            case "PUT":
                headers = request.headers
                if not self.ignores_conditions:
                    if found and headers.get("If-None-Match") == "*":
                        return failure(412, "PreconditionFailed")
                    if "If-Match" in headers and headers["If-Match"] != tag:
                        return failure(412, "PreconditionFailed")
                    if found and headers.get("x-oss-forbid-overwrite") == "true":
                        return failure(409, "FileAlreadyExists")
                source = unquote(headers.get("x-amz-copy-source", "")).removeprefix(f"{BUCKET}/")
                self.put(key, self.objects[source][0] if source else body)
                tag = f'"{hashlib.md5(self.objects[key][0]).hexdigest()}"'
                text = f"<CopyObjectResult><ETag>{escape(tag)}</ETag></CopyObjectResult>" if source else ""
                return web.Response(text=text, headers={"ETag": tag})
            case "GET" if "list-type" in query:
                return self.listing(query)
            case "GET" if found:
                at = found[1].strftime("%a, %d %b %Y %H:%M:%S GMT")
                headers, wanted = {"ETag": tag, "Last-Modified": at}, request.headers.get("Range", "")
                if not wanted:
                    return web.Response(body=found[0], headers=headers)
                first, last = map(int, wanted.removeprefix("bytes=").split("-"))
                if first >= len(found[0]):
                    return failure(416, "InvalidRange")
                body = found[0][first : last + 1]
                headers["Content-Range"] = f"bytes {first}-{first + len(body) - 1}/{len(found[0])}"
                return web.Response(status=206, body=body, headers=headers)
            case "DELETE":
                self.objects.pop(key, None)
                return web.Response(status=204)
            case "POST":
                keys = re.findall(r"<Key>(.*?)</Key>", body.decode())
                for one in keys:
                    self.objects.pop(one, None)
                deleted = "".join(f"<Deleted><Key>{one}</Key></Deleted>" for one in keys)
                return web.Response(text=f"<DeleteResult>{deleted}</DeleteResult>")
        return failure(404, "NoSuchKey")

    def listing(self, query: dict[str, list[str]]) -> web.Response:
        prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
        rows = [
            f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size><ETag>x</ETag>"
            f"<LastModified>{at.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}</LastModified></Contents>"
            for key, (data, at) in sorted(self.objects.items())
            if key.startswith(prefix) and not (delimiter and delimiter in key[len(prefix) :])
        ]
        start = int(query.get("continuation-token", ["0"])[0])
        page, rest = rows[start : start + 7], rows[start + 7 :]
        more = f"<NextContinuationToken>{start + 7}</NextContinuationToken>" if rest else ""
        truncated = f"<IsTruncated>{'true' if rest else 'false'}</IsTruncated>"
        rests = [key[len(prefix) :] for key in self.objects if key.startswith(prefix) and delimiter and not start]
        names = sorted({rest.partition(delimiter)[0] for rest in rests if delimiter in rest})
        page += [f"<CommonPrefixes><Prefix>{escape(f'{prefix}{name}/')}</Prefix></CommonPrefixes>" for name in names]
        return web.Response(text=f"<ListBucketResult>{truncated}{more}{''.join(page)}</ListBucketResult>")


def failure(status: int, code: str) -> web.Response:
    return web.Response(status=status, text=f"<Error><Code>{code}</Code><Message>{KEY_ID} and such</Message></Error>")


def signature(request: web.Request) -> str:
    """Return the signature of AWS's version 4 over the headers that the request lists as signed."""
    found = re.search(
        r"Credential=([^/]+)/(\d+)/([^/]+)/s3/aws4_request, SignedHeaders=([^,]+)", request.headers["Authorization"]
    )
    assert found is not None
    key_id, date, region, names = found.groups()
    owned = [name.lower() for name in request.headers if name.lower().startswith(("x-amz-", "x-oss-"))]
    assert key_id != KEY_ID or {"host", *owned} <= set(names.split(";")), "every header that means something is signed"
    target = urlsplit(request.raw_path)
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, values in sorted(parse_qs(target.query, keep_blank_values=True).items())
        for value in values
    )
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names.split(";"))
    canonical = "\n".join([request.method, target.path, query, headers, names, request.headers["x-amz-content-sha256"]])
    scope = f"{date}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, sha256(canonical)])
    key = f"AWS4{KEY_SECRET}".encode()
    for part in (date, region, "s3", "aws4_request", text):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@asynccontextmanager
async def served(store: FakeStore) -> AsyncIterator[dict[str, str]]:
    """Serve the fake on loopback; yield its environment. OSS has the bucket in the host, a name that means loopback."""
    application = web.Application(client_max_size=1 << 30)

    async def answer(request: web.Request) -> web.StreamResponse:
        return await store.answer(request)  # a test may have replaced it

    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        if store.kind == "oss":
            yield {
                "OSS_ENDPOINT": f"http://{HOST}:{port}",
                "OSS_REGION": "cn-hangzhou",
                "OSS_ACCESS_KEY_ID": KEY_ID,
                "OSS_ACCESS_KEY_SECRET": KEY_SECRET,
            }
        else:
            yield {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "AWS_ACCESS_KEY_ID": KEY_ID,
                "AWS_SECRET_ACCESS_KEY": KEY_SECRET,
            }
    finally:
        await runner.cleanup()
