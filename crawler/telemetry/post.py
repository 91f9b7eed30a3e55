"""One POST to a monitoring service: three attempts in about 20 s, no redirect, a bound on the answer."""

from __future__ import annotations

from crawler import __version__
from crawler.client.transport import HttpRequest, Transport
from crawler.clock import Clock, SystemClock
from crawler.config import Config
from crawler.errors import ApiError, ConfigError

_TIMEOUT_S = 5.0
_PAUSES_S = (0.0, 1.0, 3.0)
_MAX_ANSWER_BYTES = 64 * 1024


async def post(config: Config, url: str, body: bytes, content_type: str, clock: Clock | None = None) -> str:
    """Send the body to a URL, through the configuration's proxy and authorities. Return why it failed, "" on success.

    The reason has no URL, which may be a secret.
    """
    reason = ""
    try:
        headers = {"User-Agent": f"acs-inventory/{__version__}", "Content-Type": content_type}
        request = HttpRequest("POST", url, headers, body, timeout_s=_TIMEOUT_S)
        async with Transport(
            connections=1,
            max_page_bytes=_MAX_ANSWER_BYTES,
            ca_file=config.tls.ca_file,
            proxy=config.proxy,
        ) as transport:
            for pause_s in _PAUSES_S:
                await (clock or SystemClock()).sleep(pause_s)
                reason, is_final = await _send(transport, request)
                if is_final:
                    break
    except (ConfigError, OSError) as error:
        reason = type(error).__name__
    return reason


async def _send(transport: Transport, request: HttpRequest) -> tuple[str, bool]:
    """Return the reason of a failure, empty on success, and whether a retry is useless."""
    try:
        response = await transport.send(request)
    except ApiError as error:
        return str(error), False
    if 200 <= response.status < 300:
        return "", True
    return f"HTTP status {response.status}", response.status < 500 and response.status != 429
