from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.core.errors import BadInput, VerifyError
from sealwright.evidence.merkle import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_at,
    root_of,
    subtree_root,
    verify_consistency,
    verify_inclusion,
)

SIZES = st.integers(1, 90)


def slow_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(slow_root(leaves[:k]), slow_root(leaves[k:]))


def tree(size: int) -> list[bytes]:
    return [leaf_hash(b"%d" % index) for index in range(size)]


def nodes_of(leaves: list[bytes]):
    return lambda level, index: slow_root(leaves[index << level : (index + 1) << level])


@given(SIZES)
def test_the_root_is_the_one_rfc_6962_defines(size: int) -> None:
    leaves = tree(size)
    assert root_of(leaves) == slow_root(leaves)
    assert root_at(size, nodes_of(leaves)) == slow_root(leaves)


def test_the_empty_tree_has_the_root_of_the_empty_string() -> None:
    assert root_of([]) == EMPTY_ROOT == hashlib.sha256(b"").digest()


def test_a_leaf_cannot_pass_for_a_node() -> None:
    left, right = leaf_hash(b"l"), leaf_hash(b"r")
    assert leaf_hash(left + right) != node_hash(left, right)


@given(SIZES, st.data())
def test_a_resumed_range_continues_the_same_tree(size: int, data: st.DataObject) -> None:
    leaves = tree(size)
    cut = data.draw(st.integers(0, size))
    edge = CompactRange()
    for leaf in leaves[:cut]:
        edge.push(leaf)
    resumed = CompactRange(edge.size, edge.nodes)
    for leaf in leaves[cut:]:
        resumed.push(leaf)
    assert resumed.root() == slow_root(leaves)
    assert resumed.size == size


@given(SIZES, st.data())
def test_an_inclusion_proof_holds_for_its_leaf_and_no_other(size: int, data: st.DataObject) -> None:
    leaves = tree(size)
    index = data.draw(st.integers(0, size - 1))
    root = slow_root(leaves)
    proof = inclusion_proof(index, size, nodes_of(leaves))
    assert verify_inclusion(index, size, leaves[index], proof, root) == leaves[index]
    other = data.draw(st.integers(0, size))
    if other not in (index, size):
        with pytest.raises(VerifyError):
            verify_inclusion(index, size, leaves[other], proof, root)
        with pytest.raises(VerifyError):
            verify_inclusion(other, size, leaves[index], proof, root)


@given(SIZES, st.data())
def test_a_consistency_proof_holds_for_its_prefix_and_no_other(
    size: int, data: st.DataObject
) -> None:
    leaves = tree(size)
    old = data.draw(st.integers(1, size))
    root, old_root = slow_root(leaves), slow_root(leaves[:old])
    proof = consistency_proof(old, size, nodes_of(leaves))
    assert verify_consistency(old, size, old_root, root, proof) == root
    forked = slow_root([*leaves[: old - 1], leaf_hash(b"rewritten")])
    with pytest.raises(VerifyError):
        verify_consistency(old, size, forked, root, proof)


@settings(max_examples=60)
@given(SIZES, st.data())
def test_no_truncated_over_long_or_altered_proof_is_accepted(
    size: int, data: st.DataObject
) -> None:
    leaves = tree(size)
    root, nodes = slow_root(leaves), nodes_of(leaves)
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    for proof, check in (
        (
            inclusion_proof(index, size, nodes),
            lambda p: verify_inclusion(index, size, leaves[index], p, root),
        ),
        (
            consistency_proof(old, size, nodes),
            lambda p: verify_consistency(old, size, slow_root(leaves[:old]), root, p),
        ),
    ):
        check(proof)
        worse = [[*proof, root], [root, *proof], [*proof, EMPTY_ROOT]]
        if proof:
            at = data.draw(st.integers(0, len(proof) - 1))
            flipped = bytes([proof[at][0] ^ 1]) + proof[at][1:]
            worse += [proof[:-1], proof[1:], [*proof[:at], flipped, *proof[at + 1 :]]]
        for bad in worse:
            with pytest.raises(VerifyError):
                check(bad)


LEAF = leaf_hash(b"only")


@pytest.mark.parametrize(
    ("index", "size", "leaf", "proof", "root"),
    [
        (0, 0, LEAF, [], LEAF),
        (0, 0, EMPTY_ROOT, [], EMPTY_ROOT),
        (1, 1, LEAF, [], LEAF),
        (-1, 1, LEAF, [], LEAF),
        (0, 1, b"", [], b""),
        (0, 1, LEAF[:31], [], LEAF[:31]),
        (0, 1, LEAF + b"x", [], LEAF + b"x"),
        (0, 1, LEAF, [], LEAF[:31]),
        (0, 2, LEAF, [LEAF[:31]], node_hash(LEAF, LEAF[:31])),
        (2, 2, LEAF, [LEAF], node_hash(LEAF, LEAF)),
        (1 << 70, 1 << 71, LEAF, [], LEAF),
    ],
)
def test_inclusion_refuses_the_edge_cases(index, size, leaf, proof, root) -> None:
    with pytest.raises(VerifyError) as caught:
        verify_inclusion(index, size, leaf, proof, root)
    assert caught.value.rule == "log.inclusion"


@pytest.mark.parametrize(
    ("old", "new", "old_root", "new_root", "proof"),
    [
        (0, 0, EMPTY_ROOT, EMPTY_ROOT, []),
        (0, 1, EMPTY_ROOT, LEAF, []),
        (0, 1, EMPTY_ROOT, LEAF, [LEAF]),
        (2, 1, LEAF, LEAF, []),
        (-1, 1, LEAF, LEAF, []),
        (1, 1, LEAF, EMPTY_ROOT, []),
        (1, 1, LEAF, LEAF, [LEAF]),
        (1, 1, LEAF[:31], LEAF[:31], []),
        (1, 2, LEAF, node_hash(LEAF, LEAF), []),
        (1, 2, LEAF, node_hash(LEAF, LEAF[:31]), [LEAF[:31]]),
        (1, 2, b"", node_hash(b"", LEAF), [LEAF]),
    ],
)
def test_consistency_refuses_the_edge_cases(old, new, old_root, new_root, proof) -> None:
    with pytest.raises(VerifyError) as caught:
        verify_consistency(old, new, old_root, new_root, proof)
    assert caught.value.rule == "log.consistency"


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5), (6, 5)])
def test_no_inclusion_proof_is_made_for_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(BadInput):
        inclusion_proof(index, size, nodes_of(tree(5)))


@pytest.mark.parametrize(("old", "new"), [(0, 5), (6, 5), (-1, 5)])
def test_no_consistency_proof_is_made_between_impossible_sizes(old: int, new: int) -> None:
    with pytest.raises(BadInput):
        consistency_proof(old, new, nodes_of(tree(5)))


def test_a_range_refuses_what_cannot_be_its_state() -> None:
    for size, nodes in ((3, [LEAF]), (-1, []), (1, [LEAF[:31]]), (0, [LEAF])):
        with pytest.raises(BadInput):
            CompactRange(size, nodes)
    with pytest.raises(BadInput):
        CompactRange().push(b"short")
    with pytest.raises(BadInput):
        subtree_root(3, 3, nodes_of(tree(5)))
