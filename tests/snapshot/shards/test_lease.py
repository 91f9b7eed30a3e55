"""F114, F115: two attempts are never at work at a time, whatever clocks, stores and processes do."""

from __future__ import annotations

import asyncio
import json
import random
import time

import anyio
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.errors import ExitCode, LeaseLostError, OutputBusyError, OutputError
from crawler.snapshot.layout import JOIN_ROLE, MOST_ATTEMPTS, PLAN_ROLE, joined_path, lease_path, shard_role
from crawler.snapshot.limits import LEASE_BYTES
from crawler.snapshot.shards.lease import Lease, LeaseRecord, boot_s, end_lease, newest_leases, read_lease
from crawler.testing import FakeClock, LoopClock
from tests.support.examples import examples
from tests.support.run_places import FOLDER, MemoryStore, joined

ROLE = shard_role(7)
WHAT = "shard 7 of 32"


async def acquire(store, clock, role=ROLE, **more):
    return await Lease.acquire(store, FOLDER, role, clock, WHAT, boottime=clock.monotonic, **more)


async def newest(store, role=ROLE):
    found = newest_leases(await store.list(FOLDER))
    return await read_lease(store, role, *found[role])


async def test_first_attempt_begins_at_once_and_says_who_it_is(any_place):
    clock = FakeClock()
    lease = await acquire(any_place.store, clock)
    assert (lease.attempt, lease.is_valid(), clock.slept) == (1, True, [])
    found = await newest(any_place.store)
    assert (found.path, found.role, found.attempt, found.is_over) == (f"{FOLDER}/s00007-a001.lease", ROLE, 1, False)
    record = msgspec.json.decode(found.data)
    assert record.keys() == {"role", "attempt", "host", "pid", "token", "renewal", "is_over", "figures"}
    assert found.holder == f"process {record['pid']} on {record['host']} (attempt 1)"


async def test_lease_that_is_marked_over_frees_at_once_and_numbers_never_repeat(any_place):
    clock = FakeClock()
    for attempt in range(1, 6):
        lease = await acquire(any_place.store, clock)
        assert lease.attempt == attempt
        await lease.release()
        assert not lease.is_valid()
        await lease.release()
    assert clock.slept == []
    assert len(newest_leases(await any_place.store.list(FOLDER))) == 1
    assert len(await any_place.store.list(FOLDER)) == 5, "the leases stay"


async def test_roles_have_leases_of_their_own(any_place):
    clock = FakeClock()
    leases = [await acquire(any_place.store, clock, role) for role in (ROLE, shard_role(8), PLAN_ROLE, JOIN_ROLE)]
    assert [lease.attempt for lease in leases] == [1, 1, 1, 1]


async def test_of_many_contenders_one_begins(any_place):
    begun, busy, clock = [], [], FakeClock()

    async def sleep(duration_s):
        raise OutputBusyError("it would wait")

    clock.sleep = sleep

    async def contend():
        try:
            begun.append(await acquire(any_place.store, clock))
        except OutputBusyError as error:
            busy.append(str(error))

    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(contend)
    assert [lease.attempt for lease in begun] == [1]
    assert len(busy) == 5, "who came later would watch the lease of the first"


async def test_contender_waits_until_the_lease_is_a_minute_old(place):
    clock = place.clock()
    held = await acquire(place.store, clock)
    clock.advance(20)
    before = clock.monotonic()
    told = []
    second = await acquire(place.store, clock, on_wait=lambda holder, seconds: told.append((holder, round(seconds))))
    assert second.attempt == 2
    [(holder, seconds)] = told
    assert holder.endswith("(attempt 1)")
    assert 25 < seconds <= 40
    assert 25 < clock.monotonic() - before < 46, "of which the test itself takes a moment"
    assert clock.monotonic() > 45
    assert not held.is_valid()
    assert second.is_valid()


async def test_lease_of_yesterday_is_taken_over_at_once(place):
    clock = place.clock()
    await acquire(place.store, clock)
    clock.advance(86400)
    assert (await acquire(place.store, clock, on_wait=pytest.fail)).attempt == 2
    assert clock.slept == []


async def test_contender_ends_when_the_lease_is_renewed_meanwhile(place):
    clock = place.clock()
    held = await acquire(place.store, clock)
    clock.advance(10)
    sleep, slept = clock.sleep, []

    async def sleep_and_renew(duration_s):
        await sleep(duration_s)
        slept.append(duration_s)
        if len(slept) == 2:
            await held._renew({})

    clock.sleep = sleep_and_renew
    with pytest.raises(
        OutputBusyError, match=r"shard 7 of 32 is in the hands of process \d+ on .* \(attempt 1\)"
    ) as told:
        await acquire(place.store, clock)
    assert told.value.exit_code == ExitCode.OUTPUT_BUSY
    assert sum(slept) == 10
    assert held.is_valid()


