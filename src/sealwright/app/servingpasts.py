"""Callers' pasts on disk: sealed under a key of the key service, whole or not read at all.

Beside the journal, one file of one model's feature space. What cannot be read stops the start:
a guard that forgot without saying so would be a clean slate for whoever damaged the file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from sealwright.adapters.pasts_sqlite import Row, SqlitePasts, changed
from sealwright.core.amounts import span_s
from sealwright.core.digest import Digest
from sealwright.core.errors import VerifyError
from sealwright.serve.evidence import Event
from sealwright.serve.interface import Balance
from sealwright.serve.pasts import FOREVER, MOST, MOST_BYTES, Kind, Piece
from sealwright.vault import wrapping

if TYPE_CHECKING:
    from sealwright.app.servingsource import Subject
    from sealwright.app.wiring import Workspace

SUFFIX = ".pasts"
_CONTEXT = b"sealwright guard pasts v1\0"
_KEY, _LABEL = "serving", b"sealwright guard pasts v1"


class SealedPasts:
    """The port ``serve.pasts.Pasts``. What is there is read and checked when it is made.

    Raises: VerifyError (``guard.past``: a changed row, another key, another model's).
    """

    def __init__(
        self,
        rows: SqlitePasts,
        key: bytes,
        space: Digest,
        now_ms: Callable[[], int],
        keep_ms: int,
    ) -> None:
        self._rows, self._key = rows, key
        self._context = _CONTEXT + space.encode() + b"\0"
        self._now_ms, self._keep_ms = now_ms, keep_ms
        over = self.expire(MOST)
        self._found = defaultdict[str, list[Piece]](list)
        for row in rows.rows():
            self._found[row.kind].append(self._opened(row))
        self.empty = rows.fresh or (bool(over) and not self._found.keys() - FOREVER)
        """Whether there is nothing, and there may have been something."""

    def write(self, pieces: Iterable[Piece]) -> None:
        """See ``serve.pasts.Pasts``."""
        now_ms = self._now_ms()
        rows, gone = list[Row](), list[tuple[str, str]]()
        for piece in pieces:
            if 0 < len(piece.body) <= MOST_BYTES:
                rows.append(self._sealed(piece, now_ms))
            else:
                gone.append((piece.kind, piece.name))
        self._rows.put(rows, gone)

    def read(self, kind: Kind, made: Digest = "") -> Sequence[Piece]:
        """See ``serve.pasts.Pasts``."""
        found = self._found.pop(kind, [])
        foreign = [(one.kind, one.name) for one in found if one.made != made]
        if foreign:
            self._rows.put((), foreign)
        return [one for one in found if one.made == made]

    def expire(self, kinds: Iterable[Kind]) -> Sequence[tuple[Kind, str]]:
        """See ``serve.pasts.Pasts``."""
        before_ms = self._now_ms() - self._keep_ms
        return [
            (kind, name)
            for kind in kinds
            for name in self._rows.drop(kind, 0 if kind in FOREVER else before_ms, MOST[kind])
        ]

    def close(self) -> None:
        """Let go."""
        self._rows.close()

    def _sealed(self, piece: Piece, at_ms: int) -> Row:
        row = Row(piece.kind, piece.name, piece.made, at_ms, b"")
        return row._replace(sealed=wrapping.wrap(self._key, piece.body, self._about(row)))

    def _opened(self, row: Row) -> Piece:
        try:
            body = wrapping.unwrap(self._key, row.sealed, self._about(row))
        except VerifyError as error:
            raise changed(
                self._rows.path, f"the {row.kind} of {row.name!r} does not open"
            ) from error
        if row.kind not in MOST:
            raise changed(self._rows.path, f"there is a {row.kind!r} in it")
        return Piece(row.kind, row.name, row.made, body)

    def _about(self, row: Row) -> bytes:
        """What a sealed body belongs to: no row passes for another, or for a newer one."""
        said = "\0".join((row.kind, row.name, row.made, str(row.at_ms)))
        return self._context + said.encode()


def opened(workspace: Workspace, space: Digest, now_ms: Callable[[], int]) -> SealedPasts:
    """What an earlier server remembered of callers. Raises: Unavailable (another server has it),
    VerifyError (``guard.past``)."""
    rows = SqlitePasts.open(workspace.seal_dir / "serve" / f"{space[:16]}{SUFFIX}")
    try:
        workspace.kms.create(_KEY)
        key = workspace.kms.derive(_KEY, _LABEL)
        keep_ms = 1000 * span_s(workspace.settings.serve.past_time)
        return SealedPasts(rows, key, space, now_ms, keep_ms)
    except BaseException:
        rows.close()
        raise


def missing(subject: Subject, actor: str, balances: Sequence[Balance]) -> Event | None:
    """Said in the log where the ledger knows callers and there is no past of any: the file was
    removed, or all in it was too old."""
    known = sum(one.spent_mbits > 0 for one in balances)
    if not known:
        return None
    return Event(
        what="past",
        model=subject.ref,
        model_digest=subject.digest,
        principal=actor,
        group="",
        rung="observe",
        rule="guard.past",
        why=f"groups that asked before: {known}; nothing is remembered of what, all begin anew",
    )
