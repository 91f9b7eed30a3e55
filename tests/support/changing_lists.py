"""Lists that change while a crawl walks them."""

from __future__ import annotations

from bisect import insort

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

NAMES = st.integers(0, 30).map(lambda number: f"f{number:02}")
MOST_CHANGES = 5


class ChangingList(RuleBasedStateMachine):
    """A list and its changes. `stable`: records that were there all the time; `ever`: all records that were there."""

    names = NAMES

    @precondition(lambda self: self.changes < MOST_CHANGES and self.items)
    @rule(data=st.data())
    def delete(self, data):
        self.changes += 1
        gone = data.draw(st.sampled_from(self.items))
        self.items.remove(gone)
        self.stable.discard(gone)

    @precondition(lambda self: self.changes < MOST_CHANGES)
    @rule(data=st.data(), place=st.integers(0, 20))
    def create(self, data, place):
        name = data.draw(self.names)
        if name in self.items or not self.may_come(name):
            return
        self.changes += 1
        self.ever.add(name)
        self.insert(name, place)

    def may_come(self, name):
        return True

    def insert(self, name, place):
        insort(self.items, name)


def run(machine, examples, *, phases=tuple(Phase)):
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=20, deadline=None, suppress_health_check=quiet, phases=phases
        ),
    )


# Controls need any failure; shrinking it takes minutes.
FIRST_FAILURE = (Phase.generate,)
