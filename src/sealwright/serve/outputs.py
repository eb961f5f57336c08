"""The output policy: what of an answer is released, and at most how many bits that can tell.

A profile says what a model's answers are; a fidelity how much of one leaves. The ceiling is an
upper bound on the information in what is released, in millibits, rounded up; it is taken from the
ledger before the call. docs/spec/guard-v1.md has the table, and what each line hides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.serve.interface import Answer, Fidelity, Tensor

Array: TypeAlias = npt.NDArray[Any]
Profile = Literal["multiclass", "binary", "regression", "ranking", "embedding"]
PROFILES: tuple[Profile, ...] = ("multiclass", "binary", "regression", "ranking", "embedding")
FIDELITIES: tuple[Fidelity, ...] = ("label", "top1", "full")
"""Least released first."""

DIGITS = 2
"""Of a released top-1 probability. Fewer bits on the wire; it hides next to nothing."""
_STEPS = 10**DIGITS
_SIGN_AND_EXPONENT = 9
_MANTISSA: dict[Fidelity, int] = {"full": 23, "top1": 7, "label": 3}
_FEW = 256
_CLASSES = frozenset({"multiclass", "binary"})


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model answers a row with: ``width`` classes (with their labels) or values."""

    profile: Profile
    width: int
    labels: tuple[str, ...] = ()


def lower(one: Fidelity, other: Fidelity) -> Fidelity:
    """The one of the two that releases less."""
    return FIDELITIES[min(FIDELITIES.index(one), FIDELITIES.index(other))]


def ceiling_mbits(shape: Shape, fidelity: Fidelity, rows: int) -> int:
    """The most bits that an answer of ``rows`` rows can release, in thousandths, rounded up."""
    if shape.profile == "ranking":
        told = math.log2(max(rows, 1)) if fidelity == "label" else math.lgamma(rows + 1) / _LN2
        return _mbits(told + (32.0 * rows if fidelity == "full" else 0.0))
    return rows * _mbits(_bits_of_row(shape, fidelity))


_LN2 = math.log(2)


def _bits_of_row(shape: Shape, fidelity: Fidelity) -> float:
    if shape.profile in _CLASSES:
        label = math.log2(max(shape.width, 2))
        if fidelity == "label":
            return label
        if fidelity == "top1":
            return label + DIGITS * math.log2(10)
        return label + 32.0 * shape.width
    if shape.profile == "embedding" and fidelity == "label":
        return float(shape.width)
    return float(shape.width * (_SIGN_AND_EXPONENT + _MANTISSA[fidelity]))


def _mbits(bits: float) -> int:
    return math.ceil(bits * 1000 - 1e-9)


def names_of(shape: Shape, fidelity: Fidelity) -> tuple[str, ...]:
    """The names of what is released, in order."""
    if shape.profile in _CLASSES:
        every = ("label", "probability", "probabilities")
        return every[: FIDELITIES.index(fidelity) + 1]
    if shape.profile == "ranking":
        return {"full": ("rank", "score"), "top1": ("rank",), "label": ("best",)}[fidelity]
    if shape.profile == "embedding":
        return ("embedding",)
    return ("value",)


def described(shape: Shape, fidelity: Fidelity) -> tuple[tuple[str, str, list[int]], ...]:
    """``(name, datatype, shape)`` of each output; -1 is the number of rows asked."""
    wide = {"probabilities", "embedding", "score", "value"}
    types = {"label": "BYTES", "rank": "INT32", "best": "INT32"}
    found: list[tuple[str, str, list[int]]] = []
    for name in names_of(shape, fidelity):
        width = [shape.width] if name in wide and shape.profile != "ranking" else []
        size = [1] if name == "best" else [-1, *width]
        found.append((name, types.get(name, "FP32"), size))
    return tuple(found)


