"""One exchange against servers with arbitrary answers: the answers that are accepted and those that never are."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import ssl
import subprocess
import sys
import zlib
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from crawler.client.proxies import ProxyRule
from crawler.client.tls import tls_context
from crawler.client.transport import HttpRequest, HttpResponse, Transport
from crawler.errors import ApiError, FatalError, TransientError

CAP = 1 << 20
JSON = b'{"functions": []}'
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def server(answer, tls: ssl.SSLContext | None = None):
    """A server that answers every request with bytes, or as a coroutine function of (request, writer) does.

    Gives its URL and the list of the heads of the requests that it received.
    """
    received: list[bytes] = []

    async def serve(reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                received.append(head)
                if callable(answer):
                    await answer(head, writer)
                else:
                    writer.write(answer)
                await writer.drain()
                if callable(answer) or b"Content-Length" not in answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}", received
    finally:
        listening.close()
        await asyncio.sleep(0)


async def sent(
    url: str, *, timeout_s: float = 5.0, ca_file: Path | None = None, proxy: str = "", **request
) -> HttpResponse:
    async with Transport(connections=4, max_page_bytes=CAP, ca_file=ca_file, proxy=ProxyRule(proxy)) as transport:
        return await transport.send(HttpRequest("GET", url, request.pop("headers", {}), timeout_s=timeout_s, **request))


async def test_an_answer_that_is_given_up_gives_its_place_back():
    answer = whole(b"x" * (2 * CAP))[: -CAP + 10]
    async with server(answer) as (url, _), Transport(connections=1, max_page_bytes=CAP) as transport:
        errors = []  # they hold what the answer was read from
        for _ in range(3):
            with pytest.raises(FatalError) as caught:
                await transport.send(HttpRequest("GET", url, {}, timeout_s=5.0))
            errors.append(caught)


async def refused(answer, *, timeout_s: float = 5.0) -> ApiError:
    async with server(answer) as (url, _):
        with pytest.raises(ApiError) as caught:
            await sent(url, timeout_s=timeout_s)
    return caught.value


# --- requests ---


@pytest.mark.parametrize(
    "target",
    [
        "/2021-04-06/services/a%2Fb/functions?limit=100&nextToken=a%2Bb%3D%3D",
        "/a%20b/~c/%7E/%25/+?q=a+b&r=%20~+&s=%E2%82%AC",
        "/%2e%2e/x/%2E/./y",
        "/",
    ],
)
async def test_path_and_query_go_out_byte_for_byte(target):
    """T18."""
    async with server(whole(JSON)) as (url, received):
        await sent(url + target)
    assert received[0].split(b" ")[1].decode() == target


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/CANARY", "http://127.0.0.1:CANARY/", "http://[::1/CANARY"])
async def test_an_address_that_is_none_is_a_typed_error_without_it(url):
    """T10."""
    async with Transport(connections=1, max_page_bytes=CAP) as transport:
        with pytest.raises(FatalError, match=r"^BadAddress: ") as caught:
            await transport.send(HttpRequest("GET", url, {}, b"", timeout_s=1))
    assert "CANARY" not in str(caught.value)


async def test_headers_go_out_as_given_with_gzip_and_without_cookies():
    request = {"host": "fc.example", "x-acs-date": "D", "accept": "a/b"}
    async with (
        server(whole(JSON, "Set-Cookie: a=b")) as (url, received),
        Transport(connections=1, max_page_bytes=CAP) as transport,
    ):
        for _ in range(2):
            await transport.send(HttpRequest("GET", url, request))
    for head in received:
        lines = head.decode().lower().split("\r\n")[1:-2]
        assert sorted(lines) == ["accept-encoding: gzip", "accept: a/b", "host: fc.example", "x-acs-date: d"]


async def test_no_proxy_and_no_netrc_of_the_environment_is_used(monkeypatch, tmp_path):
    """T17."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password canary\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with server(whole(b"proxy")) as (proxy, asked), server(whole(JSON)) as (url, received):
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        assert (await sent(url)).body == JSON
    assert asked == []
    assert b"uthorization" not in received[0]


