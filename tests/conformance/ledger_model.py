"""The leakage ledger as plainly as it can be said: dictionaries, sums and unions over members."""

from __future__ import annotations

import bisect
import math
from fractions import Fraction

from sealwright.core.errors import Refused
from sealwright.serve.interface import RUNGS


class Plain:
    def __init__(self):
        self.placed = {}
        self.accounts = {}  # (model, principal) -> dict
        self.tats = {}  # (model, group) -> µs
        self.reserved = {}

    def group_of(self, principal):
        return self.placed.get(principal, principal)

    def members(self, model, group):
        return sorted(p for m, p in self.accounts if m == model and self.group_of(p) == group)

    def of(self, model, group):
        return [self.accounts[model, p] for p in self.members(model, group)]

    def spent(self, model, group):
        return sum(one["spent"] for one in self.of(model, group))

    def model_spent(self, model):
        return sum(one["spent"] for (m, _), one in self.accounts.items() if m == model)

    def cells(self, model, group):
        return set().union(*(one["cells"] for one in self.of(model, group)))

    def rung(self, model, group, now_ms):
        live = [(RUNGS.index(o["rung"]), o["until"]) for o in self.of(model, group)]
        live = [(rung, until) for rung, until in live if rung and until > now_ms]
        rung, until = max(live, default=(0, 0))
        return RUNGS[rung], until

    def account(self, model, principal):
        blank = {"spent": 0, "cells": set(), "anomaly": 0, "rung": "observe", "until": 0}
        return self.accounts.setdefault((model, principal), blank)

    def reserve(self, key, ask, allowance, now_us):
        group = self.group_of(ask.principal)
        if self.rung(ask.model, group, now_us // 1000)[0] == "block":
            raise Refused("", rule="guard.blocked")
        cost = -(-1_000_000 // allowance.rate_per_s)
        tat = max(self.tats.get((ask.model, group), 0), now_us) + ask.weight * cost
        if tat > now_us + allowance.burst * cost:
            raise Refused("", rule="guard.rate")
        if allowance.cells and len(self.cells(ask.model, group)) >= allowance.cells:
            raise Refused("", rule="guard.coverage")
        if self.spent(ask.model, group) + ask.mbits > allowance.group_mbits:
            raise Refused("", rule="guard.budget")
        if self.model_spent(ask.model) + ask.mbits > allowance.model_mbits:
            raise Refused("", rule="guard.model-budget")
        self.tats[ask.model, group] = tat
        self.account(ask.model, ask.principal)["spent"] += ask.mbits
        self.reserved[key] = (ask, allowance)

    @staticmethod
    def room(allowance, spent):
        most = allowance.cells or 1024
        if allowance.pace:
            amounts, cells = zip((0, 0), *allowance.pace, strict=True)
            at = bisect.bisect_right(amounts, spent)
            paced = cells[-1]
            if at < len(amounts):
                part = Fraction(spent - amounts[at - 1], amounts[at] - amounts[at - 1])
                paced = math.floor(cells[at - 1] + part * (cells[at] - cells[at - 1]))
            most = min(most, max(1, paced))
        return most

    def settle(self, key, mbits, cells, anomaly):
        if key not in self.reserved or mbits > self.reserved[key][0].mbits:
            raise Refused("", rule="guard.reservation")
        ask, allowance = self.reserved.pop(key)
        account = self.account(ask.model, ask.principal)
        had = self.cells(ask.model, self.group_of(ask.principal))
        most = self.room(allowance, self.spent(ask.model, self.group_of(ask.principal)))
        if set(cells) - had and len(had | set(cells)) > most:
            account["spent"] -= ask.mbits - min(ask.mbits, 1000)
            raise Refused("", rule="guard.coverage")
        account["spent"] -= ask.mbits - mbits
        account["cells"] |= set(cells)
        account["anomaly"] += anomaly

    def place(self, principal, group):
        old = self.group_of(principal)
        self.placed[principal] = group
        for model, one in self.accounts:
            if one == principal and old != group:
                tats = self.tats.get((model, old), 0), self.tats.get((model, group), 0)
                self.tats[model, group] = max(tats)
                if not self.members(model, old):
                    self.tats.pop((model, old), None)

    def climb(self, model, group, rung, until):
        for one in self.members(model, group) or [group]:
            self.account(model, one).update(rung=rung, until=until if rung != "observe" else 0)

    def shown(self, model, now_ms):
        """What every balance must say: group, members, spent, cells, anomaly, rung, until."""
        groups = {self.group_of(p) for m, p in self.accounts if m == model}
        return [
            (
                group,
                tuple(self.members(model, group)),
                self.spent(model, group),
                len(self.cells(model, group)),
                sum(one["anomaly"] for one in self.of(model, group)),
                *self.rung(model, group, now_ms),
            )
            for group in sorted(groups)
        ]
