"""A granted network around one stage: the proxy opened, its rules compared, the denial tried.

Nothing starts unless a host that no rule grants was refused on the very path the script is
going to use, and the machine's own loopback could not be reached past it.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from sealwright.core.errors import Refused
from sealwright.core.settings import Isolation
from sealwright.train import egress, forward
from sealwright.train.egress import Opener, Opening, Rule
from sealwright.train.environment import Environment
from sealwright.train.room import run_room
from sealwright.train.spec import Channel, Limits, RoomSpec

_PROBE_WALL_S = 120
_SYSTEM_PYTHON = "/usr/bin/python3"


class Network(msgspec.Struct, frozen=True):
    """What a stage may reach. ``granted`` says that somebody who may do so granted it."""

    rules: tuple[Rule, ...]
    production: tuple[str, ...]
    granted: bool
    opener: Opener


@contextmanager
def opened(network: Network, secrets: Mapping[str, str], probe: RoomSpec) -> Iterator[Opening]:
    """The proxy, once it has proved itself in a room of its own, made from ``probe``.

    Raises: Refused (``egress.rules-not-loaded``, ``egress.probe``, ``egress.no-room``).
    """
    if probe.isolation == "none":
        raise Refused(
            "a network can be granted only to a room",
            why="without one nothing holds the script to the hosts that were granted",
            hint="leave out --isolation none, or leave out --network",
            rule="egress.no-room",
        )
    with network.opener(network.rules, network.production, secrets) as opening:
        if opening.loaded != egress.digest_of(network.rules, network.production):
            raise Refused(
                "the egress proxy did not load the rules it was given",
                why="rules that are not in force hold nothing back",
                rule="egress.rules-not-loaded",
            )
        _check_denial(opening, probe)
        opening.traffic.forget()
        yield opening


def command(environment: Environment, words: tuple[str, ...]) -> tuple[str, ...]:
    """A command line that starts the forwarder inside and goes on as ``words`` say.

    Raises: Refused (``egress.no-interpreter``).
    """
    python = environment.argv[0] if environment.interpreter else _SYSTEM_PYTHON
    if not Path(python).exists():
        raise Refused(
            "a granted network needs a Python in the room, and there is none",
            why="a few lines of it carry connections to the proxy",
            hint=f"install {_SYSTEM_PYTHON}",
            rule="egress.no-interpreter",
        )
    source = Path(forward.__file__).read_text(encoding="utf-8")
    return (python, "-I", "-S", "-c", source, *words)


def variables() -> dict[str, str]:
    """Where programs look for a proxy."""
    proxy = "http://{}:{}".format(*forward.ADDRESS)
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    out = dict.fromkeys(names, proxy) | {name.lower(): proxy for name in names}
    return out | dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,::1")


def probe_spec(
    environment: Environment, project: Path, scratch: Path, isolation: Isolation, limits: Limits
) -> RoomSpec:
    """An empty room like the job's: the same walls and programs, no code and no inputs."""
    return RoomSpec(
        argv=command(environment, ("probe",)),
        project=project,
        scratch=scratch,
        read_only=tuple(Path(path) for path in environment.binds),
        limits=msgspec.structs.replace(limits, wall_s=_PROBE_WALL_S),
        isolation=isolation,
    )


def _check_denial(opening: Opening, probe: RoomSpec) -> None:
    heard = bytearray()

    def listen(channel: Channel, data: bytes) -> None:
        heard.extend(data if channel == "stdout" else b"")

    with socket.create_server(("127.0.0.1", 0)) as canary:
        port = canary.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), 10).close()  # from here it can be reached
        asked = (*probe.argv, egress.PROBE_HOST, str(port))
        sockets = {egress.SOCKET: opening.socket}
        spec = msgspec.structs.replace(probe, argv=asked, sockets=sockets)
        with run_room(spec, listen) as result:
            said = _said(bytes(heard)) if result.status == "ok" else {}
    refused = said.get("denied", "").startswith("HTTP/1.1 403 ")
    seen = any(line.host == egress.PROBE_HOST for line in opening.traffic.lines())
    if not (refused and seen and said.get("direct") not in (None, "connected")):
        raise Refused(
            "the run was not started: a host that was not granted could not be shown to be denied",
            why=f"through the proxy: {said.get('denied', 'no answer')};"
            f" past it: {said.get('direct', 'no answer')}",
            hint="seal doctor",
            rule="egress.probe",
        )


def _said(heard: bytes) -> dict[str, str]:
    try:
        said = json.loads(heard)
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in said.items()}
