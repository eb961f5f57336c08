"""What a screening found, in full: patterns, carriers, pictures. Kept encrypted, by digest.

The statement in the log names it and holds no value of a record; this may quote them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import BinaryIO, Literal, cast

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.errors import VerifyError
from sealwright.core.ports import Store, StoredFile
from sealwright.policy.screened import Screening, carriers_digest

FORMAT: Literal["sealwright screening v1"] = "sealwright screening v1"
_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_PICTURE_BYTES = 1 << 20
_MOST_PICTURES = 200
_MOST_SIDE = 4096

Counted = tuple[tuple[str, int], ...]
"""Names and how many, most first."""


class GroupDetail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One significant group for people. ``sources`` and ``added`` say where its carriers came
    from: by source, and by the version that brought them in and who added that."""

    id: Digest
    pattern: str
    label: str
    lines: tuple[str, ...]
    picture: str
    carriers: tuple[int, ...]
    sources: Counted = ()
    added: Counted = ()


class RankDetail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record worth a look."""

    detector: str
    record: int
    score: float
    why: str
    suggest: str


class FactDetail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fact about the whole version, in words."""

    detector: str
    rule: str
    severity: str
    message: str


class Details(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that is shown of one screening."""

    format: Literal["sealwright screening v1"]
    version: Digest
    groups: tuple[GroupDetail, ...]
    ranks: tuple[RankDetail, ...]
    facts: tuple[FactDetail, ...]
    errors: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    pictures: Mapping[str, bytes]

    def group(self, wanted: Digest) -> GroupDetail | None:
        """The group of that id."""
        return next((one for one in self.groups if one.id == wanted), None)


def put(store: Store, scope: str, details: Details) -> StoredFile:
    """Encrypt and keep them in the dataset's own scope."""
    data = msgspec.json.encode(details, order="sorted")
    return store.put(scope, cast("BinaryIO", io.BytesIO(data)))


def load(store: Store, scope: str, version: Digest, said: Screening) -> Details | None:
    """The details that a statement names; None where it names none.

    Raises: VerifyError (``screening.details-changed``: not those of this version, or carriers
    that are not the ones whose digest was signed), Refused (shredded).
    """
    if said.details is None:
        return None
    readable = store.open(scope, said.details)
    try:
        found = msgspec.json.decode(readable.pread(0, said.details.size), type=Details)
    except msgspec.DecodeError as error:
        raise _changed(said, str(error)) from error
    if found.version != version:
        raise _changed(said, "they are about another version")
    signed = {line.id: line.carriers for line in said.groups}
    kept = {one.id: carriers_digest(one.carriers) for one in found.groups}
    if signed != kept:
        raise _changed(said, "their carriers are not those that were signed")
    return found


def unquoted(details: Details) -> Details:
    """The same without anything that may be a record's value: numbers and sources stay."""
    groups = tuple(
        msgspec.structs.replace(one, pattern="", label="", lines=(), picture="")
        for one in details.groups
    )
    ranks = tuple(msgspec.structs.replace(one, why="", suggest="") for one in details.ranks)
    return msgspec.structs.replace(
        details, groups=groups, ranks=ranks, facts=(), errors=(), notes=(), pictures={}
    )


def pictures(found: Mapping[str, bytes], named: Sequence[str]) -> dict[str, bytes]:
    """The PNG files that a report names, as far as they are small and look like one.

    They were drawn in the jail from data nobody trusts: only a browser ever decodes them.
    """
    kept: dict[str, bytes] = {}
    for name in named:
        data = found.get(name, b"")
        if name and len(kept) < _MOST_PICTURES and _is_small_png(data):
            kept[name] = data
    return kept


def _is_small_png(data: bytes) -> bool:
    sides = (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
    return (
        len(data) <= _MOST_PICTURE_BYTES
        and data.startswith(_PNG)
        and data[12:16] == b"IHDR"
        and all(0 < side <= _MOST_SIDE for side in sides)
    )


def _changed(said: Screening, why: str) -> VerifyError:
    ref = f"data:{said.dataset}@{said.version}"
    return VerifyError(
        f"what was found in {ref} is not what was signed",
        where=ref,
        why=why,
        hint=f"seal data check {ref} --again",
        rule="screening.details-changed",
    )
