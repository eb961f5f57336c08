"""Reading the log back: every change to it is found, and the first bad entry is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from evidence_house import Desk, statement
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.core.errors import VerifyError
from sealwright.core.ports import Entry
from sealwright.core.predicates import REPRODUCTION, REVOCATION
from sealwright.evidence import trust as trusts
from sealwright.evidence.history import Head, History
from sealwright.evidence.recorder import SigningRecorder
from sealwright.vault.signers import Ed25519Signer


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    for number in range(6):
        made.record(number)
    return made


def test_what_was_recorded_is_read_back(desk: Desk) -> None:
    history = History.read(desk.log, desk.trust)
    assert [e.statement for e in history.entries] == [statement(n) for n in range(6)]
    assert [e.index for e in history.about(f"{3:064x}")] == [3]
    assert history.of_type(REPRODUCTION) == ()
    assert history.head == Head(6, history.root)
    assert {e.key_id for e in history.entries} == {desk.workspace.key_id}


def test_an_anchored_read_gives_the_same_entries(desk: Desk) -> None:
    whole = History.read(desk.log, desk.trust)
    desk.record(6)
    for seen in (Head(0, (Desk().log.bodies and "") or EMPTY), whole.head):
        again = History.read(desk.log, desk.trust, seen)
        assert again.entries[:6] == whole.entries
        assert again.size == 7


EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_an_empty_log_has_an_empty_history() -> None:
    desk = Desk()
    assert History.read(desk.log, desk.trust).head == Head(0, EMPTY)


Spoil = Callable[[Desk], None]


def edit(desk: Desk) -> None:
    desk.log.bodies[3] = desk.log.bodies[3].replace(b"a", b"b", 1)


def swap(desk: Desk) -> None:
    desk.log.bodies[3], desk.log.bodies[4] = desk.log.bodies[4], desk.log.bodies[3]


def replay(desk: Desk) -> None:
    desk.log.bodies[3] = desk.log.bodies[1]


@pytest.mark.parametrize("anchored", [False, True])
@pytest.mark.parametrize("resigned", [False, True])
@pytest.mark.parametrize("spoil", [edit, swap, replay])
def test_an_edited_moved_or_replayed_entry_is_refused(
    desk: Desk, spoil: Spoil, resigned: bool, anchored: bool
) -> None:
    seen = History.read(desk.log, desk.trust).head if anchored else None
    spoil(desk)
    if resigned:
        desk.log.resign()
    if spoil is not edit and resigned and not anchored:
        # who holds the log key may reorder before anybody has looked; only a witness sees it
        assert History.read(desk.log, desk.trust).size == 6
        return
    with pytest.raises(VerifyError) as caught:
        History.read(desk.log, desk.trust, seen)
    if spoil is edit:
        assert caught.value.where == "entry 3"
        assert caught.value.rule in ("log.entry-changed", "log.entry-signer")
    elif resigned:
        assert caught.value.rule == "log.past-changed"
    else:
        assert caught.value.rule == "log.root-changed"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_bit_of_the_log_can_change(data: st.DataObject) -> None:
    desk = Desk()
    for number in range(3):
        desk.record(number)
    seen = data.draw(st.sampled_from([None, History.read(desk.log, desk.trust).head]))
    index = data.draw(st.integers(0, 2))
    body = bytearray(desk.log.bodies[index])
    body[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    desk.log.bodies[index] = bytes(body)
    with pytest.raises(VerifyError) as caught:
        History.read(desk.log, desk.trust, seen)
    assert caught.value.where == f"entry {index}"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_bit_of_the_checkpoint_can_change(data: st.DataObject) -> None:
    desk = Desk()
    desk.record(0)
    note = bytearray(desk.log.note)
    note[data.draw(st.integers(0, len(note) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    desk.log.note = bytes(note)
    with pytest.raises(VerifyError):
        History.read(desk.log, desk.trust)


def test_a_dropped_last_entry_is_refused(desk: Desk) -> None:
    del desk.log.bodies[-1]
    with pytest.raises(VerifyError) as caught:
        History.read(desk.log, desk.trust)
    assert (caught.value.rule, caught.value.where) == ("log.entry-missing", "entry 5")


def test_an_entry_that_no_checkpoint_covers_is_refused(desk: Desk) -> None:
    note = desk.log.note
    desk.record(6)
    desk.log.note = note
    with pytest.raises(VerifyError) as caught:
        History.read(desk.log, desk.trust)
    assert (caught.value.rule, caught.value.where) == ("log.uncovered", "entry 6")


def test_a_rewound_log_is_refused(desk: Desk) -> None:
    seen = History.read(desk.log, desk.trust).head
    del desk.log.bodies[4:]
    desk.log.resign()
    with pytest.raises(VerifyError) as caught:
        History.read(desk.log, desk.trust, seen)
    assert caught.value.rule == "log.rewound"


def test_a_log_signed_by_another_key_is_refused(desk: Desk) -> None:
    desk.log.signer = Ed25519Signer.generate()
    desk.log.resign()
    with pytest.raises(VerifyError) as caught:
        History.read(desk.log, desk.trust)
    assert caught.value.rule == "log.checkpoint-signer"


def test_an_entry_by_another_key_is_refused(desk: Desk) -> None:
    desk.record(6, Ed25519Signer.generate())
    with pytest.raises(VerifyError) as caught:
        History.read(desk.log, desk.trust)
    assert (caught.value.rule, caught.value.where) == ("log.entry-signer", "entry 6")


def test_a_key_is_good_for_its_own_entries_only(desk: Desk) -> None:
    new = Ed25519Signer.generate()
    keys = trusts.rotated(desk.trust, "workspace", trusts.key_of(new, "workspace", "n"), 6)
    desk.chain.append(trusts.next_version(desk.chain, keys, desk.workspace))
    desk.record(6, new)
    assert History.read(desk.log, desk.trust).entries[6].key_id == new.key_id
    desk.record(7, desk.workspace)
    with pytest.raises(VerifyError) as caught:
        History.read(desk.log, desk.trust)
    assert (caught.value.rule, caught.value.where) == ("log.entry-signer", "entry 7")


def test_appends_during_the_read_raise_no_alarm(desk: Desk) -> None:
    class Busy:
        appended = 0

        def __getattr__(self, name: str) -> object:
            return getattr(desk.log, name)

        def size(self) -> int:
            if self.appended < 3:
                self.appended += 1
                desk.record(100 + self.appended)
            return desk.log.size()

        def entries(self, start: int = 0, end: int | None = None) -> Iterator[Entry]:
            desk.record(200)
            return desk.log.entries(start, end)

        def append(self, bodies: Sequence[bytes]) -> Sequence[object]:
            return desk.log.append(bodies)

    assert History.read(Busy(), desk.trust).size == 9  # type: ignore[arg-type]


def test_a_log_is_read_from_its_anchor_without_checking_old_signatures(desk: Desk) -> None:
    """What makes a long log quick to read; the root still vouches for every byte."""
    seen = History.read(desk.log, desk.trust).head
    other = Desk()
    keys = [
        trusts.key_of(other.workspace, "workspace", "w"),
        trusts.key_of(desk.log_key, "log", desk.trust.origin),
    ]
    stranger = trusts.load(
        [trusts.first("w0123456789abcdef", desk.trust.origin, keys, other.workspace)], None
    )
    assert History.read(desk.log, stranger, seen).size == 6
    with pytest.raises(VerifyError):
        History.read(desk.log, stranger)


def test_lineage_follows_inputs_to_subjects_and_no_further() -> None:
    from sealwright.evidence.lineage import Graph

    desk = Desk()
    recorder = SigningRecorder(desk.log, desk.workspace)
    for number, inputs in ((1, ()), (2, (1,)), (3, (1, 2)), (4, ()), (5, (3, 5))):
        recorder.record(statement(number, inputs=inputs))
    recorder.record(statement(1, REVOCATION, inputs=(4,)))
    graph = Graph.of(History.read(desk.log, desk.trust))

    def names(found: Sequence[object]) -> list[str]:
        return [getattr(item, "name", "") for item in found]

    assert names(graph.descendants(f"{1:064x}")) == ["data:x@2", "data:x@3", "data:x@5"]
    assert names(graph.ancestors(f"{5:064x}")) == ["data:x@3", "data:x@1", "data:x@2"]
    assert graph.descendants(f"{4:064x}") == ()
