"""What every leakage ledger must do. A new adapter joins by a line in ``RIGS``."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from ledger_rigs import RIGS

from sealwright.core.errors import BadInput, Refused, SealError, Unavailable
from sealwright.serve.interface import Allowance, Ask, Reservation

WIDE = Allowance(1_000_000, 100_000_000, rate_per_s=1_000_000, burst=1_000_000)


@pytest.fixture(params=RIGS)
def rig(request, tmp_path):
    with RIGS[request.param](tmp_path) as made:
        yield made


def ask(principal="ann", mbits=1000, model="m", weight=1):
    return Ask(model, principal, mbits, 0, weight)


def reserve(rig, one=None, allowance=WIDE):
    return rig.run(rig.ledger.reserve(one or ask(), allowance))


def answered(rig, one=None, mbits=None, cells=(), allowance=WIDE, anomaly=0):
    held = reserve(rig, one, allowance)
    spent = held.ask.mbits if mbits is None else mbits
    return rig.run(rig.ledger.settle(held, spent, cells, anomaly))


def refused(rule, call, *args, **kwargs):
    with pytest.raises(Refused) as caught:
        call(*args, **kwargs)
    assert caught.value.rule == rule
    assert caught.value.hint
    return caught.value


def shown(rig, model="m"):
    return {one.group: one for one in rig.run(rig.ledger.balances(model))}


# -- charging ---------------------------------------------------------------------------------


def test_what_is_reserved_is_charged_and_what_was_not_released_is_given_back(rig):
    held = reserve(rig, ask(mbits=5000))
    assert (held.balance.spent_mbits, held.balance.left_mbits) == (5000, 995_000)
    assert held.balance.model_left_mbits == 99_995_000
    settled = rig.run(rig.ledger.settle(held, 3000, [1, 2, 2], 7))
    assert (settled.spent_mbits, settled.cells, settled.anomaly_mbits) == (3000, 2, 7)
    assert (settled.group, settled.members) == ("ann", ("ann",))
    assert shown(rig)["ann"] == settled


def test_an_error_of_the_model_is_settled_at_nothing(rig):
    assert answered(rig, mbits=0).spent_mbits == 0


def test_a_reservation_that_is_never_settled_stays_charged(rig):
    reserve(rig, ask(mbits=600_000))
    refused("guard.budget", reserve, rig, ask(mbits=400_001))
    assert answered(rig, ask(mbits=400_000)).left_mbits == 0


@pytest.mark.parametrize(
    ("allowance", "rule"),
    [
        (Allowance(10_000, 10**9, rate_per_s=10**6, burst=10**6), "guard.budget"),
        (Allowance(10**9, 10_000, rate_per_s=10**6, burst=10**6), "guard.model-budget"),
    ],
)
def test_many_at_once_never_take_more_than_there_is(rig, allowance, rule):
    async def one(at):
        try:
            held = await rig.ledger.reserve(ask(f"p{at % 3}", 700), allowance)
        except Refused as error:
            assert error.rule == rule
            return 0
        await asyncio.sleep(0)
        return (await rig.ledger.settle(held, 700, [at])) and 700

    async def all_of_them():
        return await asyncio.gather(*(one(at) for at in range(64)))

    released = sum(rig.run(all_of_them()))
    per_group = allowance.group_mbits // 700 * 700
    assert released == min(64 * 700, per_group * 3, allowance.model_mbits // 700 * 700)
    assert sum(one.spent_mbits for one in shown(rig).values()) == released


def test_the_cap_of_a_model_counts_everybody_and_another_model_is_another_budget(rig):
    small = msgspec.structs.replace(WIDE, model_mbits=2500)
    answered(rig, ask("ann"), allowance=small)
    assert answered(rig, ask("bob"), allowance=small).model_left_mbits == 500
    refused("guard.model-budget", reserve, rig, ask("cyd"), small)
    assert answered(rig, ask("cyd", model="n"), allowance=small).model_left_mbits == 1500


def test_a_refusal_changes_nothing(rig):
    answered(rig)
    before = shown(rig)
    refused("guard.budget", reserve, rig, ask(mbits=2_000_000))
    refused("guard.budget", reserve, rig, ask("bob", mbits=2_000_000))
    assert shown(rig) == before


# -- reservations -----------------------------------------------------------------------------


def test_settling_twice_is_refused_without_harm(rig):
    held = reserve(rig)
    settled = rig.run(rig.ledger.settle(held, 1000, [5]))
    refused("guard.reservation", lambda: rig.run(rig.ledger.settle(held, 0, [6])))
    assert shown(rig)["ann"] == settled


def test_settling_more_than_was_reserved_is_refused_and_charges_in_full(rig):
    held = reserve(rig)
    refused("guard.reservation", lambda: rig.run(rig.ledger.settle(held, 1001, [])))
    assert shown(rig)["ann"].spent_mbits == 1000
    assert rig.run(rig.ledger.settle(held, 400, [])).spent_mbits == 400


@pytest.mark.parametrize(
    "change",
    [
        lambda held: Reservation("0" * 32, held.ask, held.balance),
        lambda held: Reservation("", held.ask, held.balance),
        lambda held: Reservation("x*\n" * 1000, held.ask, held.balance),
        lambda held: msgspec.structs.replace(held, ask=ask("eve")),
        lambda held: msgspec.structs.replace(held, ask=ask(mbits=9000)),
        lambda held: msgspec.structs.replace(held, ask=ask(model="n")),
    ],
)
def test_a_reservation_that_was_not_given_is_refused_and_the_true_one_still_settles(rig, change):
    held = reserve(rig)
    refused("guard.reservation", lambda: rig.run(rig.ledger.settle(change(held), 0, [])))
    assert rig.run(rig.ledger.settle(held, 10, [])).spent_mbits == 10
    assert set(shown(rig)) == {"ann"}


def test_the_ids_of_reservations_tell_nothing_of_each_other(rig):
    ids = {reserve(rig).id for _ in range(50)}
    assert len(ids) == 50
    assert all(len(bytes.fromhex(one)) >= 16 for one in ids)
    assert len({one[:6] for one in ids}) > 40


def test_a_reservation_of_before_a_restart_is_refused_and_stays_charged(rig):
    held = reserve(rig)
    rig.restart()
    refused("guard.reservation", lambda: rig.run(rig.ledger.settle(held, 0, [])))
    assert shown(rig)["ann"].spent_mbits == 1000


# -- groups -----------------------------------------------------------------------------------


def test_a_group_is_the_sum_and_the_union_of_its_members_and_a_link_can_be_taken_back(rig):
    answered(rig, ask("ann", 3000), cells=[1, 2])
    answered(rig, ask("bob", 5000), cells=[2, 3], anomaly=4)
    answered(rig, ask("bob", 100, "n"))
    rig.run(rig.ledger.place("ann", "link-1"))
    rig.run(rig.ledger.place("bob", "link-1"))
    both = shown(rig)
    assert set(both) == {"link-1"}
    assert (both["link-1"].spent_mbits, both["link-1"].cells) == (8000, 3)
    assert both["link-1"].members == ("ann", "bob")
    assert set(shown(rig, "n")) == {"link-1"}
    assert answered(rig, ask("ann", 1000), cells=[9]).spent_mbits == 9000
    rig.run(rig.ledger.place("ann", "ann"))
    apart = shown(rig)
    assert {name: (one.spent_mbits, one.cells) for name, one in apart.items()} == {
        "ann": (4000, 3),
        "link-1": (5000, 2),
    }
    assert apart["link-1"].anomaly_mbits == 4


def test_a_group_shares_one_budget_and_one_rate(rig):
    tight = Allowance(10_000, 10**9, rate_per_s=1, burst=3)
    rig.run(rig.ledger.place("bob", "ann"))
    answered(rig, ask("ann", 6000), allowance=tight)
    refused("guard.budget", reserve, rig, ask("bob", 4001), tight)
    answered(rig, ask("bob", 100), allowance=tight)
    answered(rig, ask("bob", 100), allowance=tight)
    refused("guard.rate", reserve, rig, ask("ann", 100), tight)


def test_a_reservation_is_settled_in_the_group_its_principal_is_in_by_then(rig):
    held = reserve(rig, ask("ann", 5000))
    rig.run(rig.ledger.place("ann", "bob"))
    settled = rig.run(rig.ledger.settle(held, 2000, [1]))
    assert (settled.group, settled.spent_mbits, settled.cells) == ("bob", 2000, 1)


def test_places_and_rungs_outlive_a_crash(rig):
    answered(rig, ask("ann"))
    rig.run(rig.ledger.place("ann", "g"))
    until = rig.clock() // 1000 + 60_000
    rig.run(rig.ledger.climb("m", "g", "degrade", until))
    rig.crash()
    one = shown(rig)["g"]
    assert (one.members, one.rung, one.rung_until_ms) == (("ann",), "degrade", until)


# -- rungs ------------------------------------------------------------------------------------


def test_a_rung_is_the_highest_of_the_members_and_decays_by_itself(rig):
    answered(rig, ask("ann"))
    answered(rig, ask("bob"))
    now = rig.clock() // 1000
    assert rig.run(rig.ledger.climb("m", "ann", "block", now + 1000)).rung == "block"
    rig.run(rig.ledger.climb("m", "bob", "warn", now + 5000))
    refused("guard.blocked", reserve, rig, ask("ann"))
    rig.run(rig.ledger.place("bob", "ann"))
    refused("guard.blocked", reserve, rig, ask("bob"))
    rig.run(rig.ledger.place("bob", "bob"))
    assert answered(rig, ask("bob")).rung == "warn"
    rig.run(rig.ledger.place("bob", "ann"))
    rig.clock.us += 1_000_000
    assert answered(rig, ask("ann")).rung == "warn"
    rig.clock.us += 4_000_000
    assert answered(rig, ask("ann")).rung == "observe"


def test_whoever_is_blocked_stays_blocked_when_the_link_is_taken_back(rig):
    answered(rig, ask("ann"))
    answered(rig, ask("bob"))
    rig.run(rig.ledger.place("bob", "ann"))
    rig.run(rig.ledger.climb("m", "ann", "block", rig.clock() // 1000 + 1000))
    rig.run(rig.ledger.place("bob", "bob"))
    refused("guard.blocked", reserve, rig, ask("bob"))
    assert rig.run(rig.ledger.climb("m", "bob", "observe", 0)).rung == "observe"
    answered(rig, ask("bob"))
    assert answered(rig, ask("ann", model="n")).rung == "observe"


# -- coverage ---------------------------------------------------------------------------------


def test_a_pace_lets_cells_be_touched_as_more_is_asked(rig):
    paced = Allowance(10**9, 10**9, 30, 10**6, 10**6, pace=((10_000, 5), (20_000, 7)))
    for at in range(5):
        answered(rig, ask(mbits=2_000), cells=[at], allowance=paced)
    held = reserve(rig, ask(mbits=2_000), paced)
    told = refused("guard.coverage", lambda: rig.run(rig.ledger.settle(held, 2_000, [5])))
    assert "6 cells" in told.why
    for _ in range(2):
        answered(rig, ask(mbits=2_000), cells=[0], allowance=paced)
    answered(rig, ask(mbits=2_000), cells=[5], allowance=paced)
    assert shown(rig)["ann"].cells == 6


def test_the_last_of_a_pace_holds_from_there_on(rig):
    paced = Allowance(10**9, 10**9, 0, 10**6, 10**6, pace=((1_000, 2),))
    answered(rig, ask(mbits=900_000), cells=[0, 1], allowance=paced)
    held = reserve(rig, ask(mbits=900_000), paced)
    refused("guard.coverage", lambda: rig.run(rig.ledger.settle(held, 9_000, [2])))


@pytest.mark.parametrize("pace", [((0, 1),), ((5, 2), (5, 3)), ((5, 3), (9, 2)), ((5, 1025),)])
def test_a_pace_that_does_not_rise_is_refused(rig, pace):
    with pytest.raises(BadInput):
        reserve(rig, ask(), Allowance(10**6, 10**6, pace=pace))


def test_a_group_at_its_cap_of_cells_is_refused(rig):
    capped = msgspec.structs.replace(WIDE, cells=3)
    answered(rig, cells=[0, 1023], allowance=capped)
    answered(rig, cells=[7], allowance=capped)
    assert refused("guard.coverage", reserve, rig, None, capped).why
    assert shown(rig)["ann"].cells == 3


def test_an_answer_that_would_go_beyond_the_cap_must_not_leave_and_costs_one_bit(rig):
    capped = msgspec.structs.replace(WIDE, cells=100)
    answered(rig, ask(mbits=0), cells=range(98), allowance=capped)
    held = [reserve(rig, ask(mbits=9000), capped) for _ in range(2)]
    refused("guard.coverage", lambda: rig.run(rig.ledger.settle(held[0], 9000, [98, 99, 100])))
    one = shown(rig)["ann"]
    assert (one.cells, one.spent_mbits) == (98, 10_000)
    refused("guard.reservation", lambda: rig.run(rig.ledger.settle(held[0], 0, [])))
    assert rig.run(rig.ledger.settle(held[1], 0, [98, 99])).cells == 100


def test_every_cell_is_kept_over_a_restart(rig):
    answered(rig, ask(mbits=0), cells=range(0, 1024, 3))
    rig.restart()
    assert answered(rig, ask(mbits=0), cells=range(0, 1024, 3)).cells == 342


# -- rate -------------------------------------------------------------------------------------


def test_a_burst_and_then_the_rate(rig):
    slow = msgspec.structs.replace(WIDE, rate_per_s=10, burst=5)
    for _ in range(5):
        answered(rig, allowance=slow)
    assert "100 ms" in refused("guard.rate", reserve, rig, None, slow).why
    rig.clock.us += 99_999
    refused("guard.rate", reserve, rig, None, slow)
    rig.clock.us += 1
    answered(rig, allowance=slow)
    refused("guard.rate", reserve, rig, None, slow)


def test_a_weight_multiplies_the_cost(rig):
    slow = msgspec.structs.replace(WIDE, rate_per_s=10, burst=5)
    answered(rig, ask(weight=4), allowance=slow)
    refused("guard.rate", reserve, rig, ask(weight=2), slow)
    answered(rig, ask(weight=1), allowance=slow)
    refused("guard.rate", reserve, rig, ask(weight=6), slow)


def test_a_clock_set_back_never_refills_and_one_set_forward_gives_one_burst(rig):
    slow = msgspec.structs.replace(WIDE, rate_per_s=10, burst=2)
    answered(rig, ask(weight=2), allowance=slow)
    for back_us in (1, 10**6, 10**12):
        rig.clock.us -= back_us
        refused("guard.rate", reserve, rig, None, slow)
    rig.clock.us += 10**13
    answered(rig, ask(weight=2), allowance=slow)
    refused("guard.rate", reserve, rig, None, slow)


def test_moving_between_groups_does_not_refill(rig):
    slow = msgspec.structs.replace(WIDE, rate_per_s=10, burst=2)
    answered(rig, ask(weight=2), allowance=slow)
    for group in ("g", "h", "ann"):
        rig.run(rig.ledger.place("ann", group))
        refused("guard.rate", reserve, rig, None, slow)


# -- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        ask(mbits=-1),
        ask(mbits=1 << 51),
        ask(mbits=1.5),
        ask(mbits=True),
        ask(mbits="9"),
        ask(weight=0),
        ask(weight=-3),
        ask(weight=10**9),
        ask(""),
        ask("a\nb"),
        ask("a\0b"),
        ask("\ud800"),
        ask("x" * 257),
        ask(model=""),
        Ask("m", "ann", 1, -1),
        Ask("m", "ann", 1, 1 << 60),
    ],
)
def test_an_ask_out_of_bounds_is_refused(rig, bad):
    with pytest.raises(BadInput):
        reserve(rig, bad)
    assert shown(rig) == {}


@pytest.mark.parametrize(
    "bad",
    [
        {"group_mbits": -1},
        {"model_mbits": 1 << 60},
        {"cells": 4097},
        {"rate_per_s": 0},
        {"burst": -1},
        {"burst": 2.0},
    ],
)
def test_an_allowance_out_of_bounds_is_refused(rig, bad):
    with pytest.raises(BadInput):
        reserve(rig, None, msgspec.structs.replace(WIDE, **bad))


@pytest.mark.parametrize(
    "bad",
    [(-1, [], 0), (10, [1024], 0), (10, [-1], 0), (10, [1.0], 0), (10, [], -1), (10, [], 1 << 60)],
)
def test_a_settlement_out_of_bounds_is_refused_and_leaves_the_reservation(rig, bad):
    held = reserve(rig)
    with pytest.raises(BadInput):
        rig.run(rig.ledger.settle(held, *bad))
    assert rig.run(rig.ledger.settle(held, 10, [1])).spent_mbits == 10


def test_names_and_rungs_out_of_bounds_are_refused(rig):
    for call in (
        lambda: rig.ledger.place("", "g"),
        lambda: rig.ledger.place("a", "\0"),
        lambda: rig.ledger.climb("m", "g", "kill", 5),
        lambda: rig.ledger.climb("m", "g", "warn", -5),
        lambda: rig.ledger.balances("\n"),
    ):
        with pytest.raises(BadInput):
            rig.run(call())


def test_the_largest_amounts_are_exact(rig):
    huge = Allowance(1 << 50, 1 << 50, rate_per_s=10**6, burst=10**6)
    assert answered(rig, ask(mbits=(1 << 50) - 1), allowance=huge).left_mbits == 1
    refused("guard.budget", reserve, rig, ask(mbits=2), huge)
    assert answered(rig, ask(mbits=1), allowance=huge).spent_mbits == 1 << 50


def test_any_printable_name_is_one_name(rig):
    names = ["ann", "Ann", "a:b", "a:b:c", "a*", "{a}", "ü", "k'; DROP TABLE x; --", "a b"]
    for name in names:
        answered(rig, ask(name))
    assert list(shown(rig)) == sorted(names)
    rig.restart()
    assert list(shown(rig)) == sorted(names)


# -- crashes ----------------------------------------------------------------------------------


def test_nothing_is_lost_in_good_order(rig):
    answered(rig, ask("ann", 1234), cells=[1, 2, 3], anomaly=5)
    before = shown(rig)
    rig.restart()
    assert shown(rig) == before


def test_after_a_crash_whole_claims_count_as_spent_and_no_more_than_a_chunk_is_wasted(rig):
    answered(rig, ask(mbits=1000), cells=[1, 2, 3])
    rig.crash()
    one = shown(rig)["ann"]
    assert 1000 <= one.spent_mbits <= 1000 + WIDE.group_mbits // 64
    assert 3 <= one.cells <= 3 + 64
    assert one.model_left_mbits >= WIDE.model_mbits - 1000 - WIDE.model_mbits // 256


def test_crashes_in_a_row_never_let_more_out_than_the_budget_and_waste_a_chunk_each(rig):
    small = Allowance(64_000, 10**9, cells=640, rate_per_s=10**6, burst=10**6)
    released, cell, crashes = 0, 0, 0
    while True:
        try:
            for _ in range(3):
                answered(rig, ask(mbits=900), cells=[cell], allowance=small)
                released, cell = released + 900, cell + 1
        except Refused as error:
            assert error.rule in ("guard.budget", "guard.coverage")
            break
        assert shown(rig)["ann"].spent_mbits >= released
        assert shown(rig)["ann"].cells >= cell
        rig.crash()
        crashes += 1
        assert shown(rig)["ann"].spent_mbits >= released
        assert shown(rig)["ann"].cells >= cell
    assert released <= 64_000
    assert released + (crashes + 1) * 1000 >= 64_000 - 900


def test_a_record_that_cannot_be_written_refuses_and_gives_nothing_away(rig):
    answered(rig, ask(mbits=1000), cells=[1])
    claimed = WIDE.group_mbits // 64
    rig.break_record()
    with pytest.raises(Unavailable) as caught:
        for _ in range(claimed // 1000 + 2):
            answered(rig, ask(mbits=1000), cells=[1])
    assert "guard.ledger" in str(caught.value)
    assert caught.value.hint
    with pytest.raises(SealError):
        rig.run(rig.ledger.place("ann", "g"))
