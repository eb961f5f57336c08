"""Canaries on the host for the probes to find: all made for this, all taken away again."""

from __future__ import annotations

import ctypes
import os
import secrets
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from sealwright.train.probes.kit import LIBC, call

_NOBODY = 65534
_VARIABLE = "SEALWRIGHT_CANARY"
_CREATE = 0o1000
_REMOVE = 0


@contextmanager
def canaries(base: Path, interpreter: Path) -> Iterator[dict[str, Any]]:
    """What the probes are told: where the canaries are, in the words of the host.

    ``base`` is an empty folder of the caller's own. Meanwhile the environment and the session
    keyring of this process hold one each.
    """
    with ExitStack() as stack:
        token = secrets.token_hex(8)
        told: dict[str, Any] = {"token": token, "interpreter": str(interpreter)}
        told |= _files(base, token, stack)
        told |= _services(base, token, stack)
        told |= _process(told["descriptor"], token, stack)
        told |= _kernel_objects(token, stack)
        yield told


def _files(base: Path, token: str, stack: ExitStack) -> dict[str, Any]:
    home = base / "home"
    (home / ".ssh").mkdir(parents=True)
    key = home / ".ssh/id"
    key.write_text(token)
    other = base / "other.txt"
    other.write_text(token)
    if os.getuid() == 0:
        os.chown(other, _NOBODY, _NOBODY)
    else:
        other = Path("/etc/hostname")
    withheld = base / "project/.env"
    withheld.write_text(token)
    (base / "bound").mkdir()
    told: dict[str, Any] = {
        "home": str(home),
        "ssh_key": str(key),
        "other_user": str(other),
        "withheld": str(withheld),
        "outside": str(base / "outside.txt"),
        "pipe": str(base / "bound/pipe"),
    }
    for name, folder in (("tmp", "/tmp"), ("shm", "/dev/shm")):  # noqa: S108
        path = Path(folder) / f"sealwright-canary-{token}"
        with suppress(OSError):
            path.write_text(token)
            stack.callback(path.unlink)
        told[name] = str(path)
    descriptor = os.open(key, os.O_RDONLY)
    stack.callback(os.close, descriptor)
    os.set_inheritable(descriptor, True)
    return told | {"descriptor": descriptor}


def _services(base: Path, token: str, stack: ExitStack) -> dict[str, Any]:
    path, abstract = str(base / "service.sock"), f"sealwright-canary-{token}"
    address = _host_address()
    tcp = _serve(stack, socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
    host = _serve(stack, socket.AF_INET, socket.SOCK_STREAM, (address or "127.0.0.1", 0))
    told: dict[str, Any] = {
        "tcp_port": tcp.getsockname()[1],
        "host_address": address or "127.0.0.1",
        "host_port": host.getsockname()[1],
        "socket": path,
        "abstract": abstract,
        "tcp6_port": 0,
    }
    with suppress(OSError):  # a machine without IPv6
        tcp6 = _serve(stack, socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0))
        told["tcp6_port"] = tcp6.getsockname()[1]
    udp = _serve(stack, socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
    told["udp_port"] = udp.getsockname()[1]
    _serve(stack, socket.AF_UNIX, socket.SOCK_STREAM, path)
    Path(path).chmod(0o777)
    _serve(stack, socket.AF_UNIX, socket.SOCK_STREAM, "\0" + abstract)
    return told


def _serve(stack: ExitStack, family: int, kind: int, address: Any) -> socket.socket:
    server = stack.enter_context(socket.socket(family, kind))
    server.bind(address)
    if kind == socket.SOCK_STREAM:
        server.listen()
    answer: Callable[[socket.socket], None] = _accept if kind == socket.SOCK_STREAM else _echo
    threading.Thread(target=_loop, args=(server, answer), daemon=True).start()
    stack.callback(_wake, server)
    return server


def _wake(server: socket.socket) -> None:
    with suppress(OSError):  # a datagram socket was never connected
        server.shutdown(socket.SHUT_RDWR)


def _loop(server: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    with suppress(OSError):  # it was closed: the probes are over
        while True:
            answer(server)


def _accept(server: socket.socket) -> None:
    peer, _ = server.accept()
    with peer, suppress(OSError):
        peer.sendall(b"answer")
        peer.recv(64)


def _echo(server: socket.socket) -> None:
    data, sender = server.recvfrom(512)
    if data:
        server.sendto(b"answer", sender)


def _host_address() -> str:
    """The address of this machine on its first network; no packet is sent. Empty without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as look:
        try:
            look.connect(("192.0.2.1", 53))
        except OSError:
            return ""
        return str(look.getsockname()[0])


def _process(descriptor: int, token: str, stack: ExitStack) -> dict[str, Any]:
    name = f"300.{int(token, 16) % 10**9:09d}"
    victim = subprocess.Popen(
        ["sleep", name],
        env={_VARIABLE: token, "PATH": os.environ.get("PATH", "/usr/bin:/bin")},
        pass_fds=(descriptor,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    stack.callback(victim.wait)
    stack.callback(victim.kill)
    os.environ[_VARIABLE] = token
    stack.callback(os.environ.pop, _VARIABLE)
    return {"victim": victim.pid, "victim_name": name}


def _kernel_objects(token: str, stack: ExitStack) -> dict[str, Any]:
    key = f"sealwright-{token}"
    with suppress(OSError):  # no keyrings here: the probes' control will not succeed either
        call(250, 219, 1, None)  # KEYCTL_JOIN_SESSION_KEYRING
        call(248, 217, b"user", key.encode(), token.encode(), len(token), -3)
    number = int(token[:7], 16)
    segment = LIBC.shmget(number, 64, _CREATE | 0o666)
    if segment >= 0:
        stack.callback(LIBC.shmctl, segment, _REMOVE, ctypes.c_void_p())
    return {"key": key, "shm_key": number}
