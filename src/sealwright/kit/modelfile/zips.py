"""Our own reading of a zip file, which believes no header alone.

Central directory, local headers and layout must all say the same: entries lie one after the
other from the first byte, none overlaps, nothing is between or before or after them. What a
lenient reader could take for another archive is refused. Source: PKWARE APPNOTE 6.3.10.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import msgspec

from sealwright.core.ports import Readable
from sealwright.kit.modelfile.limits import Limits
from sealwright.kit.modelfile.report import Unsound
from sealwright.kit.modelfile.source import Part, exactly, unpacked, whole

_END, _END64, _FIND64 = b"PK\x05\x06", 0x06064B50, b"PK\x06\x07"
_LOCAL, _CENTRAL, _AFTER = 0x04034B50, 0x02014B50, b"PK\x07\x08"
_FULL = 0xFFFFFFFF
_STORED, _DEFLATED = 0, 8
_UTF8, _DESCRIPTOR = 0x800, 0x8
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_CHUNK = 1 << 20
_CHECKED_BYTES = 64 << 20
_NAME_BYTES = 1024


class Entry(msgspec.Struct, frozen=True):
    """One file in the archive; ``data`` is where its bytes begin."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    header: int
    data: int = 0
    raw: bytes = b""


def entries(source: Readable, limits: Limits) -> tuple[Entry, ...]:
    """Every entry, in the order they lie. Raises: Unsound (``zip.*``)."""
    count, size, start = _end(source)
    if count > limits.members or size > limits.header_bytes:
        raise Unsound("archive.bomb", f"{count:,} entries")
    directory = exactly(source, start, size, "zip.structure")
    found, at = list[Entry](), 0
    for _ in range(count):
        entry, at = _central(directory, at)
        found.append(entry)
    if at != size:
        raise Unsound("zip.structure", "its directory is longer than its entries")
    names = [entry.name.casefold().rstrip("/") for entry in found]
    if len(set(names)) != len(names):
        raise Unsound("zip.duplicate", "two entries have one name")
    ordered = sorted(found, key=lambda entry: entry.header)
    placed, at = list[Entry](), 0
    for entry in ordered:
        if entry.header != at:
            raise Unsound("zip.structure", f"a gap or an overlap before {entry.name[:80]!r}")
        entry, at = _local(source, entry)
        placed.append(entry)
    if at != start:
        raise Unsound("zip.structure", "bytes between the last entry and the directory")
    return tuple(placed)


def _end(source: Readable) -> tuple[int, int, int]:
    """Count of entries, size and start of the directory."""
    rule = "zip.structure"
    at = source.size - 22
    if at < 0 or source.pread(at, 4) != _END:
        raise Unsound(rule, "it does not end with its own directory's end, without a comment")
    _, disk, first, here, count, size, start, comment = unpacked("<4s4H2LH", source, at, rule)
    if disk or first or here != count or comment:
        raise Unsound(rule, "several disks, or a comment")
    directory_end = at
    locator = source.pread(at - 20, 20) if at >= 20 else b""
    if locator[:4] == _FIND64:
        _, disk, at64, disks = struct.unpack("<4sLQL", locator)
        fields = unpacked("<LQHHLLQQQQ", source, at64, rule)
        if fields[0] != _END64 or fields[1] != 44 or at64 + 56 != at - 20 or disks > 1 or disk:
            raise Unsound(rule, "its 64-bit end is not where it says")
        if fields[4] or fields[5] or fields[6] != fields[7]:
            raise Unsound(rule, "several disks")
        for short, full, long in ((count, 0xFFFF, 7), (size, _FULL, 8), (start, _FULL, 9)):
            if short not in (full, fields[long]):
                raise Unsound(rule, "its two ends say different things")
        count, size, start, directory_end = fields[7], fields[8], fields[9], at64
    elif count == 0xFFFF or start == _FULL:
        raise Unsound(rule, "its 64-bit end is missing")
    if start + size != directory_end:
        raise Unsound(rule, "its directory does not lie just before its end")
    return count, size, start


def _central(data: bytes, at: int) -> tuple[Entry, int]:
    if len(data) - at < 46:
        raise Unsound("zip.structure", "its directory is cut short")
    head = struct.unpack_from("<L6H3L5H2L", data, at)
    if head[0] != _CENTRAL:
        raise Unsound("zip.structure", "its directory holds something else")
    flags, method, crc, packed, size = head[3], head[4], head[7], head[8], head[9]
    names, extras, comments, header = head[10], head[11], head[12], head[16]
    raw = data[at + 46 : at + 46 + names]
    extra = data[at + 46 + names : at + 46 + names + extras]
    after = at + 46 + names + extras + comments
    if after > len(data) or comments or head[13]:
        raise Unsound("zip.structure", "an entry with a comment, or cut short")
    if flags & _ENCRYPTED:
        raise Unsound("zip.encrypted", f"{raw[:80]!r} is encrypted")
    if flags & ~(_UTF8 | _DESCRIPTOR | 0x6):
        raise Unsound("zip.structure", f"an entry with the flags 0x{flags:x}")
    if method not in (_STORED, _DEFLATED):
        raise Unsound("zip.method", f"{raw[:80]!r} is compressed by method {method}")
    size, packed, header = _wide(extra, size, packed, header)
    name = _named(raw, flags)
    return Entry(name, flags, method, crc, packed, size, header, 0, raw), after


