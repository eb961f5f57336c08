"""The strict reader's picture of a pickle's stack: what kind of thing lies where.

A value is an int: 0 is a number or the like, ``-1 - offset`` text or bytes spelt at that offset,
anything above 0 the index of a node. A node is a list (a class would halve the reader's speed)
or, for a tuple of nothing but plain values, the bare tuple.
"""

from __future__ import annotations

from typing import Any

from sealwright.kit.modelfile.limits import Limits
from sealwright.kit.modelfile.report import Unsound

TUPLE, LIST, DICT, SET, NAME, OBJECT = range(6)
"""Kinds of nodes."""

KIND, WEIGHT, DEPTH, FETCHED, PAIR, PARTS = range(6)
"""Fields: what it unfolds to, how deep, whether something else points at it, which name."""

Node = list[Any]


def node_of(kind: int, pair: int = -1, parts: tuple[int, ...] = ()) -> Node:
    """A node that holds nothing yet."""
    return [kind, 1, 0, False, pair, parts]


class Nodes:
    """All nodes of one pickle. ``items[0]`` is nobody."""

    def __init__(self, limits: Limits) -> None:
        self.items: list[Node | tuple[int, ...]] = [()]
        self._limits = limits

    def add(self, kind: int, pair: int = -1, parts: tuple[int, ...] = ()) -> int:
        """A new node that holds nothing yet."""
        self.items.append(node_of(kind, pair, parts))
        return len(self.items) - 1

    def of(self, value: int) -> Node | None:
        """The node behind a value, as a list."""
        if value <= 0:
            return None
        found = self.items[value]
        if isinstance(found, tuple):
            found = self.items[value] = [TUPLE, 1 + len(found), 1, False, -1, found]
        return found

    def hold(self, node: Node, values: list[int] | tuple[int, ...], ops: int) -> None:
        """``node`` now holds ``values``. Raises: Unsound (pickle.budget)."""
        weight, depth, items = len(values), 0, self.items
        for value in values:
            if value > 0:
                inner = items[value]
                if type(inner) is tuple:
                    weight += 1 + len(inner)
                    depth = depth or 1
                else:
                    weight += inner[1]
                    if inner[2] > depth:
                        depth = inner[2]
        node[1] += weight
        if depth >= node[2]:
            node[2] = depth + 1
        limits = self._limits
        if node[2] > limits.depth:
            raise Unsound("pickle.budget", f"values nest more than {limits.depth} deep")
        if node[1] > limits.free_values + limits.expansion * ops:
            raise Unsound("pickle.budget", f"{ops:,} opcodes would unfold to {node[1]:,} values")