async def test_a_post_has_its_body():
    bodies = []

    async def answer(head, writer):
        assert b"Content-Length: 3" in head
        bodies.append(head)
        writer.write(whole(JSON))

    async with server(answer) as (url, _), Transport(connections=1, max_page_bytes=CAP) as transport:
        await transport.send(HttpRequest("POST", url, {}, b"a=b"))
    assert len(bodies) == 1


# --- answers ---


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "404 Not Found", "429 Too Many", "500 Oops", "503 X"])
async def test_every_status_is_an_answer(status):
    async with server(whole(b"x", "X-Acs-Retry-After: 20", status=status)) as (url, _):
        response = await sent(url)
    assert (response.status, response.body, response.headers["x-acs-retry-after"]) == (int(status[:3]), b"x", "20")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["{other}/x", "//{host}/x", "/elsewhere"])
async def test_redirects_are_answers_and_the_other_host_is_never_contacted(status, location):
    """T15, P16."""
    async with server(whole(b"stolen")) as (other, contacted):
        place = location.format(other=other, host=other.removeprefix("http://"))
        async with server(whole(b"", f"Location: {place}", status=f"{status} Moved")) as (url, received):
            response = await sent(url, headers={"x-acs-security-token": "canary"})
    assert response.status == status
    assert (len(contacted), len(received)) == (0, 1)


def packed(data: bytes) -> bytes:
    """The same bytes at any time of day: they are in tests' names."""
    return gzip.compress(data, mtime=0)


async def test_gzip_is_decompressed():
    async with server(whole(packed(JSON * 100), "Content-Encoding: GZip")) as (url, _):
        assert (await sent(url)).body == JSON * 100


def damaged(data: bytes) -> bytes:
    return data[:20] + bytes([data[20] ^ 0xFF]) + data[21:]


@pytest.mark.parametrize(
    "body",
    [
        packed(JSON)[:-1],
        packed(JSON)[:12],
        b"",
        packed(JSON) + packed(JSON),
        packed(JSON) + b"more",
        damaged(packed(JSON * 9)),
        packed(JSON)[:-8] + bytes(8),
        JSON,
    ],
)
async def test_gzip_that_is_cut_doubled_or_damaged_is_asked_for_again(body):
    """F19."""
    error = await refused(whole(body, "Content-Encoding: gzip"))
    assert isinstance(error, TransientError)
    assert error.code == "InvalidResponse"


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "rot13"])
async def test_an_encoding_that_was_not_asked_for_is_refused(encoding):
    """T20."""
    error = await refused(whole(zlib.compress(JSON), f"Content-Encoding: {encoding}"))
    assert isinstance(error, FatalError)
    assert error.code == "UnknownEncoding"


async def test_a_body_of_exactly_the_cap_is_taken_and_one_more_byte_is_not():
    """T20."""
    async with server(whole(b"x" * CAP)) as (url, _):
        assert len((await sent(url)).body) == CAP
    assert (await refused(whole(b"x" * (CAP + 1)))).code == "TooLarge"


async def test_a_decompressed_body_of_exactly_the_cap_is_taken_and_one_more_byte_is_not():
    """T20."""
    async with server(whole(packed(b"x" * CAP), "Content-Encoding: gzip")) as (url, _):
        assert len((await sent(url)).body) == CAP
    assert (await refused(whole(packed(b"x" * (CAP + 1)), "Content-Encoding: gzip"))).code == "TooLarge"


async def test_a_request_may_allow_less_than_a_page_has_and_never_more():
    """T47: what isn't a page needs less."""
    async with server(whole(b"x" * 1000)) as (url, _):
        assert len((await sent(url, max_bytes=1000)).body) == 1000
        with pytest.raises(FatalError, match="TooLarge: The answer is larger than 999 bytes"):
            await sent(url, max_bytes=999)
    async with server(whole(packed(b"x" * 5000), "Content-Encoding: gzip")) as (url, _):
        assert len((await sent(url, max_bytes=5000)).body) == 5000
        with pytest.raises(FatalError, match="TooLarge"):
            await sent(url, max_bytes=4999)
    async with server(whole(b"x" * (CAP + 1))) as (url, _):
        with pytest.raises(FatalError, match=f"larger than {CAP} bytes"):
            await sent(url, max_bytes=2 * CAP)