def _wide(extra: bytes, size: int, packed: int, header: int) -> tuple[int, int, int]:
    """The 64-bit values, where the short fields point at them."""
    values, at = [size, packed, header], 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        body = extra[at + 4 : at + 4 + length]
        if len(body) != length or kind == 0x7075:
            raise Unsound("zip.structure", "an entry's extra field has another name or length")
        if kind == 1:
            for index, value in enumerate(values):
                if value == _FULL:
                    if len(body) < 8:
                        raise Unsound("zip.structure", "an entry's 64-bit size is missing")
                    values[index], body = int.from_bytes(body[:8], "little"), body[8:]
        at += 4 + length
    if any(extra[at:]):
        raise Unsound("zip.structure", "an entry's extra field is cut short")
    return values[0], values[1], values[2]


def _named(raw: bytes, flags: int) -> str:
    try:
        name = raw.decode("utf-8" if flags & _UTF8 else "ascii")
    except UnicodeDecodeError as error:
        raise Unsound("zip.name", f"{raw[:80]!r} is no plain text") from error
    parts = name.rstrip("/").split("/")
    plain = name.isprintable() and "\\" not in name and len(raw) <= _NAME_BYTES
    drive = len(parts[0]) == 2 and parts[0][1] == ":"
    if not plain or drive or any(part in ("", ".", "..") for part in parts):
        raise Unsound("zip.name", f"{name[:80]!r} leads out of the archive, or is no plain path")
    return name


def _local(source: Readable, entry: Entry) -> tuple[Entry, int]:
    """Hold the local header against the directory; returns where the entry ends."""
    rule, at = "zip.structure", entry.header
    head = unpacked("<L5H3L2H", source, at, rule)
    names, extras = head[9], head[10]
    raw = exactly(source, at + 30, names, rule)
    extra = exactly(source, at + 30 + names, extras, rule)
    if head[0] != _LOCAL or raw != entry.raw or (head[2], head[3]) != (entry.flags, entry.method):
        raise Unsound(rule, f"{entry.name[:80]!r}: its header and the directory differ")
    size, packed, _ = _wide(extra, head[8], head[7], 0)
    data = at + 30 + names + extras
    end = data + entry.packed
    told = (head[6], packed, size)
    if entry.flags & _DESCRIPTOR:
        if any(have not in (0, want) for have, want in zip(told, _sizes(entry), strict=True)):
            raise Unsound(rule, f"{entry.name[:80]!r}: its header and the directory differ")
        end += _descriptor(source, entry, end)
    elif told != _sizes(entry):
        raise Unsound(rule, f"{entry.name[:80]!r}: its header and the directory differ")
    if entry.method == _STORED and entry.packed != entry.size:
        raise Unsound(rule, f"{entry.name[:80]!r} is stored in another size than its own")
    return msgspec.structs.replace(entry, data=data), end


def _sizes(entry: Entry) -> tuple[int, int, int]:
    return entry.crc, entry.packed, entry.size


def _descriptor(source: Readable, entry: Entry, at: int) -> int:
    for form in ("<4sLLL", "<4sLQQ"):
        size = struct.calcsize(form)
        data = source.pread(at, size)
        if len(data) == size and struct.unpack(form, data) == (_AFTER, *_sizes(entry)):
            return size
    raise Unsound("zip.structure", f"{entry.name[:80]!r}: what follows it says another size")


def content(source: Readable, entry: Entry, most: int, ratio: int) -> bytes:
    """An entry's bytes, checked. Raises: Unsound."""
    part = Part(source, entry.data, entry.packed)
    if entry.size > most:
        raise Unsound("file.too-large", f"{entry.name[:80]!r} unfolds to {entry.size:,} bytes")
    if entry.method == _STORED:
        data = whole(part, most)
    else:
        if entry.size > (entry.packed + 64) * ratio:
            raise Unsound("archive.bomb", f"{entry.name[:80]!r} unfolds {ratio:,} times and more")
        data = _inflated(part, entry)
    if len(data) != entry.size or zlib.crc32(data) != entry.crc:
        raise Unsound("zip.content", f"{entry.name[:80]!r} has another size or checksum")
    return data


def _inflated(part: Part, entry: Entry) -> bytes:
    state, out, at = zlib.decompressobj(-15), list[bytes](), 0
    left = entry.size
    try:
        while at < part.size and not state.eof:
            piece = state.decompress(part.pread(at, _CHUNK), left + 1)
            at += _CHUNK
            left -= len(piece)
            out.append(piece)
            while state.unconsumed_tail and left >= 0:
                piece = state.decompress(state.unconsumed_tail, left + 1)
                left -= len(piece)
                out.append(piece)
            if left < 0:
                raise Unsound("zip.content", f"{entry.name[:80]!r} is longer than it says")
    except zlib.error as error:
        raise Unsound("zip.content", f"{entry.name[:80]!r}: {error}") from error
    if not state.eof or state.unused_data or at < part.size:
        raise Unsound("zip.content", f"{entry.name[:80]!r} ends early or goes on")
    return b"".join(out)


def stored(source: Readable, entry: Entry) -> Readable | None:
    """A stored entry as a source of its own; its checksum is checked up to 64 MiB."""
    if entry.method != _STORED:
        return None
    part = Part(source, entry.data, entry.size)
    if entry.size <= _CHECKED_BYTES and zlib.crc32(part.pread(0, entry.size)) != entry.crc:
        raise Unsound("zip.content", f"{entry.name[:80]!r} has another checksum")
    return part


def files(found: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries that are no folders."""
    return tuple(entry for entry in found if not (entry.name.endswith("/") and not entry.size))
