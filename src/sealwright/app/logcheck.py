"""Everything there is to check about a log: its rows, its copies, and who else has seen it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from sealwright.adapters import tiles_dir, witness_http
from sealwright.adapters.tiles_dir import TileLog
from sealwright.adapters.witness_address import parse_address
from sealwright.app import choosing, logview, publishing
from sealwright.core.errors import BadInput, Unavailable, VerifyError
from sealwright.core.ports import Progress
from sealwright.evidence import note as notes
from sealwright.evidence import witness
from sealwright.evidence.audit import audit
from sealwright.evidence.checkpoint import Checkpoint, read_checkpoint
from sealwright.evidence.history import History, verified_checkpoint
from sealwright.evidence.merkle import root_at
from sealwright.evidence.tlog import TileHashes
from sealwright.registry import witnessed

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

Result = Literal["ok", "absent", "unreachable"]


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at. What does not hold is raised, not listed."""

    what: str
    result: Result
    detail: str


def verify(workspace: Workspace, progress: Progress) -> Iterator[Check]:
    """Check the whole log, cheapest evidence last; each finished check is yielded.

    Raises: VerifyError naming the first entry that was changed, or what was rewound or forked.
    """
    try:
        history = History.read(workspace.log, workspace.trust)
        yield Check(
            "signatures", "ok", f"{logview.counted(history.size)}, all signed by a trusted key"
        )
        head = read_checkpoint(history.checkpoint)
        audit(workspace.log.tile, head, "ledger", progress)
    except VerifyError as error:
        raise _named(workspace, error) from error
    yield Check("ledger", "ok", f"every leaf and node hashes to the signed root of {head.size}")
    workspace.history()
    yield Check("anchor", "ok", "nothing this machine saw before was rewound or rewritten")
    yield _copy(workspace, "published tiles", publishing.tiles(workspace), progress)
    yield _mirror(workspace, progress)
    yield _stored_cosignatures(workspace)
    yield _asked_witness(workspace)


def _named(workspace: Workspace, error: VerifyError) -> VerifyError:
    """Where the rows alone cannot tell which entry is wrong, a copy can."""
    if error.rule not in ("log.root-changed", "log.tile-changed"):
        return error
    for directory in filter(None, (publishing.tiles(workspace), publishing.mirror_of(workspace))):
        try:
            copy = TileLog(directory)
            first = tiles_dir.first_difference(copy, workspace.log, copy.size())
        except (BadInput, VerifyError):
            continue
        if first < copy.size():
            return VerifyError(
                f"entry {first} was changed",
                where=f"entry {first}",
                why=f"{error.what}; the copy at {directory} has another entry {first}",
                hint="restore the ledger from a backup or that copy",
                rule="log.entry-changed",
            )
    return error


def _copy(workspace: Workspace, what: str, directory: Path, progress: Progress) -> Check:
    try:
        copy = TileLog(directory)
    except BadInput:
        return Check(what, "absent", f"nothing is published at {directory}")
    head = verified_checkpoint(copy.checkpoint(), workspace.trust)
    ours = read_checkpoint(workspace.log.checkpoint())
    tiles_dir.check_prefix(copy, workspace.log, ours, str(directory / tiles_dir.CHECKPOINT))
    audit(copy.tile, head, what, progress)
    return Check(what, "ok", f"{head.size} of {logview.counted(ours.size)}, all as in the ledger")


def _mirror(workspace: Workspace, progress: Progress) -> Check:
    directory = publishing.mirror_of(workspace)
    if directory is None:
        return Check("mirror", "absent", "none is set: [log] mirror in seal.toml")
    if not directory.is_dir():
        return Check("mirror", "unreachable", f"{directory} is not there")
    return _copy(workspace, "mirror", directory, progress)


def _stored_cosignatures(workspace: Workspace) -> Check:
    note = workspace.log.witnessed()
    if note is None:
        return Check("cosignatures", "absent", "no witness has cosigned this log")
    found = witnessed.check(
        witnessed.known_only(note, workspace.trust), workspace.trust, "the stored cosignature"
    )
    _same_history(workspace, found.checkpoint, "the checkpoint that a witness cosigned")
    if not found.cosignatures:
        return Check("cosignatures", "absent", "only by witnesses the trust root does not name")
    names = ", ".join(f"{c.witness} ({c.separation})" for c in found.cosignatures)
    return Check("cosignatures", "ok", f"{logview.counted(found.checkpoint.size)}, by {names}")


def _asked_witness(workspace: Workspace) -> Check:
    address = workspace.settings.log.witness
    if not address:
        return Check("witness", "absent", "none is set: a rewritten history would not show")
    files = choosing.tls_files(workspace.settings, workspace.root)
    try:
        note = witness_http.latest(parse_address(address), workspace.origin, files)
    except Unavailable as error:
        return Check("witness", "unreachable", f"{error.what}: {error.why}")
    if note is None:
        return Check("witness", "absent", f"{address} has not cosigned this log yet")
    keys = list(publishing.witness_keys(workspace))
    logs = [*_log_verifiers(workspace)]
    seen = _held_by_any(note, keys, logs, address)
    _same_history(workspace, seen, f"the witness at {address}")
    return Check("witness", "ok", f"{address} holds the same first {seen.size} entries")


def _held_by_any(
    note: bytes, keys: list[notes.Verifier], logs: list[notes.Verifier], address: str
) -> Checkpoint:
    last: VerifyError | None = None
    for key in keys:
        try:
            return witness.held_checkpoint(note, logs, key, address)
        except VerifyError as error:
            last = error
    raise VerifyError(
        "the witness answers with a note that no witness you trust cosigned",
        where=address,
        why=last.why if last else "the trust root names no witness",
        hint="seal log witness trust VKEY --at ADDRESS",
        rule="witness.unknown",
    )


def _same_history(workspace: Workspace, seen: Checkpoint, who: str) -> None:
    """Raises: VerifyError (``log.rewound``, ``log.forked``)."""
    ours = read_checkpoint(workspace.log.checkpoint())
    if seen.size > ours.size:
        raise VerifyError(
            f"the log was rewound: {who} covers {seen.size} entries, it now has {ours.size}",
            where=f"entry {ours.size}",
            why="a log only grows; an older copy of the ledger was put back",
            hint="restore the newer ledger, or open a new origin: seal restore",
            rule="log.rewound",
        )
    if root_at(seen.size, TileHashes(ours.size, workspace.log.tile)) != seen.root:
        raise VerifyError(
            f"the log was forked: {who} saw other entries",
            where=f"entries 0 to {seen.size - 1}",
            why=f"the roots over the first {seen.size} entries differ",
            hint="history was rewritten by somebody who holds the log key",
            rule="log.forked",
        )


def _log_verifiers(workspace: Workspace) -> Iterator[notes.Verifier]:
    for key in workspace.trust.keys:
        if key.role == "log":
            yield notes.verifier(workspace.origin, key.pem.encode())
