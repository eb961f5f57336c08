"""What a suspect says, as codes of the model's classes; what cannot be read is -1, no guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Codes: TypeAlias = npt.NDArray[np.int64]
UNREAD = -1


def text_of(value: object) -> str:
    """One spelling for each label: ``1``, ``1.0``, ``True`` of numbers, text without its edges."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text


def codes_of(
    answer: npt.NDArray[Any], count: int, classes: Sequence[str], names: Mapping[str, str]
) -> Codes:
    """(count,) codes of an answer: labels (n,) or (n, 1), or one number for each class (n, K).

    ``names`` maps the suspect's labels to the model's. Raises: ValueError (another shape).
    """
    found = np.asarray(answer)
    if found.shape == (count, len(classes)) and found.dtype.kind == "f" and len(classes) > 1:
        whole = np.isfinite(found).all(axis=1)
        best = np.where(np.isfinite(found), found, -np.inf).argmax(axis=1)
        return np.where(whole, best, UNREAD).astype(np.int64)
    if found.size != count or found.ndim > 2 or (found.ndim == 2 and found.shape[0] != count):
        raise ValueError(f"asked {count}, and the answer's shape is {list(found.shape)}")
    place = {label: code for code, label in enumerate(classes)}
    texts = [text_of(one) for one in found.reshape(-1).tolist()]
    return np.array([place.get(names.get(one, one), UNREAD) for one in texts], np.int64)


def classes_of(answer: npt.NDArray[Any]) -> tuple[str, ...]:
    """The labels in an answer, one spelling each, in order."""
    return tuple(sorted({text_of(one) for one in np.asarray(answer).reshape(-1).tolist()}))
