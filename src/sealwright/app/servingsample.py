"""What the monitors of a served model are made of, and how it outlives a restart.

The first rows of outside callers are the reference: a few of each, so that nobody vouches for what
is ordinary alone. Kept beside the journal, encrypted under a key of the key service: the rows are
callers' inputs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import VerifyError
from sealwright.serve.arrays import Array, packed, unpacked
from sealwright.serve.calibrate import Calibration
from sealwright.serve.monitors.interface import Sight
from sealwright.vault import private, wrapping

ROWS = 500
"""Of reference."""
FROM_EACH = 25
"""Reference rows of one principal, at most: 20 principals are needed."""
NEAR = 9
"""Rows of one principal that distances are measured to: fewer than the ten neighbours."""
MOST_BYTES = 64 << 20

_CONTEXT = b"sealwright guard monitors v1\0"


class Learnt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reference, the places of rows that distances are measured to, and what was calibrated."""

    inputs: Array
    features: Array
    scores: Array
    near: tuple[int, ...]
    usual: Array
    calibration: Calibration | None = None

    def sight(self) -> Sight:
        """The reference rows."""
        return Sight(unpacked(self.inputs), unpacked(self.features), unpacked(self.scores))

    @property
    def digest(self) -> Digest:
        """Of the reference alone: what monitors are made of, and their numbers mean."""
        parts = (self.inputs, self.features, self.scores, self.near)
        return of_bytes(msgspec.msgpack.encode(parts))


class Sampled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reference rows so far: inputs, features and scores of each part, and whose each row is."""

    parts: tuple[tuple[Array, Array, Array], ...]
    who: tuple[str, ...]


class Sample:
    """Reference rows as they come."""

    def __init__(self) -> None:
        self._parts: list[Sight] = []
        self._who: list[str] = []

    def __len__(self) -> int:
        """Rows so far."""
        return len(self._who)

    @property
    def principals(self) -> int:
        """Of how many callers."""
        return len(set(self._who))

    def add(self, principal: str, seen: Sight) -> None:
        """Take in what still has room."""
        room = min(FROM_EACH - self._who.count(principal), ROWS - len(self._who))
        if room > 0:
            part = seen.take(slice(0, room))
            self._who += [principal] * len(part)  # first: piece() may be read in between
            self._parts.append(Sight(_own(part.inputs), _own(part.features), _own(part.scores)))

    def piece(self) -> bytes:
        """All of it so far, as :meth:`recall` takes it; also while rows are added."""
        parts = list(self._parts)
        who = self._who[: sum(map(len, parts))]
        sides = [(packed(one.inputs), packed(one.features), packed(one.scores)) for one in parts]
        return msgspec.msgpack.encode(Sampled(tuple(sides), tuple(who))) if parts else b""

    def recall(self, body: bytes) -> None:
        """What an earlier server gathered."""
        kept = msgspec.msgpack.decode(body, type=Sampled)
        self._parts = [Sight(*map(unpacked, sides)) for sides in kept.parts]
        self._who = list(kept.who)

    def learnt(self) -> Learnt:
        """All of it."""
        held = dict[str, int]()
        near = list[int]()
        for at, who in enumerate(self._who):
            held[who] = held.get(who, 0) + 1
            if held[who] <= NEAR:
                near.append(at)
        return Learnt(
            packed(np.concatenate([one.inputs for one in self._parts])),
            packed(np.concatenate([one.features for one in self._parts])),
            packed(np.concatenate([one.scores for one in self._parts])),
            tuple(near),
            packed(np.zeros((0, 0))),
        )


class Shelf:
    """Where it is kept: one file of one model."""

    def __init__(self, folder: Path, model: Digest, key: bytes) -> None:
        self._path = folder / f"{model[:16]}.monitors"
        self._context = _CONTEXT + model.encode()
        self._key = key

    def read(self) -> Learnt | None:
        """None where nothing is kept. Raises: VerifyError (``guard.monitors``)."""
        try:
            sealed = private.read(self._path, MOST_BYTES)
            plain = wrapping.unwrap(self._key, sealed, self._context)
            return msgspec.msgpack.decode(plain, type=Learnt)
        except FileNotFoundError:
            return None
        except (VerifyError, msgspec.DecodeError) as error:
            raise VerifyError(
                "what the monitors learnt of a model was changed",
                where=str(self._path),
                hint=f"remove {self._path}: they learn it anew",
                rule="guard.monitors",
            ) from error

    def write(self, learnt: Learnt) -> bool:
        """Durable on return; False, and nothing written, where it is too large to be read again.

        Raises: Unavailable (disk full).
        """
        sealed = wrapping.wrap(self._key, msgspec.msgpack.encode(learnt), self._context)
        if len(sealed) > MOST_BYTES:
            return False
        private.replace(self._path, sealed)
        return True


def _own(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A copy that holds no request's memory: half as wide numbers, texts as objects."""
    if rows.dtype.kind == "f":
        return rows.astype(np.float32)
    return rows.astype(object) if rows.dtype.kind in "US" else rows.copy()
