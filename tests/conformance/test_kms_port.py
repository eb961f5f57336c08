"""What every key service must do. A new adapter joins by a line in ``ADAPTERS``."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager

import pytest
from softhsm import softhsm_token

from sealwright.adapters.kms_client import KmsClient, ServiceAddress
from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.kms_record import UseRecord
from sealwright.adapters.kms_server import KeyServer
from sealwright.core.errors import Refused, Unavailable, VerifyError


@contextmanager
def file_kms(tmp_path):
    FileKms.initialize(tmp_path / "state", None)
    yield lambda: FileKms.open(tmp_path / "state", None)


@contextmanager
def service(tmp_path):
    """The embedded key service on a Unix socket, in threads of this process."""
    home = tmp_path / "home"
    FileKms.initialize(home, None)
    record = UseRecord(home)
    server = KeyServer(
        FileKms.open(home, None),
        "w1",
        record,
        listen=tmp_path / "socket",
        uids=frozenset({os.geteuid()}),
        stamp=lambda: "2026-01-01T00:00:00Z",
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    clients = []

    def client():
        clients.append(KmsClient(ServiceAddress(socket=str(tmp_path / "socket")), "w1"))
        return clients[-1]

    try:
        yield client
    finally:
        for each in clients:
            each.close()
        server.shutdown()
        server.server_close()
        thread.join()
        record.close()


@contextmanager
def softhsm(tmp_path):
    """A token of SoftHSM 2, made for this test."""
    pytest.importorskip("pkcs11", reason="needs the extra pkcs11")
    from sealwright.adapters.kms_pkcs11 import Pkcs11Kms

    spec = softhsm_token()
    workspace = f"w{os.urandom(8).hex()}"
    opened = []

    def again():
        opened.append(Pkcs11Kms.open(spec, workspace, tmp_path / "lock", lambda: "1234"))
        return opened[-1]

    try:
        yield again
    finally:
        for each in opened:
            each.close()


ADAPTERS = {"file": file_kms, "service": service, "softhsm": softhsm}


@pytest.fixture(params=ADAPTERS)
def reopen(request, tmp_path):
    """Opens the key service anew, as another process would."""
    with ADAPTERS[request.param](tmp_path) as again:
        yield again


@pytest.fixture
def kms(reopen):
    kms = reopen()
    kms.create("data:a")
    return kms


def test_what_was_wrapped_is_unwrapped_by_another_process(kms, reopen):
    assert reopen().unwrap("data:a", kms.wrap("data:a", b"secret", b"ctx"), b"ctx") == b"secret"


@pytest.mark.parametrize("secret", [b"", b"x", bytes(32), bytes(5000)])
def test_secrets_of_any_length_come_back(kms, secret):
    wrapped = kms.wrap("data:a", secret, b"")
    assert kms.unwrap("data:a", wrapped, b"") == secret
    assert len(secret) < 8 or secret not in wrapped


def test_wrapping_twice_gives_two_results(kms):
    assert kms.wrap("data:a", b"s", b"c") != kms.wrap("data:a", b"s", b"c")


def test_another_context_is_refused(kms):
    with pytest.raises(VerifyError):
        kms.unwrap("data:a", kms.wrap("data:a", b"s", b"c"), b"d")


def test_another_key_is_refused(kms):
    kms.create("data:b")
    with pytest.raises(VerifyError):
        kms.unwrap("data:b", kms.wrap("data:a", b"s", b"c"), b"c")


def test_every_changed_byte_and_every_cut_is_refused(kms):
    wrapped = kms.wrap("data:a", b"secret", b"c")
    for at in range(len(wrapped)):
        flipped = wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :]
        for bad in (flipped, wrapped[:at]):
            with pytest.raises(VerifyError):
                kms.unwrap("data:a", bad, b"c")
    with pytest.raises(VerifyError):
        kms.unwrap("data:a", wrapped + b"x", b"c")


def test_creating_again_keeps_the_key(kms, reopen):
    wrapped = kms.wrap("data:a", b"s", b"c")
    reopen().create("data:a")
    assert kms.unwrap("data:a", wrapped, b"c") == b"s"


def test_a_key_that_was_never_made_is_unavailable(kms):
    for use in (
        lambda: kms.wrap("data:none", b"s", b""),
        lambda: kms.unwrap("data:none", b"\x01" * 40, b""),
        lambda: kms.derive("data:none", b""),
    ):
        with pytest.raises(Unavailable):
            use()


def test_derived_keys_are_stable_and_differ_by_label_and_key(kms, reopen):
    kms.create("data:b")
    derived = kms.derive("data:a", b"one")
    assert len(derived) == 32
    assert reopen().derive("data:a", b"one") == derived
    assert len({derived, kms.derive("data:a", b"two"), kms.derive("data:b", b"one")}) == 3


def test_what_a_destroyed_key_wrapped_is_gone_for_every_process(kms, reopen):
    other = reopen()
    wrapped = kms.wrap("data:a", b"s", b"c")
    assert other.unwrap("data:a", wrapped, b"c") == b"s"
    kms.destroy("data:a")
    for each in (kms, other, reopen()):
        with pytest.raises(Refused):
            each.unwrap("data:a", wrapped, b"c")
        with pytest.raises(Refused):
            each.derive("data:a", b"one")


def test_a_name_made_again_after_destruction_is_another_key(kms):
    wrapped, derived = kms.wrap("data:a", b"s", b"c"), kms.derive("data:a", b"x")
    kms.destroy("data:a")
    kms.create("data:a")
    with pytest.raises(VerifyError):
        kms.unwrap("data:a", wrapped, b"c")
    assert kms.derive("data:a", b"x") != derived


def test_destroying_twice_or_nothing_is_no_error(kms):
    kms.destroy("data:a")
    kms.destroy("data:a")
    kms.destroy("data:never")
