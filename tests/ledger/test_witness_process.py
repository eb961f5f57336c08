"""A log, a witness in a home of its own, and a holder of the log key who rewrites history."""

from __future__ import annotations

import http.client
import os
import shutil
import threading
from pathlib import Path

import pytest
from ledger_parts import NOW, ORIGIN, bodies, log_key, new_log, served

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.adapters.witness_address import Address, parse_address
from sealwright.adapters.witness_home import WitnessHome, default_home
from sealwright.adapters.witness_http import submit
from sealwright.core.errors import BadInput, Refused, Unavailable, UnknownSigner, VerifyError
from sealwright.evidence.checkpoint import open_checkpoint, read_checkpoint
from sealwright.evidence.witness import origin_hash
from sealwright.vault.signers import Ed25519Signer

SIGNER = Ed25519Signer.generate()


@pytest.fixture
def home(tmp_path: Path) -> WitnessHome:
    made = WitnessHome.create(tmp_path / "witness", "example.org/w")
    made.watch(log_key(SIGNER))
    return made


def reopened(home: WitnessHome) -> WitnessHome:
    return WitnessHome.open(home.directory)


@pytest.mark.parametrize("kind", ["port", "socket"])
def test_a_growing_log_is_cosigned_and_keeps_its_cosignatures(
    tmp_path: Path, home: WitnessHome, kind: str
) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 5)
    listen = f"unix:{tmp_path}/w.sock" if kind == "socket" else "127.0.0.1:0"
    with served(home, listen) as address:
        for size in (5, 5, 9, 300):
            log.append(bodies(size - log.size(), log.size()))
            done = submit(log, address, home.me.verifier)
            assert (done.checkpoint.size, done.time) == (size, NOW)
            assert done.separation == "same-uid"
    keys = [log_key(SIGNER), home.me.verifier]
    assert len(open_checkpoint(log.checkpoint(), keys, ORIGIN).signatures) == 2
    log.append([b"one more"])
    assert len(open_checkpoint(log.checkpoint(), keys, ORIGIN).signatures) == 1
    witnessed = log.witnessed()
    assert witnessed is not None
    assert open_checkpoint(witnessed, keys, ORIGIN).checkpoint.size == 300


def test_an_unreachable_witness_never_blocks_an_append(tmp_path: Path, home: WitnessHome) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 2)
    for nowhere in (parse_address("127.0.0.1:1"), Address(socket=str(tmp_path / "none.sock"))):
        with pytest.raises(Unavailable, match="cannot be reached"):
            submit(log, nowhere, home.me.verifier)
    assert log.append([b"goes on"])[0].index == 2
    with served(home) as address:
        assert submit(log, address, home.me.verifier).checkpoint.size == 3


def test_rewritten_history_is_caught_by_the_witness(tmp_path: Path, home: WitnessHome) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 10)
    forged = new_log(tmp_path / "forged.db", SIGNER, 4)
    forged.append([b"a lie", *bodies(9, 5)])
    with served(home) as address:
        submit(log, address, home.me.verifier)
        with pytest.raises(VerifyError, match="forked") as caught:
            submit(forged, address, home.me.verifier)
    assert caught.value.rule == "log.forked"
    assert reopened(home).held(ORIGIN) == read_checkpoint(log.checkpoint())


def test_rewritten_history_is_not_caught_without_a_witness(tmp_path: Path) -> None:
    """What the log key can do alone: the forged log verifies in every way but against others."""
    from sealwright.evidence.audit import audit

    forged = new_log(tmp_path / "forged.db", SIGNER, 4)
    forged.append([b"a lie", *bodies(9, 5)])
    head = open_checkpoint(forged.checkpoint(), [log_key(SIGNER)], ORIGIN).checkpoint
    assert len(audit(forged.tile, head, "ledger")) == 14


