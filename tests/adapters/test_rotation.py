"""Rotating keys: nothing is encrypted again, and a kill at any step leaves all of it readable."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from sealwright.adapters import store_journal, store_rewrap
from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.store_local import LocalStore
from sealwright.app.cli.out import Silent
from sealwright.core.errors import BadInput, Refused, Unavailable, VerifyError
from sealwright.vault import keyrecord, private, wrapping
from sealwright.vault.keyrecord import KeyRecord
from sealwright.vault.root import LEAST

SCOPE = "data:a"
QUIET = Silent()


class Killed(BaseException):
    """In place of a SIGKILL at a chosen step."""


@pytest.fixture
def state(tmp_path):
    FileKms.initialize(tmp_path / "state", None)
    return tmp_path / "state"


@pytest.fixture
def store(tmp_path, state):
    return LocalStore(tmp_path / "store", FileKms.open(state, None))


def put(store, count=5):
    return {n: store.put(SCOPE, io.BytesIO(b"row %d " % n * 20_000)) for n in range(count)}


def readable(store, files):
    for n, file in files.items():
        assert store.open(SCOPE, file).pread(0, file.size) == b"row %d " % n * 20_000


def opened(tmp_path, state):
    return LocalStore(tmp_path / "store", FileKms.open(state, None))


def test_a_rotation_changes_wrapped_keys_and_no_other_byte(store, state, tmp_path):
    files = put(store)
    paths = [store.path(SCOPE, f.segments[0]) for f in files.values()]
    before = [path.read_bytes() for path in paths]
    kms = FileKms.open(state, None)
    kms.rotate(SCOPE)
    done = store_rewrap.rewrap(store, kms, SCOPE, QUIET)
    assert (done.segments, done.changed, done.damaged) == (5, 5, ())
    for path, old in zip(paths, before, strict=True):
        new = path.read_bytes()
        differs = [at for at, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
        assert 0 < len(differs) <= 61
        assert max(differs) - min(differs) < 61
    assert store_rewrap.retire(store, kms, SCOPE, QUIET)[1].changed == 0
    readable(opened(tmp_path, state), files)
    assert put(opened(tmp_path, state)) == files, "names come from a secret that stays"


def test_an_old_copy_of_a_segment_is_noise_once_its_generation_is_retired(store, state):
    files = put(store, 1)
    path = store.path(SCOPE, files[0].segments[0])
    copy = path.read_bytes()
    kms = FileKms.open(state, None)
    kms.rotate(SCOPE)
    store_rewrap.retire(store, kms, SCOPE, QUIET)
    readable(store, files)
    path.write_bytes(copy)
    with pytest.raises(VerifyError) as caught:
        store.open(SCOPE, files[0]).pread(0, 1)
    assert caught.value.rule == "store.key-changed"


@pytest.mark.parametrize("at", range(12))
def test_a_rotation_killed_between_any_two_steps_is_readable_and_goes_on(
    store, state, tmp_path, monkeypatch, at
):
    files = put(store)
    kms = FileKms.open(state, None)
    kms.rotate(SCOPE)
    left = [at]

    def counted(real):
        def step(*args, **more):
            if not left[0]:
                raise Killed
            left[0] -= 1
            return real(*args, **more)

        return step

    with monkeypatch.context() as patch:
        for name in ("write", "apply", "clear"):
            patch.setattr(store_journal, name, counted(getattr(store_journal, name)))
        try:
            store_rewrap.rewrap(store, kms, SCOPE, QUIET)
        except Killed:
            assert at < 7
    readable(opened(tmp_path, state), files)
    store_rewrap.retire(store, FileKms.open(state, None), SCOPE, QUIET)
    readable(opened(tmp_path, state), files)
    assert store_journal.read(store.tmp, SCOPE) == []


def test_a_wrapped_key_half_written_by_a_power_cut_is_read_from_the_journal(
    store, state, monkeypatch
):
    files = put(store, 1)
    kms = FileKms.open(state, None)
    kms.rotate(SCOPE)

    def torn(path, step):
        fd = os.open(path, os.O_WRONLY)
        os.pwrite(fd, step.wrapped[:30], step.at)
        os.close(fd)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(store_journal, "apply", torn)
        store_rewrap.rewrap(store, kms, SCOPE, QUIET)
    readable(store, files)


def test_a_damaged_segment_is_counted_and_does_not_stop_the_rest(store, state):
    files = put(store)
    path = store.path(SCOPE, files[0].segments[0])
    body = bytearray(path.read_bytes())
    body[store_header_at(path)] ^= 1
    path.write_bytes(body)
    kms = FileKms.open(state, None)
    kms.rotate(SCOPE)
    done = store_rewrap.retire(store, kms, SCOPE, QUIET)[1]
    assert done.damaged == (files.pop(0).segments[0],)
    readable(store, files)


def store_header_at(path):
    from sealwright.vault.container import read_header

    with path.open("rb") as stream:
        return read_header(stream.fileno(), "x").wrapped_at + 20


KILLED = """
import os, signal, sys
from pathlib import Path
from sealwright.adapters import kms_file
from sealwright.vault import private
left = int(sys.argv[2])
def counted(real):
    def step(*args, **more):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return real(*args, **more)
    return step