def released(shape: Shape, fidelity: Fidelity, answer: Answer) -> tuple[Tensor, ...]:
    """What may leave of ``answer``. Raises: ValueError (scores of another shape, or nonsense)."""
    scores = answer.scores
    if scores.ndim != 2 or scores.shape[1] != shape.width:
        raise ValueError(f"{shape.width} numbers a row wanted, it has {scores.shape}")
    if shape.profile in _CLASSES:
        few = scores.size <= _FEW and fidelity != "full"
        return (_few if few else _classes)(shape, fidelity, scores)
    if shape.profile == "ranking":
        return _ranking(fidelity, scores)
    if shape.profile == "embedding" and fidelity == "label":
        return (Tensor("embedding", "FP32", np.where(scores < 0, -1, 1).astype(np.float32)),)
    name = "embedding" if shape.profile == "embedding" else "value"
    if np.abs(scores).max(initial=0) > np.finfo(np.float32).max:
        raise ValueError("its values do not fit into FP32")
    return (Tensor(name, "FP32", cut(scores, _MANTISSA[fidelity])),)


def _few(shape: Shape, fidelity: Fidelity, scores: Array) -> tuple[Tensor, ...]:
    """As :func:`_classes`, for a few numbers: a loop is faster than numpy's calls are."""
    labels = shape.labels
    chosen: list[str] = []
    tops: list[float] = []
    for row in scores.tolist():
        top = max(row)
        if min(row) < -1e-9 or not 0.999 <= sum(row) <= 1.001:
            raise ValueError("its scores are no probabilities")
        at = row.index(top)
        chosen.append(labels[at] if labels else str(at))
        tops.append(max(round(top * _STEPS), 1) / _STEPS)
    label = Tensor("label", "BYTES", chosen)
    return (label,) if fidelity == "label" else (label, Tensor("probability", "FP32", tops))


def _classes(shape: Shape, fidelity: Fidelity, scores: Array) -> tuple[Tensor, ...]:
    if (scores < -1e-9).any() or (np.abs(scores.sum(axis=1) - 1) > 1e-3).any():
        raise ValueError("its scores are no probabilities")
    best = scores.argmax(axis=1)
    labels = shape.labels
    chosen = [labels[at] for at in best.tolist()] if labels else [str(at) for at in best.tolist()]
    out = [Tensor("label", "BYTES", np.array(chosen, dtype=object))]
    if fidelity != "label":
        top = scores[np.arange(len(scores)), best]
        if fidelity == "top1":
            # 0.01 to 1.00 are a hundred values, which is what the ceiling counts
            top = np.maximum(np.round(top * _STEPS), 1) / _STEPS
        out.append(Tensor("probability", "FP32", top))
    if fidelity == "full":
        out.append(Tensor("probabilities", "FP32", scores.astype(np.float32)))
    return tuple(out)


def _ranking(fidelity: Fidelity, scores: Array) -> tuple[Tensor, ...]:
    if scores.shape[1] != 1:
        raise ValueError("a ranking has one score a row")
    order = np.argsort(-scores[:, 0], kind="stable")
    if fidelity == "label":
        return (Tensor("best", "INT32", order[:1].astype(np.int32)),)
    rank: Array = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(1, len(order) + 1, dtype=np.int32)
    out = [Tensor("rank", "INT32", rank)]
    if fidelity == "full":
        out.append(Tensor("score", "FP32", scores[:, 0].astype(np.float32)))
    return tuple(out)


def cut(values: Array, mantissa: int) -> Array:
    """float32 with all but ``mantissa`` bits of its fraction dropped: sign and exponent stay."""
    plain = np.ascontiguousarray(values, dtype=np.float32)
    keep = np.uint32(0xFFFFFFFF << (23 - mantissa) & 0xFFFFFFFF)
    kept: Array = (plain.view(np.uint32) & keep).view(np.float32)
    return kept


def chosen(tensors: Sequence[Tensor], wanted: Sequence[str]) -> tuple[Tensor, ...]:
    """Only those asked for by name, where any were."""
    return tuple(one for one in tensors if not wanted or one.name in wanted)
