"""Counters: halves merged give the whole, memory does not grow, and nothing is lost but the old."""

import copy

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.watch import counters, rules
from sealwright.watch.counters import HOURS, Counters
from sealwright.watch.events import HOUR_S, Access
from sealwright.watch.rules import Limits, State

EVENTS = st.lists(
    st.builds(
        Access,
        principal=st.sampled_from(["ann", "bob"]),
        action=st.sampled_from(["read", "export", "denied", "run"]),
        artifact=st.sampled_from(["a", "b", "c", ""]),
        size_bytes=st.integers(0, 10**12),
        time=st.integers(0, 80 * HOUR_S),
        count=st.integers(1, 50),
        compute_ms=st.integers(0, 1000),
    ),
    max_size=30,
)


def merged(*parts):
    out = Counters()
    for part in parts:
        out.merge(copy.deepcopy(part))
    return out


@settings(max_examples=80, deadline=None)
@given(EVENTS, st.randoms(use_true_random=False), st.integers(0, 30))
def test_parts_of_a_stream_merged_in_any_order_are_the_whole(events, dice, cut):
    whole = counters.of(events)
    shuffled = list(events)
    dice.shuffle(shuffled)
    one, two = counters.of(shuffled[:cut]), counters.of(shuffled[cut:])
    assert merged(one, two) == merged(two, one) == whole


@settings(max_examples=40, deadline=None)
@given(EVENTS, EVENTS, EVENTS)
def test_merging_is_associative(first, second, third):
    one, two, three = map(counters.of, (first, second, third))
    assert merged(merged(one, two), three) == merged(one, merged(two, three))


def test_a_principal_takes_the_same_memory_however_much_there_is_to_read():
    sizes = []
    for days in (10, 60):
        state = State()
        for number in range(days * 24):
            access = Access("ann", "read", "data:x", 10**9, number * HOUR_S)
            for _ in rules.feed(state, access, Limits(statistics=True)):
                raise AssertionError("nothing is forbidden here")
        assert len(state.counters.principals["ann"].hours) == HOURS
        sizes.append(len(msgspec.msgpack.encode(state)))
    assert sizes[1] < 1.2 * sizes[0]


def test_new_artifacts_are_those_never_touched_before_the_window():
    tally = counters.Tally()
    day = 24 * HOUR_S
    for number in range(30):
        tally.add(Access("ann", "read", f"old{number}", 1, number))
    for number in range(12):
        tally.add(Access("ann", "read", f"new{number}", 1, 5 * day + number))
        tally.add(Access("ann", "read", f"old{number}", 1, 5 * day + number))
    assert 10 <= tally.new_artifacts(5 * day + 20, 24) <= 14
    assert tally.total("reads", 5 * day + 20, 24) == 24


def test_what_the_rules_remember_survives_being_written():
    state = State()
    for number in range(50):
        list(rules.feed(state, Access("ann", "read", f"d{number}", 10, number * 900), Limits()))
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=State)
    assert again == state
