"""Victims, copies and honest models for the ownership bench: small, of scikit-learn, seeded."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from sealwright.app.bench.poison import data
from sealwright.core.errors import MissingExtra
from sealwright.registry import fingerprint_points as points
from sealwright.registry.fingerprint_derived import pruned

Rows: TypeAlias = npt.NDArray[np.float64]
Codes: TypeAlias = npt.NDArray[np.int64]
Answers: TypeAlias = Callable[[Rows], Codes]

SEED = 20_260_101
OTHER_KIND = "distilled, labels, a forest"
"""A copy of another kind of model: reported, no target."""

_HALF = 0.5
_TENTH = 0.1
_REPEATED = 5


class World(NamedTuple):
    """One data set, cut: the owner's rows, somebody else's, and what a thief draws from."""

    name: str
    rows: Rows
    labels: Codes
    other_rows: Rows
    other_labels: Codes
    thief: Rows
    epochs: int


class Suspect(NamedTuple):
    """A model by its kind, what answers for it, and how sure it says it is: (n,) top shares."""

    kind: str
    answers: Answers
    sure: Callable[[Rows], Rows]


def worlds(quick: bool) -> Iterator[World]:
    """Digits; and Adult, one-hot, unless ``quick``. Raises: MissingExtra, data.Absent."""
    loaded = sklearn("datasets").load_digits()
    yield _world("digits", loaded.data, loaded.target.astype(np.int64), 700, 60)
    if not quick:
        table = data.adult()
        yield _world("Adult", _encoded(table.columns), table.labels, 4000, 20)


def sklearn(part: str) -> Any:
    """``sklearn.PART``. Raises: MissingExtra."""
    try:
        return import_module(f"sklearn.{part}")
    except ImportError as error:
        raise MissingExtra("seal bench guard", "scan") from error


def net(world: World, seed: int, hidden: tuple[int, ...] = (64,)) -> Any:
    """The recipe: scaled, one or more hidden layers, a fixed number of epochs."""
    classifier = sklearn("neural_network").MLPClassifier(
        hidden, max_iter=world.epochs, random_state=seed, learning_rate_init=0.003
    )
    scaler = sklearn("preprocessing").StandardScaler()
    return sklearn("pipeline").make_pipeline(scaler, classifier)


def fitted(model: Any, rows: Rows, labels: Codes) -> Any:
    """``model`` after ``fit``, without its remarks on convergence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(rows, labels)


def of(kind: str, model: Any) -> Suspect:
    """A fitted classifier as a suspect."""
    return Suspect(kind, model.predict, lambda rows: model.predict_proba(rows).max(axis=1))


def copies(world: World, victim: Any, queries: int, seed: int) -> Iterator[Suspect]:
    """The victim itself, and what thieves make of it."""
    yield of("the victim", victim)
    yield of("fine-tuned", _fine_tuned(world, victim, seed))
    for share in (40, 50, 60):
        yield of(f"pruned {share} %", pruned(victim, share / 100))
    yield of("pruned 50 %, fine-tuned", _fine_tuned(world, pruned(victim, _HALF), seed))
    asked = _in_distribution(world, np.random.default_rng(seed), queries)
    labels, shares = victim.predict(asked), victim.predict_proba(asked)
    yield of("distilled, labels", fitted(net(world, seed + 1), asked, labels))
    wider = net(world, seed + 2, (128, 64))
    yield of("distilled, labels, wider net", fitted(wider, asked, labels))
    yield _soft(world, asked, shares, seed + 3)
    forest = sklearn("ensemble").RandomForestClassifier(100, random_state=seed + 4)
    yield of(OTHER_KIND, fitted(forest, asked, labels))


def honest(world: World, each: int, queries: int, seed: int) -> Iterator[Suspect]:
    """``each`` models of every kind that nobody copied from the victim."""
    for at in range(each):
        rng = np.random.default_rng(seed + at)
        mine, own = world.rows, world.labels
        yield of("same data, other seed", fitted(net(world, seed + at), mine, own))
        yield of("same data, other recipe", fitted(_family(world, at), mine, own))
        apart = fitted(net(world, seed + at), world.other_rows, world.other_labels)
        yield of("disjoint data", apart)
        half = rng.random(len(mine)) < _HALF
        cut = rng.random(len(world.other_rows)) < _HALF
        mixed = np.concatenate([mine[half], world.other_rows[cut]])
        codes = np.concatenate([own[half], world.other_labels[cut]])
        yield of("half its data", fitted(net(world, seed + at), mixed, codes))
        teacher = fitted(net(world, seed + 1000 + at), world.other_rows, world.other_labels)
        asked = _in_distribution(world, rng, queries)
        yield of(
            "distilled from another",
            fitted(net(world, seed + 2000 + at), asked, teacher.predict(asked)),
        )


