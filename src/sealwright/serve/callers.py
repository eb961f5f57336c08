"""Who asks: a serving key, a token of the project's own identities, or the owner on loopback.

A serving key is 256 random bits, printed once. The log holds its SHA-256 and what it may; nothing
holds the key. A honey key looks like any other, in the log too: only whoever presents it shows
what it is, by a mark that its own bytes make (docs/spec/guard-v1.md).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from sealwright.core import refs
from sealwright.core.clock import parse, stamp
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, Refused, VerifyError
from sealwright.core.predicates import SERVING_KEY
from sealwright.core.records import Artifact, Json, Recorded, Statement
from sealwright.serve.interface import Caller, Fidelity
from sealwright.serve.messages import Request
from sealwright.serve.refusals import refused

PREFIX = "seal_"
NO_SUCH = "no such key is good here"
_KEY = re.compile(r"seal_[0-9a-zA-Z_-]{43}")
MOST_MET = 4_096
"""Headers with a good key that are remembered, by a digest that only this process can make."""
_HONEY = b"sealwright honey key v1\0"
_FORWARDED = (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via", b"x-forwarded-host")
_OURS = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?")


class ServingKey(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"name": "key", "by": "actor"}
):
    """A key as the log knows it. ``until`` bounds ``fidelity`` and ``budget_bits``: a grant.

    ``budget_bits`` 0 is the model's own budget. ``mark`` is random, or a honey key's own.
    """

    name: str
    digest: Digest
    organisation: str
    internal: bool
    fidelity: Fidelity
    budget_bits: int
    until: str
    mark: Digest
    action: str
    by: str
    reason: str
    time: str


class Known(msgspec.Struct, frozen=True):
    """A key that is good: who it stands for, and until when more than the default is granted."""

    key: ServingKey
    caller: Caller
    until_ms: int


def new_key() -> str:
    """A key to print once: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(key: str) -> Digest:
    """What the log knows a key by."""
    return hashlib.sha256(key.encode("ascii")).hexdigest()


def mark_of(key: str, *, honey: bool) -> Digest:
    """A honey key's mark; for any other 32 random bytes, which nobody can tell from it."""
    own = hashlib.sha256(_HONEY + key.encode("ascii")).hexdigest()
    return own if honey else secrets.token_hex(32)


def is_honey(key: str, known: ServingKey) -> bool:
    """Whether the key that was presented is a tripwire."""
    return hmac.compare_digest(mark_of(key, honey=True), known.mark)


def statement_of(key: ServingKey) -> Statement:
    """The statement that makes or revokes a key."""
    told: Any = msgspec.to_builtins(key)
    told.pop("digest")
    return Statement((Artifact(f"serving-key:{key.name}", key.digest),), SERVING_KEY, told)


def key_of(entry: Recorded) -> ServingKey:
    """A statement as a key. Raises: VerifyError (``guard.key-statement``)."""
    told: dict[str, Json] = {
        **entry.statement.predicate,
        "digest": entry.statement.subjects[0].digest,
    }
    try:
        key = msgspec.convert(told, ServingKey, strict=True)
        if key.action not in ("create", "revoke"):
            raise ValueError(f"no action {key.action!r}")
    except (msgspec.ValidationError, ValueError) as error:
        where = f"entry {entry.index}"
        raise VerifyError(
            f"log {where} cannot be read", where=where, why=str(error), rule="guard.key-statement"
        ) from error
    return key


def keys_of(entries: Iterable[Recorded]) -> dict[str, ServingKey]:
    """Every key by name, the last word on each; ``action`` says whether it is good."""
    return {key.name: key for key in map(key_of, entries)}


def known_of(keys: Mapping[str, ServingKey]) -> dict[Digest, Known]:
    """The keys that are good, by digest."""
    out: dict[Digest, Known] = {}
    for key in keys.values():
        if key.action != "create":
            continue
        caller = Caller(
            f"key:{key.name}",
            "key",
            internal=key.internal,
            fidelity=key.fidelity,
            organisation=key.organisation,
        )
        until_ms = int(parse(key.until).timestamp() * 1000) if key.until else 0
        out[key.digest] = Known(key, caller, until_ms)
    return out


def check_name(name: str) -> str:
    """Return ``name`` if a key can be called so. Raises: BadInput."""
    return refs.check_name(name)


def check_grant(internal: bool, fidelity: Fidelity, budget_bits: int, until: str) -> None:
    """More than the default for somebody external has a budget and an end. Raises: BadInput."""
    if budget_bits < 0:
        raise BadInput("a budget is at least 0 bits")
    if not internal and fidelity == "full" and not (budget_bits and until):
        raise BadInput(
            "full outputs for somebody external are a grant",
            why="a grant has a budget of its own and an end",
            hint="add --budget BITS --until +30d",
        )


class Proof(msgspec.Struct, frozen=True):
    """A token that held: whose it is."""

    subject: str
    issuer: str
    kind: str


VerifyToken = Callable[[str, str], Proof]
"""``(token, proof)`` → who. Raises: Refused (``token.*``)."""


