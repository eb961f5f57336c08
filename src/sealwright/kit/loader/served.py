"""What a served model is asked in its worker: scores and its own feature space, from one question.

Runs in the worker alone. Scores: class probabilities where the model has them, else its margins
squashed (softmax, or the logistic function for two classes), else its values. Features: the last
hidden layer of a network, what a pipeline hands its last step, else the input itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sealwright.kit.loader import forward
from sealwright.kit.loader.forward import Array
from sealwright.kit.projection import narrowed

_MOST_CLASSES = 1_000


def facts_of(model: Any, weights: Mapping[str, Array], steps: Sequence[str]) -> dict[str, str]:
    """What can be said without a question: ``task``, ``classes`` (JSON), ``width``."""
    import json

    if weights:
        first = next((step.partition(" ")[2] for step in steps if step.startswith("linear ")), "")
        held = weights.get(f"{first}.weight")
        width = str(held.shape[1]) if held is not None and held.ndim == 2 else ""
        return {"task": "weights", "classes": "[]", "width": width}
    classes = getattr(model, "classes_", None)
    names = [] if classes is None or isinstance(classes, list) else np.asarray(classes).tolist()
    if len(names) > _MOST_CLASSES:
        raise ValueError(f"a model of {len(names)} classes is not served")
    return {
        "task": _task(model, names),
        "classes": json.dumps([str(name) for name in names]),
        "width": str(getattr(model, "n_features_in_", "")),
    }


def _task(model: Any, names: list[Any]) -> str:
    if names:
        return "classifier"
    return "regressor" if hasattr(model, "predict") else "embedding"


def answered(
    model: Any, weights: Mapping[str, Array], steps: Sequence[str], batch: Array
) -> tuple[Array, Array]:
    """``(scores (n, K), features (n, d))`` of a batch of n rows, as float64."""
    if weights:
        found = _network(weights, steps, batch)
    else:
        found = _scores(model, batch), _features(model, batch)
    scores, features = (_plain(one, len(batch)) for one in found)
    return scores, narrowed(features)


def _network(weights: Mapping[str, Array], steps: Sequence[str], batch: Array) -> tuple[Any, Any]:
    last = max((at for at, one in enumerate(steps) if one.startswith("linear ")), default=0)
    features = forward.run(weights, steps[:last], batch)
    return forward.run(weights, steps[last:], features), features


def _scores(model: Any, batch: Array) -> Any:
    if hasattr(model, "predict_proba"):
        return model.predict_proba(batch)
    if hasattr(model, "decision_function") and hasattr(model, "classes_"):
        return _squashed(np.asarray(model.decision_function(batch), dtype=np.float64))
    if hasattr(model, "classes_"):
        chosen = np.asarray(model.predict(batch))
        return (chosen[:, None] == np.asarray(model.classes_)[None, :]).astype(np.float64)
    return model.predict(batch) if hasattr(model, "predict") else model.transform(batch)


def _squashed(margins: Array) -> Array:
    if margins.ndim == 1:
        one = 1 / (1 + np.exp(-np.clip(margins, -500, 500)))
        return np.stack([1 - one, one], axis=1)
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    whole: Array = powers / powers.sum(axis=1, keepdims=True)
    return whole


def _features(model: Any, batch: Array) -> Any:
    steps = getattr(model, "steps", None)
    if isinstance(steps, list) and len(steps) > 1:
        batch, model = model[:-1].transform(batch), steps[-1][1]
    if hasattr(model, "coefs_") and hasattr(model, "activation"):
        return _hidden(model, np.asarray(batch, dtype=np.float64))
    if isinstance(batch, np.ndarray) and batch.dtype.kind in "SU":
        return np.zeros((len(batch), 1))  # text that the model takes as it is has no space here
    return batch


def _hidden(model: Any, batch: Array) -> Array:
    words = {"relu": ("relu",), "tanh": ("tanh",), "logistic": ("sigmoid",), "identity": ()}
    for weight, bias in list(zip(model.coefs_, model.intercepts_, strict=True))[:-1]:
        batch = forward.run({}, words[model.activation], batch @ weight + bias)
    return batch


def _plain(found: Any, rows: int) -> Array:
    found = found.toarray() if hasattr(found, "toarray") else np.asarray(found)
    return np.asarray(found, dtype=np.float64).reshape(rows, -1)
