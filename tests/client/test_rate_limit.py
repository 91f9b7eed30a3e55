"""Token buckets on a clock made of numbers: when requests may leave, and the effect of a throttling response."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crawler.client.rate_limit import (
    BUNCH_S,
    CLIMB_S,
    FLOOR_RATE,
    FLOOR_SHARE,
    LATE_S,
    PACE,
    REACH_S,
    SEARCH_S,
    BucketKey,
    LimitRule,
    TokenBucket,
    TokenBuckets,
    least_time_s,
    throttled_bucket,
)
from crawler.errors import ConfigError, ThrottledError

rules = st.builds(LimitRule, rate=st.floats(0.05, 500), burst=st.integers(1, 50))
gaps = st.lists(st.one_of(st.just(0.0), st.floats(0, 0.01), st.floats(0, 5)), min_size=1, max_size=150)


def departures(bucket, arrivals):
    """When each arrival leaves, first come, first served."""
    left, now = [], -math.inf
    for arrival in arrivals:
        now = bucket.ready_at(max(now, arrival))
        bucket.charge(now)
        left.append(now)
    return left


def running(gap_list):
    now, result = 1000.0, []
    for gap in gap_list:
        now += gap
        result.append(now)
    return result


def assert_within(rule, left):
    """Every window that begins and ends at a departure holds at most burst + rate × t requests."""
    for i, begin in enumerate(left):
        for j in range(i, len(left)):
            assert j - i + 1 <= rule.burst + rule.rate * (left[j] - begin) + 1e-9


@settings(deadline=None)
@given(rules, gaps)
def test_no_window_of_any_arrival_list_holds_more_than_burst_and_rate_allow(rule, gap_list):
    """P9."""
    assert_within(rule, departures(TokenBucket(rule), running(gap_list)))


@settings(deadline=None)
@given(rules, gaps, st.lists(st.tuples(st.integers(0, 149), st.none() | st.floats(0.001, 30)), max_size=20))
def test_no_window_holds_more_when_throttling_and_recovery_come_between(rule, gap_list, refusals):
    """P9."""
    bucket, left, now = TokenBucket(rule), [], -math.inf
    for number, arrival in enumerate(running(gap_list)):
        now = bucket.ready_at(max(now, arrival))
        bucket.charge(now)
        left.append(now)
        for at, hint_s in refusals:
            if at == number:
                bucket.throttled(now + 0.01, now, hint_s)
        bucket.succeeded(now)
    assert_within(rule, left)


def test_a_busy_bucket_paces_three_percent_under_its_rate_after_the_burst():
    left = departures(TokenBucket(LimitRule(10, 3)), [0.0] * 103)
    assert left[1] == 0.0
    assert left[2] == pytest.approx(BUNCH_S), "the burst's last ones wait for what may bunch up on the way"
    assert left[-1] == pytest.approx(100 / 9.7 + BUNCH_S)


def test_a_rested_bucket_has_its_burst_again():
    bucket = TokenBucket(LimitRule(10, 5))
    departures(bucket, [0.0] * 50)
    assert departures(bucket, [60.0] * 5) == pytest.approx([60.0] * 4 + [60.0 + BUNCH_S])
    assert bucket.ready_at(60.0) > 60.0


@given(rules, gaps, st.lists(st.floats(0, 100), min_size=2, max_size=10))
def test_ready_at_never_falls_behind_now_and_never_decreases_as_time_passes(rule, gap_list, probes):
    bucket = TokenBucket(rule)
    departures(bucket, running(gap_list))
    instants = [bucket.ready_at(1000.0 + probe) for probe in sorted(probes)]
    assert instants == sorted(instants)
    assert all(ready >= 1000.0 + probe for ready, probe in zip(instants, sorted(probes), strict=True))


@given(rules, st.none() | st.floats(0.001, 900))
def test_neither_taking_nor_throttling_lets_the_next_one_leave_earlier(rule, hint_s):
    """P9."""
    bucket = TokenBucket(rule)
    before = bucket.ready_at(5.0)
    bucket.charge(5.0)
    after_take = bucket.ready_at(5.0)
    bucket.throttled(5.0, 4.0, hint_s)
    assert before <= after_take <= bucket.ready_at(5.0)


def test_f01_a_hint_blocks_the_bucket_until_it_is_over_and_no_other():
    """F01."""
    buckets = TokenBuckets(LimitRule(20, 5))
    slow, product = buckets.pair("1", "cn-hangzhou", "fc", "ListFunctions")
    others = [
        buckets.pair("1", "cn-hangzhou", "fc", "ListLayers")[0],
        buckets.pair("1", "cn-shanghai", "fc", "ListFunctions")[0],
        buckets.pair("2", "cn-hangzhou", "fc", "ListFunctions")[0],
        buckets.pair("1", "cn-hangzhou", "fc-open", "ListFunctions")[0],
        product,
    ]
    before = [departures(bucket, [100.0] * 20) for bucket in others]
    fresh = TokenBuckets(LimitRule(20, 5))
    slow.throttled(100.0, 99.9, 2.0)
    assert slow.ready_at(100.0) == 102.0
    assert before == [departures(fresh.bucket(BucketKey("x", "y", "z", None)), [100.0] * 20)] * 5
    assert [bucket.rate(100.0) for bucket in others] == [20.0] * 5


def test_a_loop_that_wakes_up_late_loses_nothing_of_the_rate_and_breaks_no_rule():
    rule, left, now = LimitRule(50), [], 0.0
    bucket = TokenBucket(rule)
    for number in range(1000):
        now = bucket.ready_at(now) + 0.001 * (number % 2)  # as a loop does that counts milliseconds
        bucket.charge(now)
        left.append(now)
    assert left[-1] == pytest.approx(999 / (50 * PACE), abs=LATE_S)
    assert min(later - earlier for earlier, later in pairwise(left)) >= 1 / 50 - 1e-9
    assert_within(rule, left[:200])


def test_after_a_block_what_waited_leaves_one_by_one_at_the_lower_rate():
    bucket = TokenBucket(LimitRule(10, 5))
    bucket.throttled(100.0, 99.0, 2.0)
    left = departures(bucket, [100.0] * 5)
    assert left[0] == 102.0
    assert all(later - earlier >= 1 / 10 for earlier, later in pairwise(left))


def test_f07_fifty_refusals_in_flight_cut_the_rate_once():
    """F07."""
    bucket = TokenBucket(LimitRule(100, 50))
    sent = departures(bucket, [10.0] * 50)
    for number, sent_at in enumerate(sent):
        bucket.throttled(10.5 + number / 1000, sent_at, None)
    assert 69 <= bucket.rate(10.55) <= 71


def test_f07_requests_sent_at_the_very_instant_of_the_cut_do_not_cut_again():
    """F07."""
    bucket = TokenBucket(LimitRule(100, 50))
    for _ in range(50):
        bucket.throttled(10.0, 10.0, None)
    assert bucket.rate(10.0) == pytest.approx(70.0)


def answered(bucket, times, at):
    for _ in range(times):
        bucket.succeeded(at)


def test_a_refusal_of_a_request_sent_after_the_cut_cuts_again():
    bucket = TokenBucket(LimitRule(100))
    bucket.throttled(10.0, 9.0, None)
    bucket.throttled(11.0, 10.9, None)
    climbed = 100 * 0.7 ** ((1 - 1 / SEARCH_S) ** 3)
    assert bucket.rate(11.0) == pytest.approx(climbed * 0.7), "nothing was taken, which says nothing of the rate"


def test_a_cut_goes_down_to_what_was_taken_since_the_last_one():
    bucket = TokenBucket(LimitRule(100))
    bucket.throttled(10.0, 9.9, None)
    answered(bucket, 1700, 30.0)
    bucket.throttled(30.0, 29.9, None)
    assert bucket.rate(30.0) == pytest.approx(85.0), "1700 in 20 s"
    assert bucket.rate(30.0 + CLIMB_S) == pytest.approx(100.0), "where it was refused"
    assert bucket.rate(30.0 + 0.4 * CLIMB_S) > 96, "near there it climbs slowly"


def test_soon_after_a_cut_a_few_that_were_taken_say_how_low_the_limit_is():
    bucket = TokenBucket(LimitRule(20, 5))
    bucket.throttled(10.0, 9.9, None)
    answered(bucket, 2, 10.9)
    bucket.throttled(11.0, 10.9, None)
    assert bucket.rate(11.0) == pytest.approx(2.0), "2 in a second, where a factor would need seven cuts"


def test_a_while_after_a_cut_few_that_were_taken_may_mean_that_few_were_sent():
    bucket = TokenBucket(LimitRule(20))
    bucket.throttled(10.0, 9.9, None)
    answered(bucket, 2, 29.0)
    bucket.throttled(30.0, 29.9, None)
    assert bucket.rate(30.0) == pytest.approx(0.7 * 20)


def test_a_cut_lowers_the_rate_even_where_more_was_taken():
    bucket = TokenBucket(LimitRule(20))
    bucket.throttled(10.0, 9.9, None)
    answered(bucket, 1000, 29.0)
    bucket.throttled(30.0, 29.9, None)
    assert bucket.rate(30.0) == pytest.approx(0.97 * 20)


def test_a_refusal_that_says_the_limit_is_near_blocks_shortly():
    bucket = TokenBucket(LimitRule(20))
    bucket.throttled(10.0, 9.9, None)
    answered(bucket, 100, 29.0)
    bucket.throttled(30.0, 29.9, None)
    assert bucket.ready_at(30.0) == 30.25


def test_what_was_taken_before_a_cut_does_not_count_after_it():
    bucket = TokenBucket(LimitRule(20))
    answered(bucket, 1000, 9.0)
    bucket.throttled(10.0, 9.9, None)
    answered(bucket, 3, 10.9)
    bucket.throttled(11.0, 10.9, None)
    assert bucket.rate(11.0) == pytest.approx(3.0)


@given(st.floats(0.01, 500), st.integers(1, 200))
def test_the_rate_never_falls_below_its_floor_or_rises_above_its_cap(cap, times):
    bucket = TokenBucket(LimitRule(cap))
    for number in range(times):
        bucket.throttled(number * 0.01, number * 0.01 - 0.001, None)
        assert min(cap, max(FLOOR_SHARE * cap, FLOOR_RATE)) <= bucket.rate(number * 0.01) <= cap
    assert bucket.rate(1e6) == cap


@given(st.floats(0.05, 500), st.integers(1, 100))
def test_f08_four_fifths_of_the_cap_are_back_a_minute_after_the_last_refusal(cap, times):
    """F08."""
    bucket = TokenBucket(LimitRule(cap))
    now = 0.0
    for _ in range(times):
        now += 1.0
        bucket.throttled(now, now - 0.5, None)
    assert bucket.rate(now + 60.0) >= 0.8 * cap
    rates = [bucket.rate(now + second) for second in range(100)]
    assert rates == sorted(rates)


def test_f08_departures_follow_the_rate_back_up():
    """F08."""
    bucket = TokenBucket(LimitRule(20))
    for number in range(30):
        bucket.throttled(number + 1.0, number + 0.5, None)
    left = departures(bucket, [30.0] * 3000)
    # The last block without a hint may last half a minute of the 60 s.
    assert sum(1 for at in left if 90.0 <= at < 100.0) >= 0.8 * 20 * PACE * 10 - 1


def test_refusals_without_a_hint_block_longer_each_time_until_a_success_after_the_block():
    bucket, now, blocks = TokenBucket(LimitRule(1000)), 0.0, []
    for _ in range(9):
        now += 1.0
        bucket.throttled(now, now - 0.1, None)
        blocks.append(bucket.ready_at(now) - now)
        now = bucket.ready_at(now)
    assert blocks == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    bucket.succeeded(now - 0.001)
    bucket.throttled(now + 1, now + 0.9, None)
    assert bucket.ready_at(now + 1) == now + 31
    bucket.succeeded(now + 31)
    bucket.throttled(now + 32, now + 31.5, None)
    assert bucket.ready_at(now + 32) == now + 32.5


def test_a_late_refusal_with_a_hint_still_blocks_and_a_shorter_one_does_not_shorten():
    bucket = TokenBucket(LimitRule(100))
    bucket.throttled(10.0, 9.0, 5.0)
    rate = bucket.rate(10.5)
    bucket.throttled(10.5, 9.0, 10.0)
    assert bucket.ready_at(10.5) == 20.5
    assert bucket.rate(10.5) == rate
    bucket.throttled(11.0, 9.0, 1.0)
    assert bucket.ready_at(11.0) == 20.5


def test_a_success_within_the_longest_block_does_not_end_the_growth():
    bucket = TokenBucket(LimitRule(100))
    bucket.throttled(10.0, 9.0, None)
    bucket.throttled(11.0, 10.9, 60.0)
    bucket.throttled(12.0, 9.0, 1.0)
    bucket.succeeded(14.0)
    bucket.throttled(80.0, 79.0, None)
    assert bucket.ready_at(80.0) == 81.0


def test_f09_a_key_has_one_bucket_and_operations_share_their_products():
    """F09."""
    buckets = TokenBuckets(LimitRule(20))
    first, product = buckets.pair("1", "r", "fc", "ListFunctions")
    again, same_product = buckets.pair("1", "r", "fc", "ListFunctions")
    other, shared = buckets.pair("1", "r", "fc", "ListLayers")
    assert first is again
    assert product is same_product is shared
    assert other is not first
    assert product is buckets.bucket(BucketKey("1", "r", "fc", None))


def test_an_operation_takes_its_own_rule_then_its_products_then_the_default():
    own, product, default = LimitRule(5), LimitRule(50, 10), LimitRule(20, 5)
    buckets = TokenBuckets(default, {"fc-open": product, "fc-open.ListInstances": own})
    assert buckets.rule("fc-open", "ListInstances") is own
    assert buckets.rule("fc-open", "ListServices") is product
    assert buckets.rule("fc-open") is product
    assert buckets.rule("opensearch", "ListAppGroups") is default
    assert [bucket.rule for bucket in buckets.pair("1", "r", "fc-open", "ListInstances")] == [own, product]


@pytest.mark.parametrize(
    ("code", "slowed"),
    [
        ("Throttling.User", "product"),
        ("throttling.user", "product"),
        ("Throttling.User.Qps", "product"),
        ("Throttling", "operation"),
        ("Throttling.Api", "operation"),
        ("Throttling.UserApi", "operation"),
        ("ResourceExhausted", "operation"),
        ("Http429", "operation"),
    ],
)
def test_throttling_of_the_user_slows_the_product_and_all_else_the_operation(code, slowed):
    assert throttled_bucket(ThrottledError(code, "")) == slowed


@given(rules, st.integers(0, 300))
def test_the_least_time_is_what_a_busy_bucket_takes(rule, requests):
    expected = departures(TokenBucket(rule), [0.0] * requests)[-1] if requests else 0.0
    assert least_time_s(requests, rule) == pytest.approx(expected, rel=1e-6, abs=BUNCH_S + 1e-9)


@given(rules, st.integers(1, 100))
def test_the_least_time_is_within_what_the_rule_allows(rule, requests):
    assume(requests > rule.burst)
    assert requests <= rule.burst + rule.rate * least_time_s(requests, rule)


@pytest.mark.parametrize("rate", [0, -1, math.inf, math.nan])
def test_a_rate_that_is_not_a_positive_number_is_refused(rate):
    with pytest.raises(ConfigError, match="above 0"):
        LimitRule(rate)


def test_a_burst_below_one_is_refused():
    with pytest.raises(ConfigError, match="1 or more"):
        LimitRule(1, 0)


def test_a_bucket_is_forgotten_once_nobody_uses_it_and_a_new_one_would_do_the_same():
    buckets = TokenBuckets(LimitRule(10, 2))
    pair = buckets.pair("1", "r", "fc", "A")
    other = buckets.pair("1", "r", "fc", "B")
    for bucket in pair:
        bucket.charge(100.0)
    buckets.release(pair, 100.01)
    assert buckets.pair("1", "r", "fc", "A")[0] is pair[0], "it still counts what has just left"
    buckets.release(pair, 101.0)
    assert buckets.bucket(pair[1].key) is other[1], "B still uses the product's"
    assert buckets.bucket(pair[0].key) is not pair[0]
    buckets.release(other, 102.0)
    assert buckets.bucket(other[1].key) is not other[1]


def test_a_bucket_that_was_slowed_is_remembered_until_it_is_back_and_holds_up_no_other():
    buckets = TokenBuckets(LimitRule(10, 2))
    slowed = buckets.pair("1", "r", "fc", "A")
    slowed[0].throttled(100.0, 99.0, None)
    buckets.release(slowed, 100.0)
    for number in range(20):
        buckets.release(buckets.pair("2", "r", "fc", f"B{number}"), 101.0)
    assert len(buckets._buckets) <= 3
    assert buckets.bucket(slowed[0].key) is slowed[0]
    slowed[0].succeeded(102.0)
    for number in range(3):
        buckets.release(buckets.pair("2", "r", "fc", f"C{number}"), 100.0 + REACH_S + 1)
    assert buckets.bucket(slowed[0].key) is not slowed[0]


def test_a_limit_that_changes_holds_for_buckets_in_use_and_for_later_ones():
    buckets = TokenBuckets(LimitRule(20), {"sts": LimitRule(10), "fc": LimitRule(7)})
    sts, whole = buckets.pair("LTAI", "", "sts", "AssumeRole")
    other, _ = buckets.pair("1", "cn-hangzhou", "fc", "ListFunctions")
    buckets.limit("sts", LimitRule(40, 4))
    assert (sts.rate(0.0), whole.rate(0.0), other.rate(0.0)) == (40, 40, 7)
    assert buckets.bucket(BucketKey("LTAI2", "", "sts", None)).rule == LimitRule(40, 4)
    started = departures(whole, [0.0] * 100)
    assert started[99] >= (100 - 4) / 40
    assert started[3] <= started[0] + BUNCH_S + 1e-9, "with the new burst"


def test_a_limit_that_changes_keeps_the_lower_one_that_the_server_has_shown():
    bucket = TokenBucket(LimitRule(50))
    throttle_at = 1.0
    for step in range(40):
        bucket.charge(step / 50)
        bucket.succeeded(step / 50)
    bucket.throttled(throttle_at, throttle_at, None)
    slow = bucket.rate(throttle_at)
    assert slow < 50
    bucket.change(LimitRule(100))
    assert bucket.rate(throttle_at) <= slow
    bucket.change(LimitRule(5))
    assert bucket.rate(throttle_at + 1000) == 5


@settings(deadline=None)
@given(rules, st.integers(1, 120), st.floats(0, 5))
def test_a_process_that_replaces_another_one_has_no_second_burst(rule, requests, pause_s):
    """F137: what both send is within the rule, although the second one knows nothing of the first."""
    left = departures(TokenBucket(rule), [1000.0] * requests)
    buckets, now = TokenBuckets(rule), left[-1] + pause_s
    buckets.spend(now)
    left += departures(buckets.bucket(BucketKey("1", "r", "fc", "A")), [now] * requests)
    assert_within(rule, left)


def test_a_burst_that_another_process_has_used_up_comes_back_with_time():
    rule = LimitRule(10, 5)
    buckets = TokenBuckets(rule)
    buckets.spend(100.0)
    key = BucketKey("1", "r", "fc", "A")
    later = 100.0 + 2 * rule.burst / rule.rate
    assert buckets.bucket(key).ready_at(100.0) > 100.0
    assert departures(buckets.bucket(key), [later] * 20) == departures(TokenBucket(rule), [later] * 20)
