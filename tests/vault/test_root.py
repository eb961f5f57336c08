"""The root key: one way in that its owner knows, one on paper, and no third."""

from __future__ import annotations

import msgspec
import pytest

from sealwright.core.errors import BadInput, Refused, Unavailable, VerifyError
from sealwright.vault import recovery, root
from sealwright.vault.root import LEAST, MOST, Cost

ROOT = bytes(range(32))
RECOVER = recovery.encode(bytes(20))
COPY = root.recovery_copy(ROOT, RECOVER)


@pytest.fixture(scope="module")
def locked():
    return root.protect_by_passphrase(ROOT, "correct horse", COPY, LEAST)


def test_the_default_cost_is_rfc_9106s_second_recommendation():
    assert Cost() == Cost(memory_kib=65536, passes=3, lanes=4)


def test_the_passphrase_and_the_recovery_key_open_it(locked):
    assert root.open_by_passphrase(locked, "correct horse") == ROOT
    assert root.open_by_recovery(locked, RECOVER) == ROOT
    assert ROOT not in msgspec.json.encode(locked)


def test_a_wrong_passphrase_is_one_clear_refusal(locked):
    with pytest.raises(Refused) as caught:
        root.open_by_passphrase(locked, "correct horsf")
    assert caught.value.rule == "keys.wrong-passphrase"
    assert "passphrase is wrong" in caught.value.what


def test_accents_typed_two_ways_are_one_passphrase():
    record = root.protect_by_passphrase(ROOT, "caf\u00e9", COPY, LEAST)
    assert root.open_by_passphrase(record, "cafe\u0301") == ROOT


def test_an_empty_passphrase_is_refused():
    with pytest.raises(BadInput):
        root.protect_by_passphrase(ROOT, "", COPY, LEAST)


def test_another_recovery_key_is_refused_and_a_slip_is_told_apart(locked):
    with pytest.raises(Refused) as caught:
        root.open_by_recovery(locked, recovery.generate())
    assert caught.value.rule == "keys.wrong-recovery-key"
    with pytest.raises(BadInput):
        root.open_by_recovery(locked, "B" + RECOVER[1:])


def test_the_key_file_opens_it_and_another_does_not():
    record = root.protect_by_key_file(ROOT, bytes(32), COPY)
    assert root.open_by_key_file(record, bytes(32)) == ROOT
    for other in (b"\x01" * 32, b"short"):
        with pytest.raises(VerifyError):
            root.open_by_key_file(record, other)


@pytest.mark.parametrize(
    "cost",
    [
        msgspec.structs.replace(LEAST, memory_kib=LEAST.memory_kib - 1),
        msgspec.structs.replace(LEAST, passes=1),
        msgspec.structs.replace(LEAST, lanes=0),
        msgspec.structs.replace(MOST, memory_kib=MOST.memory_kib + 1),
        msgspec.structs.replace(MOST, passes=MOST.passes + 1),
        msgspec.structs.replace(MOST, lanes=MOST.lanes + 1),
    ],
)
def test_a_cost_outside_the_bounds_is_refused_before_it_is_paid(locked, cost):
    with pytest.raises(VerifyError) as caught:
        root.check(msgspec.structs.replace(locked, cost=cost))
    assert caught.value.rule == "keys.cost-out-of-bounds"


def test_a_record_whose_custody_was_changed_does_not_open(locked):
    with pytest.raises(VerifyError):
        root.check(msgspec.structs.replace(locked, custody="key-file"))
    with pytest.raises(VerifyError):
        root.open_by_key_file(msgspec.structs.replace(locked, custody="key-file"), bytes(32))


def test_every_changed_byte_of_the_wrapped_root_is_refused():
    record = root.protect_by_key_file(ROOT, bytes(32), COPY)
    for field in ("wrapped", "recovery"):
        value = getattr(record, field)
        for at in range(len(value)):
            bad = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
            changed = msgspec.structs.replace(record, **{field: bad})
            with pytest.raises(Refused):
                root.open_by_key_file(changed, bytes(32))
            if field == "recovery":
                with pytest.raises(Refused):
                    root.open_by_recovery(changed, RECOVER)


def test_a_newer_format_is_unavailable_with_what_to_do(locked):
    with pytest.raises(Unavailable) as caught:
        root.check(msgspec.structs.replace(locked, format=2))
    assert "upgrade" in caught.value.hint


def test_a_recovery_key_reads_back_however_it_is_typed():
    secret = bytes(range(20))
    text = recovery.encode(secret)
    assert [len(group) for group in text.split("-")] == [5] * 8
    for typed in (text, text.lower(), text.replace("-", " "), text.replace("-", "")):
        assert recovery.decode(typed) == secret
    assert recovery.decode(text.replace("O", "0").replace("B", "8").replace("I", "1")) == secret


def test_every_single_wrong_character_of_a_recovery_key_is_noticed():
    text = recovery.encode(bytes(range(20)))
    for at, letter in enumerate(text):
        if letter == "-":
            continue
        wrong = "Z" if letter != "Z" else "Y"
        with pytest.raises(BadInput):
            recovery.decode(text[:at] + wrong + text[at + 1 :])
    for bad in ("", "AAAAA", text + "-AAAAA", "é" * 40):
        with pytest.raises(BadInput):
            recovery.decode(bad)