def test_a_rewound_log_is_caught_by_the_witness(tmp_path: Path, home: WitnessHome) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 10)
    log.close()
    shutil.copy(tmp_path / "l.db", tmp_path / "backup.db")
    log = SqliteLog.open(tmp_path / "l.db", ORIGIN, SIGNER)
    log.append(bodies(5, 10))
    with served(home) as address:
        submit(log, address, home.me.verifier)
        restored = SqliteLog.open(tmp_path / "backup.db", ORIGIN, SIGNER)
        with pytest.raises(VerifyError, match="saw 15 entries, it now has 10") as caught:
            submit(restored, address, home.me.verifier)
    assert caught.value.rule == "log.rewound"


def test_a_forked_view_of_the_same_size_is_caught(tmp_path: Path, home: WitnessHome) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 10)
    view = new_log(tmp_path / "view.db", SIGNER, 9)
    view.append([b"for somebody else"])
    with served(home) as address:
        submit(log, address, home.me.verifier)
        with pytest.raises(VerifyError, match="forked"):
            submit(view, address, home.me.verifier)


def test_a_witness_that_forgot_is_caught_by_the_log(tmp_path: Path, home: WitnessHome) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 10)
    with served(home) as address:
        submit(log, address, home.me.verifier)
        shutil.copytree(home.directory, tmp_path / "older")
        log.append(bodies(1, 10))
        submit(log, address, home.me.verifier)
    with served(WitnessHome.open(tmp_path / "older")) as address:
        with pytest.raises(VerifyError, match="forgot") as caught:
            submit(log, address, home.me.verifier)
    assert caught.value.rule == "witness.rewound"


def test_a_log_the_witness_was_not_told_about_is_refused(tmp_path: Path) -> None:
    stranger = WitnessHome.create(tmp_path / "witness", "example.org/w")
    with served(stranger) as address, pytest.raises(Refused, match="does not accept") as caught:
        submit(new_log(tmp_path / "l.db", SIGNER, 1), address, stranger.me.verifier)
    assert caught.value.rule == "witness.unknown-log"


def test_an_answer_by_another_key_is_not_kept(tmp_path: Path, home: WitnessHome) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 1)
    impostor = WitnessHome.create(tmp_path / "impostor", "example.org/w")
    impostor.watch(log_key(SIGNER))
    with served(impostor) as address, pytest.raises(UnknownSigner):
        submit(log, address, home.me.verifier)
    assert log.witnessed() is None


@pytest.mark.parametrize("name", ["checkpoint", "log.json"])
def test_a_witness_whose_state_was_changed_answers_nothing(
    tmp_path: Path, home: WitnessHome, name: str
) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 3)
    with served(home) as address:
        submit(log, address, home.me.verifier)
    state = home.directory / "logs" / origin_hash(ORIGIN) / name
    good = state.read_bytes()
    for at in range(0, len(good) - 1, 7):
        state.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(VerifyError) as caught:
            reopened(home).add_checkpoint(b"", lambda: NOW)
            reopened(home).held(ORIGIN)
        assert caught.value.rule == "witness.state-changed"
    with served(reopened(home)) as address, pytest.raises(Unavailable, match="answered 500"):
        submit(log, address, home.me.verifier)
    state.write_bytes(good)
    with served(reopened(home)) as address:
        assert submit(log, address, home.me.verifier).checkpoint.size == 3


@pytest.mark.parametrize("name", ["key.pem", "witness.json"])
def test_a_witness_with_another_name_or_key_does_not_believe_its_own_state(
    tmp_path: Path, home: WitnessHome, name: str
) -> None:
    with served(home) as address:
        submit(new_log(tmp_path / "l.db", SIGNER, 3), address, home.me.verifier)
    file = home.directory / name
    good = file.read_bytes()
    spot = good.index(b"example") if name == "witness.json" else len(good) // 2
    file.write_bytes(good[:spot] + bytes([good[spot] ^ 1]) + good[spot + 1 :])
    with pytest.raises((VerifyError, BadInput)):
        reopened(home).held(ORIGIN)