async def test_contender_goes_on_when_the_lease_is_given_back_meanwhile(place):
    clock = place.clock()
    held = await acquire(place.store, clock)
    sleep = clock.sleep

    async def sleep_and_release(duration_s):
        await sleep(duration_s)
        await held.release()

    clock.sleep = sleep_and_release
    assert (await acquire(place.store, clock)).attempt == 2
    assert clock.monotonic() <= 5


@pytest.mark.parametrize("hours", [-5, 5])
async def test_clock_of_this_machine_has_no_part_in_it(place, hours):
    """The store's clock is hours off, and so is what this machine takes for the time."""
    clock = place.clock()
    place.pass_time(hours * 3600)
    held = await acquire(place.store, clock)
    second = await acquire(place.store, clock)
    assert second.attempt == 2
    assert 45 < clock.monotonic() < 66, "of which the test itself takes a moment"
    assert not held.is_valid()


async def test_lease_from_the_future_is_watched_for_a_minute(place):
    """The store's clock was set back, as that of a machine with a local output may be."""
    clock = place.clock()
    await acquire(place.store, clock)
    place.pass_time(-3 * 3600)
    assert (await acquire(place.store, clock)).attempt == 2
    assert 45 < clock.monotonic() < 66, "of which the test itself takes a moment"


# --- the holder --------------------------------------------------------------------------------------------------


async def test_holder_that_stops_renewing_is_fenced_after_45_seconds():
    clock = FakeClock()
    lease = await acquire(MemoryStore(clock), clock)
    clock.advance(44.9)
    lease.check()
    clock.advance(0.1)
    assert not lease.is_valid()
    with pytest.raises(
        LeaseLostError, match=r"the lease of shard 7 of 32 \(attempt 1\) is lost: it wasn't renewed for 45 s"
    ) as told:
        lease.check()
    assert told.value.exit_code == ExitCode.OUTPUT_BUSY


async def test_holder_renews_every_15_seconds_with_its_figures():
    clock = FakeClock()
    store = MemoryStore(clock)
    lease = await acquire(store, clock)
    seen = []

    def figures():
        seen.append(clock.monotonic())
        if len(seen) == 5:
            raise asyncio.CancelledError
        return {"scopes_done": len(seen), "state": "reading"}

    with pytest.raises(asyncio.CancelledError):
        await lease.keep(figures)
    assert seen == [15, 30, 45, 60, 75]
    assert lease.is_valid()
    record = (await newest(store)).record
    assert (record.renewal, record.figures) == (4, {"scopes_done": 4, "state": "reading"})


@pytest.mark.looptime
@pytest.mark.parametrize("kind", ["error", "hangs"])
async def test_holder_whose_store_fails_tries_again_until_it_is_fenced(kind):
    clock = LoopClock()
    store = MemoryStore(clock)
    lease = await acquire(store, clock)
    began, asked = clock.monotonic(), []

    async def fail(path, data):
        asked.append(clock.monotonic() - began)
        if kind == "hangs":
            await asyncio.sleep(1000)
        raise OutputError("can't write it: no space")

    store.put = fail
    reason = "can't write it: no space" if kind == "error" else "the output didn't answer for 10 s"
    with pytest.raises(LeaseLostError, match=f"is lost: {reason}"):
        await lease.keep(dict)
    assert clock.monotonic() - began == pytest.approx(45, abs=0.01 if kind == "error" else 10)
    assert len(asked) >= (10 if kind == "error" else 3)
    assert not lease.is_valid()


@pytest.mark.looptime
async def test_holder_that_could_renew_again_in_time_goes_on():
    clock = LoopClock()
    store = MemoryStore(clock)
    lease = await acquire(store, clock)
    began, put = clock.monotonic(), store.put

    async def fail(path, data):
        if 10 < clock.monotonic() - began < 40:
            raise OutputError("can't write it")
        await put(path, data)

    store.put = fail
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(300):
            await lease.keep(dict)
    assert lease.is_valid()


async def test_renewal_that_arrives_after_the_end_doesnt_revive_a_lease():
    """Another attempt may have begun before the renewal was carried out, and nobody has seen it."""
    clock = FakeClock()
    store = MemoryStore(clock)
    lease = await acquire(store, clock)
    clock.advance(44)
    put = store.put

    async def late(path, data):
        clock.advance(20)
        await put(path, data)

    store.put = late
    await lease._renew({})
    assert not lease.is_valid()
    with pytest.raises(LeaseLostError):
        lease.check()


