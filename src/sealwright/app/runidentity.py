"""A run's own identity: a key in memory and a token bound to it; both die with the run.

The room never sees either. What a run reads it reads through :class:`WatchedStore`, so revoking
the run's token stops the next read. Spec: docs/spec/tokens-v1.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from sealwright.adapters.tokens_dir import TokenHome
from sealwright.app.wiring import Workspace
from sealwright.core.ports import Clock, Readable, Store, StoredFile
from sealwright.vault import tokens
from sealwright.vault.signers import Ed25519Signer
from sealwright.vault.tokens import Claims, Grantee

_RECHECK_S = 1.0
_RENEW_BEFORE_S = 120


class RunIdentity:
    """Shows that a run is who it says; ``key_id`` names its key in the provenance."""

    def __init__(self, home: TokenHome, clock: Clock, grantee: Grantee, key: Ed25519Signer) -> None:
        self._home = home
        self._clock = clock
        self._grantee = grantee
        self._key = key
        self.key_id = key.key_id
        self._token = home.issue(grantee, clock())
        self._claims = self._verified()
        self._checked = time.monotonic()

    def present(self, audience: str, nonce: str = "") -> tuple[str, str]:
        """The token and a fresh proof, for a service that asks. Raises: Refused (revoked)."""
        self.check()
        return self._token, tokens.prove(self._token, audience, self._key, self._clock(), nonce)

    def check(self) -> None:
        """Raises: Refused (``token.*``). A revocation is seen at once, the rest within a second."""
        self._home.denied.check(self._claims, self._clock())
        if time.monotonic() - self._checked < _RECHECK_S:
            return
        if self._clock().timestamp() > self._claims.exp - _RENEW_BEFORE_S:
            self._token = self._home.issue(self._grantee, self._clock())
        self._claims = self._verified()
        self._checked = time.monotonic()

    def end(self) -> None:
        """Nothing issued to this run is good from now on."""
        self._home.denied.revoke_subject(self._grantee.subject, self._clock())

    def _verified(self) -> Claims:
        now = self._clock()
        proof = tokens.prove(self._token, self._home.audience, self._key, now)
        return self._home.verify(self._token, proof, now).claims


@contextmanager
def identity_of(workspace: Workspace, run: str) -> Iterator[RunIdentity]:
    """The identity of a run whose lock is held, from its start to its end."""
    principal, home, key = workspace.principal, workspace.tokens, Ed25519Signer.generate()
    grantee = Grantee(
        issuer=home.audience,
        subject=f"run:{run}",
        audience=home.audience,
        kind="run",
        thumbprint=tokens.thumbprint(key),
        actor=principal.name,
        established=principal.established,
    )
    identity = RunIdentity(home, workspace.clock, grantee, key)
    try:
        yield identity
    finally:
        identity.end()


class WatchedStore:
    """The store as one run may use it: every file is opened under the run's token."""

    def __init__(self, store: Store, identity: RunIdentity) -> None:
        self._store = store
        self._identity = identity

    def put(self, scope: str, source: BinaryIO) -> StoredFile:
        """As the store's."""
        return self._store.put(scope, source)

    def open(self, scope: str, file: StoredFile) -> Readable:
        """As the store's. Raises also: Refused (``token.*``)."""
        self._identity.check()
        return self._store.open(scope, file)

    def shred(self, scope: str, segments: Sequence[str]) -> int:
        """As the store's."""
        return self._store.shred(scope, segments)

    def segments(self, scope: str) -> frozenset[str]:
        """As the store's."""
        return self._store.segments(scope)
