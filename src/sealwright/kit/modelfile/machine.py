"""The strict reader's rarer opcodes: names, calls, containers, and what it keeps of them."""

from __future__ import annotations

import pickletools
import re
from typing import NoReturn

from sealwright.kit.modelfile import arguments
from sealwright.kit.modelfile.limits import Limits
from sealwright.kit.modelfile.policy import Pair, Policy
from sealwright.kit.modelfile.report import Found, Unsound
from sealwright.kit.modelfile.stack import FETCHED as SHARED
from sealwright.kit.modelfile.stack import KIND, NAME, OBJECT, PAIR, PARTS, TUPLE, Node, Nodes
from sealwright.kit.modelfile.trace import (
    BUILT,
    CALLED,
    FETCHED,
    FILLED,
    LETTERS,
    MADE,
    NAMED,
    Span,
    Storage,
    Trace,
)

INLINE = "joblib's arrays lie between the opcodes"
MOST_REFUSED = 40
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_LINE_BYTES = 4096
_OPCODES = {op.code: op for op in pickletools.opcodes}
_WORDS = {CALLED: "called", MADE: "made", BUILT: "given a state", FILLED: "filled"}
_TEXT = (0x8C, 0x58, 0x8D, 0x56)


class Machine:
    """The stack, memo and trace of one pickle, and the names it was refused for."""

    def __init__(
        self,
        data: bytes,
        policy: Policy,
        start: int,
        *,
        storages: bool,
        inline: bool,
        limits: Limits,
    ) -> None:
        self.data, self.policy, self.pos, self.limits = data, policy, start, limits
        self.stack: list[int] = []
        self.memo: list[int] = []
        self.marks: list[int] = []
        self.nodes = Nodes(limits)
        self.protocol = 0
        self.start, self.ops = start, 0
        self.refused: list[Found] = []
        self._takes_storages, self._inline = storages, inline
        self._pairs: list[Pair] = []
        self._index: dict[Pair, int] = {}
        self._uses: list[str] = []
        self._events: list[int] = []
        self._storages: list[Storage] = []
        self._wrapped: list[int] = []

    def trace(self, end: int) -> Trace:
        """What was seen."""
        spans = tuple(Span(at, 0) for at in self._wrapped)
        return Trace(tuple(self._pairs), tuple(self._events), end, tuple(self._storages), spans)

    def stop(self, rule: str, message: str) -> NoReturn:
        """Raises: Unsound at the present opcode."""
        raise Unsound(rule, message, offset=self.pos, opcode=self._opcode())

    def refuse(self, rule: str, message: str) -> None:
        """Note a finding and read on."""
        if len(self.refused) < MOST_REFUSED:
            self.refused.append(Found(rule, message, "", self.pos, self._opcode()))

    def line(self, pos: int, most: int = _LINE_BYTES) -> tuple[bytes, int]:
        """The bytes up to the next line end, and where they go on."""
        end = self.data.find(b"\n", pos)
        if end < 0:
            self.stop("pickle.truncated", "it ends inside a line")
        if end - pos > most:
            self.stop("pickle.budget", f"a line of {end - pos:,} bytes")
        return self.data[pos:end], end + 1

    def number(self, pos: int, count: int) -> int:
        """``count`` bytes as a little-endian number."""
        if pos + count > len(self.data):
            self.stop("pickle.truncated", "it ends inside an opcode")
        return int.from_bytes(self.data[pos : pos + count], "little")

    def text(self, value: int) -> str | None:
        """What a text value spells; None for anything else."""
        if value >= 0:
            return None
        at = -1 - value
        op, data = self.data[at], self.data
        if op == 0x8C:
            raw = data[at + 2 : at + 2 + data[at + 1]]
        elif op == 0x58:
            raw = data[at + 5 : at + 5 + self.number(at + 1, 4)]
        elif op == 0x8D:
            raw = data[at + 9 : at + 9 + self.number(at + 1, 8)]
        elif op == 0x56:
            raw = data[at + 1 : data.find(b"\n", at + 1)]
            if len(raw) > _LINE_BYTES or b"\\" in raw or not raw.isascii():
                return None
        else:
            return None
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self.stop("pickle.text", "a name is not UTF-8")

    def take(self) -> int:
        """Pop one value, not past the mark."""
        if not self.stack or (self.marks and len(self.stack) <= self.marks[-1]):
            self.stop("pickle.stack", "an opcode takes more than there is")
        return self.stack.pop()

    def take_marked(self) -> list[int]:
        """Pop everything above the mark."""
        if not self.marks:
            self.stop("pickle.stack", "there is no mark")
        at = self.marks.pop()
        values = self.stack[at:]
        del self.stack[at:]
        return values

    def top(self) -> Node:
        """The node on top, which must be one."""
        value = self.stack[-1] if self.stack else 0
        if value <= 0 or (self.marks and len(self.stack) <= self.marks[-1]):
            self.stop("pickle.stack", "what is filled or built is neither container nor object")
        return self._node(value)

    def _node(self, value: int) -> Node:
        node = self.nodes.of(value)
        if node is None:
            self.stop("pickle.stack", "a plain value where an object is needed")
        return node

    def name(self, module: str | None, name: str | None) -> None:
        """Push a (module, name) pair, and hold it against the policy."""
        if module is None or name is None:
            self.stop("pickle.computed-name", "a name is not spelt where it is used")
        if not _NAME.fullmatch(module) or not _NAME.fullmatch(name):
            self.stop("pickle.text", f"{module[:80]!r} {name[:80]!r} is no name")
        pair = (module, name)
        at = self._index.get(pair, -1)
        if at < 0:
            at = self._index[pair] = len(self._pairs)
            self._pairs.append(pair)
            self._uses.append(self.policy.uses_of(*pair))
        if not self._uses[at]:
            known = self.policy.knows(module)
            self.refuse("pickle.name" if known else "pickle.class", f"names {module}.{name}")
        self.event(NAMED, at)
        self.stack.append(self.nodes.add(NAME, at))

    def event(self, verb: int, pair: int) -> None:
        """Add to the trace; refuse a use a listed pair is not listed for."""
        self._events.append(8 * pair + verb)
        letters = LETTERS.get(verb)
        if letters and self._uses[pair] and not set(letters) & set(self._uses[pair]):
            self.refuse("pickle.call", f"{'.'.join(self._pairs[pair])} is {_WORDS[verb]}")

    def made(self, verb: int) -> None:
        """REDUCE and NEWOBJ: a name with a tuple of arguments becomes an object."""
        given, called = self.nodes.of(self.take()), self.nodes.of(self.take())
        if given is None or given[KIND] != TUPLE:
            self.stop("pickle.stack", "arguments are no tuple")
        if called is None or called[KIND] != NAME:
            self.stop("pickle.stack", "what is called is not a name")
        self.event(verb, called[PAIR])
        pair = self.policy.canonical(*self._pairs[called[PAIR]])
        becomes = called[PAIR]
        check = arguments.RULES.get(pair)
        if check and not check([self._kind(part) for part in given[PARTS]]):
            self.refuse("pickle.argument", f"{'.'.join(pair)} is handed something else")
        elif pair == arguments.RECONSTRUCT:
            becomes = self._node(given[PARTS][0])[PAIR]
        value = self.nodes.add(OBJECT, becomes)
        self.nodes.hold(self._node(value), given[PARTS], self.ops)
        self.stack.append(value)

    def _kind(self, value: int) -> arguments.Kind:
        node = self.nodes.of(value)
        if node is not None:
            if node[KIND] == NAME:
                pair = self._pairs[node[PAIR]]
                return ("name", (self.policy.canonical(*pair), self._uses[node[PAIR]]))
            return ("object", None) if node[KIND] == OBJECT else ("other", None)
        if value < 0:
            text = self.text(value) if self.data[-1 - value] in _TEXT else None
            return ("text", text) if text is not None else ("bytes", None)
        return ("other", None)

    def hold(self, node: Node, values: list[int]) -> None:
        """Fill what nothing else points at yet."""
        if node[SHARED] and values:
            self.stop("pickle.order", "it is filled after something else points at it")
        self.nodes.hold(node, values, self.ops)

    def built(self) -> None:
        """BUILD: an object is given its state."""
        state, node = self.take(), self.top()
        if node[KIND] != OBJECT or node[PAIR] < 0:
            self.stop("pickle.stack", "what is given a state is no object")
        self.event(BUILT, node[PAIR])
        self.hold(node, [state])
        if self._pairs[node[PAIR]] == arguments.WRAPPER:
            if not self._inline:
                raise Unsound("pickle.inline-array", INLINE, offset=self.pos + 1)
            self._wrapped.append(self.pos + 1)

    def fetch(self) -> None:
        """BINPERSID: a storage of torch, spelt out, and nothing else."""
        pid = self.nodes.of(self.take())
        if not self._takes_storages:
            self.refuse("pickle.persistent", "only torch's storages are fetched by number")
        elif pid is None or pid[KIND] != TUPLE or len(pid[PARTS]) < 5:
            self.refuse("pickle.persistent", "the number is not a storage's")
        else:
            kind = self.nodes.of(pid[PARTS][1])
            key = self.text(pid[PARTS][2])
            name = self._pairs[kind[PAIR]][1] if kind and kind[KIND] == NAME else ""
            if self.text(pid[PARTS][0]) != "storage" or key is None or "Storage" not in name:
                self.refuse("pickle.persistent", "the number is not a storage's")
            else:
                self._storages.append(Storage(name, key))
        self._events.append(FETCHED)
        self.stack.append(self.nodes.add(OBJECT))

    def _opcode(self) -> str:
        if not 0 <= self.pos < len(self.data):
            return ""
        op = _OPCODES.get(chr(self.data[self.pos]))
        return op.name if op else f"0x{self.data[self.pos]:02x}"
