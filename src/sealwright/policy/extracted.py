"""What an extraction test said of a model: how much of it the best thief copied, at which budget.

Reading never raises: a statement nobody can read is none. Spec: docs/spec/extraction-test-v1.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput
from sealwright.core.predicates import EXTRACTION_TEST
from sealwright.core.records import Artifact, Json, Statement
from sealwright.evidence.history import History
from sealwright.policy.context import Context
from sealwright.policy.facts import Gate
from sealwright.policy.factsheet import Value

CURRENT_DAYS = 180
FIDELITIES = ("label", "top1", "full")
SUITE = 1
"""Of the thieves: a test by an older suite is no current one."""


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one account may have, and the output policy; 0 ``cells`` is no cap.

    ``pace``: (millibits, cells), rising; none is no pace. ``walks``: whether steps of walks were
    charged, as cells.
    """

    queries: int
    mbits: int
    cells: int
    accounts: int
    fidelity: str
    pace: tuple[tuple[int, int], ...] = ()
    walks: bool = False

    def covers(self, offered: Mapping[str, Json]) -> bool:
        """Whether nothing that slowed the thieves is lacking, or wider, in what is ``offered``."""
        cells = offered.get("cells", self.cells)
        pace = offered.get("pace", [list(knot) for knot in self.pace])
        return (
            (not self.cells or (isinstance(cells, int) and 0 < cells <= self.cells))
            and (not self.pace or pace == [list(knot) for knot in self.pace])
            and (not self.walks or offered.get("walks", True) is True)
        )


class Robbed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thief at the end: agreement, its gain over no questions, and the ledger then."""

    thief: str
    agreement: str
    gain: str
    queries: int
    mbits: int
    cells: int
    accounts: int


class Test(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole test. Shares are decimal strings; ``bound`` is the upper 95 % bound of the best."""

    suite: int
    data: Digest
    held_out: int
    public: int
    seed: int
    budget: Budget
    thieves: tuple[Robbed, ...]
    no_questions: str
    best: str
    agreement: str
    bound: str
    target: str
    actor: str
    time: str

    @property
    def over(self) -> bool:
        """Whether the bound is above the target; what is no share is."""
        try:
            bound, target = Decimal(self.bound), Decimal(self.target)
            return not (0 <= bound <= target <= 1)
        except InvalidOperation:
            return True

    def covers(self, offered: Mapping[str, Json]) -> bool:
        """Whether it was about no smaller budget, no narrower guard and no lower fidelity, than is
        ``offered``."""
        mbits, fidelity = offered.get("mbits", 0), offered.get("fidelity", FIDELITIES[0])
        return (
            isinstance(mbits, int)
            and self.budget.mbits >= mbits
            and self.budget.covers(offered)
            and {fidelity, self.budget.fidelity} <= set(FIDELITIES)
            and FIDELITIES.index(self.budget.fidelity) >= FIDELITIES.index(str(fidelity))
        )

    def current(self, now: datetime) -> bool:
        """Whether it may still be rested on."""
        try:
            age = now - clock.parse(self.time)
        except BadInput:
            return False
        return self.suite >= SUITE and -300 <= age.total_seconds() <= CURRENT_DAYS * 86400


def statement_of(model: Artifact, test: Test) -> Statement:
    """The statement of one test of a model."""
    said: dict[str, Json] = msgspec.to_builtins(test)
    return Statement((model,), EXTRACTION_TEST, said)


class Extracted:
    """The newest test of each model of a history."""

    def __init__(self, history: History) -> None:
        self._tests: dict[Digest, Test | None] = {}
        for entry in history.of_type(EXTRACTION_TEST):
            try:
                test = msgspec.convert(dict(entry.statement.predicate), Test)
            except msgspec.ValidationError:
                test = None  # unreadable: the model counts as untested
            for subject in entry.statement.subjects:
                self._tests[subject.digest] = test

    def of(self, model: Digest) -> Test | None:
        """The newest test of a model."""
        return self._tests.get(model)

    def facts(self, gate: Gate, context: Context, models: Iterable[Digest]) -> Mapping[str, Value]:
        """Over the models that are asked about."""
        asked = [self._tests.get(digest) for digest in set(models) if gate != "train"]
        known = [test for test in asked if test is not None and test.current(context.now)]
        known = [test for test in known if test.covers(context.params)]
        return {
            "extraction_untested": len(asked) - len(known),
            "extraction_over": sum(test.over for test in known),
        }
