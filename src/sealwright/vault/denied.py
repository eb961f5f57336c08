"""What is refused although it is signed: a directory of deny-marks that every process looks at.

``JTI`` is one token, ``all-SHA256`` everything that was issued to a subject up to a moment,
``used-SHA256`` a foreign credential that counts once. A mark is one file, whole or not there,
and is looked for at each check: a revocation holds from the moment the file has its name.
Marks go when nothing they deny can still be alive.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sealwright.core.errors import BadInput, VerifyError
from sealwright.vault import private
from sealwright.vault.tokens import PROOF_LIFE_S, SKEW_S, Claims, refused

_JTI = re.compile(r"[0-9a-f]{32}")
_CLOCK = "clock"
_CLOCK_STEP_S = 10
_KEPT_S = 24 * 3600
"""Longer than any session lasts: a mark that went too early would bring one back."""
_MOST_PROOFS = 100_000


class DenyList:
    """Deny-marks in ``directory``, and the proofs this process has seen. One per verifier."""

    def __init__(self, directory: Path) -> None:
        private.make_dir(directory)
        self._dir = directory
        self._latest = 0
        self._proofs: dict[str, float] = {}

    def revoke(self, claims: Claims, now: datetime) -> None:
        """Deny one token from now on."""
        self._mark(self._dir / _file_of(claims), claims.exp)
        self._advance(now)

    def revoke_subject(self, subject: str, now: datetime) -> None:
        """Deny everything that was issued to ``subject`` until now. Repeating it is harmless."""
        at = int(now.timestamp())
        self._mark(self._all_of(subject), at)
        self._advance(now)

    def check(self, claims: Claims, now: datetime) -> None:
        """Raises: Refused (``token.revoked``, ``token.clock-set-back``), VerifyError."""
        if _read(self._dir / _file_of(claims)) is not None:
            raise refused("token.revoked", "it was revoked")
        self.check_subject(claims.sub, claims.iat, now)

    def check_subject(self, subject: str, issued: int, now: datetime) -> None:
        """The same for anything issued to ``subject`` at ``issued`` (seconds since 1970)."""
        self._check_clock(now)
        until = _read(self._all_of(subject))
        if until is not None and issued <= until:
            raise refused("token.revoked", f"everything issued to {subject} was revoked")
        self._advance(now)

    def first_use(self, proof: str, now: datetime) -> None:
        """Raises: Refused (``token.proof-replayed``)."""
        at = now.timestamp()
        seal = hashlib.sha256(proof.encode("ascii")).hexdigest()
        if seal in self._proofs:
            raise refused("token.proof-replayed", "this proof was used before")
        if len(self._proofs) >= _MOST_PROOFS:
            self._proofs = {k: end for k, end in self._proofs.items() if end > at}
            if len(self._proofs) >= _MOST_PROOFS:
                raise refused("token.busy", f"over {_MOST_PROOFS} proofs in {PROOF_LIFE_S} s")
        self._proofs[seal] = at + PROOF_LIFE_S + 2 * SKEW_S

    def once(self, credential: str, until: int) -> None:
        """Let a credential of somebody else's be used one time. Raises: Refused."""
        seal = hashlib.sha256(credential.encode()).hexdigest()
        try:
            private.create(self._dir / f"used-{seal}", b"%d\n" % until)
        except FileExistsError as error:
            raise refused("token.replayed", "this ID token was used before") from error

    def sweep(self, now: datetime) -> int:
        """Forget marks that deny nothing alive any more; returns how many."""
        dead = [path for path, until in self._marks() if until + _KEPT_S < now.timestamp()]
        for path in dead:
            path.unlink(missing_ok=True)
        return len(dead)

    def _check_clock(self, now: datetime) -> None:
        """An old token must not live again because the clock went back."""
        latest = max(self._latest, _read(self._dir / _CLOCK) or 0)
        if now.timestamp() + SKEW_S < latest:
            raise refused(
                "token.clock-set-back",
                f"the clock is {int(latest - now.timestamp())} s behind where it was",
                f"set the clock; if it was wrong before, remove {self._dir / _CLOCK}",
            )
        self._latest = latest

    def _advance(self, now: datetime) -> None:
        at = int(now.timestamp())
        if at >= self._latest + _CLOCK_STEP_S:
            self._mark(self._dir / _CLOCK, at)
            self._latest = at

    def _mark(self, path: Path, until: int) -> None:
        private.replace(path, b"%d\n" % max(until, _read(path) or 0))

    def _all_of(self, subject: str) -> Path:
        return self._dir / f"all-{hashlib.sha256(subject.encode()).hexdigest()}"

    def _marks(self) -> Iterator[tuple[Path, int]]:
        for path in self._dir.iterdir():
            if path.name != _CLOCK and not path.name.startswith(private.TMP_PREFIX):
                yield path, _read(path) or 0


def _file_of(claims: Claims) -> str:
    if not _JTI.fullmatch(claims.jti):
        raise BadInput("a token's jti is 32 hex characters")
    return claims.jti


def _read(path: Path) -> int | None:
    """The number in a mark; None where there is no mark. What cannot be read denies."""
    try:
        text = private.read(path)
    except FileNotFoundError:
        return None
    if not re.fullmatch(rb"\d{1,12}\n", text):
        raise VerifyError("a deny-mark was changed", where=str(path), rule="token.deny-list")
    return int(text)
