"""joblib's arrays, which lie between the opcodes: CPython's unpickler in Python skips them.

It is told where each ends by the dtype and shape it has just read. Over ``stubs``, like
``unpicklers``.
"""

from __future__ import annotations

import io
import pickle
import re
from typing import Any, ClassVar

from sealwright.kit.modelfile.arguments import WRAPPER
from sealwright.kit.modelfile.policy import Policy
from sealwright.kit.modelfile.report import Unsound
from sealwright.kit.modelfile.stubs import Inert, Log, Stub
from sealwright.kit.modelfile.trace import Span, Trace

_PLAIN_DTYPE = re.compile(r"([biufcSUmM?])(\d+)?")
_PYTHON: Any = vars(pickle)["_Unpickler"]


class PythonReader(Inert, _PYTHON):  # type: ignore[misc]
    """CPython's unpickler in Python, which reads joblib's arrays where they lie."""

    dispatch: ClassVar[dict[int, Any]] = dict(_PYTHON.dispatch)

    def __init__(self, stream: io.BytesIO, log: Log) -> None:
        super().__init__(stream)
        self.stream, self.log, self.spans = stream, log, list[Span]()

    def build(self) -> None:
        """BUILD; after an array's wrapper, its bytes."""
        super().load_build()
        top = self.stack[-1]
        if isinstance(top, Stub) and type(top).pair == WRAPPER:
            frame = self._unframer.current_frame
            if frame is not None and frame.read(1):
                raise Unsound("pickle.inline-array", "an array begins inside a frame")
            self._unframer.current_frame = None
            self.spans.append(self._array(top.state))

    dispatch[pickle.BUILD[0]] = build

    def _array(self, state: Any) -> Span:
        start = self.stream.tell()
        known = {"subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"}
        if type(state) is not dict or not set(state) <= known:
            raise Unsound("pickle.inline-array", "an array's wrapper has other fields")
        shape, size = state.get("shape"), item_bytes(state.get("dtype"))
        if type(shape) is not tuple or any(type(one) is not int or one < 0 for one in shape):
            raise Unsound("pickle.inline-array", "an array's shape is no tuple of counts")
        if size < 0:
            nested = pickle_end(self.stream.getbuffer()[start:])
            self.stream.seek(start + nested)
            return Span(start, nested, pickled=True)
        if state.get("numpy_array_alignment_bytes") is not None:
            padding = self.stream.read(1)
            self.stream.seek(padding[0] if padding else 0, io.SEEK_CUR)
        for one in shape:
            size *= one
        end = self.stream.tell() + size
        if end > self.stream.getbuffer().nbytes:
            raise Unsound("pickle.inline-array", "an array is longer than the file")
        self.stream.seek(end)
        return Span(start, end - start)


def item_bytes(dtype: Any) -> int:
    """The bytes of one item of a ``numpy.dtype`` stub; -1 for objects. Raises: Unsound."""
    if not isinstance(dtype, Stub) or type(dtype).pair != ("numpy", "dtype") or not dtype.given:
        raise Unsound("pickle.inline-array", "an array's dtype is no dtype")
    code = dtype.given[0]
    if type(code) is not str:
        raise Unsound("pickle.inline-array", "an array's dtype is no text")
    if code.startswith("O"):
        return -1
    if code[:1] == "V" and _records(dtype.state, 0):
        return int(code[1:]) if code[1:].isdigit() else 0
    found = _PLAIN_DTYPE.fullmatch(code)
    if not found:
        raise Unsound("pickle.inline-array", f"arrays of {code[:20]!r} are not read")
    count = int(found[2] or 1)
    return count * 4 if found[1] == "U" else count


def _records(state: Any, depth: int) -> bool:
    """Are a record dtype's fields all plain? ``state`` is what ``dtype.__setstate__`` takes."""
    if type(state) is not tuple or len(state) < 8 or depth > 8:
        return False
    part, fields = state[2], state[4]
    inner = [part[0]] if type(part) is tuple and part else []
    if type(fields) is dict:
        inner += [field[0] for field in fields.values() if type(field) is tuple and field]
        if len(inner) < len(fields):
            return False
    for one in inner:
        if not isinstance(one, Stub) or not one.given or type(one.given[0]) is not str:
            return False
        if one.given[0][:1] == "V":
            if not _records(one.state, depth + 1):
                return False
        elif not _PLAIN_DTYPE.fullmatch(one.given[0]):
            return False
    return True


def pickle_end(data: memoryview) -> int:
    """Where the pickle at the start of ``data`` ends, by its opcodes alone."""
    import pickletools

    stream = io.BytesIO(data)
    for op, _, _ in pickletools.genops(stream):
        if op.name == "STOP":
            return stream.tell()
    raise Unsound("pickle.truncated", "a nested pickle has no end")


def inline(data: bytes | memoryview, policy: Policy) -> Trace:
    """The same by the Python unpickler, with the spans of the arrays it skipped."""
    log = Log(policy, storages=False)
    stream = io.BytesIO(data)
    reader = PythonReader(stream, log)
    reader.load()
    return log.trace(stream.tell(), tuple(reader.spans))
