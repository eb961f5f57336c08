"""An open model as thieves meet it: through the output policy, charged as the ledger charges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from sealwright.app.exampleinputs import Examples
from sealwright.core.errors import BadInput, Refused
from sealwright.redteam.extraction.interface import Array, Released
from sealwright.redteam.extraction.oracle import Served, checked
from sealwright.redteam.extraction.space import Space
from sealwright.serve import outputs
from sealwright.serve.coverage import Frame
from sealwright.serve.interface import Answer, Fidelity
from sealwright.serve.outputs import Shape

if TYPE_CHECKING:
    from sealwright.kit.loader.opening import OpenModel

_BATCH = 2_000


class Victim:
    """A classifier in its worker, asked in the thieves' space."""

    def __init__(self, opened: OpenModel, space: Space, names: Sequence[str]) -> None:
        self._opened, self._space = opened, space
        self._names = {name: code for code, name in enumerate(names)}
        self.classes = 0
        self.frame: Frame | None = None

    def answer(self, inputs: Array) -> tuple[Array, Array]:
        """Scores (n, K), features (n, f). Raises: BadInput (no probabilities), Refused."""
        parts = [
            self._part(inputs[at : at + _BATCH]) for at in range(0, max(1, len(inputs)), _BATCH)
        ]
        scores, features = (np.concatenate(side) for side in zip(*parts, strict=True))
        self.classes = self.classes or scores.shape[1]
        checked(scores, len(inputs), self.classes)
        if scores.shape[1] < 2 or (np.abs(scores.sum(axis=1) - 1) > 1e-3).any():
            raise BadInput(
                "the model answers with something else than probabilities of labels",
                why="agreement of a copy is measured for classifiers; for others: not yet",
            )
        return scores, features

    def scores(self, inputs: Array) -> Array:
        """Scores (n, K) alone: what the owner sees."""
        return self.answer(inputs)[0]

    def codes(self, labels: Sequence[str]) -> Array:
        """True labels as the model's codes; none where one of them is no label of the model."""
        if any(label not in self._names for label in labels):
            return np.zeros(0, np.int64)
        return np.array([self._names[label] for label in labels], np.int64)

    def served(self, fidelity: Fidelity) -> Served:
        """The oracle's parts under an output policy."""
        shape = Shape("binary" if self.classes == 2 else "multiclass", self.classes)
        frame = self.frame
        return Served(
            self.classes,
            self.answer,
            lambda scores: released(shape, fidelity, scores),
            outputs.ceiling_mbits(shape, fidelity, 1),
            (lambda features: [0] * len(features)) if frame is None else frame.cells,
        )

    def _part(self, inputs: Array) -> tuple[Array, Array]:
        try:
            found = self._opened.ask("serve", self._space.render(inputs))
        except Refused as error:
            raise Refused(
                error.what,
                why=error.why,
                hint="--data a dataset with the columns that the model takes, in their order",
                rule=error.rule,
            ) from error
        return found[:, : self._opened.scores], found[:, self._opened.scores :]


def victim_of(opened: OpenModel, rows: Examples, public: Array, seed: int) -> Victim:
    """The model, with its coverage cells fitted on what is public. Raises: BadInput, Refused."""
    names: list[str] = msgspec.json.decode(opened.facts.get("classes", "[]"))
    victim = Victim(opened, rows.space, names)
    _, features = victim.answer(public)
    try:
        victim.frame = Frame.fit(features, seed)
    except BadInput:
        victim.frame = None  # too few rows or no feature space: cells are not counted
    return victim


def released(shape: Shape, fidelity: Fidelity, scores: Array) -> Released:
    """What the output policy lets out of ``scores`` (n, K), by name."""
    at = np.arange(len(scores))
    if not len(scores):
        return Released(at, np.zeros(0, np.int64))
    answer = Answer(scores, np.zeros((len(scores), 1)))
    told = {one.name: one.data for one in outputs.released(shape, fidelity, answer)}
    labels = told["label"].astype(str).astype(np.int64)  # a shape without labels names codes
    return Released(at, labels, told.get("probability"), told.get("probabilities"))