async def test_time_counts_from_when_a_renewal_was_sent():
    clock = FakeClock()
    store = MemoryStore(clock)
    lease = await acquire(store, clock)
    clock.advance(15)
    put = store.put

    async def slow(path, data):
        await put(path, data)
        clock.advance(9)

    store.put = slow
    await lease._renew({})
    clock.advance(35)
    assert lease.is_valid()
    clock.advance(1)
    assert not lease.is_valid()


async def test_lease_that_was_lost_stays_lost_and_isnt_touched_by_its_release(place):
    clock = place.clock()
    lease = await acquire(place.store, clock)
    clock.advance(45)
    with pytest.raises(LeaseLostError):
        await lease.keep(dict)
    await lease.release()
    found = await newest(place.store)
    assert (found.record.renewal, found.is_over) == (0, False)


async def test_machine_that_stood_still_learns_of_it_by_its_next_renewal(place):
    """All clocks of a paused virtual machine stand still, so that the lease looks valid from inside."""
    clock, stopped = place.clock(), FakeClock()
    zombie = await acquire(place.store, stopped)
    second = await acquire(place.store, clock)
    assert second.attempt == 2
    assert zombie.is_valid(), "as far as it knows"
    with pytest.raises(LeaseLostError, match="attempt 2 has begun"):
        await zombie.keep(dict)
    assert stopped.monotonic() == 15
    assert second.is_valid()


@pytest.mark.parametrize(("role", "goes_on"), [(ROLE, False), (PLAN_ROLE, False), (JOIN_ROLE, True)])
async def test_attempt_ends_when_its_run_is_joined(place, role, goes_on):
    clock = FakeClock()
    lease = await acquire(place.store, clock, role)
    await place.store.put(joined_path(FOLDER), joined())
    await lease._renew({})
    assert lease.is_valid() == goes_on
    if not goes_on:
        with pytest.raises(LeaseLostError, match="the run has been joined"):
            lease.check()


async def test_acquisition_that_took_too_long_is_no_lease():
    clock = FakeClock()
    store = MemoryStore(clock)
    create = store.create

    async def slow(path, data):
        clock.advance(46)
        return await create(path, data)

    store.create = slow
    with pytest.raises(LeaseLostError):
        await acquire(store, clock)


def test_clock_of_the_holder_goes_on_while_the_machine_sleeps():
    assert boot_s() == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=1)


@given(
    st.dictionaries(
        st.text(st.characters(), max_size=300),
        st.integers() | st.just(10**400) | st.floats() | st.text(st.characters(), max_size=500),
        max_size=60,
    )
)
@settings(max_examples=examples(100))
def test_figures_are_bounded(figures):
    async def renew():
        clock = FakeClock()
        store = MemoryStore(clock)
        lease = await acquire(store, clock)
        await lease._renew(figures)
        return await newest(store)

    found = asyncio.run(renew())
    assert found.record is not None, "another process can read it"
    assert len(found.data) < LEASE_BYTES
    for name, value in found.record.figures.items():
        assert len(name) <= 200
        assert len(value) <= 200 if isinstance(value, str) else abs(value) < 2**63


# --- the word of others ------------------------------------------------------------------------------------------


async def test_lease_of_a_process_that_is_proven_dead_is_ended(any_place):
    clock = FakeClock()
    await acquire(any_place.store, clock)
    await end_lease(any_place.store, FOLDER, ROLE, attempt=2)
    assert not (await newest(any_place.store)).is_over, "that is another attempt"
    await end_lease(any_place.store, FOLDER, ROLE, attempt=1)
    assert (await newest(any_place.store)).is_over
    second = await acquire(any_place.store, clock)
    assert (second.attempt, clock.slept) == (2, [])
    await end_lease(any_place.store, FOLDER, ROLE)
    assert (await newest(any_place.store)).is_over
    await end_lease(any_place.store, FOLDER, shard_role(8))


