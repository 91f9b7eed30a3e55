"""`crawler.client.credentials.refresh`: one refresh in flight, early, late, and with cancelled callers. F15, F16."""

from __future__ import annotations

import anyio
import pytest

from crawler.client.credentials import Credentials, assumed_role
from crawler.client.credentials.base import StaticProvider
from crawler.client.credentials.metadata import ecs_role
from crawler.errors import CredentialsError, TransientError
from tests.support.credentials_fakes import KEYS, ROLE, FakeCloud

CALLERS = 200


def role_of(cloud: FakeCloud):
    return assumed_role(cloud.outside(), StaticProvider("access_key", KEYS), ROLE)


async def all_at_once(ask, callers: int = CALLERS) -> list[Credentials | str]:
    outcomes: list[Credentials | str] = []

    async def one() -> None:
        try:
            outcomes.append(await ask())
        except CredentialsError as error:
            outcomes.append(str(error))

    async with anyio.create_task_group() as group:
        for _ in range(callers):
            group.start_soon(one)
    return outcomes


async def test_f15_200_callers_at_the_start_make_one_assume_role():
    """F15."""
    cloud = FakeCloud()
    outcomes = await all_at_once(role_of(cloud).get)
    assert len(cloud.asked) == 1
    assert outcomes == [outcomes[0]] * CALLERS
    assert isinstance(outcomes[0], Credentials)


async def test_f15_200_callers_refused_with_the_same_token_make_one_assume_role():
    """F15."""
    cloud = FakeCloud()
    role = role_of(cloud)
    stale = await role.get()
    outcomes = await all_at_once(lambda: role.refresh(stale))
    assert len(cloud.asked) == 2
    assert outcomes == [await role.get()] * CALLERS
    assert outcomes[0] != stale


async def test_a_caller_that_is_refused_late_gets_what_was_fetched_meanwhile():
    cloud = FakeCloud()
    role = role_of(cloud)
    stale = await role.get()
    fresh = await role.refresh(stale)
    assert await role.refresh(stale) == fresh
    assert len(cloud.asked) == 2


async def test_f15_200_callers_after_the_end_make_one_assume_role():
    """F15."""
    cloud = FakeCloud()
    role = role_of(cloud)
    await role.get()
    cloud.clock.advance(3600)
    await all_at_once(role.get)
    assert len(cloud.asked) == 2


@pytest.mark.parametrize(
    ("life_s", "age_s", "requests"), [(3600, 3299, 1), (3600, 3301, 2), (900, 719, 1), (900, 721, 2), (3600, 3700, 2)]
)
async def test_renewal_begins_with_a_fifth_of_the_life_or_300_s_left(life_s, age_s, requests):
    cloud = FakeCloud(life_s=life_s)
    role = role_of(cloud)
    first = await role.get()
    cloud.clock.advance(age_s)
    second = await role.get()
    assert len(cloud.asked) == requests
    assert (second == first) == (requests == 1)


async def test_nobody_waits_for_an_early_renewal_but_the_one_who_makes_it():
    cloud = FakeCloud()
    role = role_of(cloud)
    old = await role.get()
    cloud.clock.advance(3400)
    cloud.gate = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(role.get)
        await anyio.wait_all_tasks_blocked()
        for _ in range(2):
            with anyio.fail_after(1):
                assert await role.get() == old
            cloud.clock.advance(40)
        cloud.gate.set()
    assert await role.get() != old
    assert len(cloud.asked) == 2


async def test_a_failed_early_renewal_keeps_the_old_ones_and_tries_again_later():
    cloud = FakeCloud()
    role = role_of(cloud)
    old = await role.get()
    cloud.clock.advance(3400)
    cloud.errors = [TransientError("ServiceUnavailable", "")]
    assert await role.get() == old
    cloud.clock.advance(29)
    assert await role.get() == old
    assert len(cloud.asked) == 2
    cloud.clock.advance(2)
    assert await role.get() != old
    assert len(cloud.asked) == 3


async def test_a_failure_after_the_end_reaches_every_waiting_caller_from_one_request():
    cloud = FakeCloud()
    role = role_of(cloud)
    await role.get()
    cloud.clock.advance(3601)
    cloud.errors = [TransientError("ServiceUnavailable", "")]
    outcomes = await all_at_once(role.get)
    assert len(cloud.asked) == 2
    assert len(set(outcomes)) == 1
    assert "ServiceUnavailable" in str(outcomes[0])


async def test_a_failure_answers_for_five_seconds_and_then_it_is_tried_again():
    cloud = FakeCloud(errors=[TransientError("ServiceUnavailable", "")])
    role = role_of(cloud)
    for _ in range(3):
        with pytest.raises(CredentialsError, match="ServiceUnavailable"):
            await role.get()
    assert len(cloud.asked) == 1
    cloud.clock.advance(6)
    assert (await role.get()).security_token
    assert len(cloud.asked) == 2


async def test_refused_credentials_are_not_handed_out_again_when_the_refresh_fails():
    cloud = FakeCloud()
    role = role_of(cloud)
    stale = await role.get()
    cloud.errors = [TransientError("ServiceUnavailable", "")]
    for ask in (lambda: role.refresh(stale), role.get):
        with pytest.raises(CredentialsError, match="ServiceUnavailable"):
            await ask()
    cloud.clock.advance(6)
    assert await role.get() != stale