async def test_a_compressed_body_has_a_quarter_of_the_cap_on_the_wire():
    """T20."""
    noise = random.Random(1).randbytes(CAP // 2)
    assert (await refused(whole(packed(noise), "Content-Encoding: gzip"))).code == "TooLarge"


async def test_chunks_without_end_are_cut_off_at_the_cap():
    """T20."""

    async def answer(head, writer):
        writer.write(PLAIN + b"Transfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()

    assert (await refused(answer)).code == "TooLarge"


BOMB = """
import asyncio, sys
from tests.soak.watched import peak_kb
from crawler.errors import FatalError
from crawler.client.proxies import ProxyRule
from crawler.client.tls import tls_context
from crawler.client.transport import HttpRequest, Transport

async def main():
    async with Transport(connections=1, max_page_bytes=16 << 20) as transport:
        before = peak_kb("self")
        try:
            await transport.send(HttpRequest("GET", sys.argv[1], {}, timeout_s=30))
        except FatalError as error:
            print(error.code, peak_kb("self") - before)

asyncio.run(main())
"""


async def test_a_gzip_bomb_takes_bounded_memory():
    """T20: 256 MiB of zeros in a quarter of one."""
    maker = zlib.compressobj(9, wbits=31)
    bomb = b"".join(maker.compress(bytes(1 << 20)) for _ in range(256)) + maker.flush()
    async with server(whole(bomb, "Content-Encoding: gzip")) as (url, _):
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", BOMB, url, stdout=subprocess.PIPE)
        out, _ = await child.communicate()
    code, grown_kib = out.split()
    assert code == b"TooLarge"
    assert int(grown_kib) < 128 * 1024


# --- connections that fail ---


async def test_accepting_and_never_answering_ends_at_the_timeout():
    """F21."""

    async def answer(head, writer):
        await asyncio.sleep(3)

    error = await refused(answer, timeout_s=0.2)
    assert isinstance(error, TransientError)
    assert (error.code, error.message) == ("Timeout", f"No whole answer of {error.host} within 0.2 s.")


async def test_bytes_that_dribble_do_not_keep_an_attempt_alive():
    """F20."""

    async def answer(head, writer):
        writer.write(PLAIN + b"Content-Length: 1000\r\n\r\n")
        for _ in range(60):
            writer.write(b"x")
            await asyncio.sleep(0.05)

    assert (await refused(answer, timeout_s=0.3)).code == "Timeout"


def reset(writer) -> None:
    writer.transport.abort()


async def cut_by_reset(head, writer):
    writer.write(PLAIN + b"Content-Length: 1000\r\n\r\n" + b"x" * 100)
    await writer.drain()
    reset(writer)


async def cut_short(head, writer):
    writer.write(PLAIN + b"Content-Length: 1000\r\n\r\n" + b"x" * 100)


async def cut_chunk(head, writer):
    writer.write(PLAIN + b"Transfer-Encoding: chunked\r\n\r\n10\r\n" + b"x" * 5)


async def no_last_chunk(head, writer):
    writer.write(PLAIN + b"Transfer-Encoding: chunked\r\n\r\n5\r\nxxxxx\r\n")


async def closed_at_once(head, writer):
    pass


async def reset_at_once(head, writer):
    reset(writer)


@pytest.mark.parametrize("answer", [cut_by_reset, cut_short, cut_chunk, no_last_chunk, closed_at_once, reset_at_once])
async def test_an_answer_that_breaks_off_is_asked_for_again(answer):
    """F19."""
    error = await refused(answer)
    assert isinstance(error, TransientError)
    assert error.code in {"InvalidResponse", "ConnectionFailed"}


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 what\r\n\r\n",
        b"\x00" * 500,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(100_000)) + b"\r\n",
    ],
)
async def test_what_is_no_http_or_has_enormous_headers_is_a_typed_error(answer):
    """T20."""

    async def garbage(head, writer):
        writer.write(answer)
        await writer.drain()

    error = await refused(garbage)
    assert isinstance(error, TransientError)
    assert error.code in {"InvalidResponse", "ConnectionFailed"}
    assert "yyy" not in str(error)


async def test_a_refused_connection_and_an_unknown_name_are_transient():
    """F18."""
    async with server(JSON) as (url, _):
        pass
    with pytest.raises(TransientError, match="ConnectionFailed"):
        await sent(url)
    with pytest.raises(TransientError, match=r"DnsFailed|ConnectionFailed"):
        await sent("http://does-not-exist.invalid:1/")


