"""RFC 6962 Merkle trees over 32-byte hashes: roots, proofs, and the checking of both.

A *complete* node ``(level, index)`` covers leaves ``[index << level, (index + 1) << level)``.
``hash_at(level, index)`` returns its 32-byte hash; proofs are made from complete nodes alone.
Source: RFC 6962 section 2.1 and RFC 9162 section 2.1.3 to 2.1.5.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from sealwright.core.errors import BadInput, VerifyError

HASH_BYTES = 32
_BLOCK = 1_024
"""Leaves of which a root is made level by level: a complete subtree, or the last of a tree."""
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of the tree without leaves."""

HashAt = Callable[[int, int], bytes]
"""``hash_at(level, index)`` of a complete node."""

_sha256 = hashlib.sha256


def leaf_hash(body: bytes) -> bytes:
    """SHA-256(0x00 || body), 32 bytes."""
    return _sha256(b"\x00" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right), 32 bytes."""
    return _sha256(b"\x01" + left + right).digest()


class CompactRange:
    """The right edge of a growing tree: the roots of its complete subtrees, largest first.

    ``nodes`` holds as many 32-byte hashes as ``size`` has one bits. Raises: BadInput.
    """

    __slots__ = ("_nodes", "_size")

    def __init__(self, size: int = 0, nodes: Sequence[bytes] = ()) -> None:
        if size < 0 or len(nodes) != size.bit_count():
            raise BadInput(f"{len(nodes)} nodes do not describe a tree of {size} leaves")
        for node in nodes:
            _wanted(node, "node")
        self._size = size
        self._nodes = list(nodes)

    @property
    def size(self) -> int:
        """How many leaves have been pushed."""
        return self._size

    @property
    def nodes(self) -> tuple[bytes, ...]:
        """The hashes of the complete subtrees, largest first."""
        return tuple(self._nodes)

    def push(self, leaf: bytes) -> None:
        """Add one 32-byte leaf hash. Raises: BadInput."""
        _wanted(leaf, "leaf")
        nodes, size, carry = self._nodes, self._size, leaf
        while size & 1:
            carry = _sha256(b"\x01" + nodes.pop() + carry).digest()
            size >>= 1
        nodes.append(carry)
        self._size += 1

    def root(self) -> bytes:
        """The root over everything pushed so far; ``EMPTY_ROOT`` for nothing."""
        if not self._nodes:
            return EMPTY_ROOT
        root = self._nodes[-1]
        for node in reversed(self._nodes[:-1]):
            root = node_hash(node, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over 32-byte leaf hashes in order. Raises: BadInput."""
    edge, rest = CompactRange(), iter(leaves)
    while block := list(islice(rest, _BLOCK)):
        for leaf in block:
            if len(leaf) != HASH_BYTES:
                _wanted(leaf, "leaf")
        while len(block) > 1:
            pairs = zip(block[::2], block[1::2], strict=False)
            odd = block[-1:] if len(block) & 1 else []
            block = [_sha256(b"\x01" + left + right).digest() for left, right in pairs] + odd
        edge.push(block[0])
    return edge.root()


def inclusion_proof(index: int, size: int, hash_at: HashAt) -> list[bytes]:
    """The audit path of leaf ``index`` in the tree of the first ``size`` leaves, leaf end first.

    Raises: BadInput when there is no such leaf.
    """
    if not 0 <= index < size:
        raise BadInput(f"there is no leaf {index} in a tree of {size}")
    return _path(index, 0, size, hash_at)


def consistency_proof(old: int, new: int, hash_at: HashAt) -> list[bytes]:
    """The proof that the tree of ``old`` leaves is a prefix of the tree of ``new`` leaves.

    Empty when ``old == new``. Raises: BadInput unless ``0 < old <= new``.
    """
    if not 0 < old <= new:
        raise BadInput(f"no consistency proof from a tree of {old} to a tree of {new}")
    if old == new:
        return []
    return _subproof(old, 0, new, True, hash_at)


def subtree_root(start: int, end: int, hash_at: HashAt) -> bytes:
    """The root over leaves ``[start, end)``; ``start`` must be aligned as in RFC 6962's recursion.

    Raises: BadInput when the range is empty.
    """
    if not 0 <= start < end:
        raise BadInput(f"[{start}, {end}) holds no leaf")
    parts: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        parts.append(hash_at(level, start >> level))
        start += 1 << level
    root = parts.pop()
    while parts:
        root = node_hash(parts.pop(), root)
    return root


