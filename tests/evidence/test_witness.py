from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.core.errors import BadInput, VerifyError
from sealwright.evidence import note as notes
from sealwright.evidence.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from sealwright.evidence.merkle import EMPTY_ROOT, consistency_proof, leaf_hash, root_of
from sealwright.evidence.witness import (
    SIZE_TYPE,
    Answer,
    Identity,
    Request,
    add_checkpoint,
    held_checkpoint,
)
from sealwright.vault.signers import Ed25519Signer

ORIGIN = "sealwright.local/w0123456789abcdef"
NOW = 1_790_000_000
SIGNER = Ed25519Signer.generate()
KEY = notes.verifier(ORIGIN, SIGNER.public_pem())
ME = Identity("example.org/w", Ed25519Signer.generate())
LOGS = {ORIGIN: [KEY]}


def leaves(size: int, fork: int = -1) -> list[bytes]:
    return [leaf_hash(b"fork" if i == fork else b"%d" % i) for i in range(size)]


def head(size: int, fork: int = -1) -> Checkpoint:
    return Checkpoint(ORIGIN, size, root_of(leaves(size, fork)))


def request(old: int, size: int, fork: int = -1, signer: Ed25519Signer = SIGNER) -> bytes:
    tree = leaves(size, fork)
    proof = (
        consistency_proof(old, size, lambda level, i: root_of(tree[i << level : (i + 1) << level]))
        if old
        else []
    )
    return Request(old, tuple(proof), sign_checkpoint(head(size, fork), signer)).encode()


def ask(body: bytes, held: Checkpoint | None = None, logs=LOGS) -> Answer:
    return add_checkpoint(body, logs, lambda _origin: held, ME, NOW)


def test_first_contact_is_size_zero_and_is_cosigned_with_the_time() -> None:
    answer = ask(request(0, 5))
    assert answer.status == 200
    opened = open_checkpoint(
        sign_checkpoint(head(5), SIGNER) + answer.body, [KEY, ME.verifier], ORIGIN
    )
    assert [s.time for s in opened.signatures if s.verifier == ME.verifier] == [NOW]
    assert held_checkpoint(answer.keep, [KEY], ME.verifier, "state") == head(5)
    assert answer.origin == ORIGIN


@given(st.integers(1, 40), st.integers(0, 40))
def test_it_cosigns_every_continuation(old: int, more: int) -> None:
    assert ask(request(old, old + more), head(old)).status == 200


@given(st.integers(1, 30), st.integers(0, 30), st.data())
def test_it_never_cosigns_a_rewritten_past(old: int, more: int, data: st.DataObject) -> None:
    fork = data.draw(st.integers(0, old - 1))
    answer = ask(request(old, old + more, fork), head(old))
    assert (answer.status, answer.keep) == (422, b"")


def test_another_size_is_answered_with_the_size_it_holds() -> None:
    for old in (0, 3, 6):
        answer = ask(request(old, 7), head(5))
        assert (answer.status, answer.body, answer.content_type) == (409, b"5\n", SIZE_TYPE)


def test_a_rewound_log_gets_a_conflict_and_no_cosignature() -> None:
    answer = ask(request(0, 4), head(5))
    assert (answer.status, answer.body, answer.keep) == (409, b"5\n", b"")


def test_unknown_logs_strangers_and_broken_signatures_are_told_apart() -> None:
    assert ask(request(0, 5), logs={}).status == 404
    assert ask(request(0, 5), logs={"other": [KEY]}).status == 404
    assert ask(request(0, 5, signer=Ed25519Signer.generate())).status == 403
    text = head(5).encode()
    bad = text + b"\n" + notes.line_of(KEY, bytes(64))
    assert ask(Request(0, (), bad).encode()).status == 403


def test_a_larger_old_size_than_the_checkpoints_is_a_bad_request() -> None:
    assert ask(Request(9, (), sign_checkpoint(head(5), SIGNER)).encode(), head(9)).status == 400


def test_the_empty_tree_needs_the_empty_root_and_no_proof() -> None:
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert ask(Request(0, (), sign_checkpoint(empty, SIGNER)).encode()).status == 200
    lie = Checkpoint(ORIGIN, 0, leaf_hash(b"x"))
    assert ask(Request(0, (), sign_checkpoint(lie, SIGNER)).encode()).status == 422
    with_proof = Request(0, (EMPTY_ROOT,), sign_checkpoint(head(5), SIGNER))
    assert ask(with_proof.encode()).status == 422


def test_equal_sizes_want_equal_roots() -> None:
    assert ask(request(5, 5), head(5)).status == 200
    assert ask(request(5, 5, fork=2), head(5)).status == 422


GOOD = request(5, 9)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n\n",
        b"old\n\n" + sign_checkpoint(head(5), SIGNER),
        b"old x\n\n" + sign_checkpoint(head(5), SIGNER),
        b"old 05\n\n" + sign_checkpoint(head(5), SIGNER),
        b"old -1\n\n" + sign_checkpoint(head(5), SIGNER),
        b"old \xff\n\n" + sign_checkpoint(head(5), SIGNER),
        b"old 5\nAAAA\n\n" + sign_checkpoint(head(9), SIGNER),
        b"old 5\n!\n\n" + sign_checkpoint(head(9), SIGNER),
        b"old 5\n" + b"A" * 43 + b"=\n" * 1 + (b"A" * 43 + b"=\n") * 63 + b"\n" + GOOD,
        b"old 5\n\nnot a note",
        GOOD[:-1],
    ],
)
def test_a_malformed_request_is_a_bad_request(body: bytes) -> None:
    assert ask(body, head(5)).status == 400


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_damaged_request_is_cosigned_only_if_it_says_the_same(at: int, change: int) -> None:
    damaged = GOOD[:at] + bytes([GOOD[at] ^ change]) + GOOD[at + 1 :]
    answer = ask(damaged, head(5))
    assert answer.status in (400, 403, 404, 409, 422)


@given(st.data())
def test_a_changed_state_is_never_believed(data: st.DataObject) -> None:
    kept = ask(request(0, 5)).keep
    at = data.draw(st.integers(0, len(kept) - 1))
    changed = kept[:at] + bytes([kept[at] ^ data.draw(st.integers(1, 255))]) + kept[at + 1 :]
    with pytest.raises(VerifyError) as caught:
        held_checkpoint(changed, [KEY], ME.verifier, "state")
    assert caught.value.rule == "witness.state-changed"


def test_a_request_survives_its_wire_form() -> None:
    sent = Request(5, (leaf_hash(b"a"), leaf_hash(b"b")), sign_checkpoint(head(9), SIGNER))
    assert Request.decode(sent.encode()) == sent
    with pytest.raises(BadInput):
        Request.decode(b"old 1\n")
