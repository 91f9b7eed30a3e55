"""Lookups of names that are never answered, late, shared and refused: each holds up nobody but itself."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter

import pytest

from crawler.client.name_lookup import NameLookup, system_lookup
from crawler.client.transport import HttpRequest, Transport
from crawler.errors import TransientError

ADDRESS = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))]


class Names:
    """A resolver of the system in which names that begin with "dead" aren't answered until `answer`."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.answer = threading.Event()
        self.threads: set[str] = set()

    def __call__(self, host: str, port: int, family: int):
        self.asked[host] += 1
        self.threads.add(threading.current_thread().name)
        if host.startswith("dead"):
            self.answer.wait(20)
        if host.startswith("unknown"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ADDRESS


@pytest.fixture
def names():
    found = Names()
    yield found
    found.answer.set()


async def found(lookup: NameLookup, host: str) -> list[str]:
    return [each["host"] for each in await lookup.resolve(host, 443, socket.AF_UNSPEC)]


async def test_names_that_are_not_answered_hold_up_no_other(names):
    """F85: far more of them than an event loop has threads for lookups."""
    lookup = NameLookup(64, look_up=names, patience_s=0.05)
    dead = [asyncio.create_task(found(lookup, f"dead{n}")) for n in range(40)]
    await asyncio.sleep(0)
    assert await found(lookup, "alive") == ["127.0.0.1"]
    outcomes = await asyncio.gather(*dead, return_exceptions=True)
    assert {type(each) for each in outcomes} == {OSError}
    assert await found(lookup, "other") == ["127.0.0.1"]


async def test_a_name_is_looked_up_once_however_often_it_is_asked_for(names):
    """F85: a lookup that was given up goes on, and the next request waits for the same one."""
    lookup = NameLookup(4, look_up=names, patience_s=0.02)
    for _ in range(3):
        outcomes = await asyncio.gather(*(found(lookup, "dead") for _ in range(5)), return_exceptions=True)
        assert {type(each) for each in outcomes} == {OSError}
    assert names.asked == {"dead": 1}


async def test_an_answer_that_comes_late_is_taken_by_the_next_request(names):
    """F85: a resolver whose first server is down needs longer than a request waits."""
    lookup = NameLookup(4, look_up=names, patience_s=0.02)
    with pytest.raises(OSError, match="isn't answered"):
        await found(lookup, "dead")
    names.answer.set()
    [pending] = lookup._lookups.values()
    await asyncio.wait_for(pending.ended.wait(), 5)
    assert await found(lookup, "dead") == ["127.0.0.1"]
    assert names.asked == {"dead": 1}


async def test_a_late_answer_is_not_kept_for_long(names, monkeypatch):
    """F85: an old address may belong to another host by now."""
    lookup = NameLookup(4, look_up=names, patience_s=0.02)
    with pytest.raises(OSError, match="isn't answered"):
        await found(lookup, "dead")
    names.answer.set()
    [pending] = lookup._lookups.values()
    await asyncio.wait_for(pending.ended.wait(), 5)
    pending.ended_at -= 61
    assert await found(lookup, "dead") == ["127.0.0.1"]
    assert names.asked == {"dead": 2}


async def test_a_failure_is_not_kept(names):
    """F18: a name may be known a moment later."""
    lookup = NameLookup(4, look_up=names)
    for _ in range(2):
        with pytest.raises(OSError, match="Name or service not known"):
            await found(lookup, "unknown")
    assert names.asked == {"unknown": 2}
    assert not lookup._lookups


async def test_lookups_in_progress_are_bounded_and_a_place_comes_back(names):
    """F85: where all places are taken, a name waits; when a lookup ends, its place is free."""
    lookup = NameLookup(2, look_up=names, patience_s=0.05)
    outcomes = await asyncio.gather(*(found(lookup, f"dead{n}") for n in range(5)), return_exceptions=True)
    assert {type(each) for each in outcomes} == {OSError}
    assert len(names.asked) == 2
    names.answer.set()
    assert await found(lookup, "dead4") == ["127.0.0.1"]


async def test_no_thread_that_can_be_started_is_a_failure_of_the_name(names, monkeypatch):
    lookup = NameLookup(1, look_up=names)

    def refuse(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OSError, match="no thread"):
            await found(lookup, "alive")
    assert await found(lookup, "alive") == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["x" * 64 + ".example", "..", "a..b"])
async def test_a_name_that_cannot_be_one_is_a_failure_of_the_name(host):
    with pytest.raises(OSError, match=r"name|looked up"):
        await found(NameLookup(1), host)


def test_a_lookup_in_progress_does_not_delay_the_end(names):
    """P10: the threads are daemons, and a loop that is closed takes no answer."""

    async def main():
        with pytest.raises(OSError, match="isn't answered"):
            await found(NameLookup(1, look_up=names, patience_s=0.01), "dead")

    asyncio.run(main())
    [thread] = [each for each in threading.enumerate() if each.name == "name-lookup"]
    assert thread.daemon
    names.answer.set()
    thread.join(5)
    assert not thread.is_alive()


async def test_a_name_without_addresses_is_a_failure():
    with pytest.raises(OSError, match="no address"):
        await found(NameLookup(1, look_up=lambda *_: []), "empty")


async def test_a_scoped_address_keeps_its_interface():
    def scoped(host, port, family):
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", port, 0, 3))]

    [result] = await NameLookup(1, look_up=scoped).resolve("near", 443, socket.AF_UNSPEC)
    assert (result["host"], result["port"], result["family"]) == ("fe80::1%3", 443, socket.AF_INET6)


def test_the_name_of_this_machine_is_found_where_the_system_has_it():
    """F85: /etc/hosts counts, as for every other program."""
    assert {info[4][0] for info in system_lookup("localhost", 80, socket.AF_UNSPEC)} <= {"127.0.0.1", "::1"}


async def test_the_transport_looks_names_up_by_it(monkeypatch):
    """F85: a lookup that isn't answered is an error of its own, which another attempt may help."""
    monkeypatch.setattr("crawler.client.name_lookup.PATIENCE_S", 0.05)
    blocked = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: blocked.wait(20) and [])
    async with Transport(connections=1, max_page_bytes=1 << 20) as transport:
        with pytest.raises(TransientError, match="DnsFailed"):
            await transport.send(HttpRequest("GET", "http://dead.example/", {}, timeout_s=20.0))
    blocked.set()
