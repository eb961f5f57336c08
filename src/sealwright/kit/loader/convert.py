"""The jail's module that turns a model into tensors and plain parameters.

``python -m sealwright.kit.loader.convert LEVEL`` reads ``model`` in its folder, which was scanned
clean, and writes ``model.safetensors`` and ``params.json`` beside it. What it cannot say in plain
values is listed under ``left_out``, and never written as code.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sealwright.kit.loader import restricted
from sealwright.kit.loader.weights import arrays_of
from sealwright.kit.modelfile.policy import policy_of

TENSORS, PARAMETERS = "model.safetensors", "params.json"
_DEPTH = 40
_MOST_ITEMS = 2_000_000
_NAMES = {
    **{"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32"},
    **{"int16": "I16", "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16"},
    **{"uint8": "U8", "bool": "BOOL"},
}


def main() -> None:
    """Convert ``model`` in the working folder."""
    level: Any = sys.argv[1]
    value = restricted.load(Path("model").read_bytes(), policy_of(level))
    tensors, parameters = converted(value)
    Path(TENSORS).write_bytes(safetensors(tensors))
    Path(PARAMETERS).write_text(json.dumps(parameters, indent=1) + "\n", encoding="utf-8")


def converted(value: Any) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Arrays by name, and everything else that is a plain value."""
    walk = _Walk()
    plain = walk.plain(value, "", 0)
    return walk.tensors, {"value": plain, "left_out": sorted(walk.left_out)}


class _Walk:
    def __init__(self) -> None:
        self.tensors: dict[str, npt.NDArray[Any]] = {}
        self.left_out: set[str] = set()
        self._items = 0

    def plain(self, value: Any, path: str, depth: int) -> Any:
        """``value`` as JSON; arrays go aside, and leave ``{"tensor": name}``."""
        self._items += 1
        if depth > _DEPTH or self._items > _MOST_ITEMS:
            raise ValueError("the model nests too deep or holds too many values")
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, np.generic):
            return value.item() if value.dtype.kind in "biufSU" else str(value)
        if hasattr(value, "detach") or isinstance(value, np.ndarray):
            return self._array(value, path, depth)
        if isinstance(value, Mapping):
            return {
                str(key): self.plain(one, f"{path}.{key}", depth + 1) for key, one in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self.plain(one, f"{path}.{at}", depth + 1) for at, one in enumerate(value)]
        return self._object(value, path, depth)

    def _array(self, value: Any, path: str, depth: int) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.kind in "OSU":
            return [
                self.plain(one, f"{path}.{at}", depth + 1) for at, one in enumerate(value.tolist())
            ]
        if isinstance(value, np.ndarray) and value.dtype.names:
            return {
                name: self._array(np.ascontiguousarray(value[name]), f"{path}.{name}", depth + 1)
                for name in value.dtype.names
            }
        name = path.strip(".") or "tensor"
        found = arrays_of({name: value})
        if str(found[name].dtype) not in _NAMES:
            self.left_out.add(name)
            return None
        self.tensors[name] = found[name]
        return {"tensor": name}

    def _object(self, value: Any, path: str, depth: int) -> Any:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        state = value.__getstate__() if hasattr(value, "__getstate__") else None
        if not isinstance(state, dict):
            self.left_out.add(path.strip(".") or "value")
            return {"class": kind}
        given = {
            str(key): self.plain(one, f"{path}.{key}", depth + 1) for key, one in state.items()
        }
        return {"class": kind, "state": given}


def safetensors(tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The file format's bytes: tensors in the order of their names, no gaps."""
    header, parts, at = dict[str, Any](), list[bytes](), 0
    for name in sorted(tensors):
        array = tensors[name]
        data = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes()
        header[name] = {
            "dtype": _NAMES[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [at, at + len(data)],
        }
        parts.append(data)
        at += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


if __name__ == "__main__":
    main()