async def test_a_connection_that_breaks_after_the_request_is_tried_again_at_most_once():
    """F11: aiohttp sends a GET again on a kept-alive connection that broke; no more than that."""
    kept: list[bytes] = []

    async def once(reader, writer):
        while True:
            kept.append(await reader.readuntil(b"\r\n\r\n"))
            if len(kept) > 1:
                writer.close()
                return
            writer.write(whole(JSON))

    listening = await asyncio.start_server(once, "127.0.0.1", 0)
    target = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    async with Transport(connections=1, max_page_bytes=CAP) as transport:
        await transport.send(HttpRequest("GET", target, {}))
        with pytest.raises(TransientError):
            await transport.send(HttpRequest("GET", target, {}))
    listening.close()
    assert len(kept) == 3


async def test_a_transport_can_be_used_again_after_every_kind_of_failure():
    async with Transport(connections=1, max_page_bytes=CAP) as transport:
        for broken in (cut_by_reset, cut_short, whole(b"x" * (CAP + 1)), whole(JSON, "Content-Encoding: br")):
            async with server(broken) as (url, _):
                with pytest.raises(ApiError):
                    await transport.send(HttpRequest("GET", url, {}))
            async with server(whole(JSON)) as (url, _):
                assert (await transport.send(HttpRequest("GET", url, {}))).body == JSON


async def test_idle_connections_are_no_more_than_busy_ones_may_be():
    """F25: a crawl visits thousands of hosts, each of which would keep one open."""
    open_at = set()

    async def serve(reader, writer):
        open_at.add(writer)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(whole(JSON))
        except asyncio.IncompleteReadError:
            pass
        finally:
            open_at.discard(writer)
            writer.close()

    listening = [await asyncio.start_server(serve, "127.0.0.1", 0) for _ in range(12)]
    urls = [f"http://127.0.0.1:{each.sockets[0].getsockname()[1]}/" for each in listening]
    async with Transport(connections=3, max_page_bytes=CAP) as transport:
        for url in urls:
            await transport.send(HttpRequest("GET", url, {}))
        while len(open_at) > 3:
            await asyncio.sleep(0)
        newest = set(open_at)
        await transport.send(HttpRequest("GET", urls[-1], {}))
        assert open_at == newest, "the newest ones are kept and used again"
    for each in listening:
        each.close()


# --- TLS ---


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path) -> Path:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


def server_context(authority: trustme.CA, *names: str, **issue) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("127.0.0.1",)), **issue).configure_cert(context)
    return context


async def test_a_server_of_the_configured_authority_is_trusted(authority, ca_file):
    """T19."""
    async with server(whole(JSON), server_context(authority)) as (url, _):
        assert (await sent(url, ca_file=ca_file)).body == JSON


async def untrusted(context, ca_file) -> FatalError:
    async with server(whole(JSON), context) as (url, received):
        with pytest.raises(FatalError) as caught:
            await sent(url, ca_file=ca_file)
    assert received == []
    assert caught.value.code == "TlsFailed"
    return caught.value


async def test_a_self_signed_server_is_refused(ca_file):
    """T19."""
    assert "isn't trusted" in str(await untrusted(server_context(trustme.CA()), ca_file))


async def test_the_configured_authority_is_needed(authority):
    """T19."""
    await untrusted(server_context(authority), None)


async def test_a_certificate_of_another_host_is_refused(authority, ca_file):
    """T19."""
    assert "127.0.0.1" in str(await untrusted(server_context(authority, "fc.example"), ca_file))


async def test_an_expired_certificate_is_refused(authority, ca_file):
    """T19."""
    long_ago = datetime.now(UTC) - timedelta(days=1)
    assert "expired" in str(await untrusted(server_context(authority, not_after=long_ago), ca_file))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_a_server_without_tls_1_2_is_refused(authority, ca_file):
    """T19: some servers give a reason and others only close, so a connection error is accepted too."""
    context = server_context(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with server(whole(JSON), context) as (url, received):
        with pytest.raises(ApiError, match=r"TlsFailed|ConnectionFailed"):
            await sent(url, ca_file=ca_file)
    assert received == []


@asynccontextmanager
async def proxy(refusal: bytes = b""):
    """A proxy that opens tunnels, or refuses to. Gives its authority and the heads of the requests that it received."""
    asked: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def pipe(reader, writer):
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def serve(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        host, _, port = asked[-1].split(b" ")[1].decode().partition(":")
        if refusal:
            writer.write(refusal)
            writer.close()
            return
        there = await asyncio.open_connection(host, int(port))
        writers.extend((writer, there[1]))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer))

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}", asked
    finally:
        listening.close()
        for writer in writers:
            writer.close()
        for writer in writers:
            with suppress(ConnectionError):
                await writer.wait_closed()
        await asyncio.sleep(0)


