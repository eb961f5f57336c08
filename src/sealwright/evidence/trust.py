"""The trust root: every key, what it may sign, and for which log entries.

A chain of DSSE envelopes. Version 1 is signed by its own workspace key and named by its
fingerprint; each later version is signed by the workspace key that was open in the one
before. Example and rules: ``docs/spec/trust-v1.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from sealwright.core.digest import Digest, check, of_bytes
from sealwright.core.errors import BadInput, UnknownSigner, VerifyError
from sealwright.core.ports import Signer
from sealwright.evidence import dsse, jcs
from sealwright.evidence.keys import PublicKey, load_public

PAYLOAD_TYPE = "application/vnd.sealwright.trust+json"
TYPE = "urn:sealwright:trust/v1"
Role = Literal["workspace", "log", "model", "witness", "principal"]


class TrustKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key, and the log entries ``[first_index, last_index]`` it is good for.

    ``last_index`` None is an open range. ``note`` of a witness is its separation:
    ``none``, ``same-uid``, ``same-host`` or ``remote``.
    """

    key_id: Digest
    role: Role
    name: str
    pem: str
    first_index: int = 0
    last_index: int | None = None
    note: str = ""

    def covers(self, index: int) -> bool:
        """Whether entry ``index`` lies in this key's range."""
        return self.first_index <= index and (self.last_index is None or index <= self.last_index)


class Trust(msgspec.Struct, frozen=True):
    """A verified chain; ``digests`` are the SHA-256 of each version's payload, oldest first."""

    version: int
    workspace: str
    origin: str
    keys: tuple[TrustKey, ...]
    digests: tuple[Digest, ...]

    @property
    def fingerprint(self) -> Digest:
        """What names this trust root for good: the digest of version 1."""
        return self.digests[0]

    @property
    def digest(self) -> Digest:
        """The digest of the newest version."""
        return self.digests[-1]

    def check_pin(self, pin: str) -> Digest:
        """Return ``pin`` if it names a version of this chain. Raises: UnknownSigner."""
        if pin in self.digests:
            return pin
        raise UnknownSigner(
            "the trust root is not the one you named",
            why=f"its fingerprint is {self.fingerprint}, you named {pin}",
            hint="ask the workspace's owner for the fingerprint by another way",
        )

    def public(self, role: Role, index: int) -> dict[Digest, PublicKey]:
        """The keys of ``role`` that are good for entry ``index``, by key id."""
        return {
            key.key_id: load_public(key.pem.encode())
            for key in self.keys
            if key.role == role and key.covers(index)
        }

    def find(self, key_id: Digest, role: Role) -> TrustKey | None:
        """The key of that id and role, whatever its range."""
        return next((k for k in self.keys if k.key_id == key_id and k.role == role), None)


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"kind": "type"}):
    kind: str
    version: int
    workspace: str
    origin: str
    previous: str
    keys: tuple[TrustKey, ...]


def key_of(
    signer: Signer, role: Role, name: str, *, first_index: int = 0, note: str = ""
) -> TrustKey:
    """The trust entry of a signer we hold."""
    return key_of_public(
        load_public(signer.public_pem()), role, name, first_index=first_index, note=note
    )


def key_of_public(
    public: PublicKey, role: Role, name: str, *, first_index: int = 0, note: str = ""
) -> TrustKey:
    """The trust entry of somebody else's key."""
    pem = public.pem.decode("ascii")
    return TrustKey(public.key_id, role, name, pem, first_index=first_index, note=note)


def first(workspace: str, origin: str, keys: Sequence[TrustKey], signer: Signer) -> bytes:
    """Version 1, signed by the workspace key among ``keys``. Raises: BadInput."""
    document = _Document(TYPE, 1, workspace, origin, "", tuple(keys))
    return _sealed(document, None, signer)


def next_version(
    chain: Sequence[bytes], keys: Sequence[TrustKey], signer: Signer, origin: str = ""
) -> bytes:
    """The version after ``chain``, with ``keys`` as the whole new list.

    ``signer`` holds the workspace key that is open in the newest version. Keys may be added
    and closed, never dropped, altered or re-opened. Raises: BadInput, VerifyError.
    """
    documents = _documents(chain)
    last, payload = documents[-1]
    document = _Document(
        TYPE,
        last.version + 1,
        last.workspace,
        origin or last.origin,
        of_bytes(payload),
        tuple(keys),
    )
    return _sealed(document, last, signer)


def rotated(trust: Trust, role: Role, new: TrustKey, at: int) -> tuple[TrustKey, ...]:
    """The key list where ``new`` takes over ``role`` from entry ``at``; the open one ends there."""
    kept = tuple(
        msgspec.structs.replace(key, last_index=max(at - 1, key.first_index))
        if key.role == role and key.last_index is None
        else key
        for key in trust.keys
    )
    return (*kept, msgspec.structs.replace(new, role=role, first_index=at))


