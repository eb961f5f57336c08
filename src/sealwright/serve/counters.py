"""The counters that a book keeps: accounts, the groups they are counted in, and models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sealwright.serve.interface import RUNGS, Allowance, Balance, Rung


class Terms(NamedTuple):
    """An allowance that was checked, and what its rate makes of a request and of a burst."""

    allowance: Allowance | None
    cost_us: int
    burst_us: int


NO_TERMS = Terms(None, 0, 0)


class Account:
    """One principal and one model. ``spent`` includes what is reserved and not settled.

    ``kept`` are the cells that the durable record is known to hold; ``terms`` those it last asked
    under.
    """

    __slots__ = (
        "allowed",
        "anomaly",
        "cells",
        "claimed",
        "group",
        "kept",
        "lost",
        "margin",
        "model",
        "principal",
        "rung",
        "spent",
        "terms",
        "until_ms",
    )

    def __init__(self, principal: str, model: Model) -> None:
        self.principal = principal
        self.model = model
        self.group: Group
        self.terms = NO_TERMS
        self.spent = self.claimed = self.allowed = 0
        self.cells = self.kept = self.margin = self.lost = 0
        self.anomaly = 0
        self.rung = 0
        self.until_ms = 0

    def unkept(self, cells: int) -> int:
        """How many of its cells would be in no durable bitmap once ``cells`` are added."""
        return ((self.cells | cells) & ~self.kept).bit_count()


class Group:
    """The accounts of one model that share a budget, and their sums."""

    __slots__ = (
        "anomaly",
        "cells",
        "count",
        "ends_ms",
        "last_ms",
        "lost",
        "members",
        "model",
        "name",
        "names",
        "spent",
        "tat_us",
    )

    def __init__(self, name: str, model: Model) -> None:
        self.name = name
        self.model = model
        self.tat_us = 0
        self.members: dict[str, Account] = {}
        self.recount()

    def recount(self) -> None:
        """Sums, union and rungs anew from the members."""
        members: Iterable[Account] = self.members.values()
        self.names = tuple(sorted(self.members))
        self.spent = sum(one.spent for one in members)
        self.lost = sum(one.lost for one in members)
        self.anomaly = sum(one.anomaly for one in members)
        self.cells = 0
        self.ends_ms = [0] * len(RUNGS)
        for one in members:
            self.cells |= one.cells
            self.ends_ms[one.rung] = max(self.ends_ms[one.rung], one.until_ms)
        self.last_ms = max(self.ends_ms)
        self.count = self.counted(0)

    def counted(self, cells: int) -> int:
        """Cells touched once ``cells`` are added; those lost before a crash count each."""
        return (self.cells | cells).bit_count() + self.lost

    def touch(self, account: Account, cells: int) -> None:
        """Add cells."""
        account.cells |= cells
        self.cells |= cells
        self.count = self.counted(0)

    def rung(self, now_ms: int) -> int:
        """The highest rung of a member that has not decayed."""
        ends_ms = self.ends_ms
        for at in (5, 4, 3, 2, 1):
            if ends_ms[at] > now_ms:
                return at
        return 0

    def balance(self, allowed_mbits: int, model_allowed_mbits: int, now_ms: int) -> Balance:
        """Where it stands."""
        at = self.rung(now_ms) if self.last_ms > now_ms else 0
        rung: Rung = RUNGS[at]
        model, spent = self.model, self.spent
        left, model_left = allowed_mbits - spent, model_allowed_mbits - model.spent
        return Balance(
            model.name,
            self.name,
            self.names,
            spent,
            left if left > 0 else 0,
            model_left if model_left > 0 else 0,
            self.count,
            self.anomaly,
            rung,
            self.ends_ms[at] if at else 0,
        )


class Model:
    """One model: what all accounts together spent and claimed."""

    __slots__ = ("accounts", "allowed", "claimed", "groups", "name", "spent")

    def __init__(self, name: str) -> None:
        self.name = name
        self.spent = self.claimed = self.allowed = 0
        self.accounts: dict[str, Account] = {}
        self.groups: dict[str, Group] = {}

    def join(self, account: Account, name: str) -> None:
        """Count ``account`` in the group of that name. The rate of neither side starts anew."""
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = Group(name, self)
        old: Group | None = getattr(account, "group", None)
        if old is group:
            return
        if old is not None:
            group.tat_us = max(group.tat_us, old.tat_us)
            del old.members[account.principal]
            old.recount()
            if not old.members:
                del self.groups[old.name]
        account.group = group
        group.members[account.principal] = account
        group.recount()
