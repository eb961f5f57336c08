"""The other readers of a pickle: CPython's own unpicklers over names that stand for nothing.

``find_class`` imports nothing and returns an inert class, so the very machine that a victim
would use follows the file, and the trace says what it would have done. Runs in the limited
child only (``child``). ``inline`` is the Python unpickler, for joblib's arrays that lie between
the opcodes: it is told where they end by the dtype and shape it has just read.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import re
from typing import Any, ClassVar

from sealwright.kit.modelfile import arguments
from sealwright.kit.modelfile.policy import Policy
from sealwright.kit.modelfile.report import Unsound
from sealwright.kit.modelfile.trace import (
    BUILT,
    CALLED,
    FETCHED,
    FILLED,
    MADE,
    NAMED,
    Span,
    Storage,
    Trace,
)

WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_PLAIN_DTYPE = re.compile(r"([biufcSUmM?])(\d+)?")


class Log:
    """What happened, and in which order."""

    def __init__(self, policy: Policy, *, storages: bool) -> None:
        self.policy, self.takes_storages = policy, storages
        self.events: list[int] = []
        self.pairs: list[tuple[str, str]] = []
        self.index: dict[tuple[str, str], int] = {}
        self.storages: list[Storage] = []

    def name(self, module: str, name: str) -> Any:
        """The inert class for a name."""
        pair = (module, name)
        at = self.index.get(pair)
        if at is None:
            at = self.index[pair] = len(self.pairs)
            self.pairs.append(pair)
        self.events.append(8 * at + NAMED)
        return stub(self, at, pair)

    def fetch(self, pid: Any) -> Any:
        """A storage of torch."""
        self.events.append(FETCHED)
        if self.takes_storages and isinstance(pid, tuple) and len(pid) >= 5:
            word, kind, key, _, count = pid[:5]
            if word == "storage" and isinstance(kind, Meta) and type(key) is str:
                number = count if type(count) is int else -1
                self.storages.append(Storage(self.pairs[kind.at][1], key, number))
        return stub(self, -1, ("", "")).__new__(Stub)

    def trace(self, end: int, spans: tuple[Span, ...] = ()) -> Trace:
        """What was seen."""
        return Trace(tuple(self.pairs), tuple(self.events), end, tuple(self.storages), spans)


class Meta(type):
    """Calling a stub class is REDUCE; NEWOBJ goes past this, straight to ``__new__``."""

    log: Log
    at: int
    pair: tuple[str, str]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Nothing but a line in the trace."""
        cls.log.events.append(8 * cls.at + CALLED)
        pair = cls.log.policy.canonical(*cls.pair)
        check = arguments.RULES.get(pair)
        if kwargs or (check and not check([_kind(cls.log, one) for one in args])):
            raise Unsound("pickle.argument", f"{'.'.join(pair)} is handed something else")
        made = args[0] if pair == arguments.RECONSTRUCT else cls
        found: Stub = object.__new__(made)
        found.given = args
        found.state = None
        return found


class Stub(metaclass=Meta):
    """An object that does nothing. Its methods are those an unpickler calls."""

    __slots__ = ("given", "state")
    given: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any, **kwargs: Any) -> Stub:
        """NEWOBJ."""
        found = object.__new__(cls)
        found.given, found.state = args, None
        if cls is not Stub:
            cls.log.events.append(8 * cls.at + MADE)
        return found

    def __setstate__(self, state: Any) -> None:
        cls = type(self)
        cls.log.events.append(8 * cls.at + BUILT)
        self.state = state

    def extend(self, values: Any) -> None:
        """APPEND and APPENDS."""
        self._filled()

    def add(self, value: Any) -> None:
        """ADDITEMS."""
        self._filled()

    def __setitem__(self, key: Any, value: Any) -> None:
        self._filled()

    def _filled(self) -> None:
        cls = type(self)
        cls.log.events.append(8 * cls.at + FILLED)


def stub(log: Log, at: int, pair: tuple[str, str]) -> Any:
    """The class that stands for ``pair`` in one trace."""
    return Meta("Stub", (Stub,), {"__slots__": (), "log": log, "at": at, "pair": pair})


def _kind(log: Log, value: Any) -> arguments.Kind:
    if isinstance(value, Meta):
        pair = log.policy.canonical(*value.pair)
        return ("name", (pair, log.policy.uses_of(*value.pair)))
    if isinstance(value, Stub):
        return ("object", None)
    if type(value) is str:
        return ("text", value)
    return ("bytes", None) if isinstance(value, bytes | bytearray) else ("other", None)


class Peeked:
    """Bytes that the C unpickler reads where they lie, in one go, and without a copy."""

    def __init__(self, data: bytes) -> None:
        self._rest, self.at = memoryview(data), 0

    def peek(self, count: int = 0) -> memoryview:
        """Everything that is left."""
        return self._rest

    def read(self, count: int) -> memoryview:
        """The next ``count`` bytes, fewer at the end."""
        got, self._rest = self._rest[:count], self._rest[count:]
        self.at += len(got)
        return got

    def readline(self) -> bytes:
        """Everything that is left: a line end in it would have been seen by looking ahead."""
        return bytes(self.read(len(self._rest)))


class CReader(pickle.Unpickler):
    """CPython's unpickler in C."""

    log: Log
    seen: dict[tuple[str, str], Any]

    def find_class(self, module: str, name: str) -> Any:
        """An inert class."""
        known = self.seen.get((module, name))
        if known is None:
            known = self.seen[(module, name)] = self.log.name(module, name)
        else:
            self.log.events.append(8 * known.at)
        return known

    def persistent_load(self, pid: Any) -> Any:
        """A storage."""
        return self.log.fetch(pid)


def follow(data: bytes, policy: Policy, *, storages: bool = False) -> Trace:
    """What the C unpickler does with the pickle at the start of ``data``. Raises: anything."""
    log = Log(policy, storages=storages)
    stream = Peeked(data)
    reader = CReader(stream)
    reader.log, reader.seen = log, {}
    reader.load()
    return log.trace(stream.at)


_PYTHON: Any = vars(pickle)["_Unpickler"]


class PythonReader(_PYTHON):  # type: ignore[misc]
    """CPython's unpickler in Python, which reads joblib's arrays where they lie."""

    dispatch: ClassVar[dict[int, Any]] = dict(_PYTHON.dispatch)

    def __init__(self, stream: io.BytesIO, log: Log) -> None:
        super().__init__(stream)
        self.stream, self.log, self.spans = stream, log, list[Span]()
        self.seen: dict[tuple[str, str], Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        """An inert class."""
        known = self.seen.get((module, name))
        if known is None:
            known = self.seen[(module, name)] = self.log.name(module, name)
        else:
            self.log.events.append(8 * known.at)
        return known

    def persistent_load(self, pid: Any) -> Any:
        """A storage."""
        return self.log.fetch(pid)

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


def inline(data: bytes, policy: Policy) -> Trace:
    """The same by the Python unpickler, with the spans of the arrays it skipped."""
    log = Log(policy, storages=False)
    stream = io.BytesIO(data)
    reader = PythonReader(stream, log)
    reader.load()
    return log.trace(stream.tell(), tuple(reader.spans))


def touched(data: bytes, policy: Policy) -> Trace:
    """What unpicklers get to when they are given bytes that are no pickle, before they fail.

    For every other format: read as a pickle, most fail at their first byte.
    """
    log = Log(policy, storages=False)
    reader = CReader(Peeked(data))
    reader.log, reader.seen = log, {}
    with contextlib.suppress(Exception):  # how it fails says nothing
        reader.load()
    return log.trace(0)