async def test_https_goes_through_the_configured_proxy_whose_password_the_server_never_sees(authority, ca_file):
    """T17."""
    async with server(whole(JSON), server_context(authority)) as (url, received), proxy() as (place, asked):
        assert (await sent(url, ca_file=ca_file, proxy=f"http://me:canary@{place}")).body == JSON
    head = asked[0].decode()
    assert head.startswith(f"CONNECT {url.removeprefix('https://')} HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic bWU6Y2FuYXJ5" in head
    assert b"uthorization" not in received[0]


async def test_the_server_behind_a_proxy_must_be_trusted_all_the_same(ca_file):
    """T19."""
    async with server(whole(JSON), server_context(trustme.CA())) as (url, received), proxy() as (place, _):
        with pytest.raises(FatalError) as caught:
            await sent(url, ca_file=ca_file, proxy=f"http://{place}")
    assert (caught.value.code, received) == ("TlsFailed", [])


async def test_plain_http_which_is_loopback_or_a_metadata_service_goes_by_no_proxy():
    """T17."""
    async with server(whole(JSON)) as (url, _), proxy() as (place, asked):
        assert (await sent(url, proxy=f"http://{place}")).body == JSON
    assert asked == []


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        ("407 Proxy Authentication Required", FatalError, "ProxyRefused"),
        ("403 Forbidden", FatalError, "ProxyRefused"),
        ("502 Bad Gateway", TransientError, "ConnectionFailed"),
    ],
)
async def test_a_proxy_that_opens_no_tunnel_is_named_without_its_password(status, kind, code):
    """T17."""
    async with proxy(whole(b"<html>", status=status)) as (place, asked):
        with pytest.raises(ApiError) as caught:
            await sent("https://fc.example", proxy=f"http://me:canary@{place}")
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert status[:3] in str(caught.value)
    assert "canary" not in str(caught.value)
    assert len(asked) == 1


async def test_a_proxy_that_is_not_there_is_named():
    with pytest.raises(TransientError, match=r"the proxy 127\.0\.0\.1:1; see \[network\] proxy"):
        await sent("https://fc.example", proxy="http://127.0.0.1:1")


def test_tls_is_1_2_or_later_with_names_and_certificates_checked(ca_file):
    """T19."""
    for context in (tls_context(None), tls_context(ca_file)):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(tls_context(ca_file).get_ca_certs()) == 1


async def test_a_connection_that_is_cut_in_its_handshake_is_tried_again():
    async def cut(reader, writer):
        await reader.read(1)
        writer.close()

    listening = await asyncio.start_server(cut, "127.0.0.1", 0)
    with pytest.raises(TransientError):
        await sent(f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/")
    listening.close()


# --- messages ---


CANARY = "canary-3f9a"


@pytest.mark.parametrize(
    "answer", [cut_by_reset, closed_at_once, b"HTTP/1.1 what\r\n\r\n", whole(b"x", "Content-Encoding: br")]
)
async def test_no_error_repeats_the_query_a_header_or_the_answer(answer):
    """T11."""
    async with server(answer) as (url, _):
        with pytest.raises(ApiError) as caught:
            await sent(f"{url}/?token={CANARY}", headers={"x-acs-security-token": CANARY})
    error = caught.value
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert CANARY not in f"{error} {error!r} {error.__dict__}"


def test_neither_request_nor_answer_shows_what_may_be_secret():
    """T10."""
    request = HttpRequest("GET", f"https://h/?t={CANARY}", {"authorization": CANARY}, CANARY.encode())
    response = HttpResponse(200, {"x": CANARY}, json.dumps(CANARY).encode())
    assert CANARY not in repr(request) + repr(response)
