"""How many poisoned records a prediction survives: Deep Partition Aggregation, for tables.

The training records are cut into k parts by a hash of each record's own cells, a small model is
fitted on each, and they vote. One record added or taken away changes one part, hence one vote:
with n1 votes for the winner and n2 for the runner-up, the prediction is unchanged under
r = floor((n1 - n2 - tie) / 2) such records, ``tie`` being 1 where the runner-up's code is
smaller (Levine and Feizi, ICLR 2021, theorem 1). A record that is edited is one taken away and
one added: it counts twice. The certificate is about these k models and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.errors import BadInput
from sealwright.scan import hashing
from sealwright.scan.interface import Batch, Column
from sealwright.scan.labels import narrowed, sklearn_, varying

FEWEST_OF_PART = 40
_NUMERIC = frozenset({"number", "time"})


class Certificate(msgspec.Struct, frozen=True):
    """``survives[r]`` is the share of the test records whose prediction is right and unchanged
    under r poisoned records; ``unchanged[r]`` the share unchanged, right or wrong."""

    parts: int
    records: int
    tested: int
    accuracy: float
    unchanged: tuple[float, ...]
    survives: tuple[float, ...]

    @property
    def median(self) -> int:
        """The most poisoned records under which at least half the predictions are unchanged."""
        return max((r for r, share in enumerate(self.unchanged) if share >= 0.5), default=0)


def parts_of(batch: Batch, columns: Sequence[Column], parts: int) -> npt.NDArray[np.int64]:
    """(n,) the part of each record: by its cells and label alone, whatever else is there."""
    hashes = hashing.of_rows(batch, tuple(columns))
    own = hashing.mix(hashes ^ (batch.labels.astype(np.int64).astype(np.uint64) + np.uint64(1)))
    return (own % np.uint64(parts)).astype(np.int64)


def certify(
    train: Batch,
    test: Batch,
    columns: Sequence[Column],
    classes: int,
    parts: int = 25,
    most: int | None = None,
) -> Certificate:
    """Fit, vote and count. Raises: BadInput (too few records for so many parts, one class),
    MissingExtra."""
    usable = train.labels >= 0
    if len(train.ids) < parts * FEWEST_OF_PART:
        raise BadInput(
            f"{len(train.ids):,} records are too few for {parts} parts",
            why=f"each needs about {FEWEST_OF_PART}",
            hint=f"--parts {max(2, len(train.ids) // FEWEST_OF_PART)}",
        )
    if len(np.unique(train.labels[usable])) < 2:
        raise BadInput("there is one class: every model says it, whatever was poisoned")
    votes = votes_of(train, test, columns, classes, parts)
    radius, winner = radii(votes)
    judged = test.labels >= 0
    right = winner == test.labels
    limit = most if most is not None else parts // 2
    unchanged = [float((radius >= r).mean()) for r in range(limit + 1)]
    survives = [float(((radius >= r) & right)[judged].mean()) for r in range(limit + 1)]
    return Certificate(
        parts,
        len(train.ids),
        len(test.ids),
        float(right[judged].mean()) if judged.any() else 0.0,
        tuple(unchanged),
        tuple(survives),
    )


def votes_of(
    train: Batch, test: Batch, columns: Sequence[Column], classes: int, parts: int
) -> npt.NDArray[np.int64]:
    """(tests, classes) how many of the parts' models say each class."""
    part = parts_of(train, columns, parts)
    fitted = _Encoder(columns)
    votes: npt.NDArray[np.int64] = np.zeros((len(test.ids), classes), np.int64)
    shown = fitted.matrix(test)
    for number in range(parts):
        chosen = np.flatnonzero((part == number) & (train.labels >= 0))
        said = _vote(fitted.matrix(cut(train, chosen)), train.labels[chosen], shown)
        votes[np.arange(len(said)), said] += 1
    return votes


def radii(
    votes: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Votes (n, classes) → how many changed votes the winner survives, and the winner.

    Ties go to the smaller code, as ``argmax`` gives them.
    """
    winner = votes.argmax(axis=1)
    at = np.arange(len(votes))
    lead = votes[at, winner][:, None] - votes
    lead -= np.arange(votes.shape[1])[None, :] < winner[:, None]
    lead[at, winner] = np.iinfo(np.int64).max
    return np.maximum(lead.min(axis=1), 0) // 2, winner.astype(np.int64)


def _vote(
    matrix: npt.NDArray[np.float32], labels: npt.NDArray[np.int32], shown: npt.NDArray[np.float32]
) -> npt.NDArray[np.int64]:
    """One part's model over the test records; a part of one class or none says its own."""
    known = np.unique(labels)
    use = varying(matrix)
    if len(known) < 2 or not len(use):
        most = np.bincount(labels).argmax() if len(known) else 0
        return np.full(len(shown), most, np.int64)
    model = sklearn_("sklearn.ensemble").HistGradientBoostingClassifier(
        max_iter=60, learning_rate=0.1, max_leaf_nodes=8, early_stopping=False, random_state=0
    )
    model.fit(matrix[:, use], labels)
    return np.asarray(model.predict(shown[:, use]), np.int64)


class _Encoder:
    """Cells as floats without looking at other records: a category by its hash, or one poisoned
    record could move another's features and the certificate would not hold."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = [c for c in columns if c.type in _NUMERIC or c.type == "category"]
        if not self.columns:
            raise BadInput("there are no numbers or categories to vote by")

    def matrix(self, batch: Batch) -> npt.NDArray[np.float32]:
        """(n, features) float32; a category is eight bits of its hash."""
        made: list[npt.NDArray[Any]] = []
        for column in self.columns:
            cells = batch.values[column.name]
            if column.type in _NUMERIC:
                made.append(narrowed(cells)[:, None])
            else:
                hashes = hashing.of_strings(cells)[:, None]
                made.append((hashes >> np.arange(8, dtype=np.uint64)) & np.uint64(1))
        return np.concatenate([each.astype(np.float32) for each in made], axis=1)


def cut(batch: Batch, at: npt.NDArray[Any]) -> Batch:
    """The records at those places."""
    values = {name: column[at] for name, column in batch.values.items()}
    return Batch(batch.ids[at], batch.labels[at], batch.sources[at], values)