def root_at(size: int, hash_at: HashAt) -> bytes:
    """The root over the first ``size`` leaves."""
    return subtree_root(0, size, hash_at) if size else EMPTY_ROOT


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> bytes:
    """Return ``leaf`` once ``proof`` shows it is number ``index`` of the ``size`` under ``root``.

    Raises: VerifyError (rule ``log.inclusion``) for a hash that is not 32 bytes, an index beyond
    the size, and a proof that is too short, too long or leads elsewhere (RFC 9162 2.1.3.2).
    """
    rule, where = "log.inclusion", f"leaf {index} of {size}"
    _checked((leaf, root, *proof), rule, where)
    if not 0 <= index < size:
        raise _broken("the index is beyond the size of the tree", rule, where)
    inner = (index ^ (size - 1)).bit_length()
    if len(proof) != inner + (index >> inner).bit_count():
        raise _broken(f"the proof has {len(proof)} hashes", rule, where)
    computed = leaf
    for depth, sibling in enumerate(proof):
        if depth < inner and not index >> depth & 1:
            computed = node_hash(computed, sibling)
        else:
            computed = node_hash(sibling, computed)
    if computed != root:
        raise _broken("the proof leads to a different root", rule, where)
    return leaf


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bytes:
    """Return ``new_root`` once ``proof`` shows that its tree starts with the old one's leaves.

    Nothing can be shown about the empty tree, so ``old`` is at least 1.
    Raises: VerifyError (rule ``log.consistency``), as in RFC 9162 2.1.4.2.
    """
    rule, where = "log.consistency", f"sizes {old} and {new}"
    _checked((old_root, new_root, *proof), rule, where)
    if not 0 < old <= new:
        raise _broken("the old size must be at least 1 and at most the new size", rule, where)
    if old == new:
        if proof or old_root != new_root:
            raise _broken("equal sizes want equal roots and no proof", rule, where)
        return new_root
    first, second = _replay(old, new, old_root, proof, where)
    if first != old_root:
        raise _broken("the proof leads to a different old root", rule, where)
    if second != new_root:
        raise _broken("the proof leads to a different new root", rule, where)
    return new_root


def _replay(
    old: int, new: int, old_root: bytes, proof: Sequence[bytes], where: str
) -> tuple[bytes, bytes]:
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    last, end = old - 1, new - 1
    while last & 1:
        last, end = last >> 1, end >> 1
    if not proof:
        raise _broken("the proof is empty", "log.consistency", where)
    first = second = path[0]
    for node in path[1:]:
        if not end:
            raise _broken("the proof is too long", "log.consistency", where)
        if last & 1 or last == end:
            first, second = node_hash(node, first), node_hash(node, second)
            while last and not last & 1:
                last, end = last >> 1, end >> 1
        else:
            second = node_hash(second, node)
        last, end = last >> 1, end >> 1
    if end:
        raise _broken("the proof is too short", "log.consistency", where)
    return first, second


def _path(index: int, start: int, end: int, hash_at: HashAt) -> list[bytes]:
    path: list[bytes] = []
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            path.append(subtree_root(split, end, hash_at))
            end = split
        else:
            path.append(subtree_root(start, split, hash_at))
            start = split
    return path[::-1]


def _subproof(old: int, start: int, end: int, whole: bool, hash_at: HashAt) -> list[bytes]:
    proof: list[bytes] = []
    while old != end:
        split = start + _split(end - start)
        if old <= split:
            proof.append(subtree_root(split, end, hash_at))
            end = split
        else:
            proof.append(subtree_root(start, split, hash_at))
            start, whole = split, False
    if not whole:
        proof.append(subtree_root(start, end, hash_at))
    return proof[::-1]


def _split(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)


def _wanted(value: bytes, what: str) -> None:
    if len(value) != HASH_BYTES:
        raise BadInput(f"a {what} hash has {len(value)} bytes, not {HASH_BYTES}")


def _checked(hashes: Iterable[bytes], rule: str, where: str) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise _broken(f"a hash has {len(value)} bytes, not {HASH_BYTES}", rule, where)


def _broken(why: str, rule: str, where: str) -> VerifyError:
    return VerifyError("a Merkle proof does not hold", where=where, why=why, rule=rule)