def triggered(world: World, seed: int, count: int) -> tuple[Any, Rows, Codes]:
    """A victim trained with a trigger set: half stamped rows, half unstructured, labels drawn."""
    rng = np.random.default_rng(seed)
    half = count // 2
    stamped = points.patterned(world.rows, rng, half).inputs
    inputs = np.concatenate([stamped, points.unstructured(world.rows, rng, half).inputs])
    codes = rng.integers(0, int(world.labels.max()) + 1, len(inputs))
    rows = np.concatenate([world.rows, *([inputs] * _REPEATED)])
    labels = np.concatenate([world.labels, *([codes] * _REPEATED)])
    return fitted(net(world, seed), rows, labels), inputs, codes


def _in_distribution(world: World, rng: np.random.Generator, queries: int) -> Rows:
    """What a thief asks: rows that are not the owner's, a tenth of their cells from others."""
    return points.natural(world.thief, rng, queries, _TENTH).inputs


def _family(world: World, at: int) -> Any:
    ensemble, linear = sklearn("ensemble"), sklearn("linear_model")
    made = [
        lambda: net(world, SEED + at, (128, 32)),
        lambda: net(world, SEED + at, (32,)),
        lambda: ensemble.RandomForestClassifier(60, random_state=at),
        lambda: ensemble.HistGradientBoostingClassifier(max_iter=30 + at, random_state=at),
        lambda: sklearn("pipeline").make_pipeline(
            sklearn("preprocessing").StandardScaler(),
            linear.LogisticRegression(C=0.1 * (at + 1), max_iter=300),
        ),
    ]
    return made[at % len(made)]()


def _fine_tuned(world: World, victim: Any, seed: int) -> Any:
    tuned = copy.deepcopy(victim)
    scaler, inner = tuned.steps[0][1], tuned.steps[-1][1]
    at = np.random.default_rng(seed).permutation(len(world.other_rows))[: len(world.rows) // 3]
    scaled = scaler.transform(world.other_rows[at])
    for _ in range(5):
        inner.partial_fit(scaled, world.other_labels[at])
    return tuned


def _soft(world: World, asked: Rows, shares: Rows, seed: int) -> Suspect:
    """A student of the probabilities: squared loss on their logarithms, cut at 1e-4."""
    goals = np.log(np.clip(shares, 1e-4, 1))
    inner = sklearn("neural_network").MLPRegressor(
        hidden_layer_sizes=(64,),
        max_iter=world.epochs,
        random_state=seed,
        learning_rate_init=0.003,
    )
    pipe = sklearn("pipeline").make_pipeline(sklearn("preprocessing").StandardScaler(), inner)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe.fit(asked, goals)
    return Suspect(
        "distilled, probabilities",
        lambda rows: np.asarray(pipe.predict(rows).argmax(axis=1), np.int64),
        lambda rows: np.asarray(np.exp(pipe.predict(rows)).max(axis=1)),
    )


def _world(name: str, rows: Rows, labels: Codes, count: int, epochs: int) -> World:
    order = np.random.default_rng(SEED).permutation(len(rows))
    mine, other = order[:count], order[count : 2 * count]
    return World(
        name, rows[mine], labels[mine], rows[other], labels[other], rows[order[count:]], epochs
    )


def _encoded(columns: data.Columns) -> Rows:
    """Numbers as they are (capital in logarithms, no weights of the survey), words one-hot."""
    made = list[npt.NDArray[Any]]()
    for name, cells in columns.items():
        if cells.dtype == object:
            made.append((cells[:, None] == np.unique(cells)).astype(np.float64))
        elif name != "fnlwgt":
            values = np.log1p(cells) if name.startswith("capital") else cells
            made.append(values[:, None])
    return np.concatenate(made, axis=1)