class Door(msgspec.Struct, frozen=True):
    """What this server lets in without a key: its own account, where it listens on loopback.

    ``external``: whether it lets in anybody but our own at all.
    """

    uid: int
    owner: str
    loopback: bool
    external: bool = True


class _Good(NamedTuple):
    """The keys that are good, and headers met with one of them: who, until when."""

    known: Mapping[Digest, Known]
    met: dict[bytes, tuple[Admitted, int]]


class Callers:
    """Everybody who may ask. ``keys`` are exchanged whole when the log says something new."""

    def __init__(self, door: Door, verify: VerifyToken) -> None:
        self._door = door
        self._verify = verify
        self._good = _Good({}, {})
        self._blind = hashlib.blake2b(key=secrets.token_bytes(32), digest_size=16)

    def replace(self, known: Mapping[Digest, Known]) -> None:
        """These keys from now on, and no other."""
        # both at once: a thread may say so while a key of before is being looked at
        self._good = _Good(known, {})

    def admit(self, request: Request) -> Admitted:
        """Who sent ``request``. Raises: Refused (``guard.unknown-caller``, ``guard.origin``,
        ``token.*``)."""
        given = request.headers.get(b"authorization")
        if given is None:
            return Admitted(self._owner(request))
        state = self._blind.copy()
        state.update(given)
        # what a header is remembered by: the key in it is not kept
        good, blinded = self._good, state.digest()
        met = good.met.get(blinded)
        if met is not None and (not met[1] or request.at_ms < met[1]):
            return met[0]
        word, _, value = given.decode("latin-1").partition(" ")
        if word.lower() == "bearer":
            return self._by_key(value.strip(), request.at_ms, good, blinded)
        if word == "Seal":
            return Admitted(self._by_token(value.strip(), request))
        raise stranger("Authorization is neither a Bearer key nor a Seal token")

    def _by_key(self, key: str, at_ms: int, good: _Good, blinded: bytes) -> Admitted:
        digest = digest_of(key) if _KEY.fullmatch(key) else ""
        known = good.known.get(digest)
        if known is None:
            raise stranger(NO_SUCH)
        caller, budget = known.caller, known.key.budget_bits
        over = bool(known.until_ms) and at_ms >= known.until_ms
        if over:
            caller, budget = msgspec.structs.replace(caller, fidelity="top1"), 0
        honey = is_honey(key, known.key)
        if not (caller.internal or honey or self._door.external):
            raise refused(
                "guard.external",
                "only our own are answered here",
                why="it was started with --own",
                hint="seal serve MODEL, without --own, asks the gate whether others may",
            )
        admitted = Admitted(caller, budget, honey)
        if not (honey or over):
            if len(good.met) >= MOST_MET:
                good.met.clear()
            good.met[blinded] = (admitted, known.until_ms)
        return admitted

    def _by_token(self, token: str, request: Request) -> Caller:
        proof = request.headers.get(b"seal-proof", b"").decode("latin-1")
        found = self._verify(token, proof)
        if found.kind == "run":
            raise stranger("a run's token opens data, it asks no model")
        return Caller(
            found.subject,
            "token",
            internal=True,
            fidelity="full",
            issuer=found.issuer,
            subject=found.subject,
        )

    def _owner(self, request: Request) -> Caller:
        door, peer = self._door, request.peer
        if not door.loopback or not peer.loopback:
            raise stranger("no key was given")
        if any(name in request.headers for name in _FORWARDED):
            raise stranger("no key was given, and it was forwarded for somebody")
        uid = peer.owner()
        if uid != door.uid:
            said = "nobody can say whose it is" if uid < 0 else f"it is uid {uid}'s"
            raise stranger(f"no key was given, and of this loopback connection {said}")
        host = request.headers.get(b"host", b"").decode("latin-1").lower()
        if b"origin" in request.headers or (host and not _OURS.fullmatch(host)):
            raise refused(
                "guard.origin",
                "a page in a browser is not the owner",
                why="the request has an Origin, or a Host that is not this one",
                hint="ask with a serving key",
            )
        return Caller(door.owner, "loopback", internal=True, fidelity="full")


class Admitted(msgspec.Struct, frozen=True):
    """A caller, a budget of their own in bits (0: the model's), and whether the key was honey."""

    caller: Caller
    budget_bits: int = 0
    honey: bool = False


def stranger(why: str) -> Refused:
    """The one answer to whoever is not let in."""
    return refused(
        "guard.unknown-caller",
        "nobody knows who asks",
        why=why,
        hint="send Authorization: Bearer KEY; seal serve keys create NAME makes one",
    )


def made(
    name: str,
    key: str,
    *,
    organisation: str,
    internal: bool,
    fidelity: Fidelity,
    budget_bits: int,
    until: str,
    honey: bool,
    actor: str,
    reason: str,
    now: Any,
) -> ServingKey:
    """The record of a key just made."""
    return ServingKey(
        name=check_name(name),
        digest=digest_of(key),
        organisation=organisation,
        internal=internal,
        fidelity=fidelity,
        budget_bits=budget_bits,
        until=until,
        mark=mark_of(key, honey=honey),
        action="create",
        by=actor,
        reason=reason,
        time=stamp(now),
    )
