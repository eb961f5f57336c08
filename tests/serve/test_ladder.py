"""The ladder's algebra: up at once, down by time, never silent, block never by a signal."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealwright.core.errors import BadInput
from sealwright.serve.interface import RUNGS, Balance
from sealwright.serve.ladder import FOREVER_MS, HOLD_MS, Signal, Standing, joined, put, step, thaw

NOW = 1_000_000_000
SIGNALS = st.lists(st.builds(Signal, st.sampled_from("abc"), st.integers(0, 5000)), max_size=4)
STANDINGS = st.builds(
    Standing, st.sampled_from(RUNGS), st.integers(0, 2 * NOW), st.just("signal")
).map(lambda one: one if one.rung != "observe" else Standing())
BALANCES = st.integers(0, 1000).map(lambda left: balance(left))
quiet = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def balance(left=1000, spent=0):
    return Balance("m@1", "g", ("g",), spent if spent else 1000 - left, left, 10**9)


def height(standing):
    return RUNGS.index(standing.rung)


@given(STANDINGS, SIGNALS, BALANCES, st.integers(0, 2 * NOW))
@quiet
def test_a_rung_never_changes_silently_and_a_change_says_why(standing, signals, left, now):
    after, change = step(standing, signals, left, now)
    assert (change is not None) == (after.rung != standing.rung)
    if change:
        assert (change.before, change.after) == (standing.rung, after.rung)
        assert change.why
        assert change.until_ms == after.until_ms


@given(STANDINGS, SIGNALS, BALANCES, st.integers(0, 2 * NOW))
@quiet
def test_nobody_comes_down_before_the_time_is_over_nor_more_than_a_rung(
    standing, signals, left, now
):
    after, _ = step(standing, signals, left, now)
    assert height(after) >= height(standing) - 1
    if now < standing.until_ms:
        assert height(after) >= height(standing)


@given(STANDINGS, SIGNALS, BALANCES, st.integers(0, 2 * NOW), st.integers(0, 3000))
@quiet
def test_a_stronger_signal_never_ends_lower(standing, signals, left, now, more):
    louder = [Signal(one.monitor, one.permille + more) for one in signals]
    assert height(step(standing, louder, left, now)[0]) >= height(
        step(standing, signals, left, now)[0]
    )


@given(SIGNALS, st.integers(1, 1000))
@quiet
def test_no_signal_blocks(signals, left):
    standing = Standing()
    for at in range(20):
        standing, _ = step(standing, signals, balance(left), NOW + at)
    assert standing.rung != "block"


@given(STANDINGS, SIGNALS, st.integers(0, 2 * NOW))
@quiet
def test_an_empty_budget_blocks_whoever_it_is(standing, signals, now):
    assert step(standing, signals, balance(0), now)[0].rung == "block"


@given(STANDINGS, SIGNALS, st.integers(1, 1000))
@quiet
def test_without_enough_honest_principals_no_monitor_moves_anybody_up(standing, signals, left):
    after, _ = step(standing, signals, balance(left), NOW, enforced=False)
    assert height(after) <= max(height(standing), RUNGS.index("warn"))


@given(STANDINGS, STANDINGS, STANDINGS)
@quiet
def test_standings_join_like_a_maximum(a, b, c):
    def key(one):
        return height(one), one.until_ms

    assert key(joined(a, b)) == key(joined(b, a)) == max(key(a), key(b))
    assert joined(joined(a, b), c) == joined(a, joined(b, c))
    assert joined(a, a) == a


def test_a_quiet_group_comes_all_the_way_down_one_rung_after_the_other():
    standing, change = step(Standing(), [Signal("novelty", 3000)], balance(), NOW)
    assert (standing.rung, change.cause) == ("degrade", "signal")
    assert "novelty at 3.00" in change.why
    now, seen = NOW, []
    while standing.rung != "observe":
        assert step(standing, [], balance(), standing.until_ms - 1)[1] is None
        now = standing.until_ms
        standing, change = step(standing, [], balance(), now)
        seen.append(change.after)
    assert seen == ["step-up", "throttle", "warn", "observe"]
    assert now - NOW == sum(HOLD_MS[rung] for rung in ("degrade", "step-up", "throttle", "warn"))


def test_a_signal_just_below_its_rung_keeps_it_until_it_has_clearly_fallen():
    standing, _ = step(Standing(), [Signal("m", 1000)], balance(), NOW)
    late = standing.until_ms + 1
    held, change = step(standing, [Signal("m", 850)], balance(), late)
    assert (held.rung, change) == ("throttle", None)
    assert held.until_ms > late
    assert step(standing, [Signal("m", 790)], balance(), late)[0].rung == "warn"


def test_little_budget_left_warns_and_more_does_not():
    assert step(Standing(), [], balance(199), NOW)[0].rung == "warn"
    assert step(Standing(), [], balance(200), NOW)[0].rung == "observe"


def test_a_block_lasts_until_a_person_thaws_it():
    standing, _ = step(Standing(), [], balance(0), NOW)
    assert standing.until_ms == FOREVER_MS
    later, change = step(standing, [], balance(500), NOW * 1000)
    assert (later.rung, change) == ("block", None)
    freed, change = thaw(later, "ada", "a customer of ours, called back", NOW)
    assert (freed.rung, change.cause) == ("observe", "thaw")
    assert change.why == "ada: a customer of ours, called back"


def test_a_person_may_block_and_must_say_who_and_why():
    standing, change = put(Standing(), "block", "ada", "seen on a forum", NOW)
    assert (standing.rung, standing.by, change.cause) == ("block", "person", "person")
    for by, reason in (("", "x"), ("ada", "  ")):
        with pytest.raises(BadInput, match="name and a reason"):
            put(Standing(), "block", by, reason, NOW)
        with pytest.raises(BadInput, match="name and a reason"):
            thaw(standing, by, reason, NOW)
