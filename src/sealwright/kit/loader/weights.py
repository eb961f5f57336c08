"""Tensors of whatever was loaded, by name, as numpy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def arrays_of(value: Any) -> dict[str, npt.NDArray[Any]]:
    """``{"model.0.weight": array, …}`` of nested mappings, lists, tensors and arrays.

    bfloat16 becomes float32, which holds each of its values exactly.
    """
    return dict(_walk(value, ""))


def _walk(value: Any, path: str) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":
            tensor = tensor.float()
        yield path or "tensor", tensor.contiguous().numpy()
    elif isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind in "biuf":
            yield path or "array", np.ascontiguousarray(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for at, inner in enumerate(value):
            yield from _walk(inner, f"{path}.{at}" if path else str(at))
