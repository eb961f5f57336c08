"""Labels that are probably wrong: records whose label cheap cross-fitted models do not believe.

Each record is judged by models that were not shown it, several times, with other folds and
seeds; the averaged margin and loss rank the records (Pickler et al. 2025; Northcutt et al. 2021
for self-confidence). A short list goes to a person with a better label beside it. It says
nothing of backdoors: what a model can learn, it believes. Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sealwright.core.errors import MissingExtra
from sealwright.scan import hashing
from sealwright.scan.interface import Batch, Column, Fact, Frame, Rank, Result, Scan, Spec

REPEATS = 3
"""How often a record of two classes is judged; with more classes each model is many, and once."""

FOLDS = 5
ROUNDS = 120
"""Trees of a model of two classes; one of more classes grows as many in all."""

MOST_FITTED = 50_000
"""Records a model is fitted on at most; every record is judged."""

MOST_CLASSES = 100
FEWEST_OF_CLASS = FOLDS
MOST_CODES = 254
"""Categories a boosted tree takes as they are; rarer ones are one."""

HASHED = 1 << 16
_NUMERIC = frozenset({"number", "time"})


class LabelErrors:
    """Makes the state of one scan. Needs scikit-learn (extra ``scan``)."""

    spec = Spec(
        "label-errors",
        1,
        "any",
        "row",
        families=("label-flip",),
        threats=("AML.T0020",),
        passes=1,
        needs=("labels",),
    )

    def begin(self, frame: Frame, reference: Scan | None = None) -> Features:
        """An empty state; no reference is used."""
        return Features(frame)


class Features:
    """What the models see of every record, and its label."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.ids: list[npt.NDArray[np.int64]] = []
        self.labels: list[npt.NDArray[np.int32]] = []
        self.cells: dict[str, list[npt.NDArray[Any]]] = {}
        self.dense: list[npt.NDArray[np.float32]] = []

    def observe(self, number: int, batch: Batch) -> None:
        """Keep a few bytes of each cell: numbers as float32, categories and words by hash."""
        self.ids.append(batch.ids)
        self.labels.append(batch.labels)
        for column in self.frame.columns:
            if column.name in batch.values:
                kept = _kept(column, batch.values[column.name])
                self.cells.setdefault(column.name, []).append(kept)
        if batch.vectors is not None:
            self.dense.append(np.nan_to_num(batch.vectors.astype(np.float32), posinf=0, neginf=0))
        if batch.images is not None:
            self.dense.append(_thumbs(batch.images))

    def merge(self, other: Self) -> None:
        """Join what two shards saw."""
        self.ids += other.ids
        self.labels += other.labels
        self.dense += other.dense
        for name, cells in other.cells.items():
            self.cells.setdefault(name, []).extend(cells)

    def settle(self, number: int) -> None:
        """One pass is all."""

    def result(self) -> Result:
        """The records whose labels are believed least, with the label that is believed most."""
        ids = np.concatenate([np.empty(0, np.int64), *self.ids])
        labels = np.concatenate([np.empty(0, np.int32), *self.labels])
        facts, usable = _usable(labels, self.frame)
        unread = int(len(labels) - usable.sum())
        if facts and facts[0].severity == "high":
            return Result(facts=tuple(facts), unread=len(labels))
        order = np.flatnonzero(usable)[np.argsort(ids[usable], kind="stable")]
        classes, codes = np.unique(labels[order], return_inverse=True)
        try:
            scores, better = judge(self.matrices(order), codes, self.frame.seed)
        except MissingExtra as error:  # an optional look that was not taken, and is said
            said = Fact("labels.not-looked", "medium", f"{error.what}; {error.hint}")
            return Result(facts=(*facts, said), unread=len(labels))
        worst = np.argsort(-scores, kind="stable")[: self.frame.review]
        ranks = tuple(
            Rank(
                int(ids[order[at]]),
                round(float(scores[at]), 4),
                "models that were not shown it expect another label",
                self.frame.labels[classes[better[at]]],
            )
            for at in worst
            if better[at] != codes[at]
        )
        return Result(ranks=ranks, facts=tuple(facts), tried=len(order), unread=unread)

    def matrices(self, order: npt.NDArray[Any]) -> list[Any]:
        """One feature matrix for each kind of model: trees, words, vectors."""
        found: list[Any] = []
        tabular = [c for c in self.frame.columns if c.type != "text" and c.name in self.cells]
        if tabular:
            joined = [(c, np.concatenate(self.cells[c.name])[order]) for c in tabular]
            found.append(Trees(joined))
        texts = [c.name for c in self.frame.columns if c.type == "text" and c.name in self.cells]
        if texts:
            joined_texts = [np.concatenate(self.cells[name])[order] for name in texts]
            found.append(_Words(joined_texts))
        if self.dense:
            found.append(_Vectors(np.concatenate(self.dense)[order]))
        return found