def test_a_home_whose_making_was_cut_short_can_be_made_again(tmp_path: Path) -> None:
    (tmp_path / "w" / "logs").mkdir(parents=True)
    (tmp_path / "w" / "witness.json").write_text('{"name":"cut-short"}')
    with pytest.raises(BadInput, match="no witness"):
        WitnessHome.open(tmp_path / "w")
    assert WitnessHome.create(tmp_path / "w", "w1").me.name == "w1"


def test_two_submissions_at_once_cannot_roll_the_witness_back(
    tmp_path: Path, home: WitnessHome
) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 40)
    ahead = new_log(tmp_path / "ahead.db", SIGNER, 40)
    ahead.append(bodies(60, 40))
    sizes: list[int] = []
    with served(home) as address:

        def push(which: SqliteLog) -> None:
            for _ in range(10):
                try:
                    submit(which, address, home.me.verifier)
                except VerifyError as error:
                    assert error.rule == "log.rewound"
                held = home.held(ORIGIN)
                assert held is not None
                sizes.append(held.size)

        threads = [threading.Thread(target=push, args=(which,)) for which in (log, ahead)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(sizes) == 20
    held = reopened(home).held(ORIGIN)
    assert held is not None
    assert held.size == 100


def test_the_key_and_home_are_for_the_owner_alone(home: WitnessHome) -> None:
    assert home.directory.stat().st_mode & 0o777 == 0o700
    assert (home.directory / "key.pem").stat().st_mode & 0o777 == 0o600
    with pytest.raises(BadInput, match="already"):
        WitnessHome.create(home.directory, "example.org/w")
    with pytest.raises(BadInput, match="no witness"):
        WitnessHome.open(home.directory / "nothing")


def test_the_monitoring_path_serves_the_cosigned_note(tmp_path: Path, home: WitnessHome) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 3)
    with served(home) as address:
        connection = http.client.HTTPConnection(address.host, address.port, timeout=5)
        path = f"/{origin_hash(ORIGIN)}/checkpoint"

        def get(where: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
            connection.request(method, where, body)
            response = connection.getresponse()
            return response.status, response.read()

        assert get(path)[0] == 404
        submit(log, address, home.me.verifier)
        status, note = get(path)
        assert get("/add-checkpoint", "POST", b"nonsense")[0] == 400
        assert get("/other", "POST", b"")[0] == 404
        connection.close()
        connection.putrequest("POST", "/add-checkpoint")
        connection.putheader("Content-Length", "99999999999")
        connection.endheaders()
        assert connection.getresponse().status == 400
        connection.close()
    assert status == 200
    keys = [log_key(SIGNER), home.me.verifier]
    assert len(open_checkpoint(note, keys, ORIGIN).signatures) == 2


def test_a_socket_left_by_a_killed_witness_is_taken_over_and_a_live_one_is_not(
    tmp_path: Path, home: WitnessHome
) -> None:
    listen = f"unix:{tmp_path}/w.sock"
    with served(home, listen), pytest.raises(Unavailable, match="already listening"):
        with served(home, listen):
            pass
    import socket

    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "w.sock"))
    stale.close()
    assert os.path.exists(tmp_path / "w.sock")
    with served(home, listen) as address:
        submit(new_log(tmp_path / "l.db", SIGNER, 1), address, home.me.verifier)


def test_the_default_home_is_outside_every_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_home("w1") == Path("/state/sealwright-witness/w1")
    for bad in ("../x", "a/b", "", ".hidden"):
        with pytest.raises(BadInput):
            default_home(bad)


@pytest.mark.parametrize("bad", ["", "unix:", "ftp://x:1", "http://x", "http://x:99999", "x:y"])
def test_a_malformed_witness_address_is_refused(bad: str) -> None:
    with pytest.raises(BadInput):
        parse_address(bad)
