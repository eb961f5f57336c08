"""kill -9 of a witness: it never forgets what it cosigned."""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from ledger_parts import ORIGIN, log_key, new_log

from sealwright.adapters.witness_address import Address
from sealwright.adapters.witness_home import WitnessHome
from sealwright.adapters.witness_http import submit
from sealwright.adapters.witness_server import WitnessServer
from sealwright.core.errors import SealError, Unavailable
from sealwright.vault.signers import Ed25519Signer

# the children only serve, or are gone before they could meet a lock of another thread
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

KILLS = 20
SIGNER = Ed25519Signer.generate()


def serve(home: Path, address: Address) -> int:
    """A forked witness process; its id."""
    pid = os.fork()
    if pid == 0:
        try:
            WitnessServer(address, WitnessHome.open(home), lambda: int(time.time())).serve_forever()
        except SealError as error:
            sys.stderr.write(f"{error}\n")
        finally:
            os._exit(1)
    return pid


def listening(address: Address) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(address.socket) == 0


def test_a_killed_witness_remembers_every_head_it_cosigned(tmp_path: Path) -> None:
    home = WitnessHome.create(tmp_path / "witness", "example.org/w")
    home.watch(log_key(SIGNER))
    log = new_log(tmp_path / "l.db", SIGNER)
    address = Address(socket=str(tmp_path / "w.sock"))
    moments = random.Random(11)
    cosigned = 0
    for _ in range(KILLS):
        pid = serve(home.directory, address)
        while not listening(address):
            time.sleep(0.002)
        killer = threading.Timer(moments.uniform(0.0, 0.03), os.kill, (pid, signal.SIGKILL))
        killer.start()
        while True:
            log.append([b"more"])
            try:
                cosigned = submit(log, address, home.me.verifier).checkpoint.size
            except Unavailable:
                break
        killer.join()
        os.waitpid(pid, 0)
        held = WitnessHome.open(home.directory).held(ORIGIN)
        assert (held.size if held else 0) >= cosigned
    assert cosigned > 0