async def test_a_failed_early_renewal_does_not_keep_what_was_refused_meanwhile():
    cloud = FakeCloud()
    role = role_of(cloud)
    old = await role.get()
    cloud.clock.advance(3400)
    cloud.gate, cloud.errors = anyio.Event(), [TransientError("ServiceUnavailable", "")]
    outcomes: list[Credentials | str] = []

    async def note(ask) -> None:
        outcomes.extend(await all_at_once(ask, 1))

    async with anyio.create_task_group() as group:
        group.start_soon(note, role.get)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(note, lambda: role.refresh(old))
        await anyio.wait_all_tasks_blocked()
        cloud.gate.set()
    assert len(cloud.asked) == 2
    assert ["ServiceUnavailable" in str(outcome) for outcome in outcomes] == [True, True]


@pytest.mark.parametrize("held", [False, True])
async def test_the_first_caller_s_cancellation_leaves_the_others_served(held):
    cloud = FakeCloud(gate=anyio.Event())
    role = role_of(cloud)
    if held:
        cloud.gate.set()
        await role.get()
        cloud.clock.advance(3601)
        cloud.gate = anyio.Event()
    before = len(cloud.asked)
    first = anyio.CancelScope()
    outcomes: list[Credentials] = []

    async def cancelled() -> None:
        with first:
            outcomes.append(await role.get())

    async def patient() -> None:
        outcomes.append(await role.get())

    async with anyio.create_task_group() as group:
        group.start_soon(cancelled)
        await anyio.wait_all_tasks_blocked()
        for _ in range(CALLERS - 1):
            group.start_soon(patient)
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        await anyio.wait_all_tasks_blocked()
        cloud.gate.set()
    assert len(outcomes) == CALLERS - 1
    assert len(set(outcomes)) == 1
    assert len(cloud.asked) - before == 2


async def test_a_waiting_caller_s_cancellation_disturbs_nobody():
    cloud = FakeCloud(gate=anyio.Event())
    role = role_of(cloud)
    waiting = anyio.CancelScope()
    outcomes: list[Credentials] = []

    async def cancelled() -> None:
        with waiting:
            await role.get()

    async def patient() -> None:
        outcomes.append(await role.get())

    async with anyio.create_task_group() as group:
        group.start_soon(patient)
        group.start_soon(cancelled)
        group.start_soon(patient)
        await anyio.wait_all_tasks_blocked()
        waiting.cancel()
        cloud.gate.set()
    assert len(outcomes) == 2
    assert len(cloud.asked) == 1


async def test_f14_a_wall_clock_that_steps_back_neither_shortens_nor_prolongs_a_life():
    """F14."""
    cloud = FakeCloud()
    role = role_of(cloud)
    old = await role.get()
    cloud.clock.skew_s = -3600.0
    cloud.clock.advance(3200)
    assert await role.get() == old
    cloud.clock.advance(401)
    assert await role.get() != old


async def test_a_clock_that_is_hours_ahead_does_not_ask_sts_at_every_call():
    cloud = FakeCloud(life_s=-7200)
    role = role_of(cloud)
    for _ in range(10):
        await role.get()
    assert len(cloud.asked) == 1
    cloud.clock.advance(61)
    await role.get()
    assert len(cloud.asked) == 2


async def test_metadata_that_has_not_rotated_is_not_asked_again_at_every_call():
    cloud = FakeCloud(rotates=False)
    instance = ecs_role(cloud.outside(), "r")
    old = await instance.get()
    cloud.clock.advance(3400)
    cloud.life_s = 200
    for _ in range(5):
        assert await instance.get() == old
    assert len(cloud.fetched) == 4


async def test_credentials_that_come_again_after_their_refusal_are_an_error():
    cloud = FakeCloud(rotates=False)
    instance = ecs_role(cloud.outside(), "r")
    stale = await instance.get()
    outcomes = await all_at_once(lambda: instance.refresh(stale), 20)
    assert len(cloud.fetched) == 4
    assert all("still hands out" in str(outcome) for outcome in outcomes)


async def test_f16_static_keys_say_at_once_that_they_cannot_be_renewed():
    """F16."""
    temporary = Credentials("STS.FakeFakeFake0001", "secret", "token")
    with pytest.raises(CredentialsError, match="security token has expired"):
        await StaticProvider("sts", temporary).refresh(temporary)
    with pytest.raises(CredentialsError, match="access key was refused"):
        await StaticProvider("access_key", KEYS).refresh(KEYS)


async def test_ready_gives_what_get_would_give_without_waiting():
    cloud = FakeCloud(life_s=3600)
    role = role_of(cloud)
    assert role.ready() is None
    first = await role.get()
    assert role.ready() == first
    cloud.clock.advance(3600 - 299)
    assert role.ready() is None, "a renewal is due, and someone has to begin it"
    cloud.gate = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(role.get)
        await anyio.wait_all_tasks_blocked()
        assert role.ready() == first, "while it is renewed the old one is good"
        cloud.gate.set()
    second = role.ready()
    assert second not in {None, first}
    assert len(cloud.asked) == 2


async def test_what_was_refused_is_not_ready():
    cloud = FakeCloud()
    role = role_of(cloud)
    stale = await role.get()
    cloud.gate = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(role.refresh, stale)
        await anyio.wait_all_tasks_blocked()
        assert role.ready() is None
        cloud.gate.set()
    assert role.ready() not in {None, stale}


def test_fixed_keys_are_always_ready_and_a_provider_that_is_not_found_never():
    assert StaticProvider("access_key", KEYS).ready() == KEYS
    assert ecs_role(FakeCloud().outside()).ready() is None
