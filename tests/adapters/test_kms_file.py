"""The key service in a directory: who may read it, what is in it, and what newer ones say."""

from __future__ import annotations

import json
import os
import threading

import pytest

from sealwright.adapters.kms_file import FileKms
from sealwright.core.errors import BadInput, Refused, Unavailable, VerifyError
from sealwright.vault.root import LEAST


def never() -> str:
    raise AssertionError("nobody should be asked")


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def test_a_passphrase_is_asked_for_once_and_only_when_needed(state):
    FileKms.initialize(state, "secret", LEAST)
    asked = []

    def ask() -> str:
        asked.append(1)
        return "secret"

    assert FileKms.open(state, ask).custody == "passphrase"
    assert asked == [1]


def test_a_wrong_passphrase_is_one_clear_refusal_and_changes_nothing(state):
    FileKms.initialize(state, "secret", LEAST)
    before = listing(state)
    with pytest.raises(Refused) as caught:
        FileKms.open(state, lambda: "Secret")
    assert caught.value.rule == "keys.wrong-passphrase"
    assert listing(state) == before


def test_nobody_to_ask_is_unavailable_with_the_variable_to_set(state):
    FileKms.initialize(state, "secret", LEAST)
    with pytest.raises(Unavailable) as caught:
        FileKms.open(state, None)
    assert "SEAL_PASSPHRASE" in caught.value.hint


def test_a_key_file_opens_without_asking(state):
    FileKms.initialize(state, None)
    assert FileKms.open(state, never).custody == "key-file"


def test_everything_is_for_its_owner_alone(state):
    kms, _ = FileKms.initialize(state, None)
    kms.create("data:a")
    for path in [state, *state.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_no_key_rests_in_the_clear(state):
    kms, recover = FileKms.initialize(state, "secret", LEAST)
    kms.create("data:a")
    at_rest = b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file())
    for secret in (kms._root, *kms._open("data:a").wraps.values(), b"secret", recover.encode()):
        assert secret not in at_rest


def test_creating_over_keys_is_refused_and_keeps_them(state):
    kms, _ = FileKms.initialize(state, None)
    kms.create("data:a")
    wrapped = kms.wrap("data:a", b"s", b"")
    with pytest.raises(BadInput):
        FileKms.initialize(state, None)
    assert FileKms.open(state, None).unwrap("data:a", wrapped, b"") == b"s"


@pytest.mark.parametrize("name", ["", "root.json", "root.key", "keys/data:a.json"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_files_open_to_others_are_refused(state, name, mode):
    FileKms.initialize(state, None)[0].create("data:a")
    (state / name).chmod(mode | (0o110 if not name else 0))
    with pytest.raises(Refused) as caught:
        FileKms.open(state, None).wrap("data:a", b"", b"")
    assert caught.value.rule == "keys.readable-by-others"
    assert "chmod" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", ["", "root.json", "root.key"])
def test_files_of_another_owner_are_refused(state, name):
    FileKms.initialize(state, None)
    os.chown(state / name, 12345, 12345)
    with pytest.raises(Refused) as caught:
        FileKms.open(state, None)
    assert caught.value.rule == "keys.wrong-owner"


def test_a_link_in_place_of_a_key_file_is_refused(state, tmp_path):
    FileKms.initialize(state, None)
    moved = tmp_path / "moved"
    (state / "root.key").rename(moved)
    (state / "root.key").symlink_to(moved)
    with pytest.raises(Refused):
        FileKms.open(state, None)


def test_a_fifo_in_place_of_a_key_file_is_refused_at_once(state):
    FileKms.initialize(state, None)
    (state / "root.key").unlink()
    os.mkfifo(state / "root.key", 0o600)
    with pytest.raises(Refused):
        FileKms.open(state, None)


def test_missing_files_say_how_to_get_back(state):
    with pytest.raises(Unavailable):
        FileKms.open(state, None)
    FileKms.initialize(state, None)
    (state / "root.key").unlink()
    with pytest.raises(Unavailable) as caught:
        FileKms.open(state, None)
    assert "recover" in caught.value.hint


def test_every_changed_byte_of_a_record_is_refused(state):
    kms, _ = FileKms.initialize(state, None)
    kms.create("data:a")
    for name in ("root.json", "keys/data:a.json", "root.key"):
        path = state / name
        good = path.read_bytes()
        for at in range(len(good)):
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            with pytest.raises((Refused, Unavailable)):
                FileKms.open(state, None).wrap("data:a", b"s", b"")
        path.write_bytes(good)


@pytest.mark.parametrize("name", ["root.json", "keys/data:a.json"])
def test_a_newer_format_is_refused_with_what_to_do(state, name):
    FileKms.initialize(state, None)[0].create("data:a")
    path = state / name
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 9, "new": True}))
    with pytest.raises(Unavailable) as caught:
        FileKms.open(state, None).wrap("data:a", b"", b"")
    assert "newer" in caught.value.why
    assert "upgrade" in caught.value.hint