for name in ("replace", "bury", "remove", "overwrite"):
    setattr(private, name, counted(getattr(private, name)))
kms_file.FileKms.open(Path(sys.argv[1]), None).rotate_root(None)
print("done")
"""


def test_a_root_rotation_killed_at_every_step_opens_every_key_and_goes_on(tmp_path):
    finished = step = 0
    while not finished:
        state = tmp_path / f"state{step}"
        kms, _ = FileKms.initialize(state, None)
        wrapped = {}
        for key in ("data:a", "data:b", "keyring"):
            kms.create(key)
            wrapped[key] = kms.wrap(key, b"s", b"")
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(state), str(step)], capture_output=True, text=True
        )
        assert done.returncode in (0, -9), done.stderr
        finished = done.returncode == 0
        for _ in range(2):
            again = FileKms.open(state, None)
            assert [again.unwrap(k, w, b"") for k, w in wrapped.items()] == [b"s"] * 3
            again.create("data:new")
            recover = again.rotate_root(None)
        assert FileKms.recover(state, recover, None)[0].unwrap("data:a", wrapped["data:a"], b"")
        step += 1
    assert step >= 8


def test_after_a_root_rotation_neither_the_old_root_nor_the_old_recovery_key_opens_a_key(tmp_path):
    state = tmp_path / "state"
    kms, recover = FileKms.initialize(state, "secret", LEAST)
    kms.create("data:a")
    old_root, stale = kms._root, FileKms.open(state, lambda: "secret")
    with pytest.raises(Refused):
        kms.rotate_root("wrong", LEAST)
    with pytest.raises(BadInput):
        kms.rotate_root(None)
    fresh = kms.rotate_root("secret", LEAST)
    record = keyrecord.decode((state / "keys/data:a.json").read_bytes(), "data:a")
    with pytest.raises(VerifyError):
        keyrecord.unseal(old_root, record)
    with pytest.raises(Refused):
        FileKms.recover(state, recover, "x", LEAST)
    with pytest.raises(Unavailable) as caught:
        stale.create("data:b")
    assert "again" in caught.value.hint
    assert FileKms.recover(state, fresh, "x", LEAST)[0].keys() == ("data:a",)


def test_a_key_of_format_1_still_opens_and_leaves_its_old_secret_behind_when_rotated(state):
    kms = FileKms.open(state, None)
    secret = wrapping.new_key()
    context = b"sealwright key v1 data:old 1"
    body = wrapping.wrap(kms._root, secret, context)
    first = keyrecord._FirstRecord(1, "data:old", 1, body)
    private.create(state / "keys/data:old.json", keyrecord.encode(first))
    wrap_key = wrapping.derive(secret, b"sealwright key v1 wrap")
    old = wrapping.wrap(wrap_key, b"s", b"c")
    names = wrapping.derive(secret, b"sealwright key v1 derive segment-name")
    assert kms.unwrap("data:old", old, b"c") == b"s"
    assert kms.derive("data:old", b"segment-name") == names
    kms.rotate("data:old")
    new = kms.rewrap("data:old", old, b"c")
    kms.retire("data:old")
    assert kms.unwrap("data:old", new, b"c") == b"s"
    assert kms.derive("data:old", b"segment-name") == names
    record: KeyRecord = keyrecord.decode((state / "keys/data:old.json").read_bytes(), "data:old")
    held = keyrecord.unseal(kms._root, record)
    assert secret not in (held.seed, *held.wraps.values())
    assert wrap_key not in held.wraps.values()
