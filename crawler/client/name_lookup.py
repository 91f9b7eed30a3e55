"""Looks up the names of hosts by the system's resolver, each name in a thread of its own.

An event loop's own lookups share a few threads. Names whose servers don't answer would keep these threads busy, and
every other name would wait behind them. The system's resolver is kept because it alone knows /etc/hosts, nsswitch.conf,
the search domains and the split DNS of the machine.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

# So long a request waits for a name. Its lookup goes on, and the next request takes its result.
PATIENCE_S = 10.0
# A result that no request was waiting for is used so long: as long as the connector keeps those that it received.
_KEPT_S = 60.0
_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
# Only addresses of a family that this machine has. Some systems define the flag and refuse it.
_ONLY_USABLE = socket.AI_ADDRCONFIG & getattr(socket, "AI_MASK", socket.AI_ADDRCONFIG)

_Key = tuple[str, int, int]
_Infos = list[tuple[Any, Any, int, str, tuple[Any, ...]]]
LookUp = Callable[[str, int, int], _Infos]


def system_lookup(host: str, port: int, family: int) -> _Infos:
    """Return the addresses of a name as `socket.getaddrinfo` does. Blocks. Raises OSError."""
    return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, _ONLY_USABLE)


class _Lookup:
    """A lookup in progress. `infos` None when it has ended: it failed, for `reason`."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.ended_at = 0.0
        self.waiting = 0
        self.infos: _Infos | None = None
        self.reason = ""


class NameLookup(AbstractResolver):
    """A resolver in which a lookup that isn't answered holds only its own thread.

    At most `most` lookups are in progress, one per name; requests for the same name share it. A request waits at most
    `patience_s` seconds (default: `PATIENCE_S`). The threads are daemons, so that a lookup in progress doesn't delay
    the end of the process.
    """

    def __init__(self, most: int, *, look_up: LookUp = system_lookup, patience_s: float | None = None) -> None:
        self._look_up = look_up
        self._patience_s = PATIENCE_S if patience_s is None else patience_s
        self._loop = asyncio.get_running_loop()
        self._free = asyncio.Semaphore(most)
        self._lookups: dict[_Key, _Lookup] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Raises OSError if it has none, or if no answer came in time."""
        key = host, port, int(family)
        try:
            async with asyncio.timeout(self._patience_s):
                infos = await self._infos(key)
        except TimeoutError:
            raise OSError(None, "the name's lookup isn't answered") from None
        found = [
            _result(host, info) for info in infos if isinstance(info[4][0], str)
        ]  # no numbers: Python without IPv6
        if not found:
            raise OSError(None, "the name has no address")
        return found

    async def close(self) -> None:
        """Forget the lookups. Those in progress end by themselves."""
        self._lookups.clear()

    async def _infos(self, key: _Key) -> _Infos:
        """Wait for the lookup of a name, which is started if none is in progress."""
        lookup = self._lookups.get(key)
        if lookup is None or (lookup.ended.is_set() and self._loop.time() > lookup.ended_at + _KEPT_S):
            lookup = self._lookups[key] = _Lookup()
            await self._start(key, lookup)
        lookup.waiting += 1
        try:
            await lookup.ended.wait()
        finally:
            lookup.waiting -= 1
        if self._lookups.get(key) is lookup:
            del self._lookups[key]
        if lookup.infos is None:
            raise OSError(None, lookup.reason)
        return lookup.infos

    async def _start(self, key: _Key, lookup: _Lookup) -> None:
        """Start the thread of a lookup, when one is free."""
        try:
            await self._free.acquire()
        except BaseException:
            self._end(key, lookup, None, "no lookup was free in time", has_thread=False)
            raise
        try:
            threading.Thread(target=self._run, args=(key, lookup), name="name-lookup", daemon=True).start()
        except RuntimeError:
            self._end(key, lookup, None, "no thread could be started")

    def _run(self, key: _Key, lookup: _Lookup) -> None:
        """Look a name up, in its thread."""
        try:
            outcome: tuple[_Infos | None, str] = (self._look_up(*key), "")
        except (OSError, UnicodeError) as error:  # a label of more than 63 characters is a UnicodeError
            outcome = None, getattr(error, "strerror", None) or "the name can't be looked up"
        try:
            self._loop.call_soon_threadsafe(self._end, key, lookup, *outcome)
        except RuntimeError:  # the loop was closed meanwhile
            return

    def _end(self, key: _Key, lookup: _Lookup, infos: _Infos | None, reason: str, *, has_thread: bool = True) -> None:
        """Record the outcome. Without a request that waits, addresses are kept for the next one, a failure is not."""
        if has_thread:
            self._free.release()
        lookup.infos, lookup.reason, lookup.ended_at = infos, reason, self._loop.time()
        lookup.ended.set()
        if infos is None and not lookup.waiting and self._lookups.get(key) is lookup:
            del self._lookups[key]


def _result(host: str, info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> ResolveResult:
    family, _, proto, _, address = info
    place = str(address[0])
    if family == socket.AF_INET6 and len(address) > 3 and address[3] and "%" not in place:
        place = f"{place}%{address[3]}"  # a link-local address is of one interface
    return ResolveResult(hostname=host, host=place, port=int(address[1]), family=family, proto=proto, flags=_NUMERIC)
