"""The book: counters in memory that refuse beyond what was claimed. Pure: no file, no clock.

Where the record does not reach far enough, a call returns the claim it needs; the caller makes it
durable, says ``granted``, and calls again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from sealwright.serve import bounds, claims, gcra
from sealwright.serve.claims import AccountRow, Claim, ModelRow, Record
from sealwright.serve.counters import Account, Model, Terms
from sealwright.serve.interface import RUNGS, Allowance, Ask, Balance, Reservation, Rung
from sealwright.serve.names import random_names

MOST_OPEN = 100_000
"""Reservations held open; beyond that the oldest can no longer be settled and stays charged."""
_BLOCK = RUNGS.index("block")


class Book:
    """All models, accounts and groups of one process."""

    def __init__(self, record: Record) -> None:
        self._placed = dict(record.placed)
        self._models: dict[str, Model] = {}
        self._open: OrderedDict[str, tuple[Account, Ask, Allowance]] = OrderedDict()
        self._names = random_names(16)
        for row in record.models:
            model = self._model(row.model)
            model.spent = model.claimed = row.claimed_mbits
            model.allowed = row.allowed_mbits
        for one in record.accounts:
            self._restore(one)

    def reserve(self, ask: Ask, allowance: Allowance, now_us: int) -> Reservation | Claim:
        """Take ``ask.mbits``, or say which claim that needs. Raises: BadInput, Refused."""
        account = self._known(ask)
        terms = account.terms
        if terms.allowance is not allowance:
            terms = self._checked(allowance)
        group, model, mbits = account.group, account.model, ask.mbits
        if group.ends_ms[_BLOCK] > now_us // 1000:
            raise bounds.blocked(group.name, model.name, group.ends_ms[_BLOCK])
        if ask.weight > allowance.burst:
            raise bounds.too_many_rows(group.name, ask.weight, allowance.burst)
        tat_us = gcra.arrive(group.tat_us, now_us, ask.weight * terms.cost_us, terms.burst_us)
        if tat_us < 0:
            raise bounds.too_fast(group.name, -tat_us)
        if allowance.cells and group.count >= allowance.cells:
            raise bounds.covered(group.name, model.name, group.count, allowance.cells)
        left, model_left = allowance.group_mbits - group.spent, allowance.model_mbits - model.spent
        if mbits > left:
            raise bounds.spent(group.name, ask, left)
        if mbits > model_left:
            raise bounds.model_spent(ask, model_left)
        if (
            account.spent + mbits > account.claimed
            or model.spent + mbits > model.claimed
            or account.principal not in model.accounts
        ):
            return _claim(account, mbits, allowance)
        account.spent += mbits
        group.spent += mbits
        model.spent += mbits
        group.tat_us = tat_us
        account.terms = terms
        account.allowed, model.allowed = allowance.group_mbits, allowance.model_mbits
        return self._opened(account, ask, allowance, now_us)

    def settle(
        self,
        reservation: Reservation,
        mbits: int,
        cells: Sequence[int],
        anomaly_mbits: int,
        now_us: int,
    ) -> Balance | Claim:
        """Charge what was released, or say which claim its cells need. Raises: BadInput, Refused.

        Where the cells would go beyond the cap the answer must not leave, and one bit is charged:
        the refusal tells as much.
        """
        bitmap = bounds.check_release(mbits, cells, anomaly_mbits)
        held = self._open.get(reservation.id)
        if held is None or (held[1] is not reservation.ask and held[1] != reservation.ask):
            raise bounds.unknown_reservation()
        account, ask, allowance = held
        reserved = ask.mbits
        group, model = account.group, account.model
        if mbits > reserved:
            raise bounds.above_reserved(mbits, reserved)
        if bitmap:
            new = bitmap & ~group.cells
            cap = bounds.room(allowance, group.spent) if allowance.pace else allowance.cells
            if new and cap and group.counted(new) > cap:
                del self._open[reservation.id]
                self._refund(account, reserved - min(reserved, bounds.ONE_BIT))
                raise bounds.covered(group.name, model.name, group.counted(new), cap)
            if bitmap & ~account.cells:
                if account.unkept(bitmap) > account.margin:
                    return _claim(account, 0, allowance, bitmap)
                group.touch(account, bitmap)
        del self._open[reservation.id]
        if mbits < reserved:
            self._refund(account, reserved - mbits)
        if anomaly_mbits:
            more = min(anomaly_mbits, bounds.MOST_MBITS - account.anomaly)
            account.anomaly += more
            group.anomaly += more
        return group.balance(allowance.group_mbits, allowance.model_mbits, now_us // 1000)

    def whole(self, claim: Claim) -> Claim:
        """The same claim with every cell that is known now: a bitmap is replaced as a whole."""
        account = self._model(claim.model).accounts.get(claim.principal)
        if account is None:
            return claim
        cells = claim.cells | account.cells | account.kept
        return msgspec.structs.replace(claim, cells=cells)

    def granted(self, claim: Claim) -> None:
        """The claim is durable: the counters may go up to it."""
        model = self._model(claim.model)
        account = model.accounts.get(claim.principal)
        if account is None:
            account = self._account(claim.principal, model)
        account.claimed = max(account.claimed, claim.mbits)
        model.claimed = max(model.claimed, claim.model_mbits)
        account.kept |= claim.cells
        account.margin = max(account.margin, claim.margin)
        account.allowed = account.allowed or claim.allowed_mbits
        model.allowed = model.allowed or claim.model_allowed_mbits

    def place(self, principal: str, group: str) -> None:
        """Count ``principal`` in ``group`` from now on, with all it ever did."""
        if principal == group:
            self._placed.pop(principal, None)
        else:
            self._placed[principal] = group
        for model in self._models.values():
            if account := model.accounts.get(principal):
                model.join(account, group)

    def climbers(self, model: str, group: str) -> tuple[str, ...]:
        """Whom a rung of ``group`` is set for: its members, else the principal of that name."""
        found = self._models.get(model)
        known = found.groups.get(group) if found else None
        return known.names if known else (group,)

    def climb(self, model: str, principals: Sequence[str], rung: Rung, until_ms: int) -> None:
        """Set the rung of these principals."""
        here = self._model(model)
        for name in principals:
            account = here.accounts.get(name) or self._account(name, here)
            account.rung = RUNGS.index(rung)
            account.until_ms = until_ms if account.rung else 0
            account.group.recount()

    def balance(self, model: str, group: str, now_us: int) -> Balance:
        """Where a group stands, by its members' last allowance; an empty one is all zero."""
        found = self._models.get(model)
        known = found.groups.get(group) if found else None
        if found is None or known is None:
            return Balance(model, group, (), 0, 0, 0)
        allowed = min(one.allowed for one in known.members.values())
        return known.balance(allowed, found.allowed, now_us // 1000)

    def balances(self, model: str, now_us: int) -> tuple[Balance, ...]:
        """Every group, by name."""
        found = self._models.get(model)
        names = sorted(found.groups) if found else ()
        return tuple(self.balance(model, name, now_us) for name in names)

    def record(self) -> Record:
        """What was really spent, for the record when all ends well."""
        models = self._models.values()
        accounts = (one for model in models for one in model.accounts.values())
        return Record(
            tuple(_row(one) for one in accounts),
            tuple(ModelRow(one.name, one.spent, one.allowed) for one in models),
            dict(self._placed),
        )

    def _known(self, ask: Ask) -> Account:
        """Whose it is; an account that is not in the book yet is a draft. Raises: BadInput."""
        model = account = None
        try:
            if model := self._models.get(ask.model):
                account = model.accounts.get(ask.principal)
        except TypeError:
            pass  # something unhashable stands where a name should: told below
        if account is not None:
            bounds.check_amounts(ask)
            return account
        bounds.check_ask(ask)
        return self._draft(ask.principal, model or Model(ask.model))

    def _checked(self, allowance: Allowance) -> Terms:
        """Raises: BadInput."""
        bounds.check_allowance(allowance)
        cost_us = gcra.interval_us(allowance.rate_per_s)
        return Terms(allowance, cost_us, allowance.burst * cost_us)

    def _opened(self, account: Account, ask: Ask, allowance: Allowance, now_us: int) -> Reservation:
        name = next(self._names)
        self._open[name] = (account, ask, allowance)
        if len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)
        return Reservation(
            name,
            ask,
            account.group.balance(allowance.group_mbits, allowance.model_mbits, now_us // 1000),
        )

    def _refund(self, account: Account, mbits: int) -> None:
        account.spent -= mbits
        account.group.spent -= mbits
        account.model.spent -= mbits

    def _model(self, name: str) -> Model:
        found = self._models.get(name)
        if found is None:
            found = self._models[name] = Model(name)
        return found

    def _account(self, principal: str, model: Model) -> Account:
        account = model.accounts[principal] = Account(principal, model)
        model.join(account, self._placed.get(principal, principal))
        return account

    def _draft(self, principal: str, model: Model) -> Account:
        """An account that is not in the book yet, in its group as that is."""
        account = Account(principal, model)
        name = self._placed.get(principal, principal)
        group = model.groups.get(name)
        if group is None:
            Model(model.name).join(account, name)
            account.group.model = model
        else:
            account.group = group
        return account

    def _restore(self, row: AccountRow) -> None:
        account = self._account(row.principal, self._model(row.model))
        account.spent = account.claimed = row.claimed_mbits
        account.cells = account.kept = row.cells
        account.margin, account.lost = row.margin, row.lost
        account.anomaly, account.allowed = row.anomaly_mbits, row.allowed_mbits
        account.rung, account.until_ms = RUNGS.index(row.rung), row.until_ms
        account.group.recount()


def _claim(account: Account, mbits: int, allowance: Allowance, cells: int = 0) -> Claim:
    group, model = account.group, account.model
    members = len(group.members)
    left, all_left = allowance.group_mbits - group.spent, allowance.model_mbits - model.spent
    chunk, all_chunk = claims.group_chunk(allowance, members), claims.model_chunk(allowance)
    return Claim(
        model.name,
        account.principal,
        max(account.claimed, claims.ahead(account.spent, mbits, left, chunk)),
        max(model.claimed, claims.ahead(model.spent, mbits, all_left, all_chunk)),
        account.cells | cells,
        max(account.margin, claims.margin(allowance, members)),
        account.anomaly,
        allowance.group_mbits,
        allowance.model_mbits,
        ask_mbits=mbits,
    )


def _row(account: Account) -> AccountRow:
    return AccountRow(
        account.model.name,
        account.principal,
        account.spent,
        account.cells,
        0,
        account.lost,
        account.anomaly,
        account.allowed,
        RUNGS[account.rung],
        account.until_ms,
    )