GARBAGE = {
    "nothing": b"",
    "no JSON": b"\x00\xff" * 50,
    "another document": b"[]",
    "a record of nobody": b"{}",
    "a deep document": b"[" * 5000,
    "too many figures": json.dumps(
        {
            "role": ROLE,
            "attempt": 1,
            "host": "a",
            "pid": 1,
            "token": "",
            "figures": dict.fromkeys(map(str, range(99)), 1),
        }
    ).encode(),
    "a long text": json.dumps({"role": ROLE, "attempt": 1, "host": "a" * 300, "pid": 1, "token": ""}).encode(),
    "a number without end": b'{"role":"s00007","attempt":1,"host":"","pid":' + b"9" * 9000 + b',"token":""}',
    "a large file": bytes(LEASE_BYTES + 1),
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_in_a_lease_counts_by_its_age_alone(place, content):
    """F115"""
    place.write(lease_path(FOLDER, ROLE, 3), content)
    found = await newest(place.store)
    assert (found.record, found.is_over, found.holder) == (None, False, "attempt 3")
    clock = place.clock()
    assert (await acquire(place.store, clock)).attempt == 4
    assert 45 < clock.monotonic() < 66, "of which the test itself takes a moment"


async def test_garbage_in_a_lease_can_be_ended(place):
    place.write(lease_path(FOLDER, ROLE, 3), b"\x00")
    await end_lease(place.store, FOLDER, ROLE)
    assert (await acquire(place.store, FakeClock())).attempt == 4


async def test_texts_of_a_lease_do_nothing_to_a_terminal(place):
    record = LeaseRecord(ROLE, 1, "host\x1b[2J\n", 1, "")
    place.write(lease_path(FOLDER, ROLE, 1), msgspec.json.encode(record))
    assert (await newest(place.store)).holder == r"process 1 on host\x1b[2J\n (attempt 1)"


async def test_last_attempt_has_no_next_one(place):
    place.write(lease_path(FOLDER, ROLE, MOST_ATTEMPTS), b"")
    await end_lease(place.store, FOLDER, ROLE)
    with pytest.raises(OutputError, match="an attempt has the number 1 to 4,095, not 4,096"):
        await acquire(place.store, FakeClock())


# --- all of it together ------------------------------------------------------------------------------------------


class World:
    """Processes that begin, stop, stand still and die, over a store that is slow and fails; nobody's clock is right."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.clock = LoopClock()
        self.store = MemoryStore(
            self.clock, self.dice.uniform(-1e5, 1e5), self.dice, slow_s=self.dice.choice([0.1, 2.0, 9.0])
        )
        self.at_work = {}
        self.begun = []
        self.most_at_once = 0

    async def process(self, number):
        """Come again and again; use the lease while it says so."""
        while True:
            await self.clock.sleep(self.dice.uniform(0, 40))
            try:
                lease = await acquire(self.store, self.clock)
            except OutputBusyError:
                continue
            self.begun.append(lease.attempt)
            await self.work(number, lease)

    async def work(self, number, lease):
        fate = self.dice.choice(["dies", "stops", "is stopped for a while", "loses its store", "gives it back"])
        ends_at = self.clock.monotonic() + self.dice.uniform(1, 100)
        keeping = asyncio.ensure_future(lease.keep(dict))
        while self.clock.monotonic() < ends_at and lease.is_valid() and not keeping.done():
            await self.asks(number, lease)
        if fate != "gives it back" or keeping.done():
            keeping.cancel()
        if fate == "is stopped for a while" or fate == "loses its store":
            # Its requests on the way may be carried out much later; then it wakes up and looks at its lease.
            late = asyncio.ensure_future(lease._renew({}))
            await self.clock.sleep(self.dice.uniform(0, 100))
            for _ in range(20):
                await self.asks(number, lease)
            late.cancel()
        elif fate == "gives it back":
            keeping.cancel()
            await lease.release()
        await asyncio.gather(keeping, return_exceptions=True)

    async def asks(self, number, lease):
        """Send a request, if the lease allows it."""
        if lease.is_valid():
            self.at_work[number] = lease
        valid = [one for one in self.at_work.values() if one.is_valid()]
        self.most_at_once = max(self.most_at_once, len(valid))
        assert len({id(one) for one in valid}) <= 1, "two attempts at a time"
        await self.clock.sleep(self.dice.uniform(0, 3))


@pytest.mark.looptime
@pytest.mark.parametrize("seed", range(examples(24)))
async def test_two_attempts_are_never_at_work_at_a_time(seed):
    world = World(seed)
    tasks = [asyncio.ensure_future(world.process(number)) for number in range(4)]
    done, pending = await asyncio.wait(tasks, timeout=1500, return_when=asyncio.FIRST_EXCEPTION)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()
    assert world.most_at_once == 1
    assert world.begun == sorted(set(world.begun)), "numbers never repeat"
    assert len(world.begun) > 5, "and the work goes on"
