"""Names that stand for nothing: inert classes, and the log of what an unpickler does with them.

A reader (``unpicklers``, ``inline``) asks for a name and gets a class that imports nothing and does
nothing, so the very machine that a victim would use follows the file, and the trace says what it
would have done. Runs in the limited child only (``child``).
"""

from __future__ import annotations

from typing import Any

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


class Log:
    """What happened, and in which order."""

    def __init__(self, policy: Policy, *, storages: bool) -> None:
        self.policy, self.takes_storages = policy, storages
        self.events: list[int] = []
        self.pairs: list[tuple[str, str]] = []
        self.storages: list[Storage] = []
        self._classes: dict[tuple[str, str], Any] = {}

    def name(self, module: str, name: str) -> Any:
        """The inert class for a name: one for all its uses."""
        pair = (module, name)
        known = self._classes.get(pair)
        if known is None:
            known = self._classes[pair] = stub(self, len(self.pairs), pair)
            self.pairs.append(pair)
        self.events.append(8 * known.at + NAMED)
        return known

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


class Inert:
    """What an unpickler of CPython is given in place of its ways to the outside."""

    log: Log

    def find_class(self, module: str, name: str) -> Any:
        """An inert class."""
        return self.log.name(module, name)

    def persistent_load(self, pid: Any) -> Any:
        """A storage."""
        return self.log.fetch(pid)