def load(chain: Sequence[bytes], pin: str | None) -> Trust:
    """Verify a chain, oldest first, against ``pin``; None pins nothing.

    A pin is the fingerprint, or the payload digest of any later version: that one then has to
    be part of the chain, which a thief of an older, rotated workspace key cannot arrange.

    Raises: VerifyError (a broken chain, rule ``trust.*``), UnknownSigner (another root).
    """
    documents = _documents(chain)
    digests = [of_bytes(payload) for _, payload in documents]
    last, _ = documents[-1]
    trust = Trust(last.version, last.workspace, last.origin, last.keys, tuple(digests))
    if pin is not None:
        trust.check_pin(pin)
    return trust


def pin_of(text: bytes) -> Digest:
    """What a user hands over as trust, as a pin: 64 hex characters, or a trust file's bytes.

    Raises: BadInput (neither), VerifyError (a damaged trust file).
    """
    word = text.strip()
    if not word.startswith(b"{"):
        return check(word.decode("ascii", "replace").removeprefix("sha256:"))
    envelope = dsse.parse(word)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise BadInput("not a trust file", why=f"it is {envelope.payload_type[:80]!r}")
    return of_bytes(envelope.payload)


def _documents(chain: Sequence[bytes]) -> list[tuple[_Document, bytes]]:
    if not chain:
        raise VerifyError("there is no trust file", rule="trust.missing")
    out: list[tuple[_Document, bytes]] = []
    for number, envelope in enumerate(chain, 1):
        where = f"trust/{number}.json"
        try:
            out.append(_step(envelope, out[-1] if out else None))
        except VerifyError as error:
            raise VerifyError(
                f"{where}: {error.what}",
                where=where,
                why=error.why,
                rule=error.rule if error.rule.startswith("trust.") else "trust.changed",
            ) from error
        except UnknownSigner as error:
            raise VerifyError(
                f"{where}: not signed by the workspace key of the version before",
                where=where,
                why=error.why,
                rule="trust.changed",
            ) from error
    return out


def _step(envelope: bytes, before: tuple[_Document, bytes] | None) -> tuple[_Document, bytes]:
    payload = dsse.parse(envelope).payload
    document = _document(payload)
    last = before[0] if before else None
    problem = _problem(document, last)
    if document.previous != (of_bytes(before[1]) if before else ""):
        problem = problem or "it does not name the version before by its digest"
    if problem:
        raise VerifyError("the chain of trust is broken", why=problem, rule="trust.broken")
    dsse.verify(envelope, _workspace_keys(last or document), PAYLOAD_TYPE)
    return document, payload


def _document(payload: bytes) -> _Document:
    value: Any = jcs.parse(payload)
    try:
        return msgspec.convert(value, _Document, strict=True)
    except msgspec.ValidationError as error:
        raise VerifyError("not a trust file", why=str(error), rule="trust.malformed") from error


def _sealed(document: _Document, before: _Document | None, signer: Signer) -> bytes:
    problem = _problem(document, before)
    if problem:
        raise BadInput("this is not a trust file anybody would accept", why=problem)
    if signer.key_id not in _workspace_keys(before or document):
        raise BadInput(
            "the signer is not the workspace key",
            why="each version is signed by the workspace key that was open in the one before",
        )
    payload = jcs.canonical(msgspec.to_builtins(document))
    return dsse.sign(payload, [signer], PAYLOAD_TYPE)


def _workspace_keys(document: _Document) -> Mapping[Digest, PublicKey]:
    return {
        key.key_id: load_public(key.pem.encode())
        for key in document.keys
        if key.role == "workspace" and key.last_index is None
    }


def _problem(document: _Document, before: _Document | None) -> str:
    """Why this version may not follow ``before`` (or stand alone); empty when it may."""
    if document.kind != TYPE:
        return f"type is {document.kind[:80]!r}, {TYPE} wanted"
    if document.version != (before.version + 1 if before else 1):
        return f"version {document.version} is out of order"
    if before and document.workspace != before.workspace:
        return "it belongs to another workspace"
    if sum(k.role == "workspace" and k.last_index is None for k in document.keys) != 1:
        return "exactly one workspace key must be open"
    if len({(k.key_id, k.role) for k in document.keys}) != len(document.keys):
        return "a key is listed twice in one role"
    for key in document.keys:
        if problem := _key_problem(key):
            return f"key {key.key_id[:16]} ({key.role} {key.name}): {problem}"
    return _kept_problem(document, before) if before else ""


def _key_problem(key: TrustKey) -> str:
    try:
        public = load_public(key.pem.encode())
    except BadInput as error:
        return error.what
    if public.key_id != key.key_id or public.pem.decode() != key.pem:
        return "its id is not the SHA-256 of its public key"
    if (public.algorithm == "ecdsa-p256") != (key.role == "model"):
        return "models are signed with ECDSA P-256, everything else with Ed25519"
    if key.first_index < 0 or (key.last_index is not None and key.last_index < key.first_index):
        return "its range of entries is empty"
    return ""


def _kept_problem(document: _Document, before: _Document) -> str:
    now = {(key.key_id, key.role): key for key in document.keys}
    for old in before.keys:
        new = now.get((old.key_id, old.role))
        label = f"key {old.key_id[:16]} ({old.role} {old.name})"
        if new is None:
            return f"{label} was dropped; close it instead"
        if msgspec.structs.replace(new, last_index=old.last_index) != old:
            return f"{label} was altered"
        if old.last_index is not None and new.last_index != old.last_index:
            return f"{label} was closed and is open again"
    return ""
