"""Which files the Pythons of a room imported, as each of them says at its end.

``sitecustomize`` in ``inroom`` tells; this listens, on a socket that is shown in the room. What
is said counts as reported from inside: it is bounded, and only used to look things up.
Source: docs/spec/room-v1.md.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from sealwright.train import inroom
from sealwright.train.spec import RoomSpec

NAME = "imports"
"""The socket's name in the room."""

HOOK = Path(inroom.__file__).parent
_MOST_BYTES = 1 << 20
_MOST_FILES = 50_000
_MOST_REPORTS = 4096
_MOST_PATH = 4096
_SILENCE_S = 5.0


class Seen:
    """What was reported so far. ``reports`` counts processes; 0 means that nobody looked."""

    def __init__(self) -> None:
        self.reports = 0
        self._files: set[str] = set()
        self._lock = threading.Lock()

    def files(self) -> tuple[str, ...]:
        """Absolute paths as they are in the room, sorted."""
        with self._lock:
            return tuple(sorted(self._files))

    def take(self, data: bytes) -> None:
        """One process's report: a path a line; a line that is no path is passed over."""
        lines = data.decode("utf-8", "replace").split("\n")
        own = f"{HOOK}{os.sep}"
        paths = {one for one in lines if one.startswith("/") and not one.startswith(own)}
        paths = {one for one in paths if len(one) < _MOST_PATH}
        with self._lock:
            self.reports += 1
            room = _MOST_FILES - len(self._files)
            self._files.update(sorted(paths - self._files)[: max(room, 0)])


@contextmanager
def listening(spec: RoomSpec) -> Iterator[tuple[RoomSpec, Seen]]:
    """``spec`` with the hook in it, and what comes of it."""
    seen = Seen()
    with tempfile.TemporaryDirectory(prefix="seal-") as folder:
        path = Path(folder) / "s"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(64)
            worker = threading.Thread(target=_serve, args=(listener, seen), daemon=True)
            worker.start()
            try:
                yield _hooked(spec, path), seen
            finally:
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                worker.join(_SILENCE_S)


def _hooked(spec: RoomSpec, path: Path) -> RoomSpec:
    before = spec.env.get("PYTHONPATH", "")
    searched = str(HOOK) + (os.pathsep + before if before else "")
    env: Mapping[str, str] = {**spec.env, "PYTHONPATH": searched}
    return msgspec.structs.replace(
        spec,
        env=env,
        read_only=(*spec.read_only, HOOK),
        sockets={**spec.sockets, NAME: path},
    )


def _serve(listener: socket.socket, seen: Seen) -> None:
    while seen.reports < _MOST_REPORTS:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client:
            client.settimeout(_SILENCE_S)
            data = bytearray()
            with suppress(OSError):
                while len(data) < _MOST_BYTES and (piece := client.recv(1 << 16)):
                    data += piece
            seen.take(bytes(data[:_MOST_BYTES]))
