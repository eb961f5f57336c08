"""What copies are worth that were trained on exactly what callers of a served model were told.

Reading never raises. Spec: docs/spec/extraction-replay-v1.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput
from sealwright.core.predicates import REPLAY
from sealwright.core.records import Artifact, Json, Statement
from sealwright.evidence.history import History
from sealwright.policy.context import Context
from sealwright.policy.facts import Gate
from sealwright.policy.factsheet import Value

CURRENT_DAYS = 30
"""What callers hold grows; an older replay says too little."""


class Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A link group (empty name: all of them together) and the copy of what it was told.

    ``asked`` rows by its records, ``used`` of them to train; shares are decimal strings.
    """

    group: str
    callers: int
    asked: int
    used: int
    agreement: str
    gain: str
    bound: str


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole replay. ``unrecorded`` kept rows have no record under a root, and were not used."""

    data: Digest
    held_out: int
    public: int
    seed: int
    since: str
    until: str
    groups: tuple[Held, ...]
    together: Held
    no_questions: str
    unrecorded: int
    target: str
    actor: str
    time: str

    @property
    def every(self) -> tuple[Held, ...]:
        """Each group, and all together."""
        return (*self.groups, self.together)

    @property
    def over(self) -> bool:
        """Whether a copy's bound is above the target; what is no share is."""
        try:
            bounds, target = [Decimal(one.bound) for one in self.every], Decimal(self.target)
            return not all(0 <= bound <= target <= 1 for bound in bounds)
        except InvalidOperation:
            return True

    def current(self, now: datetime) -> bool:
        """Whether it may still be rested on."""
        try:
            age = now - clock.parse(self.time)
        except BadInput:
            return False
        return -300 <= age.total_seconds() <= CURRENT_DAYS * 86400


def statement_of(model: Artifact, replay: Replay) -> Statement:
    """The statement of one replay of a model."""
    said: dict[str, Json] = msgspec.to_builtins(replay)
    return Statement((model,), REPLAY, said)


class Replayed:
    """The newest replay of each model of a history."""

    def __init__(self, history: History) -> None:
        self._newest: dict[Digest, Replay | None] = {}
        for entry in history.of_type(REPLAY):
            try:
                replay = msgspec.convert(dict(entry.statement.predicate), Replay)
            except msgspec.ValidationError:
                replay = None
            for subject in entry.statement.subjects:
                self._newest[subject.digest] = replay

    def facts(self, gate: Gate, context: Context, models: Iterable[Digest]) -> Mapping[str, Value]:
        """Over the models that are asked about; one nobody can read counts."""
        asked = {digest for digest in models if digest in self._newest and gate != "train"}
        found = [self._newest[digest] for digest in asked]
        over = [one for one in found if one is None or (one.current(context.now) and one.over)]
        return {"extraction_held": len(over)}
