"""``seal access invite`` and ``seal access login``: who somebody is, and how that was shown."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.sessions import Session
    from sealwright.app.wiring import Workspace


def add_words(words: Any) -> None:
    """Add both words to ``seal access``."""
    offer = words.add_parser("invite", help="invite a person, or enrol a service of a provider")
    offer.add_argument("name", metavar="NAME")
    offer.add_argument("--role", required=True, help="what they may do: see seal access list")
    offer.add_argument("--for", dest="life", default="7d", metavar="SPAN", help="24h, 7d, 30d")
    offer.add_argument("--provider", default="", metavar="P", help="[identity.P] of seal.toml")
    offer.add_argument("--subject", default="", help="the `sub` of their ID tokens")
    offer.add_argument("--out", default="", metavar="FILE", help="write it; else one line")
    offer.add_argument("--reason", default="", help="why; goes into the log")
    login = words.add_parser("login", help="show who you are, or accept an invitation")
    login.add_argument("--invite", default="", metavar="FILE", help="a file, or the line itself")
    login.add_argument("--out", default="acceptance.json", metavar="FILE", help="your answer")
    login.add_argument("--key-file", action="store_true", help="a new key without a passphrase")
    login.add_argument("--provider", default="", metavar="P", help="[identity.P] of seal.toml")
    login.add_argument(
        "--id-token", default="", metavar="FILE", help="a service's; or SEAL_ID_TOKEN"
    )
    login.add_argument("--end", action="store_true", help="log out: revoke the session")


def invite(args: argparse.Namespace, out: Out) -> int:
    """Write an invitation; for a service of a provider, enrol it at once."""
    from datetime import timedelta

    from sealwright.app import identity, wiring
    from sealwright.core.settings import span_s
    from sealwright.policy.roles import checked_roles
    from sealwright.vault import people

    workspace = wiring.open_workspace()
    checked_roles([args.role])
    provider = identity.provider_of(workspace, args.provider) if args.provider else None
    if args.role == "service" and provider:
        reason = args.reason or f"enrolled with {provider.issuer}"
        admit = _admit(workspace, reason)
        found = identity.enrol_service(workspace, args.name, provider, args.subject, reason, admit)
        shape = {"name": args.name, "kind": "service", "subject": found.subject}
        out.emit(
            {**shape, "role": args.role, "notes": workspace.settle()},
            f"{args.name} is a service; it shows a token of {provider.issuer} by\n"
            f"SEAL_PRINCIPAL={args.name} seal access login --provider {args.provider}"
            " --id-token FILE",
        )
        return 0
    life = timedelta(seconds=span_s(args.life))
    envelope = identity.invite(workspace, args.name, args.role, life, provider, args.subject)
    code = people.to_code(envelope)
    offer = people.read_invitation(envelope, workspace.clock())
    if args.out:
        Path(args.out).write_bytes(envelope)
    shown = f"wrote {args.out}" if args.out else code
    out.emit(
        {
            "name": offer.name,
            "role": offer.role,
            "expires": offer.expires,
            "fingerprint": offer.fingerprint,
            "code": code,
            "file": args.out,
        },
        f"{shown}\n{offer.name} runs: seal access login --invite {args.out or 'LINE'}\n"
        f"until {offer.expires}; tell them by another way: fingerprint {offer.fingerprint[:16]}\n"
        "then you run: seal access accept acceptance.json",
    )
    return 0


def login(args: argparse.Namespace, out: Out) -> int:
    """Accept an invitation, or begin (or end) a session."""
    if args.invite:
        return _join(args, out)
    from sealwright.app import identity, sessions, wiring
    from sealwright.core.errors import BadInput

    workspace = wiring.open_workspace()
    name = wiring.principal_name()
    if args.end:
        ended = sessions.end(workspace, name)
        text = "logged out; what was issued to you is refused" if ended else "there is no session"
        out.emit({"name": name, "ended": ended}, text)
        return 0
    if not args.provider:
        if args.id_token:
            raise BadInput("whose token is it?", hint="add --provider P, of [identity.P]")
        return _say(workspace, identity.log_in(workspace, name), out)
    provider = identity.provider_of(workspace, args.provider)
    token = Path(args.id_token).read_text("ascii", "replace") if args.id_token else None
    token = token or wiring.id_token()
    if token:
        session = identity.log_in_workload(workspace, provider, token.strip())
    else:
        session = identity.log_in_with(workspace, provider, _shower(out))
    return _say(workspace, session, out)


def accept(workspace: Workspace, envelope: bytes, args: argparse.Namespace, out: Out) -> int:
    """Enrol who accepted an invitation (``seal access accept`` hands acceptances on)."""
    from sealwright.app import identity

    reason = args.reason or "accepted an invitation"
    accepted, found = identity.accept(workspace, envelope, reason, _admit(workspace, reason))
    offer = accepted.invitation
    shape = {
        "name": offer.name,
        "role": offer.role,
        "key_id": found.key_id,
        "established": found.established,
        "issuer": found.issuer,
        "subject": found.subject,
        "trust": workspace.trust.digest,
    }
    out.emit(
        {**shape, "notes": workspace.settle()},
        f"{offer.name} is {offer.role}; the trust root lists their key {found.key_id[:16]},"
        f" established by {'their key' if found.established == 'key' else found.issuer}",
    )
    return 0


def _admit(workspace: Workspace, reason: str) -> Any:
    from sealwright.app import memberships

    def admit(name: str, role: str, kind: str) -> None:
        memberships.set_roles(workspace, name, [role], reason, kind)

    return admit


def is_acceptance(data: bytes) -> bool:
    """Whether a file is an acceptance rather than an approval."""
    from sealwright.core.errors import VerifyError
    from sealwright.evidence import dsse
    from sealwright.vault.people import ACCEPTANCE

    try:
        return dsse.parse(data).payload_type == ACCEPTANCE
    except VerifyError:
        return False


def _join(args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import identity, wiring
    from sealwright.core import clock
    from sealwright.core.errors import Unavailable
    from sealwright.vault import people

    given = args.invite.encode()
    text = given if given.startswith(people.CODE.encode()) else Path(args.invite).read_bytes()
    envelope = people.from_text(text)
    offer = people.read_invitation(envelope, clock.now())
    recovery = ""
    home = wiring.person_home(offer.name)
    if home.public() is not None:
        signer = home.unlock()
    elif args.key_file:
        signer, recovery = home.make(None)
    else:
        passphrase = _new_passphrase()
        if passphrase is None:
            raise Unavailable(
                "your new key needs a passphrase, and nobody can be asked",
                hint="set SEAL_PERSON_PASSPHRASE, or add --key-file",
            )
        signer, recovery = home.make(passphrase)
    if offer.name != wiring.principal_name():
        out.note(f"note: you are {offer.name} there; set SEAL_PRINCIPAL={offer.name}")
    offer, acceptance = identity.join(envelope, signer, clock.now(), _shower(out))
    Path(args.out).write_bytes(acceptance)
    shape = {
        "name": offer.name,
        "key_id": signer.key_id,
        "origin": offer.origin,
        "fingerprint": offer.fingerprint,
        "file": args.out,
    }
    lines = [
        f"accepted: {offer.name} as {offer.role} of {offer.origin}, asked by {offer.invited_by}",
        f"compare the fingerprint with them by another way: {offer.fingerprint[:16]}",
        f"wrote {args.out}; send it to them",
    ]
    if recovery:
        shape["recovery_key"] = recovery
        lines.append(f"your key's recovery key, shown this once: {recovery}")
    out.emit(shape, "\n".join(lines))
    return 0


def _say(workspace: Workspace, session: Session, out: Out) -> int:
    from datetime import UTC, datetime

    from sealwright.core import clock

    until = clock.stamp(datetime.fromtimestamp(session.ends, UTC))
    by = session.issuer or f"key {session.key_id[:16]}"
    out.emit(
        {
            "name": session.name,
            "kind": session.kind,
            "established": session.established,
            "key_id": session.key_id,
            "issuer": session.issuer,
            "subject": session.subject,
            "until": until,
            "notes": workspace.settle(),
        },
        f"{session.name}, established by {by}, until {until}",
    )
    return 0


def _new_passphrase() -> str | None:
    from sealwright.app import wiring
    from sealwright.app.cli.keys_held import ask
    from sealwright.core.errors import BadInput

    given = wiring.person_passphrase()
    if given or not sys.stdin.isatty():
        return given
    first = ask("a passphrase for your own key")
    if ask("again") != first:
        raise BadInput("the two are not the same", why="nothing was changed")
    return first


def _shower(out: Out) -> Any:
    """Shows the provider's address, and opens it where there is a browser."""

    def show(address: str) -> None:
        out.note(f"sign in at:\n{address}")
        if sys.stderr.isatty():
            import webbrowser

            webbrowser.open(address)

    return show
