"""Who else saw the log: cosignatures on a checkpoint, by witnesses the trust root names."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from sealwright.core import clock
from sealwright.core.errors import VerifyError
from sealwright.evidence import note as notes
from sealwright.evidence.checkpoint import Checkpoint, read_checkpoint
from sealwright.evidence.history import verified_checkpoint
from sealwright.evidence.trust import Trust
from sealwright.policy import context as policy
from sealwright.policy.facts import SEPARATIONS

_LAST_S = int(datetime.max.replace(tzinfo=UTC).timestamp())


class Cosignature(msgspec.Struct, frozen=True):
    """A witness's word that it saw this head at ``time`` (POSIX seconds, its own clock).

    ``separation``: ``none``, ``same-uid``, ``same-host`` or ``remote``, as the trust root says.
    """

    witness: str
    separation: str
    time: int
    size: int

    @property
    def stamp(self) -> str:
        """``time`` as the rest of the evidence writes times."""
        return clock.stamp(datetime.fromtimestamp(self.time, UTC))


class Witnessed(msgspec.Struct, frozen=True):
    """A checkpoint the log signed, and its cosignatures."""

    checkpoint: Checkpoint
    cosignatures: tuple[Cosignature, ...]


def check(note: bytes, trust: Trust, where: str) -> Witnessed:
    """Verify a note in which every signature line must be by a key the trust root knows.

    A stranger's line is refused, because nothing would tell it from a damaged one.
    Raises: VerifyError (``log.*``, ``bundle.cosignature-unknown``).
    """
    checkpoint = verified_checkpoint(note, trust)
    text, lines = notes.split_note(note, where)
    separations = _witnesses(trust, checkpoint.size)
    log_keys = _log_keys(trust)
    found: list[Cosignature] = []
    for line in lines:
        name, key_hash, signature = notes.parse_line(line, where)
        key = next((k for k in separations if (k.name, k.key_hash) == (name, key_hash)), None)
        if key is not None:
            time = notes.verify_signature(text, key, signature, where)
            if time > _LAST_S:
                raise VerifyError(
                    f"{where} was cosigned in no year there is",
                    where=where,
                    why=f"{name} says {time} seconds",
                    rule="log.signature",
                )
            found.append(Cosignature(name, separations[key], time, checkpoint.size))
        elif (name, key_hash) not in log_keys:
            raise VerifyError(
                f"{where} carries a signature by a key the trust root does not name",
                where=where,
                why=f"the line of {name} ({key_hash.hex()})",
                rule="bundle.cosignature-unknown",
            )
    return Witnessed(checkpoint, tuple(sorted(found, key=lambda c: -c.time)))


def best(cosignatures: Iterable[Cosignature]) -> policy.Witnessed:
    """The most separate witness's newest word, as a gate is told it; of none, the refusing one."""
    ordered = sorted(cosignatures, key=lambda c: (SEPARATIONS.index(c.separation), c.time))
    if not ordered:
        return policy.Witnessed()
    chosen = ordered[-1]
    return policy.Witnessed(
        separation=chosen.separation,  # type: ignore[arg-type]
        size=chosen.size,
        time=chosen.stamp,
    )


def known_only(note: bytes, trust: Trust) -> bytes:
    """The note without the lines that :func:`check` would refuse."""
    text, lines = notes.split_note(note)
    size = read_checkpoint(note).size
    known = {(key.name, key.key_hash) for key in _witnesses(trust, size)} | _log_keys(trust)
    kept = [line for line in lines if notes.parse_line(line)[:2] in known]
    return text + b"\n" + b"".join(line + b"\n" for line in kept)


def _witnesses(trust: Trust, size: int) -> dict[notes.Verifier, str]:
    last = max(size - 1, 0)
    return {
        notes.verifier(key.name, key.pem.encode(), notes.COSIGNATURE_V1): (
            key.note if key.note in SEPARATIONS else "none"
        )
        for key in trust.keys
        if key.role == "witness" and key.covers(last)
    }


def _log_keys(trust: Trust) -> set[tuple[str, bytes]]:
    keys = (notes.verifier(trust.origin, k.pem.encode()) for k in trust.keys if k.role == "log")
    return {(key.name, key.key_hash) for key in keys}
