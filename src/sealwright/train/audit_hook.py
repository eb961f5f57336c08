"""Copied beside an observed script as ``sitecustomize.py``: writes down what Python opens.

Used where strace is not installed. It imports nothing of Sealwright's, for it runs in the
user's interpreter; afterwards the user's own ``sitecustomize`` gets its turn.
"""

import os
import sys

_LOG = os.environ.get("SEALWRIGHT_OBSERVE", "")
_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120


def _write(kind: str, what: str) -> None:
    line = f"{kind} {what!r}\n".encode("utf-8", "surrogateescape")
    fd = os.open(_LOG, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)


def _seen(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        path, mode, flags = (*arguments, None, None, None)[:3]
        if not isinstance(path, str | bytes) or os.fsdecode(path) == _LOG:
            return
        if isinstance(mode, str):
            writing = bool(set(mode) & set("wax+"))
        else:
            writing = isinstance(flags, int) and bool(
                flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            )
        here = os.path.abspath(os.fsdecode(path))  # noqa: PTH100
        there = writing or os.path.exists(here)  # noqa: PTH110
        _write("write" if writing else "read" if there else "missing", here)
    elif event == "os.rename":
        _write("write", os.path.abspath(os.fsdecode(str(arguments[1]))))  # noqa: PTH100
    elif event == "socket.connect" or event == "socket.sendto":
        address = arguments[1]
        if isinstance(address, tuple) and len(address) >= 2:
            host = str(address[0])
            _write("network", f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}")
    elif event == "socket.getaddrinfo":
        _write("network", f"{arguments[0]}:{arguments[1]}")


def _next() -> None:
    """Run the sitecustomize that this one stands in front of."""
    import importlib.machinery
    import importlib.util

    elsewhere = [folder for folder in sys.path if os.path.abspath(folder or ".") != _HERE]  # noqa: PTH100
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if _LOG:
    sys.addaudithook(_seen)
    _next()
