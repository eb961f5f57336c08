"""``seal log witness``: make one, run one, look at one, trust one, ask one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealwright.core.errors import BadInput

if TYPE_CHECKING:
    from sealwright.adapters.witness_home import WitnessHome
    from sealwright.app.cli.out import Out


def run(args: argparse.Namespace, out: Out) -> int:
    """Run one act; returns the exit code."""
    acts = {
        "init": _init,
        "watch": _watch,
        "serve": _serve,
        "show": _show,
        "trust": _trust,
        "ask": _ask,
    }
    return acts[args.act](args, out)


def _init(args: argparse.Namespace, out: Out) -> int:
    from sealwright.adapters import witness_home
    from sealwright.evidence.note import parse_vkey

    logs = [parse_vkey(text) for text in args.log] or _project_keys()
    home = witness_home.WitnessHome.create(_home(args), args.name)
    for log in logs:
        home.watch(log)
    body = _describe(home)
    out.emit(
        body,
        f"a witness in {home.directory}\n"
        f"its key   {body['vkey']}\n"
        f"watches   {', '.join(log['origin'] for log in body['logs']) or 'no log yet'}\n"
        f"then      seal log witness serve {args.name}\n"
        f"and       seal log witness trust {body['vkey']} --at 127.0.0.1:7465   (in the project)",
    )
    return 0


def _watch(args: argparse.Namespace, out: Out) -> int:
    from sealwright.adapters import witness_home
    from sealwright.evidence.note import parse_vkey

    logs = [parse_vkey(text) for text in args.log] or _project_keys()
    if not logs:
        raise BadInput("which log?", hint="give --log VKEY (the last line of `seal log show`)")
    home = witness_home.WitnessHome.open(_home(args))
    for log in logs:
        home.watch(log)
    return _show(args, out)


def _serve(args: argparse.Namespace, out: Out) -> int:
    from sealwright.adapters import witness_home
    from sealwright.adapters.tls import TlsFiles
    from sealwright.adapters.witness_address import parse_address
    from sealwright.adapters.witness_server import WitnessServer
    from sealwright.app.publishing import posix_now

    home = witness_home.WitnessHome.open(_home(args))
    address = parse_address(args.listen)
    files = TlsFiles(Path(args.tls)) if args.tls else None
    server = WitnessServer(address, home, posix_now, out.note, files)
    vkey = home.me.verifier.vkey
    out.emit(
        {"listening": server.url, "name": home.me.name, "vkey": vkey},
        f"{home.me.name} answers on {server.url}\nits key   {vkey}",
    )
    if not address.local:
        out.note("other machines with a certificate of this authority can reach it")
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        out.note("stopped")
    finally:
        server.server_close()
    return 0


def _show(args: argparse.Namespace, out: Out) -> int:
    from sealwright.adapters import witness_home

    home = witness_home.WitnessHome.open(_home(args))
    body = _describe(home)
    lines = [f"{body['name']} in {body['home']}", f"its key   {body['vkey']}"]
    for log in body["logs"]:
        held = f"{log['size']} entries, root {log['root']}" if log["root"] else "nothing yet"
        lines.append(f"{log['origin']}   {held}")
    out.emit(body, "\n".join(lines))
    return 0


def _trust(args: argparse.Namespace, out: Out) -> int:
    from sealwright.adapters import witness_http
    from sealwright.adapters.witness_address import parse_address
    from sealwright.app import trusting, wiring
    from sealwright.app.choosing import tls_files
    from sealwright.evidence import trust as trusts
    from sealwright.evidence.note import COSIGNATURE_V1, parse_vkey

    workspace = wiring.open_workspace()
    witness = parse_vkey(args.vkey)
    if witness.kind != COSIGNATURE_V1:
        raise BadInput("that is not a witness's key", why="a cosignature key (type 0x04) wanted")
    at = args.at or workspace.settings.log.witness
    if not at:
        raise BadInput("where does the witness listen?", hint="give --at 127.0.0.1:7465")
    address = parse_address(at)
    files = tls_files(workspace.settings, workspace.root)
    separation = witness_http.separation(address, files)
    public = witness.public_key()
    held = workspace.trust.find(public.key_id, "witness")
    if held is None:
        key = trusts.key_of_public(
            public, "witness", witness.name, first_index=workspace.log.size(), note=separation
        )
        trusting.extend(workspace, [*workspace.trust.keys, key], args.reason)
    elif (held.name, held.note) != (witness.name, separation):
        raise BadInput(
            f"the trust root names this key already, as {held.name} ({held.note})",
            why=f"at {address} it looks {separation}; a key keeps what it was trusted as",
            hint="make the witness a new key: seal log witness init NAME --home DIR",
        )
    body = {"vkey": witness.vkey, "separation": separation, "trust": workspace.trust.digest}
    out.emit(
        body,
        f"{witness.name} is a witness of this log ({separation})\n"
        f'next      put  witness = "{address}"  under [log] in seal.toml',
    )
    return 0


def _ask(args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import publishing, wiring

    workspace = wiring.open_workspace()
    done = publishing.ask(workspace, args.at or "")
    body = {
        "size": done.checkpoint.size,
        "root": done.checkpoint.root.hex(),
        "time": done.time,
        "separation": done.separation,
    }
    out.emit(body, f"cosigned: {done.checkpoint.size} entries, root {done.checkpoint.root.hex()}")
    return 0


def _describe(home: WitnessHome) -> dict[str, Any]:
    logs = []
    for log in home.logs():
        held = home.held(log.origin)
        logs.append(
            {
                "origin": log.origin,
                "vkeys": list(log.vkeys),
                "size": held.size if held else 0,
                "root": held.root.hex() if held else "",
            }
        )
    return {
        "home": str(home.directory),
        "name": home.me.name,
        "vkey": home.me.verifier.vkey,
        "logs": logs,
    }


def _home(args: argparse.Namespace) -> Path:
    from sealwright.adapters import witness_home

    return Path(args.home) if args.home else witness_home.default_home(args.name)


def _project_keys() -> list[Any]:
    """The log keys of the workspace we stand in, none outside one."""
    from sealwright.app import wiring
    from sealwright.evidence.note import verifier

    try:
        workspace = wiring.open_workspace()
    except BadInput:
        return []
    keys = workspace.trust.public("log", max(workspace.log.size() - 1, 0))
    return [verifier(workspace.origin, key) for key in keys.values()]
