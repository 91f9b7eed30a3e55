"""Serves the cloud on loopback ports: one for STS, the resource directory and global products, one per region."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from crawler.emulator.apis.operation import GLOBAL_PRODUCTS
from crawler.emulator.cloud import Cloud
from crawler.emulator.server.delivery import deliver
from crawler.emulator.server.gateway import Gateway, Listener
from crawler.emulator.server.request import ReceivedRequest
from crawler.errors import ConfigError

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

# The time that requests in progress have when the cloud is shut down.
SHUTDOWN_S = 0.2


@dataclass(frozen=True, slots=True)
class Emulator:
    """A served cloud. `endpoints`: product → region → URL with port.

    `sts`, `resourcedirectory` and the global products share one URL.
    """

    cloud: Cloud
    endpoints: Mapping[str, Mapping[str, str] | str]

    def url(self, product: str, region_id: str = "") -> str:
        """Return the URL of a product in a region, or of a product without regions."""
        found = self.endpoints[product]
        return found if isinstance(found, str) else found[region_id]


@asynccontextmanager
async def serve(
    cloud: Cloud, *, ssl_context: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Emulator]:
    """Serve a cloud until the context ends; connections that are still open are closed then.

    `port` 0 takes free ports; `port` N takes N for STS and those after it for the regions, in the order of the spec.
    Raises `ConfigError` if it can't listen on a port.
    """
    regions = ("", *cloud.spec.regions)
    sockets = _listen(host, port, len(regions))
    ports = {region: sock.getsockname()[1] for region, sock in zip(regions, sockets, strict=True)}
    listeners = {
        number: Listener(region, frozenset({f"{host}:{number}", f"localhost:{number}"}))
        for region, number in ports.items()
    }
    runner = web.ServerRunner(
        web.Server(_handler(cloud, listeners), access_log=None), handle_signals=False, shutdown_timeout=SHUTDOWN_S
    )
    await runner.setup()
    try:
        for sock in sockets:
            await web.SockSite(runner, sock, ssl_context=ssl_context).start()
        scheme = "http" if ssl_context is None else "https"
        yield Emulator(cloud, _endpoints(cloud, scheme, host, ports))
    finally:
        await runner.cleanup()
        for sock in sockets:
            sock.close()


def _listen(host: str, port: int, count: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        sockets.extend(socket.create_server((host, port + number if port else 0)) for number in range(count))
    except OSError as error:
        for sock in sockets:
            sock.close()
        wanted = f"ports {port} to {port + count - 1}" if port else "free ports"
        raise ConfigError(f"The emulator can't listen on {host}, {wanted}: {error.strerror}.") from None
    return sockets


def _endpoints(cloud: Cloud, scheme: str, host: str, ports: Mapping[str, int]) -> dict[str, Mapping[str, str] | str]:
    urls = {region: f"{scheme}://{host}:{number}" for region, number in ports.items()}
    everywhere = {region: urls[region] for region in cloud.spec.regions}
    products = ("fc", "fc-open", "opensearch", "searchengine", "fcsandbox")
    return {
        **{key: {r: url for r, url in everywhere.items() if cloud.spec.has_product(key, r)} for key in products},
        "sts": urls[""],
        "resourcedirectory": urls[""],
        **dict.fromkeys(GLOBAL_PRODUCTS, urls[""]),
    }


def _handler(cloud: Cloud, listeners: Mapping[int, Listener]) -> Handler:
    gateway = Gateway(cloud)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        if transport is None:
            return web.Response()
        listener = listeners[transport.get_extra_info("sockname")[1]]
        headers = tuple((name.lower(), value) for name, value in request.headers.items())
        received = ReceivedRequest(request.method, request.raw_path, headers, await request.read())
        return await deliver(request, await gateway.handle(received, listener), cloud.clock)

    return handle
