"""Which files a command opens and whom it calls, read from strace's output. Pure.

One file per process (``strace -ff``), so no line is interleaved; ``-y`` makes the kernel's own
resolution of every path part of the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

CALLS = "open,openat,openat2,creat,connect,sendto,sendmsg,rename,renameat,renameat2,execve"

_LINE = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+|\?)(?:<(.*?)>)?(?: (E[A-Z0-9]+) .*)?$")
_WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_AT = re.compile(r"(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>")
_ADDRESS = re.compile(
    r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)")'
)
_ESCAPE = re.compile(r"\\([0-7]{1,3}|x[0-9a-f]{2}|.)")
_SIGNS = {"n": 10, "t": 9, "r": 13, "v": 11, "f": 12, "\\": 92, '"': 34}

Kind = Literal["read", "write", "missing", "run", "network"]


class Event(msgspec.Struct, frozen=True):
    """One thing that happened: a path opened, written, sought in vain, run; or an address."""

    kind: Kind
    what: str


def events(lines: Iterable[str]) -> Iterator[Event]:
    """Parse one process's trace. Lines that mean nothing here are passed over."""
    for line in lines:
        match = _LINE.match(line.rstrip("\n"))
        if match:
            yield from _event(*match.groups())


def _event(
    call: str, arguments: str, result: str, opened: str | None, error: str | None
) -> Iterator[Event]:
    if call in ("connect", "sendto", "sendmsg"):
        yield from _address(arguments)
        return
    names = _QUOTED.findall(arguments)
    if not names or result == "?":
        return
    if call == "execve" or call.startswith("rename"):
        if error is None and call == "execve":
            yield Event("run", _plain(names[0]))
        elif error is None:
            yield Event("write", _joined(arguments, names[-1]))
    elif error is not None:
        if error in ("ENOENT", "EACCES", "EPERM"):
            yield Event("missing", _joined(arguments, names[0]))
    elif "O_DIRECTORY" not in arguments:
        path = _plain(opened) if opened else _joined(arguments, names[0])
        writing = call == "creat" or _WRITING.search(arguments.rsplit('"', 1)[-1])
        yield Event("write" if writing else "read", path)


def _address(arguments: str) -> Iterator[Event]:
    found = _ADDRESS.search(arguments)
    if found:
        port, four, six = found.groups()
        yield Event("network", f"{four}:{port}" if four else f"[{six}]:{port}")


def _joined(arguments: str, name: str) -> str:
    """An absolute path, from the directory that strace shows before the name."""
    plain = _plain(name)
    folders = _AT.findall(arguments)
    if plain.startswith("/") or not folders:
        return plain
    return f"{_plain(folders[-1])}/{plain}"


def _plain(text: str) -> str:
    """Undo strace's escapes; bytes that are no UTF-8 become surrogates, as os.fsdecode does."""
    if "\\" not in text:
        return text
    out = bytearray()
    end = 0
    for match in _ESCAPE.finditer(text):
        out += text[end : match.start()].encode("utf-8", "surrogateescape")
        out.append(_byte(match[1]))
        end = match.end()
    out += text[end:].encode("utf-8", "surrogateescape")
    return out.decode("utf-8", "surrogateescape")


def _byte(escape: str) -> int:
    if escape[0] == "x":
        return int(escape[1:], 16)
    if escape.isdigit():
        return int(escape, 8) & 0xFF
    return _SIGNS.get(escape, ord(escape) & 0xFF)
