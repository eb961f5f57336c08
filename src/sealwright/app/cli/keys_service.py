"""``seal keys serve|move|uses|certify``: keys in a process of their own."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sealwright.core.errors import BadInput

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out


def run(args: argparse.Namespace, out: Out) -> int:
    """Run one word; returns the exit code."""
    words = {"serve": _serve, "move": _move, "uses": _uses, "certify": _certify}
    return words[args.act](args, out)


def _serve(args: argparse.Namespace, out: Out) -> int:
    import signal
    import threading

    from sealwright.adapters import kms_server, tls
    from sealwright.app import keyservice

    home = _home(args)
    uids = frozenset({os.getuid(), *args.allow})
    if args.user:
        if not args.socket and not args.listen:
            raise BadInput("with --user, name a --socket that others can reach")
        kms_server.become(args.user)
    files = tls.TlsFiles(Path(args.tls)) if args.tls else None
    listen: list[Path | tuple[str, int]] = []
    if args.socket or not args.listen:
        listen.append(Path(args.socket).absolute() if args.socket else home / "socket")
    if args.listen:
        listen.append(_port(args.listen))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with keyservice.serving(home, listen, uids, files, out.note) as servers:
        urls = [server.url for server in servers]
        body = {"listening": urls, "workspace": keyservice.workspace_of(home), "home": str(home)}
        out.emit(body, "\n".join(f'[keys] kms = "{url}"' for url in urls))
        stop.wait()
    out.note("stopped")
    return 0


def _move(args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import keyservice, wiring

    ws = wiring.open_workspace()
    home = Path(args.home).absolute()
    with ws.lock():
        keyservice.move(ws, home)
    out.emit(
        {"home": str(home), "workspace": ws.id},
        f"the keys of {ws.id} are in {home}, and no longer in {ws.state_dir}\n"
        f"now       seal keys serve --home {home}\n"
        f'and       put  kms = "service:unix:{home}/socket"  under [keys] in seal.toml',
    )
    return 0


def _uses(args: argparse.Namespace, out: Out) -> int:
    from collections import deque

    import msgspec

    from sealwright.adapters import kms_record

    chain = kms_record.chained(_home(args) / kms_record.NAME)
    count, last = 0, deque[kms_record.Use](maxlen=max(args.last, 0))
    for use, _ in chain:
        count += 1
        last.append(use)
    rows = [
        [u.time, u.peer, u.principal or "-", u.operation, u.key, u.purpose or "-", u.outcome]
        for u in last
    ]
    head = ["time", "peer", "principal", "asked", "key", "purpose", "outcome"]
    out.emit(
        {"uses": [msgspec.to_builtins(use) for use in last], "count": count},
        f"{out.table(rows, head)}\n{count} uses, one unbroken chain",
    )
    return 0


def _certify(args: argparse.Namespace, out: Out) -> int:
    from datetime import timedelta

    from sealwright.adapters import tls_authority
    from sealwright.app import wiring
    from sealwright.core import clock, settings

    default = wiring.state_home() / "authority"
    authority = Path(args.authority) if args.authority else default
    life = timedelta(seconds=settings.span_s(args.life))
    tls_authority.ensure_authority(authority, clock.now())
    until = tls_authority.issue(authority, Path(args.out), args.name, args.host, clock.now(), life)
    out.emit(
        {"out": str(args.out), "authority": str(authority), "until": clock.stamp(until)},
        f"{args.out}: ca.pem, cert.pem and key.pem for {args.name}, good until"
        f" {clock.stamp(until)}\nthe authority's key stays in {authority}",
    )
    return 0


def _home(args: argparse.Namespace) -> Path:
    from sealwright.app import wiring

    return Path(args.home).absolute() if args.home else wiring.open_workspace().state_dir


def _port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise BadInput(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)
