"""Files of ``torch.save``: the zip form, the older form of five pickles and raw storages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sealwright.core.ports import Readable
from sealwright.kit.modelfile import zips
from sealwright.kit.modelfile.report import Unsound
from sealwright.kit.modelfile.trace import Storage
from sealwright.kit.modelfile.zips import Entry

if TYPE_CHECKING:
    from sealwright.kit.modelfile.walk import Walk

LEGACY = re.compile(
    rb"\x80[\x02-\x05](?:\x95.{8})?\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\.", re.S
)
"""The pickle of torch's magic number 0x1950a86a20f9469cfc6c."""

_ITEM_BYTES = {
    **dict.fromkeys(("Byte", "Char", "Bool", "QInt8", "QUInt8", "QUInt4x2", "QUInt2x4"), 1),
    **dict.fromkeys(("Short", "Half", "BFloat16"), 2),
    **dict.fromkeys(("Int", "Float", "QInt32"), 4),
    **dict.fromkeys(("Long", "Double", "ComplexFloat"), 8),
    "ComplexDouble": 16,
    "Untyped": 1,
}
_SMALL = re.compile(
    r"(version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id)"
)
_TOLD = {"byteorder": {b"little", b"big"}, ".format_version": {b"1"}}


def item_bytes(kind: str) -> int:
    """Bytes of one item of a storage class. Raises: Unsound."""
    size = _ITEM_BYTES.get(kind.removesuffix("Storage"))
    if size is None:
        raise Unsound("torch.storage", f"a storage of {kind[:40]!r}")
    return size


def is_zip(names: Sequence[str]) -> bool:
    """One folder with a ``data.pkl`` and what belongs to it."""
    return any(name.count("/") == 1 and name.endswith("/data.pkl") for name in names)


def in_zip(walk: Walk, source: Readable, found: Sequence[Entry], where: str) -> str:
    """The zip form. Raises: Unsound."""
    folders = {entry.name.partition("/")[0] for entry in found}
    if len(folders) != 1:
        raise Unsound("archive.member", "more than one folder beside data.pkl")
    members = {entry.name.partition("/")[2]: entry for entry in found}
    if any(name.startswith("code/") or name == "constants.pkl" for name in members):
        raise Unsound("torch.script", "it holds TorchScript")
    if any(name.endswith(".py") or name.startswith(".data/extern") for name in members):
        raise Unsound("torch.package", "it holds Python code")
    if any(entry.method for entry in found):
        raise Unsound("zip.method", "torch compresses nothing")
    sizes = _sizes(source, members)
    data = walk.content(source, members["data.pkl"])
    judged = walk.pickle(data, f"{where}!data.pkl" if where else "data.pkl", storages=True)
    if judged is not None:
        _fits(judged.storages, sizes)
    return "torch"


def _sizes(source: Readable, members: Mapping[str, Entry]) -> dict[str, int]:
    """The bytes of each storage; every other member must be one that torch writes."""
    sizes = dict[str, int]()
    for name, entry in members.items():
        if re.fullmatch(r"data/\d{1,9}", name):
            zips.stored(source, entry)
            sizes[name.partition("/")[2]] = entry.size
        elif _SMALL.fullmatch(name):
            body = zips.content(source, entry, 4096, 1)
            if body not in _TOLD.get(name, {body}) or not body.strip().isalnum():
                raise Unsound("archive.member", f"{name} says something else")
        elif name != "data.pkl":
            raise Unsound("archive.member", f"{name[:80]!r} has no place in it")
    return sizes


def _fits(storages: Sequence[Storage], sizes: Mapping[str, int]) -> None:
    for one in storages:
        have = sizes.get(one.key)
        if have is None:
            raise Unsound("torch.storage", f"the storage {one.key[:40]!r} is not there")
        if one.count < 0 or one.count * item_bytes(one.kind) > have:
            raise Unsound("torch.storage", f"the storage {one.key!r} is shorter than it says")
    if set(sizes) - {one.key for one in storages}:
        raise Unsound("torch.storage", "it holds a storage that nothing asks for")


def legacy(walk: Walk, data: bytes, where: str) -> str:
    """Five pickles, then each storage: eight bytes of count and its items. Raises: Unsound."""
    found = LEGACY.match(data)
    at, storages = found.end() if found else 0, tuple[Storage, ...]()
    for number in range(4):
        judged = walk.pickle(data, where, start=at, storages=number == 2, ends=False)
        if judged is None:
            return "torch"
        at = judged.end
        storages += judged.storages
    wanted = {one.key: one for one in storages}
    for key in sorted(wanted):  # the order in which torch writes them
        count = int.from_bytes(data[at : at + 8], "little")
        if count != wanted[key].count:
            raise Unsound(
                "torch.storage", f"the storage {key[:40]!r} has another length", offset=at
            )
        at += 8 + count * item_bytes(wanted[key].kind)
    if at != len(data):
        raise Unsound("pickle.trailing", "something follows its last storage", offset=at)
    return "torch"