def test_the_recovery_key_opens_what_a_lost_passphrase_locked(state):
    kms, recover = FileKms.initialize(state, "lost", LEAST)
    kms.create("data:a")
    wrapped = kms.wrap("data:a", b"s", b"")
    again, fresh = FileKms.recover(state, recover.lower(), "found", LEAST)
    assert again.unwrap("data:a", wrapped, b"") == b"s"
    assert FileKms.open(state, lambda: "found").unwrap("data:a", wrapped, b"") == b"s"
    with pytest.raises(Refused):
        FileKms.open(state, lambda: "lost")
    with pytest.raises(Refused):
        FileKms.recover(state, recover, "x", LEAST)
    assert FileKms.recover(state, fresh, None)[0].custody == "key-file"


def test_a_new_passphrase_replaces_the_old_and_the_recovery_key_stays(state):
    kms, recover = FileKms.initialize(state, None)
    kms.protect("now locked", LEAST)
    assert not (state / "root.key").exists()
    assert FileKms.open(state, lambda: "now locked").custody == "passphrase"
    assert FileKms.recover(state, recover, None)[0].custody == "key-file"


def test_key_names_cannot_leave_the_directory(state):
    kms, _ = FileKms.initialize(state, None)
    for name in ("../x", "a/b", "", ".x", "x" * 200, "A", "a\n"):
        with pytest.raises(BadInput):
            kms.create(name)


def test_a_key_file_renamed_to_another_key_is_refused(state):
    kms, _ = FileKms.initialize(state, None)
    kms.create("data:a")
    (state / "keys/data:b.json").write_bytes((state / "keys/data:a.json").read_bytes())
    (state / "keys/data:b.json").chmod(0o600)
    with pytest.raises(VerifyError):
        kms.wrap("data:b", b"s", b"")


def test_a_relabelled_key_file_is_refused(state):
    kms, _ = FileKms.initialize(state, None)
    kms.create("data:a")
    record = (state / "keys/data:a.json").read_text()
    (state / "keys/data:b.json").write_text(record.replace('"data:a"', '"data:b"'))
    (state / "keys/data:b.json").chmod(0o600)
    with pytest.raises(VerifyError) as caught:
        kms.wrap("data:b", b"s", b"")
    assert caught.value.rule == "keys.unwrap-failed"


def test_a_destroyed_key_leaves_none_of_its_bytes(state):
    kms, _ = FileKms.initialize(state, None)
    kms.create("data:a")
    wrapped = json.loads((state / "keys/data:a.json").read_text())["wrapped"]
    kms.destroy("data:a")
    assert wrapped not in (state / "keys/data:a.json").read_text()
    assert kms.keys() == ()


def test_many_creating_one_key_at_once_agree_on_it(state):
    FileKms.initialize(state, None)
    wrapped: list[bytes] = []

    def work() -> None:
        kms = FileKms.open(state, None)
        kms.create("data:a")
        wrapped.append(kms.wrap("data:a", b"s", b""))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kms = FileKms.open(state, None)
    assert [kms.unwrap("data:a", each, b"") for each in wrapped] == [b"s"] * 8


def test_temporary_leftovers_are_no_keys(state):
    kms, _ = FileKms.initialize(state, None)
    kms.create("data:a")
    (state / "keys/.tmp-1-x").write_bytes(b"half")
    (state / "keys/.tmp-2.json").write_bytes(b"half")
    assert kms.keys() == ("data:a",)


def listing(state):
    return {p: p.read_bytes() for p in state.rglob("*") if p.is_file()}


def test_a_crash_while_destroying_leaves_the_key_or_its_grave(state, monkeypatch):
    kms, _ = FileKms.initialize(state, None)
    kms.create("data:a")
    wrapped = kms.wrap("data:a", b"s", b"")

    def crash(*_: object) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patch, pytest.raises(Unavailable):
        patch.setattr(os, "fsync", crash)
        kms.destroy("data:a")
    assert FileKms.open(state, None).unwrap("data:a", wrapped, b"") == b"s"
    with monkeypatch.context() as patch, pytest.raises(OSError, match="power cut"):
        patch.setattr(os, "pwrite", crash)
        kms.destroy("data:a")
    again = FileKms.open(state, None)
    with pytest.raises(Refused):
        again.unwrap("data:a", wrapped, b"")
    again.create("data:a")
    assert again.wrap("data:a", b"s", b"")