def judge(
    matrices: Sequence[Any], codes: npt.NDArray[np.int64], seed: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """(n,) how little the labels are believed, from 0, and the code believed most."""
    believed = np.mean([cross_fitted(each, codes, seed) for each in matrices], axis=0)
    at = np.arange(len(codes))
    own = believed[at, codes]
    others = believed.copy()
    others[at, codes] = -1
    margin = (1 - (own - others.max(axis=1))) / 2
    loss = -np.log(np.maximum(own, 1e-6)) / -np.log(1e-6)
    return (margin + loss) / 2, believed.argmax(axis=1)


def cross_fitted(
    matrix: Any, codes: npt.NDArray[np.int64], seed: int, repeats: int = 0
) -> npt.NDArray[np.float64]:
    """(n, classes) probabilities by models that were not shown the record, averaged."""
    classes = int(codes.max()) + 1
    repeats = repeats or (REPEATS if classes == 2 else 1)
    total: npt.NDArray[np.float64] = np.zeros((len(codes), classes))
    for repeat in range(repeats):
        chance = np.random.default_rng([seed % 2**63, repeat])
        fold = _folds(codes, chance)
        for held in range(FOLDS):
            train, test = np.flatnonzero(fold != held), np.flatnonzero(fold == held)
            if len(train) > MOST_FITTED:
                train = np.sort(chance.choice(train, MOST_FITTED, replace=False))
            known, found = matrix.fit(train, codes[train], test, int(chance.integers(2**31)))
            total[np.ix_(test, known)] += found
    return total / repeats


def _folds(codes: npt.NDArray[np.int64], chance: np.random.Generator) -> npt.NDArray[np.int64]:
    """Equal parts of every class in every fold."""
    order = np.lexsort((chance.random(len(codes)), codes))
    fold: npt.NDArray[np.int64] = np.empty(len(codes), np.int64)
    fold[order] = np.arange(len(codes)) % FOLDS
    return fold


def _usable(labels: npt.NDArray[np.int32], frame: Frame) -> tuple[list[Fact], npt.NDArray[Any]]:
    """Which records can be judged, and why others cannot. Severity high: none."""
    counts = np.bincount(labels[labels >= 0], minlength=len(frame.labels))
    rare = np.flatnonzero((counts > 0) & (counts < FEWEST_OF_CLASS))
    usable = (labels >= 0) & ~np.isin(labels, rare)
    facts = []
    present = int((counts >= FEWEST_OF_CLASS).sum())
    if present < 2:
        told = "there are not two classes with enough records: no label can be doubted"
        return [Fact("labels.one-class", "high", told, {"classes": present})], usable
    if present > MOST_CLASSES:
        told = f"{present:,} classes: labels are judged up to {MOST_CLASSES:,}"
        return [Fact("labels.many-classes", "high", told, {"classes": present})], usable
    if len(rare):
        told = f"{len(rare):,} classes have fewer than {FEWEST_OF_CLASS} records: not judged"
        facts.append(Fact("labels.rare-class", "low", told, {"classes": len(rare)}))
    if (missing := int((labels < 0).sum())) > 0:
        told = f"{missing:,} records have no label"
        facts.append(Fact("labels.missing", "medium", told, {"records": missing}))
    return facts, usable


def _kept(column: Column, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if column.type in _NUMERIC:
        return narrowed(values)
    return np.asarray(values, object) if column.type == "text" else hashing.of_strings(values)


def narrowed(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """As float32; what does not fit is the largest that does, and infinities are missing."""
    finite = np.where(np.isfinite(values), values, np.nan)
    most = float(np.finfo(np.float32).max)
    return np.clip(finite, -most, most).astype(np.float32)


def _thumbs(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(n, 192): means over 8 x 8 blocks, a cheap picture of a picture."""
    from sealwright.kit import neardup

    return neardup.pictures(images).thumbs.astype(np.float32) / 255


class Trees:
    """Histogram gradient boosting over numbers and categories."""

    def __init__(self, columns: Sequence[tuple[Column, npt.NDArray[Any]]]) -> None:
        self.matrix: npt.NDArray[np.float32] = np.empty(
            (len(columns[0][1]), len(columns)), np.float32
        )
        self.categories = []
        for at, (column, cells) in enumerate(columns):
            if column.type in _NUMERIC:
                self.matrix[:, at] = cells
            else:
                self.matrix[:, at] = _coded(cells)
                self.categories.append(at)

    def fit(
        self, train: Any, codes: Any, test: Any, seed: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """The classes known, and their probabilities for ``test``."""
        ensemble = sklearn_("sklearn.ensemble")
        use = varying(self.matrix[train])
        if not len(use):
            return shares(codes, len(test))
        categories = np.flatnonzero(np.isin(use, self.categories)).tolist()
        model = ensemble.HistGradientBoostingClassifier(
            max_iter=max(20, ROUNDS * 2 // max(2, len(np.unique(codes)))),
            learning_rate=0.06,
            max_leaf_nodes=15,
            l2_regularization=1.0,
            categorical_features=categories or None,
            early_stopping=False,
            random_state=seed,
        )
        model.fit(self.matrix[np.ix_(train, use)], codes)
        return model.classes_, model.predict_proba(self.matrix[np.ix_(test, use)])


def varying(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """The columns that hold at least two values: the only ones a tree can be grown on."""
    low = np.where(np.isnan(matrix), np.inf, matrix).min(axis=0, initial=np.inf)
    high = np.where(np.isnan(matrix), -np.inf, matrix).max(axis=0, initial=-np.inf)
    found: npt.NDArray[np.int64] = np.flatnonzero(high > low).astype(np.int64)
    return found


def shares(
    codes: npt.NDArray[np.int64], count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """What is believed where there is nothing to go by: how often each class is."""
    known, counts = np.unique(codes, return_counts=True)
    return known, np.tile(counts / counts.sum(), (count, 1))


def _coded(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.float32]:
    """Hashes as small codes, the most frequent ones each their own; missing is missing."""
    known, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    rank: npt.NDArray[np.int64] = np.empty(len(known), np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(known))
    codes = np.minimum(rank, MOST_CODES)[inverse].astype(np.float32)
    codes[hashes == hashing.MISSING] = np.nan
    return codes


class _Words:
    """Logistic regression over hashed words and word pairs, weighted by TF-IDF."""

    def __init__(self, texts: Sequence[npt.NDArray[Any]]) -> None:
        text = sklearn_("sklearn.feature_extraction.text")
        hashed = text.HashingVectorizer(
            n_features=HASHED, ngram_range=(1, 2), alternate_sign=False, norm=None
        )
        joined = [
            " ".join(str(part) for part in row if part is not None)
            for row in zip(*texts, strict=True)
        ]
        self.matrix = text.TfidfTransformer(sublinear_tf=True).fit_transform(
            hashed.transform(joined)
        )

    def fit(
        self, train: Any, codes: Any, test: Any, seed: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """The classes known, and their probabilities for ``test``."""
        model = sklearn_("sklearn.linear_model").LogisticRegression(C=4.0, max_iter=200)
        model.fit(self.matrix[train], codes)
        return model.classes_, model.predict_proba(self.matrix[test])


class _Vectors:
    """Logistic regression over standardised embeddings."""

    def __init__(self, vectors: npt.NDArray[np.float32]) -> None:
        spread = vectors.std(axis=0)
        self.matrix = (vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1)

    def fit(
        self, train: Any, codes: Any, test: Any, seed: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """The classes known, and their probabilities for ``test``."""
        model = sklearn_("sklearn.linear_model").LogisticRegression(C=0.1, max_iter=200)
        model.fit(self.matrix[train], codes)
        return model.classes_, model.predict_proba(self.matrix[test])


def sklearn_(module: str) -> Any:
    """Raises: MissingExtra."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra("judging labels", "scan") from error
