"""The trip wire: artifacts that nobody has business with. One access is one too many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sealwright.watch.events import Access
from sealwright.watch.rules import Breach

RULE = "watch.canary"


def tripped(accesses: Iterable[Access], armed: Mapping[str, int]) -> Iterator[Breach]:
    """A breach for each read or export of what is ``armed``: digest, and the second since 1970
    after which. What showed nobody a value, as verifying does, trips nothing."""
    for access in accesses:
        since = armed.get(access.artifact)
        taken = access.shown and access.action in ("read", "export")
        if taken and since is not None and access.time > since:
            yield Breach(RULE, access.principal, access.artifact, 1, 0, access.time)
