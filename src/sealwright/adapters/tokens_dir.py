"""The keys that sign a workspace's tokens, in a directory: one signs, at most two verify.

``keys.json``  the signing key (its private half wrapped by the key service) and the one before
``denied/``    see ``vault.denied``

A key signs for a day; a rotation leaves the old public half for as long as what it signed can
live, and forgets the private half at once. The format is docs/spec/tokens-v1.md.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from pathlib import Path

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.errors import VerifyError
from sealwright.core.locking import exclusive
from sealwright.core.ports import Kms
from sealwright.evidence.keys import PublicKey, load_public
from sealwright.vault import private, tokens
from sealwright.vault.denied import DenyList
from sealwright.vault.root import newer_format
from sealwright.vault.signers import Ed25519Signer
from sealwright.vault.tokens import Grantee, Verified

FORMAT = 1
WRAPPING_KEY = "tokens"
SIGNS_FOR_S = 24 * 3600
VERIFIES_AFTER_S = tokens.MOST_LIFE_S + tokens.SKEW_S


class TokenKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``made`` and ``ends`` are seconds since 1970; ``wrapped`` is empty once it signs no more."""

    key_id: Digest
    pem: str
    made: int
    ends: int
    wrapped: bytes


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    keys: tuple[TokenKey, ...]


class TokenHome:
    """Issues and verifies the tokens of one workspace. Safe for several processes at once.

    ``alive`` says whether a run is still running: a run's token ends with its run, also where
    the run was killed and could revoke nothing.
    """

    def __init__(
        self, directory: Path, kms: Callable[[], Kms], origin: str, alive: Callable[[str], bool]
    ) -> None:
        self._dir = directory
        self._kms = kms
        self._origin = origin
        self._alive = alive

    @cached_property
    def denied(self) -> DenyList:
        """What was revoked, and which proofs were used."""
        return DenyList(self._dir / "denied")

    @property
    def audience(self) -> str:
        """The audience of this workspace's own tokens: the origin of its log."""
        return self._origin

    def issue(self, grantee: Grantee, now: datetime) -> str:
        """A token signed by the key of the day. Raises: BadInput, Unavailable, VerifyError."""
        self.denied.sweep(now)
        return tokens.issue(grantee, self._signer(now), now)

    def verify(
        self, token: str, proof: str, now: datetime, audience: str = "", nonce: str = ""
    ) -> Verified:
        """Every check of ``vault.tokens.verify``, and that a run still runs.

        Raises: Refused (``token.*``), VerifyError (the key file or a deny-mark was changed).
        """
        verified = tokens.verify(
            token, self.keys(now), audience or self._origin, now, self.denied, proof, nonce
        )
        claims = verified.claims
        if claims.iss != self._origin:
            raise tokens.refused("token.issuer", f"{claims.iss[:80]!r} issued it")
        if claims.kind == "run" and not self._alive(claims.sub.removeprefix("run:")):
            raise tokens.refused("token.run-ended", f"{claims.sub} has ended")
        return verified

    def keys(self, now: datetime) -> dict[Digest, PublicKey]:
        """The public keys that verify now, by key id; at most two."""
        return {
            key.key_id: load_public(key.pem.encode())
            for key in self._read()
            if now.timestamp() < key.ends + VERIFIES_AFTER_S
        }

    def rotate(self, now: datetime, *, stolen: bool = False) -> Digest:
        """A new signing key; returns its id. ``stolen``: the old one verifies nothing from now."""
        with exclusive(self._dir / "lock", "the token keys"):
            return self._rotate(now, () if stolen else self._read()[:1])

    def _signer(self, now: datetime) -> Ed25519Signer:
        newest = next(iter(self._read()), None)
        if newest is None or not self._signs(newest, now):
            with exclusive(self._dir / "lock", "the token keys"):
                newest = next(iter(self._read()), None)
                if newest is None or not self._signs(newest, now):
                    self._rotate(now, (newest,) if newest else ())
                newest = self._read()[0]
        pem = self._kms().unwrap(WRAPPING_KEY, newest.wrapped, _context(newest.key_id))
        return Ed25519Signer.from_private_pem(pem)

    def _signs(self, key: TokenKey, now: datetime) -> bool:
        return key.made - tokens.SKEW_S <= now.timestamp() < key.ends

    def _rotate(self, now: datetime, former: tuple[TokenKey, ...]) -> Digest:
        signer, at = Ed25519Signer.generate(), int(now.timestamp())
        kms = self._kms()
        kms.create(WRAPPING_KEY)
        wrapped = kms.wrap(WRAPPING_KEY, signer.private_pem(), _context(signer.key_id))
        pem = signer.public_pem().decode("ascii")
        fresh = TokenKey(signer.key_id, pem, at, at + SIGNS_FOR_S, wrapped)
        kept = tuple(
            msgspec.structs.replace(key, wrapped=b"", ends=min(key.ends, at)) for key in former
        )
        private.replace(self._path, msgspec.json.encode(_Record(FORMAT, (fresh, *kept))))
        return signer.key_id

    @property
    def _path(self) -> Path:
        return self._dir / "keys.json"

    def _read(self) -> tuple[TokenKey, ...]:
        """Newest first. Raises: VerifyError, Unavailable (a newer format)."""
        private.make_dir(self._dir)
        try:
            data = private.read(self._path)
        except FileNotFoundError:
            return ()
        try:
            found = msgspec.json.decode(data, type=_Stamp).format
            if found > FORMAT:
                raise newer_format("the token keys", found)
            record = msgspec.json.decode(data, type=_Record)
        except msgspec.DecodeError as error:
            raise _changed(self._path, str(error)) from error
        if any(load_public(key.pem.encode()).key_id != key.key_id for key in record.keys):
            raise _changed(self._path, "a key's id is not that of its public half")
        return record.keys


class _Stamp(msgspec.Struct, frozen=True):
    format: int


def _context(key_id: Digest) -> bytes:
    return f"sealwright token signer v1 {key_id}".encode()


def _changed(path: Path, why: str) -> VerifyError:
    return VerifyError(
        "the token keys are not what they were",
        where=str(path),
        why=why,
        hint=f"remove {path}: every token ends, and the next one makes a new key",
        rule="token.keys-changed",
    )
