"""Which request comes next: the order of lanes, against a brute-force oracle."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from crawler.client.rate_limit import LimitRule, TokenBucket
from crawler.client.request_queue import ReadyQueue, RequestLane, sort_key


@dataclass
class Interval:
    """A bucket that lets one request leave every `every_s`."""

    every_s: float = 0.0
    free_at: float = 0.0
    taken: list[float] = field(default_factory=list)

    def ready_at(self, now: float) -> float:
        return max(now, self.free_at)

    def charge(self, now: float) -> None:
        self.taken.append(now)
        self.free_at = max(now, self.free_at) + self.every_s


def lane(*buckets, depth=0, waiting=("job",), going=()):
    made = RequestLane(buckets, depth)
    made.not_started.extend(waiting)
    made.in_progress.extend(going)
    return made


def queue(now, *lanes):
    made = ReadyQueue()
    for each in lanes:
        made.push(each, now)
    return made


def drained(ready, now):
    """The requests that leave at one instant, in order."""
    gone = []
    while (found := ready.pop(now)) is not None:
        gone.append(found.pop(now))
        ready.push(found, now)
    return gone


def test_precedence_is_depth_then_readiness_then_order():
    shallow, deep = lane(depth=0), lane(depth=1)
    assert sort_key(shallow, 9.0, 9) < sort_key(deep, 1.0, 1)
    assert sort_key(deep, 1.0, 9) < sort_key(deep, 2.0, 1)
    assert sort_key(deep, 1.0, 1) < sort_key(deep, 1.0, 2)


def test_parents_go_before_children_whenever_they_came():
    assert drained(queue(0, lane(depth=2, waiting=["c"]), lane(depth=1, waiting=["b"]), lane(waiting=["a"])), 0) == [
        "a",
        "b",
        "c",
    ]


def test_lanes_of_one_depth_take_turns():
    assert drained(queue(0, lane(waiting="aaa"), lane(waiting="bb")), 0) == list("ababa")


def test_who_could_have_gone_first_goes_first():
    early, late = Interval(free_at=1), Interval(free_at=2)
    ready = queue(0, lane(late, waiting=["late"]), lane(early, waiting=["early"]))
    assert drained(ready, 5) == ["early", "late"]


def test_walks_that_have_begun_go_before_lists_that_have_not():
    assert drained(queue(0, lane(waiting=["new"], going=["walk"])), 0) == ["walk", "new"]


def test_a_blocked_lane_holds_nobody_back():
    ready = queue(0, lane(Interval(free_at=100), waiting=["blocked"]), lane(depth=9, waiting=["deep"]))
    assert drained(ready, 0) == ["deep"]
    assert ready.next_at() == 100
    assert drained(ready, 99.9) == []
    assert drained(ready, 100) == ["blocked"]
    assert ready.next_at() is None


def test_a_bucket_that_two_lanes_share_lets_one_of_them_go_at_a_time():
    shared = Interval(every_s=1)
    ready = queue(0, lane(Interval(), shared, waiting="aa"), lane(Interval(), shared, waiting="bb"))
    assert [drained(ready, now) for now in range(5)] == [["a"], ["b"], ["a"], ["b"], []]
    assert shared.taken == [0, 1, 2, 3]


def test_a_lane_whose_waiters_have_all_left_is_passed_over_and_may_come_again():
    empty, other = lane(waiting=["x"]), lane(waiting=["y"])
    ready = queue(0, empty, other)
    empty.not_started.clear()
    assert drained(ready, 0) == ["y"]
    empty.not_started.append("z")
    ready.push(empty, 0)
    assert drained(ready, 0) == ["z"]


def test_a_lane_is_queued_once_and_an_empty_one_not_at_all():
    one = lane(waiting=["x"])
    ready = queue(0, one, one, lane(waiting=[]))
    assert drained(ready, 0) == ["x"]


def test_a_lane_without_buckets_is_always_ready():
    assert lane().ready_at(7.5) == 7.5


class Oracle:
    """The same by looking at every lane every time, without a heap and without memory of readiness."""

    def __init__(self, lanes) -> None:
        self.lanes = lanes

    def next(self, now):
        ready = [each for each in self.lanes if not each.is_empty and each.ready_at(now) <= now]
        return min((each.depth for each in ready), default=None)


lanes_drawn = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 1), st.integers(0, 4)), min_size=1, max_size=8
)
steps = st.lists(st.sampled_from(["pop", "pop", "pop", "wait", "add", "cancel", "block"]), max_size=60)


@given(lanes_drawn, steps, st.randoms(use_true_random=False))
def test_the_queue_gives_a_lane_exactly_when_one_may_go_and_of_the_least_depth(drawn, steps, dice):
    shared = [Interval(every_s=0.5), Interval(every_s=2)]
    lanes = [
        lane(Interval(every_s=every), shared[which], depth=depth, waiting=range(count))
        for depth, every, which, count in drawn
    ]
    now, ready, oracle = 0.0, queue(0.0, *lanes), Oracle(lanes)
    for step in steps:
        chosen = dice.choice(lanes)
        match step:
            case "pop":
                depth, found = oracle.next(now), ready.pop(now)
                assert (found.depth if found else None) == depth
                if found is None:
                    at = ready.next_at()
                    waiting = [each.ready_at(now) for each in lanes if not each.is_empty]
                    assert not waiting or (at is not None and at <= min(waiting))
                else:
                    assert found.ready_at(now) <= now
                    found.pop(now)
                    ready.push(found, now)
            case "wait":
                now += dice.choice([0.1, 0.5, 1.0])
            case "add":
                chosen.in_progress.append("walk")
                ready.push(chosen, now)
            case "cancel":
                chosen.not_started.clear()
            case "block":
                chosen.buckets[0].free_at = now + 3


@given(st.lists(st.integers(0, 2), min_size=1, max_size=6))
def test_the_order_is_a_function_of_what_waits_and_the_time_alone(depths):
    def run():
        shared = TokenBucket(LimitRule(10, 2))
        made = [
            lane(TokenBucket(LimitRule(5)), shared, depth=depth, waiting=[f"{n}"] * 3) for n, depth in enumerate(depths)
        ]
        ready = queue(0, *made)
        return [drained(ready, tick / 10) for tick in range(60)]

    assert run() == run()
    assert sum(map(len, run())) == 3 * len(depths)
