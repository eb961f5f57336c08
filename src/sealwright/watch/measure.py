"""How well the rules do on simulated seeds, with exact intervals.

A principal who attacks on some day is left out of the false alarms altogether; an attack counts
as caught when a rule speaks of its principal between its first second and an hour after its last.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sealwright.kit.intervals import interval as interval
from sealwright.watch import rules, simulate
from sealwright.watch.events import DAY_S, HOUR_S
from sealwright.watch.rules import Breach, Limits, State
from sealwright.watch.simulate import Attack, World


class Detected(msgspec.Struct, frozen=True):
    """One attack: whether, when and by which rule it was caught, and how much was gone then."""

    attack: Attack
    rule: str
    after_s: int
    gone_bytes: int


class FalseAlarm(msgspec.Struct, frozen=True):
    """A rule that spoke of somebody honest; what follows within a day is the same alarm."""

    seed: int
    principal: str
    rule: str


class Outcome(msgspec.Struct, frozen=True):
    """What some seeds gave."""

    attacks: tuple[Detected, ...]
    false: tuple[FalseAlarm, ...]
    principal_days: int

    def caught(self, kind: str) -> tuple[int, int]:
        """(caught, tried) of one kind of attack."""
        tried = [one for one in self.attacks if one.attack.kind == kind]
        return sum(bool(one.rule) for one in tried), len(tried)


def outcome(seeds: Iterable[int], limits: Limits = rules.MEASURED) -> Outcome:
    """Simulate, watch and count. About half a CPU-second a seed."""
    attacks: list[Detected] = []
    false: list[FalseAlarm] = []
    days = 0
    for seed in seeds:
        world = simulate.world(seed)
        breaches = watch(world, limits)
        thieves = {attack.principal for attack in world.attacks}
        attacks += [_judge(attack, world, breaches) for attack in world.attacks]
        days += sum(simulate.DAYS - p.starts for p in world.people if p.name not in thieves)
        until: dict[str, int] = {}
        for breach in breaches:
            name = breach.principal
            if name not in thieves and breach.time >= until.get(name, 0):
                until[name] = breach.time + DAY_S
                false.append(FalseAlarm(seed, name, breach.rule))
    return Outcome(tuple(attacks), tuple(false), days)


def watch(world: World, limits: Limits) -> list[Breach]:
    """Every breach of a world, each principal held to the hours it is allowed."""
    state = State()
    own = {
        person.name: msgspec.structs.replace(limits, hours=person.allowed or (0, 0))
        for person in world.people
    }
    return [
        breach
        for access in world.events
        for breach in rules.feed(state, access, own[access.principal])
    ]


def _judge(attack: Attack, world: World, breaches: list[Breach]) -> Detected:
    for breach in breaches:
        if breach.principal == attack.principal and (
            attack.start <= breach.time < attack.end + HOUR_S
        ):
            gone = sum(
                event.size_bytes
                for event in world.events
                if event.principal == attack.principal and attack.start <= event.time <= breach.time
            )
            return Detected(attack, breach.rule, breach.time - attack.start, gone)
    return Detected(attack, "", 0, 0)
