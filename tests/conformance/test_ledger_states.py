"""Over random histories a ledger does what the plain model says; after a crash at least that."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from ledger_model import Plain
from ledger_rigs import RIGS

from sealwright.core.errors import Refused
from sealwright.serve.interface import RUNGS, Allowance, Ask

NAMES = st.sampled_from(["ann", "bob", "cyd", "dan"])
GROUPS = st.sampled_from(["ann", "bob", "cyd", "dan", "g", "h"])
MODELS = st.sampled_from(["m", "n"])
CELLS = st.lists(st.integers(0, 40), max_size=12)
ALLOWANCES = (
    Allowance(20_000, 50_000, 0, 1000, 20),
    Allowance(20_000, 50_000, 25, 1000, 20),
    Allowance(5_000, 30_000, 10, 100, 5),
    Allowance(20_000, 50_000, 30, 1000, 20, ((3_000, 4), (9_000, 15), (20_000, 40))),
)


class Histories(RuleBasedStateMachine):
    """Exact until the first crash; from then on at least what was really released."""

    rig_of = None

    @initialize()
    def start(self):
        self.folder = tempfile.TemporaryDirectory()
        self.held = self.rig_of(Path(self.folder.name))
        self.rig = self.held.__enter__()
        self.plain = Plain()
        self.open = []
        self.exact = True
        self.released = {}

    def teardown(self):
        self.held.__exit__(None, None, None)
        self.folder.cleanup()

    def both(self, ours, plain):
        """What ours returns; both refuse by the same rule, or neither does."""
        try:
            want, rule_wanted = plain(), None
        except Refused as error:
            want, rule_wanted = None, error.rule
        try:
            got, rule_got = self.rig.run(ours()), None
        except Refused as error:
            got, rule_got = None, error.rule
        del want
        assert rule_got == rule_wanted
        return got

    @precondition(lambda self: self.exact)
    @rule(
        who=NAMES,
        model=MODELS,
        mbits=st.integers(0, 4000),
        weight=st.integers(1, 6),
        allowance=st.sampled_from(ALLOWANCES),
    )
    def reserve(self, who, model, mbits, weight, allowance):
        asked = Ask(model, who, mbits, 0, weight)
        key = object()
        now = self.rig.clock()
        held = self.both(
            lambda: self.rig.ledger.reserve(asked, allowance),
            lambda: self.plain.reserve(key, asked, allowance, now),
        )
        if held:
            self.open.append((held, key))

    @precondition(lambda self: self.exact and self.open)
    @rule(data=st.data(), part=st.integers(0, 5000), cells=CELLS, anomaly=st.integers(0, 9))
    def settle(self, data, part, cells, anomaly):
        held, key = data.draw(st.sampled_from(self.open))
        settled = self.both(
            lambda: self.rig.ledger.settle(held, part, cells, anomaly),
            lambda: self.plain.settle(key, part, cells, anomaly),
        )
        if settled:
            self.release(held.ask, part, cells)

    def release(self, asked, mbits, cells):
        total, seen = self.released.get((asked.model, asked.principal), (0, set()))
        self.released[asked.model, asked.principal] = (total + mbits, seen | set(cells))

    @precondition(lambda self: not self.exact)
    @rule(
        who=NAMES,
        model=MODELS,
        mbits=st.integers(0, 4000),
        cells=CELLS,
        allowance=st.sampled_from(ALLOWANCES),
        finish=st.booleans(),
    )
    def answer_after_a_crash(self, who, model, mbits, cells, allowance, finish):
        asked = Ask(model, who, mbits, 0)
        try:
            held = self.rig.run(self.rig.ledger.reserve(asked, allowance))
            if finish:
                self.rig.run(self.rig.ledger.settle(held, mbits, cells))
                self.release(asked, mbits, cells)
        except Refused:
            pass

    @rule(who=NAMES, group=GROUPS)
    def place(self, who, group):
        self.rig.run(self.rig.ledger.place(who, group))
        self.plain.place(who, group)

    @rule(model=MODELS, group=GROUPS, rung=st.sampled_from(RUNGS), lasts=st.integers(0, 50))
    def climb(self, model, group, rung, lasts):
        until = self.rig.clock() // 1000 + lasts
        self.rig.run(self.rig.ledger.climb(model, group, rung, until))
        self.plain.climb(model, group, rung, until)

    @rule(us=st.integers(-100_000, 100_000))
    def time_passes(self, us):
        self.rig.clock.us += max(us, 0)

    @rule()
    def restart_in_good_order(self):
        self.rig.restart()
        self.open.clear()
        self.plain.reserved.clear()
        if self.rig.restart_empties_the_rate:
            self.plain.tats.clear()

    @rule()
    def crash(self):
        self.rig.crash()
        self.open.clear()
        self.exact = False

    @invariant()
    def balances_are_those_of_the_plain_model(self):
        if not self.exact:
            return
        for model in ("m", "n"):
            got = [
                (
                    b.group,
                    b.members,
                    b.spent_mbits,
                    b.cells,
                    b.anomaly_mbits,
                    b.rung,
                    b.rung_until_ms,
                )
                for b in self.rig.run(self.rig.ledger.balances(model))
            ]
            assert got == self.plain.shown(model, self.rig.clock() // 1000)

    @invariant()
    def nothing_released_is_uncounted_and_no_cap_is_passed(self):
        for model in ("m", "n"):
            balances = self.rig.run(self.rig.ledger.balances(model))
            total = sum(t for (m, _), (t, _) in self.released.items() if m == model)
            assert total <= 50_000
            assert sum(b.spent_mbits for b in balances) >= total
            for one in balances:
                own = [self.released.get((model, p), (0, set())) for p in one.members]
                assert one.spent_mbits >= sum(mbits for mbits, _ in own)
                assert one.cells >= len(set().union(*(cells for _, cells in own)))


@pytest.mark.parametrize("name", RIGS)
def test_any_history_is_as_the_plain_model_has_it(name):
    machine = type(f"Histories_{name}", (Histories,), {"rig_of": staticmethod(RIGS[name])})
    few = settings(
        max_examples=30 if name == "memory" else 12,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=few)
