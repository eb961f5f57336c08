"""A process that appends until it is told to stop or is killed.

``appender.py DIR count NAME N`` appends N entries, one ``INDEX BODY`` line each once durable;
``appender.py DIR forever NAME`` goes on; ``appender.py DIR limited`` may not grow a file.
The log's private key comes in on stdin.
"""

from __future__ import annotations

import itertools
import os
import resource
import sys
from pathlib import Path

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.core.errors import SealError
from sealwright.vault.signers import Ed25519Signer

ORIGIN = "sealwright.local/w0123456789abcdef"


def main() -> None:
    directory, mode, *rest = sys.argv[1:]
    signer = Ed25519Signer.from_private_pem(sys.stdin.buffer.read())
    log = SqliteLog.open(Path(directory) / "l.db", ORIGIN, signer)
    if mode == "limited":
        limited(log)
        return
    rounds = range(int(rest[1])) if mode == "count" else itertools.count()
    for at in rounds:
        batch = [f"{rest[0]}/{at}/{part}".encode() for part in range(1 if mode == "count" else 5)]
        for receipt, body in zip(log.append(batch), batch, strict=True):
            os.write(1, b"%d %s\n" % (receipt.index, body))


def limited(log: SqliteLog) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        log.append([os.urandom(60_000) for _ in range(40)])
    except SealError as error:
        print(f"{type(error).__name__}: {error.what}")


main()
