"""When to try again: every class of error, the hints, and storms played against the quota."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.client.retry import Retries, RetryPolicy, RetryQuota, retry_tokens
from crawler.errors import (
    DeniedError,
    FatalError,
    InvalidArgumentError,
    ReauthError,
    ResignError,
    ThrottledError,
    TransientError,
    UnsupportedError,
    VanishedError,
)

THROTTLED = ThrottledError("Throttling", "slow down")
TRANSIENT = TransientError("ServiceUnavailable", "")
ALMOST_ONE = 1 - 2**-53
chances = st.floats(0, ALMOST_ONE)


def hinted(hint_s):
    return ThrottledError("Throttling.User", "", retry_after_s=hint_s)


def lowest():
    return 0.0


def highest():
    return ALMOST_ONE


@pytest.mark.parametrize("error", [THROTTLED, TRANSIENT])
def test_the_wait_is_full_jitter_that_doubles_up_to_the_longest_delay(error):
    policy = RetryPolicy(max_attempts=20, max_delay_s=60.0)
    longest = [policy.delay_s(error, attempt, highest) for attempt in range(1, 11)]
    assert longest == pytest.approx([0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60])
    assert [policy.delay_s(error, attempt, lowest) for attempt in range(1, 11)] == [0.0] * 10


@given(st.integers(1, 7), chances)
def test_f01_a_hint_of_two_seconds_waits_two_to_seven(attempt, chance):
    """F01."""
    assert 2.0 <= RetryPolicy().delay_s(hinted(2.0), attempt, lambda: chance) <= 7.0


@given(st.integers(1, 10**6), chances, st.none() | st.floats(0, 900), st.none() | st.floats(0, 10**5))
def test_a_wait_is_never_shorter_than_the_hint_nor_longer_than_what_is_left(attempt, chance, hint_s, time_left_s):
    """P8."""
    policy = RetryPolicy(max_attempts=10**7)
    delay_s = policy.delay_s(hinted(hint_s), attempt, lambda: chance, time_left_s=time_left_s)
    if delay_s is None:
        assert time_left_s is not None
        assert time_left_s <= (hint_s or 0)
    else:
        assert (hint_s or 0.0) <= delay_s <= (hint_s or 60.0) + 5.0
        assert time_left_s is None or delay_s <= time_left_s


def test_a_hint_beyond_a_quarter_of_an_hour_gives_up_where_there_is_no_deadline():
    """F04."""
    policy = RetryPolicy()
    assert policy.delay_s(hinted(900.0), 1, highest) == 900.0
    assert policy.delay_s(hinted(900.1), 1, lowest) is None
    assert RetryPolicy(longest_wait_s=5.0).delay_s(hinted(6.0), 1, lowest) is None


def test_with_a_deadline_a_hint_is_measured_by_the_time_left():
    """F04."""
    policy = RetryPolicy()
    assert policy.delay_s(hinted(3600.0), 1, lowest, time_left_s=7200.0) == 3600.0
    assert policy.delay_s(hinted(30.0), 1, lowest, time_left_s=29.0) is None
    assert policy.delay_s(TRANSIENT, 1, lowest, time_left_s=0.0) is None
    assert policy.delay_s(TRANSIENT, 8, highest, time_left_s=1.0) is None


def test_the_last_attempt_is_not_followed_by_a_wait():
    """P8."""
    policy = RetryPolicy(max_attempts=3)
    waits = [policy.delay_s(THROTTLED, attempt, lowest) for attempt in (1, 2, 3, 4)]
    assert waits == [0.0, 0.0, None, None]


@pytest.mark.parametrize("error_type", [DeniedError, UnsupportedError, VanishedError, InvalidArgumentError, FatalError])
def test_f10_a_final_error_has_one_attempt(error_type):
    """F10."""
    quota = RetryQuota()
    assert Retries(RetryPolicy(), quota).next_delay_s(error_type("X", "", retry_after_s=1.0), lowest) is None
    assert quota.tokens == 500


@pytest.mark.parametrize("error_type", [ResignError, ReauthError])
def test_f12_a_new_signature_or_token_is_tried_twice_at_once_and_free(error_type):
    """F12."""
    quota = RetryQuota()
    retries = Retries(RetryPolicy(), quota)
    waits = [retries.next_delay_s(error_type("X", ""), highest) for _ in range(3)]
    assert max(waits[:2]) <= 0.1
    assert waits[2] is None
    assert quota.tokens == 500


def test_resigning_and_reauthenticating_are_counted_apart_and_within_all_attempts():
    retries = Retries(RetryPolicy(max_attempts=4), RetryQuota())
    errors = [ResignError("N", ""), ReauthError("T", ""), ResignError("N", "")]
    assert None not in [retries.next_delay_s(error, lowest) for error in errors]
    assert retries.next_delay_s(ReauthError("T", ""), lowest) is None
    assert retries.attempts == 4


def requests_of(calls, error, quota, policy):
    """How many requests `calls` that all fail with `error` send."""
    source = random.Random(7)
    sent = 0
    for _ in range(calls):
        retries = Retries(policy, quota)
        sent += 1
        while retries.next_delay_s(error, source.random) is not None:
            sent += 1
    return sent


@pytest.mark.parametrize("calls", [1, 14, 15, 1000])
def test_f05_total_throttling_costs_at_most_a_hundred_retries(calls):
    """F05."""
    assert requests_of(calls, THROTTLED, RetryQuota(), RetryPolicy()) == calls + min(7 * calls, 100)


@pytest.mark.parametrize("calls", [1, 5, 6, 1000])
def test_f06_total_failure_costs_at_most_thirty_five_retries(calls):
    """F06."""
    assert requests_of(calls, TRANSIENT, RetryQuota(), RetryPolicy()) == calls + min(7 * calls, 35)


def test_a_success_gives_back_what_its_retries_cost():
    quota = RetryQuota()
    retries = Retries(RetryPolicy(), quota)
    for error in (THROTTLED, TRANSIENT, ResignError("N", "")):
        retries.next_delay_s(error, lowest)
    assert quota.tokens == 500 - 5 - 14
    retries.succeeded()
    assert quota.tokens == 500
    assert retries.attempts == 4


def test_a_success_at_once_gives_back_one_and_never_more_than_there_was():
    quota = RetryQuota()
    assert quota.spend(10)
    Retries(RetryPolicy(), quota).succeeded()
    assert quota.tokens == 491
    for _ in range(20):
        Retries(RetryPolicy(), quota).succeeded()
    assert quota.tokens == 500


def test_a_success_after_a_retry_gives_back_what_that_cost_and_no_more():
    quota = RetryQuota()
    assert quota.spend(10)
    retries = Retries(RetryPolicy(), quota)
    assert retries.next_delay_s(THROTTLED, lowest) == 0.0
    retries.succeeded()
    assert quota.tokens == 490


def test_a_call_gives_up_where_the_hint_is_longer_than_the_time_left_to_it():
    """F04, P8."""
    retries = Retries(RetryPolicy(), RetryQuota())
    assert retries.next_delay_s(hinted(30.0), lowest, 31.0) == 30.0
    assert retries.next_delay_s(hinted(30.0), lowest, 29.0) is None


def test_a_retry_that_the_quota_cannot_pay_is_not_made_and_costs_nothing():
    """P8, F06."""
    quota = RetryQuota(capacity=13)
    assert Retries(RetryPolicy(), quota).next_delay_s(TRANSIENT, lowest) is None
    assert quota.tokens == 13
    assert Retries(RetryPolicy(), quota).next_delay_s(THROTTLED, lowest) == 0.0


@given(st.lists(st.sampled_from([THROTTLED, TRANSIENT, None]), max_size=300))
def test_the_quota_stays_between_nothing_and_its_capacity(outcomes):
    """P8."""
    quota = RetryQuota()
    retries = Retries(RetryPolicy(), quota)
    for error in outcomes:
        if error is None or retries.next_delay_s(error, lowest) is None:
            if error is None:
                retries.succeeded()
            retries = Retries(RetryPolicy(), quota)
        assert 0 <= quota.tokens <= 500


def test_the_costs_are_those_that_the_quota_was_sized_for():
    assert [retry_tokens(error) for error in (THROTTLED, TRANSIENT, ResignError("N", ""), ReauthError("T", ""))] == [
        5,
        14,
        0,
        0,
    ]
