"""kill -9 while appending: what was acknowledged is there, and the log is whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from ledger_parts import ORIGIN, log_key, new_log

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.evidence.audit import audit
from sealwright.evidence.checkpoint import open_checkpoint
from sealwright.vault.signers import Ed25519Signer

KILLS = 64
APPENDER = Path(__file__).with_name("appender.py")
SIGNER = Ed25519Signer.generate()

# one interpreter forks the appenders, so that each kill costs milliseconds
NURSERY = """
import os, sys
sys.argv = [sys.argv[1], sys.argv[2], "forever", "k"]
import sealwright.adapters.db_sqlite, sealwright.vault.signers
source = compile(open(sys.argv[0]).read(), sys.argv[0], "exec")
pem = sys.stdin.buffer.read(int(sys.stdin.buffer.readline()))
for line in sys.stdin.buffer:
    out = os.open(line.strip(), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    pid = os.fork()
    if pid == 0:
        import io
        os.dup2(out, 1)
        sys.stdin = io.TextIOWrapper(io.BytesIO(pem))
        exec(source, {"__name__": "__main__"})
        os._exit(0)
    os.close(out)
    os.write(1, b"%d\\n" % pid)
    os.waitpid(pid, 0)
    os.write(1, b"gone\\n")
"""


def test_no_acknowledged_entry_is_lost_under_kill_9(tmp_path: Path) -> None:
    new_log(tmp_path / "l.db", SIGNER).close()
    acknowledged = tmp_path / "acknowledged"
    moments = random.Random(7)
    nursery = subprocess.Popen(
        [sys.executable, "-c", NURSERY, str(APPENDER), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    pem = SIGNER.private_pem()
    nursery.stdin.write(b"%d\n" % len(pem) + pem)
    for number in range(KILLS):
        nursery.stdin.write(str(acknowledged).encode() + b"\n")
        pid = int(nursery.stdout.readline())
        time.sleep(moments.uniform(0.002, 0.04))
        give_up = time.monotonic() + 60
        while number == KILLS - 1 and not _promised(acknowledged):  # a busy machine
            assert time.monotonic() < give_up
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        assert nursery.stdout.readline() == b"gone\n"
    nursery.stdin.close()
    nursery.stdout.close()
    assert nursery.wait(30) == 0

    log = SqliteLog.open(tmp_path / "l.db", ORIGIN, SIGNER)
    head = open_checkpoint(log.checkpoint(), [log_key(SIGNER)], ORIGIN).checkpoint
    stored = {entry.index: entry.body for entry in log.entries()}
    promised = _promised(acknowledged)
    assert promised
    assert {index: stored.get(index) for index in promised} == promised
    assert head.size == len(stored)
    assert head.size % 5 == 0, "a batch was halved"
    audit(log.tile, head, "ledger")


def _promised(acknowledged: Path) -> dict[int, bytes]:
    """What was acknowledged so far; a last line that was cut short is none."""
    lines = [line.split(b" ") for line in acknowledged.read_bytes().split(b"\n")[:-1]]
    return {int(line[0]): line[1] for line in lines if line[1:] and line[1].startswith(b"k/")}
