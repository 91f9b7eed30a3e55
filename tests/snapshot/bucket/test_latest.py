"""LATEST in a bucket, request by request (F52): it moves forwards only, by swaps or by turns, with other writers."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from datetime import timedelta

import anyio
import pytest

from crawler.errors import OutputError
from crawler.snapshot.bucket.latest import advance_latest
from crawler.snapshot.layout import LATEST, manifest_path
from crawler.snapshot.object_store import Content, StoredObject
from tests.support.snapshot_fakes import NEW, OLD, START

OLDER, NEWER = "20261119T020000Z-ffff", "20261122T020000Z-0001"


@dataclass
class Place:
    uri: str = "oss://inventory/lake"


class Shelf:
    """A bucket in memory. `asked` has every request, `meanwhile` is called after each read and list, to interfere.

    Objects are as old as `ages` says, in seconds; those that are put now have no age.
    """

    def __init__(
        self, can_swap: bool, latest: str | None = None, manifests: tuple[str, ...] = (OLDER, OLD, NEW, NEWER)
    ):
        self.can_swap = can_swap
        self.place = Place()
        self.objects = {manifest_path(name): b"{}" for name in manifests}
        self.ages: dict[str, float] = {}
        self.asked: list[tuple[str, str]] = []
        self.meanwhile = lambda asked: None
        if latest is not None:
            self.objects[LATEST] = latest.encode("latin-1")

    @property
    def latest(self) -> str:
        return self.objects[LATEST].decode()

    @property
    def turns(self) -> list[str]:
        return sorted(path.rpartition("/")[2] for path in self.objects if path.startswith("_staging/turns/"))

    def announce(self, snapshot_id: str, age_s: float = 0) -> None:
        self.objects[f"_staging/turns/{snapshot_id}"] = b""
        self.ages[f"_staging/turns/{snapshot_id}"] = age_s

    def withdraw(self, snapshot_id: str) -> None:
        del self.objects[f"_staging/turns/{snapshot_id}"]

    async def _note(self, method: str, path: str) -> None:
        self.asked.append((method, path))
        found = self.meanwhile((method, path))
        if inspect.isawaitable(found):
            await found

    async def read(self, path: str) -> Content | None:
        data = self.objects.get(path)
        found = None if data is None else Content(data, f"tag of {data!r}")
        await self._note("read", path)
        return found

    async def put(self, path: str, data: bytes) -> None:
        assert path == LATEST or data == b"", "an announcement says by its name all that it says"
        self.objects[path] = data
        self.ages[path] = 0
        await self._note("put", path)

    async def swap(self, path: str, data: bytes, known: Content | None) -> bool:
        there = self.objects.get(path)
        can = (None if there is None else f"tag of {there!r}") == (None if known is None else known.tag)
        if can:
            self.objects[path] = data
        await self._note("swap", path)
        return can

    async def delete(self, paths: list[str]) -> None:
        for path in paths:
            self.objects.pop(path, None)
            await self._note("delete", path)

    async def list(self, folder: str) -> list[StoredObject]:
        found = [
            StoredObject(path, 0, START - timedelta(seconds=self.ages[path]))
            for path in sorted(self.objects)
            if path.startswith(f"{folder}/")
        ]
        await self._note("list", folder)
        return found

    def count(self, method: str, path: str) -> int:
        return self.asked.count((method, path))


@pytest.fixture
def no_jitter(monkeypatch):
    monkeypatch.setattr("random.random", lambda: 0.5)


# --- both ways ---


@pytest.mark.parametrize("can_swap", [True, False])
@pytest.mark.parametrize("latest", [None, f"{OLD}\n", OLD, f" {OLD}\r\n", "", "no snapshot", "\xff\n", "~\n"])
async def test_an_older_pointer_or_none_or_no_pointer_is_moved(can_swap, latest):
    shelf = Shelf(can_swap, latest)
    await advance_latest(shelf, NEW)
    assert shelf.latest == f"{NEW}\n"
    assert shelf.turns == []


@pytest.mark.parametrize("can_swap", [True, False])
@pytest.mark.parametrize("latest", [NEW, f"{NEWER}\n", NEWER, f"\t{NEWER} \n"])
async def test_a_pointer_to_this_snapshot_or_a_newer_one_is_not_written(can_swap, latest):
    shelf = Shelf(can_swap, latest)
    await advance_latest(shelf, NEW)
    assert shelf.latest == latest
    assert not {("put", LATEST), ("swap", LATEST)} & set(shelf.asked)
    assert shelf.turns == []


@pytest.mark.parametrize("can_swap", [True, False])
async def test_a_newer_pointer_without_its_manifest_is_moved_all_the_same(can_swap):
    shelf = Shelf(can_swap, f"{NEWER}\n", manifests=(OLD, NEW))
    await advance_latest(shelf, NEW)
    assert shelf.latest == f"{NEW}\n"


# --- by swaps ---


async def test_a_swap_that_another_came_before_is_tried_again_until_the_pointer_is_newer():
    shelf = Shelf(True, f"{OLDER}\n")
    moves = [f"{OLD}\n", f"{NEWER}\n"]

    def interfere(asked):
        if asked == ("read", LATEST) and moves:
            shelf.objects[LATEST] = moves.pop(0).encode()

    shelf.meanwhile = interfere
    await advance_latest(shelf, NEW)
    assert shelf.latest == f"{NEWER}\n"
    assert shelf.count("swap", LATEST) == 2
    assert shelf.count("read", LATEST) == 3


async def test_a_pointer_that_changes_all_the_time_is_given_up_after_fifty_swaps_with_a_sentence():
    shelf = Shelf(True)

    def interfere(asked):
        if asked == ("read", LATEST):
            shelf.objects[LATEST] = f"{len(shelf.asked)}".encode()

    shelf.meanwhile = interfere
    with pytest.raises(OutputError) as caught:
        await advance_latest(shelf, NEW)
    expected = "_snapshots/LATEST in oss://inventory/lake keeps changing; check which other program moves it"
    assert str(caught.value) == expected
    assert shelf.count("swap", LATEST) == 50


# --- by turns ---


async def test_alone_its_turn_comes_at_once():
    shelf = Shelf(False, f"{OLD}\n")
    await advance_latest(shelf, NEW)
    own = f"_staging/turns/{NEW}"
    assert shelf.asked == [
        ("put", own),
        ("list", "_staging/turns"),
        ("read", LATEST),
        ("read", manifest_path(OLD)),
        ("put", LATEST),
        ("delete", own),
    ]


@pytest.mark.looptime
async def test_the_older_takes_its_announcement_back_until_the_newer_has_gone(no_jitter):
    shelf = Shelf(False, f"{OLD}\n")
    shelf.announce(OLDER)
    shelf.announce(NEWER)
    seen = []

    def interfere(asked):
        if asked[0] != "list":
            return
        seen.append((round(asyncio.get_running_loop().time(), 3), list(shelf.turns)))
        if len(seen) == 3:
            shelf.objects[LATEST] = f"{NEWER}\n".encode()
            shelf.withdraw(NEWER)
        if len(seen) == 4:
            shelf.withdraw(OLDER)

    shelf.meanwhile = interfere
    began = asyncio.get_running_loop().time()
    task = asyncio.ensure_future(advance_latest(shelf, NEW))
    await asyncio.sleep(0.1)
    assert shelf.turns == [OLDER, NEWER]
    await task
    assert [at - began for at, _ in seen] == pytest.approx([0, 0.3, 0.6, 0.9, 1.2])
    assert [turns for _, turns in seen] == [*[[OLDER, NEW, NEWER]] * 3, [OLDER, NEW], [NEW]]
    assert shelf.latest == f"{NEWER}\n"
    assert shelf.turns == []


@pytest.mark.looptime
async def test_the_newer_keeps_its_announcement_while_it_waits_for_the_older(no_jitter):
    shelf = Shelf(False, f"{OLDER}\n")
    shelf.announce(OLD)
    task = asyncio.ensure_future(advance_latest(shelf, NEW))
    await asyncio.sleep(0.4)
    assert shelf.turns == [OLD, NEW]
    assert shelf.count("put", f"_staging/turns/{NEW}") == 2
    assert shelf.count("delete", f"_staging/turns/{NEW}") == 0
    assert shelf.latest == f"{OLDER}\n"
    shelf.withdraw(OLD)
    await task
    assert (shelf.latest, shelf.turns) == (f"{NEW}\n", [])


@pytest.mark.looptime
@pytest.mark.parametrize(("chance", "wait_s"), [(0.0, 0.2), (0.25, 0.25), (0.999, 0.4)])
async def test_rounds_are_a_fifth_to_two_fifths_of_a_second_apart(monkeypatch, chance, wait_s):
    monkeypatch.setattr("random.random", lambda: chance)
    shelf = Shelf(False)
    shelf.announce(OLD)
    began = asyncio.get_running_loop().time()
    shelf.meanwhile = lambda asked: shelf.withdraw(OLD) if asked[0] == "list" and OLD in shelf.turns else None
    await advance_latest(shelf, NEW)
    assert asyncio.get_running_loop().time() - began == pytest.approx(wait_s, abs=0.002)


@pytest.mark.looptime
async def test_an_announcement_of_three_minutes_is_alive_and_one_of_more_is_dead_and_removed(no_jitter):
    shelf = Shelf(False)
    shelf.announce(OLDER, age_s=180)
    shelf.announce(OLD, age_s=180.001)
    shelf.announce(NEWER, age_s=10_000)
    task = asyncio.ensure_future(advance_latest(shelf, NEW))
    await asyncio.sleep(1)
    assert shelf.turns == [OLDER, NEW]
    assert LATEST not in shelf.objects
    shelf.withdraw(OLDER)
    await task
    assert shelf.latest == f"{NEW}\n"


@pytest.mark.looptime
async def test_ones_own_announcement_is_never_taken_for_a_dead_ones(no_jitter):
    """It looks like one where its process was stopped for minutes after it."""
    shelf = Shelf(False)
    shelf.announce(OLD)

    def interfere(asked):
        if asked == ("put", f"_staging/turns/{NEW}"):
            shelf.ages[asked[1]] = 200

    shelf.meanwhile = interfere
    task = asyncio.ensure_future(advance_latest(shelf, NEW))
    await asyncio.sleep(0.1)
    assert shelf.turns == [OLD, NEW]
    shelf.withdraw(OLD)
    await task
    assert shelf.count("delete", f"_staging/turns/{NEW}") == 1


async def test_who_was_taken_for_dead_meanwhile_and_sees_no_other_announcement_moves_the_pointer():
    shelf = Shelf(False, f"{OLD}\n")
    shelf.meanwhile = lambda asked: shelf.withdraw(NEW) if asked == ("put", f"_staging/turns/{NEW}") else None
    await advance_latest(shelf, NEW)
    assert shelf.latest == f"{NEW}\n"


@pytest.mark.parametrize("method", ["list", "read", "put"])
async def test_whatever_fails_the_announcement_is_taken_back(method):
    shelf = Shelf(False)

    def interfere(asked):
        if asked[0] == method:
            raise OutputError("no")

    shelf.meanwhile = interfere
    with pytest.raises(OutputError, match="no"):
        await advance_latest(shelf, NEW)
    assert shelf.turns == []


@pytest.mark.looptime
async def test_who_is_cancelled_takes_the_announcement_back():
    shelf = Shelf(False)
    shelf.announce(OLD)

    async def interfere(asked):
        if asked[0] == "delete":
            await anyio.sleep(0.01)
            shelf.asked.append(("deleted", asked[1]))

    shelf.meanwhile = interfere
    with anyio.move_on_after(0.1) as scope:
        await advance_latest(shelf, NEW)
    assert scope.cancelled_caught
    assert shelf.turns == [OLD]
    assert shelf.asked[-1] == ("deleted", f"_staging/turns/{NEW}")
