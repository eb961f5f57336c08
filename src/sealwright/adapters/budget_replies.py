"""What the script of the leakage ledger answers, as balances, claims and refusals."""

from __future__ import annotations

from typing import Any

from sealwright.serve import bounds, claims
from sealwright.serve.claims import Claim
from sealwright.serve.interface import RUNGS, Allowance, Ask, Balance


def more(
    ask: Ask,
    allowance: Allowance,
    cells: int,
    spent: int,
    claimed: int,
    all_spent: int,
    all_claimed: int,
    left: int,
    all_left: int,
    members: int,
    anomaly: int,
    margin: int,
) -> Claim:
    """The claim that a reservation needs."""
    chunk, all_chunk = claims.group_chunk(allowance, members), claims.model_chunk(allowance)
    return Claim(
        ask.model,
        ask.principal,
        max(claimed, claims.ahead(spent, ask.mbits, left, chunk)),
        max(all_claimed, claims.ahead(all_spent, ask.mbits, all_left, all_chunk)),
        cells,
        max(margin, claims.margin(allowance, members)),
        anomaly,
        allowance.group_mbits,
        allowance.model_mbits,
        claimed,
        all_claimed,
        ask.mbits,
    )


def kept(
    ask: Ask,
    new: int,
    cells: int,
    claimed: int,
    members: int,
    anomaly: int,
    margin: int,
    cap: int,
    allowed: int,
    all_allowed: int,
) -> Claim:
    """The claim that the cells of a settlement need."""
    room = claims.margin(Allowance(allowed, all_allowed, cap), members)
    return Claim(
        *(ask.model, ask.principal, claimed, 0, cells | new, max(margin, room)),
        *(anomaly, allowed, all_allowed, claimed, 0),
    )


def shown(
    model: str,
    members: list[str],
    allowed: int,
    all_allowed: int,
    group: str,
    version: int,
    spent: int,
    all_spent: int,
    *rest: int,
) -> Balance:
    """A group with its members."""
    del version
    names = tuple(sorted(members))
    return standing(model, group, names, allowed, all_allowed, spent, all_spent, *rest)


def standing(
    model: str,
    group: str,
    members: tuple[str, ...],
    allowed: int,
    all_allowed: int,
    spent: int,
    all_spent: int,
    count: int,
    anomaly: int,
    rung: int,
    until_ms: int,
) -> Balance:
    """Where a group stands."""
    left, all_left = max(0, allowed - spent), max(0, all_allowed - all_spent)
    where = (model, group, members, spent, left, all_left, count, anomaly)
    return Balance(*where, RUNGS[rung], until_ms)


def refusal(kind: str, rest: list[Any], ask: Ask, allowance: Allowance) -> Exception:
    """Why a reservation is refused."""
    group, *figures = rest
    if kind == "blocked":
        return bounds.blocked(group, ask.model, figures[0])
    if kind == "heavy":
        return bounds.too_many_rows(group, ask.weight, allowance.burst)
    if kind == "fast":
        return bounds.too_fast(group, figures[0])
    if kind == "covered":
        return bounds.covered(group, ask.model, figures[0], allowance.cells)
    if kind == "spent":
        return bounds.spent(group, ask, figures[0])
    return bounds.model_spent(ask, figures[0])


def restless(tries: int) -> Exception:
    """``guard.ledger``: the counters do not stay."""
    return bounds.unavailable(
        "Redis loses its counters again and again",
        f"{tries} epochs ended while one request waited",
        "look why Redis restarts, is flushed or evicts",
    )
