"""Bodies on many connections at once: only a few may be large, and a place is given back whatever happens."""

from __future__ import annotations

import gzip

import anyio
import pytest

from crawler.client.response_body import LARGE_AT_ONCE, LARGE_BYTES, BodyReader
from crawler.errors import ApiError, FatalError

MAX = 4 * LARGE_BYTES
PIECE = b"x" * (LARGE_BYTES // 4)


class Bodies:
    """Bodies that arrive piece by piece. `most` is the largest number that were large at once."""

    def __init__(self) -> None:
        self.reader = BodyReader()
        self.large = self.most = 0

    async def chunks(self, pieces, error=None):
        for number, piece in enumerate(pieces):
            if number == 4:  # more is read only with a place
                self.large += 1
                self.most = max(self.most, self.large)
            yield piece
            await anyio.lowlevel.checkpoint()
        if len(pieces) > 4:
            self.large -= 1
        if error is not None:
            raise error


async def test_only_a_few_bodies_are_large_at_once():
    """T46, P11: sixty-four connections must not hold sixty-four of the largest pages."""
    bodies, sizes = Bodies(), []

    async def one(number):
        body = await bodies.reader.read(bodies.chunks([PIECE] * (4 + number % 12)), "", MAX)
        sizes.append(len(body))

    async with anyio.create_task_group() as tasks:
        for number in range(64):
            tasks.start_soon(one, number)
    assert bodies.most == LARGE_AT_ONCE
    assert sorted(sizes) == sorted(len(PIECE) * (4 + number % 12) for number in range(64))


async def test_a_small_body_waits_for_none():
    """T46."""
    bodies, done = Bodies(), anyio.Event()

    async def large():
        async def held():
            for _ in range(5):
                yield PIECE
            await done.wait()

        await bodies.reader.read(held(), "", MAX)

    async with anyio.create_task_group() as tasks:
        for _ in range(3 * LARGE_AT_ONCE):
            tasks.start_soon(large)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        with anyio.fail_after(5):
            assert await bodies.reader.read(bodies.chunks([b"{}"]), "", MAX) == b"{}"
        done.set()


@pytest.mark.parametrize("failure", ["cancelled", "broken", "too large", "damaged"])
async def test_a_place_is_given_back_whatever_ends_its_body(failure):
    """T46."""
    bodies = Bodies()
    for _ in range(2 * LARGE_AT_ONCE):
        with anyio.CancelScope() as scope:
            chunks, encoding = bodies.chunks([PIECE] * 5, OSError("broken")), ""
            if failure == "cancelled":

                async def cancelling(scope=scope):
                    for _ in range(5):
                        yield PIECE
                    scope.cancel()
                    await anyio.sleep_forever()

                chunks = cancelling()
            elif failure == "too large":
                chunks = bodies.chunks([PIECE] * 20)
            elif failure == "damaged":
                encoding, whole = "gzip", gzip.compress(b"x" * 2 * LARGE_BYTES)
                chunks = bodies.chunks([whole, b"more"])
            with pytest.raises((OSError, ApiError, anyio.get_cancelled_exc_class())):
                await bodies.reader.read(chunks, encoding, MAX)
            await anyio.lowlevel.checkpoint()
    with anyio.fail_after(5):
        assert len(await bodies.reader.read(bodies.chunks([PIECE] * 8), "", MAX)) == 8 * len(PIECE)


async def test_a_compressed_body_is_bounded_before_it_is_decompressed():
    """T20."""
    bomb = gzip.compress(bytes(64 * LARGE_BYTES))
    with pytest.raises(FatalError, match=f"TooLarge: The answer is larger than {MAX} bytes"):
        await BodyReader().read(Bodies().chunks([bomb]), "gzip", MAX)
