"""From a breach to what holds somebody back. Pure: what is in force in, what to do out.

Every step can be taken again without harm, ends by itself and has an inverse; a killed run
does not come back, so killing is for people. Nothing here acts: ``app`` records and does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from sealwright.core import clock
from sealwright.core.records import Artifact
from sealwright.policy.containment import Containment, Step, principal
from sealwright.policy.principals import Account
from sealwright.watch import wire
from sealwright.watch.counters import AMOUNTS
from sealwright.watch.rules import Breach, State

AUTOMATIC: tuple[Step, ...] = (
    "throttle",
    "revoke-tokens",
    "freeze-artifact",
    "quarantine-principal",
)
"""What a release undoes completely, and therefore all that may happen by itself."""

_UNUSUAL = frozenset({"watch.unusual-day", "watch.unusual-drift"})
_LEAVING = frozenset({"watch.exports-day", "watch.export-bytes-day"})
_OF_ARTIFACT = frozenset({"watch.artifact-bytes-day", "watch.artifact-exports-day"})
WORSE = 2
"""What is unusual, at this many times what is looked at all, is no longer only slowed down."""


class Hold(msgspec.Struct, frozen=True):
    """One step to take, and the breach that asks for it."""

    step: Step
    target: Artifact
    account: Account
    breach: Breach


def ladder(breach: Breach) -> tuple[Step, ...]:
    """The steps a breach leads to, mildest first.

    Computing, and what is only unusual, is slowed down. A hard budget or window holds the
    principal; what was leaving the house is frozen too.
    """
    if breach.rule in _OF_ARTIFACT:
        return ("freeze-artifact",)
    unusual = breach.rule in _UNUSUAL and breach.value < WORSE * breach.limit
    if unusual or breach.rule == "watch.compute-day":
        return ("throttle",)
    steps: tuple[Step, ...] = ("revoke-tokens", "quarantine-principal")
    return ("freeze-artifact", *steps) if breach.rule in _LEAVING else steps


def holds(
    breaches: Iterable[Breach],
    active: Sequence[Containment],
    accounts: dict[str, Account],
    names: dict[str, str],
) -> Iterator[Hold]:
    """What the breaches ask for and is not in force yet, each step and target once.

    ``accounts`` are principals as last seen, ``names`` artifacts by digest.
    """
    done = {(one.step, one.target.digest) for one in active}
    for breach in breaches:
        for step in ladder(breach):
            target = _target(step, breach, names)
            if (step, target.digest) not in done and target.digest:
                done.add((step, target.digest))
                whom = accounts.get(breach.principal, Account(breach.principal, ""))
                account = Account("", "") if step == "freeze-artifact" else whom
                yield Hold(step, target, account, breach)


def in_force(active: Sequence[Containment], step: Step, target: Artifact) -> Containment | None:
    """The same step on the same target, if it is in force: it is not taken twice."""
    return next(
        (one for one in active if one.step == step and one.target.digest == target.digest), None
    )


def pardon(state: State, released: Containment) -> None:
    """Forget the amounts that led to a containment people released; what is known stays known."""
    name = released.target.name.removeprefix("principal:")
    for tallies, key in (
        (state.counters.principals, name),
        (state.counters.artifacts, released.target.digest),
    ):
        for cell in tallies[key].hours.values() if key in tallies else ():
            for amount in AMOUNTS:
                setattr(cell, amount, 0)


def reason(breach: Breach) -> str:
    """What happened, in one line for the log."""
    if breach.rule == wire.RULE:
        return "watch.canary: nobody has business with it"
    return f"{breach.rule}: {breach.value:,} where {breach.limit:,} is the limit"


def waits_s(active: Sequence[Containment], account: Account, now: datetime, each_s: int) -> int:
    """How long a throttled principal waits before the next access; 0 where nobody is throttled.

    Never longer than the throttle itself lasts.
    """
    held = [one for one in active if one.step == "throttle" and one.is_about(account)]
    if not held:
        return 0
    left = max((clock.parse(one.until) - now).total_seconds() for one in held)
    return max(0, min(each_s, int(left)))


def _target(step: Step, breach: Breach, names: dict[str, str]) -> Artifact:
    if step == "freeze-artifact":
        return Artifact(names.get(breach.artifact, "artifact"), breach.artifact)
    return principal(breach.principal)
