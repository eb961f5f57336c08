"""One file, and everything inside it: what each part is, by its bytes, and what each part holds.

A name or an extension decides nothing. What is found lands in one list; the formats go into the
verdict. Every budget is shared by all parts of the file.
"""

from __future__ import annotations

import msgspec

from sealwright.core.ports import Readable
from sealwright.kit.modelfile import formats, pickles, sniff, torchfile, unpack, zips
from sealwright.kit.modelfile.boxed import Box
from sealwright.kit.modelfile.limits import Limits
from sealwright.kit.modelfile.pickles import Judged
from sealwright.kit.modelfile.policy import Policy
from sealwright.kit.modelfile.report import Found, Unsound
from sealwright.kit.modelfile.source import Bytes, exactly, whole
from sealwright.kit.modelfile.zips import Entry

_PREFIX = 1 << 20
_MOST_FOUND = 200


class Walk:
    """The state of one look: what was found, and what is left of the budgets."""

    def __init__(self, policy: Policy, box: Box, limits: Limits) -> None:
        self.policy, self.box, self.limits = policy, box, limits
        self.found: list[Found] = []
        self._left = limits.total_bytes

    def look(self, source: Readable, where: str = "", depth: int = 0) -> str:
        """The format of ``source``; findings are in ``found``. Never raises for bad bytes."""
        try:
            if depth > self.limits.archives:
                raise Unsound(
                    "archive.deep", f"archives nest more than {self.limits.archives} deep"
                )
            if not source.size:
                raise Unsound("file.empty", "it holds no bytes")
            return self._dispatch(source, where, depth)
        except Unsound as error:
            self.add(msgspec.structs.replace(error.found, where=where))
        except RecursionError:
            self.add(Found("pickle.budget", "it nests too deep", where))
        except MemoryError:
            self.add(Found("archive.bomb", "it wants more memory than there is", where))
        return ""

    def add(self, *found: Found) -> None:
        """Keep what was found, up to a bound; the first ones decide anyway."""
        self.found += found[: max(0, _MOST_FOUND - len(self.found))]

    def _dispatch(self, source: Readable, where: str, depth: int) -> str:
        head = source.pread(0, 4096)
        kind = sniff.kind_of(head, source)
        if kind not in ("zip", "tar"):
            sniff.one_format(kind, source)
        if kind == "zip":
            return self._zip(source, where, depth)
        if kind == "tar":
            self.spend(source.size)
            return self._tar(source, where, depth)
        if kind in ("gzip", "zlib", "bz2", "xz", "lzma"):
            most = min(self._left, self.limits.stream_bytes)
            data = unpack.decompress(source, kind, most, self.limits.ratio)
            self.spend(len(data))
            return f"{kind}/{self.look(Bytes(data), where, depth + 1)}"
        if kind == "torch-legacy":
            return torchfile.legacy(self, whole(source, self.limits.stream_bytes), where)
        if kind == "pickle":
            return self._pickled(source, where)
        self._no_pickle(source)
        return formats.judge(self, kind, source, where)

    def _pickled(self, source: Readable, where: str) -> str:
        judged = self.pickle(whole(source, self.limits.stream_bytes), where, inline=True)
        if judged is None or not judged.spans:
            return "pickle"
        for span in judged.spans:
            if span.pickled:
                part = exactly(source, span.start, span.length, "file.fault")
                self.pickle(part, f"{where}@{span.start}")
        return "joblib"

    def pickle(
        self,
        data: bytes,
        where: str,
        *,
        start: int = 0,
        storages: bool = False,
        inline: bool = False,
        ends: bool = True,
    ) -> Judged | None:
        """Judge one pickle; ``ends``: nothing may follow it. None where it was refused.

        Raises: Unsound.
        """
        judged = pickles.judge(
            data,
            self.policy,
            self.box,
            start,
            storages=storages,
            inline=inline,
            limits=self.limits,
        )
        self.add(*(msgspec.structs.replace(one, where=where) for one in judged.found))
        if judged.found:
            return None
        if ends and judged.end != len(data):
            left = len(data) - judged.end
            raise Unsound("pickle.trailing", f"{left:,} bytes follow it", offset=judged.end)
        return judged

    def _no_pickle(self, source: Readable) -> None:
        """What is no pickle must not be one to a reader that asks nothing."""
        data = source.pread(0, _PREFIX)
        if sniff.could_be_pickle(data[:16]):
            pickles.harmless(data, self.policy, self.box, names=False)

    def _zip(self, source: Readable, where: str, depth: int) -> str:
        found = zips.files(zips.entries(source, self.limits))
        names = frozenset(entry.name for entry in found)
        if torchfile.is_zip(sorted(names)):
            return torchfile.in_zip(self, source, found, where)
        kind = formats.zip_kind(names)
        for entry in found:
            path = f"{where}!{entry.name}" if where else entry.name
            try:
                inner = zips.stored(source, entry) or Bytes(self.content(source, entry))
            except Unsound as error:
                self.add(msgspec.structs.replace(error.found, where=path))
                if error.found.rule in ("archive.bomb", "zip.content"):
                    break
                continue
            formats.member(self, kind, entry, inner, path, depth)
        return kind

    def _tar(self, source: Readable, where: str, depth: int) -> str:
        limits = self.limits
        members = unpack.tar_members(source, limits.stream_bytes, limits.members)
        names = {name for name, _ in members}
        if {"storages", "tensors", "pickle"} <= names:
            raise Unsound("torch.old", "the tar form of a torch before 1.0")
        for name, inner in members:
            self.look(inner, f"{where}!{name}" if where else name, depth + 1)
        return "tar"

    def content(self, source: Readable, entry: Entry) -> bytes:
        """A zip entry's bytes, paid for. Raises: Unsound."""
        limits = self.limits
        self.spend(entry.size)
        return zips.content(source, entry, limits.stream_bytes, limits.ratio)

    def spend(self, count: int) -> None:
        """Raises: Unsound once everything unfolded to more than the budget."""
        self._left -= count
        if self._left < 0:
            raise Unsound("archive.bomb", f"unfolds to more than {self.limits.total_bytes:,} bytes")
