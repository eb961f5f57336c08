"""Whose a TCP connection on loopback is: the kernel's own table of sockets says the uid.

``/proc/net/tcp`` lists each socket of this network namespace with its two addresses and its
owner. Where it cannot be read (another system, a hidden /proc) the answer is "unknown". A socket
that nobody holds any more has no inode and is listed as root's: that one is unknown too.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

UNKNOWN = -1
_MOST_BYTES = 4 << 20
_OPEN = ("01", "04", "05")
"""Established, and half-closed by its owner before (04) and after (05) the kernel here agreed."""
_STATE, _UID, _INODE = 3, 7, 9
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def uid_of(there: tuple[Any, ...], here: tuple[Any, ...]) -> int:
    """The uid whose socket has the local address ``there`` and is connected to ``here``."""
    for table in _TABLES:
        family = socket.AF_INET6 if table.name.endswith("6") else socket.AF_INET
        try:
            wanted = [_hex(there, family), _hex(here, family)]
            lines = list(_lines(table))
        except (OSError, ValueError):
            continue
        for line in lines:
            parts = line.split()
            if len(parts) <= _INODE or parts[1:_STATE] != wanted or parts[_STATE] not in _OPEN:
                continue
            return UNKNOWN if parts[_INODE] == "0" else int(parts[_UID])
    return UNKNOWN


def _lines(table: Path) -> Iterator[str]:
    with open(table, "rb") as stream:
        yield from stream.read(_MOST_BYTES).decode("ascii", "replace").splitlines()[1:]


def _hex(address: tuple[Any, ...], family: int) -> str:
    """``0100007F:1F90``: each 32-bit word of the address in the machine's order."""
    ip = ip_address(address[0].partition("%")[0])
    if family == socket.AF_INET6 and ip.version == 4:
        ip = ip_address(f"::ffff:{ip}")
    if family == socket.AF_INET and ip.version == 6:
        raise ValueError("not of this family")
    words = struct.unpack(f"={len(ip.packed) // 4}I", ip.packed)
    return f"{''.join(f'{word:08X}' for word in words)}:{address[1]:04X}"
