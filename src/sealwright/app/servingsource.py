"""Where the answers of a served model come from: our own worker, or another server.

Everything around it (callers, ledger, journal, monitors, the listening) is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

import msgspec

from sealwright.core.digest import Digest
from sealwright.registry.versions import Model
from sealwright.serve.egress import Egress
from sealwright.serve.oip_mount import AskModel, Served
from sealwright.serve.openai_mount import Text
from sealwright.serve.upstream import Upstream


class Subject(msgspec.Struct, frozen=True):
    """What is served, as records and budgets call it. ``name``: its settings' and its callers'.

    ``model`` is the registered version that answers, or is said to; its withdrawal ends serving.
    ``leased``: its weights are opened on this host, for as long as a lease lets them.
    """

    ref: str
    digest: Digest
    name: str
    model: Model | None = None
    leased: bool = False


class Tensors(msgspec.Struct, frozen=True):
    """Asked in the Open Inference Protocol.

    ``space`` names what the features are: frames and monitors of one space say nothing in another.
    ``unwatched``: why no monitor fits; empty: they do.
    """

    served: Served
    ask: AskModel
    space: Digest
    unwatched: str = ""


class Texts(msgspec.Struct, frozen=True):
    """Asked in OpenAI's protocol. ``space``: as for tensors, of what was written."""

    text: Text
    upstream: Upstream
    egress: Egress
    space: Digest
    unwatched: str = ""


class Opened(msgspec.Struct, frozen=True):
    """A source that answers.

    ``changed`` is told why serving may not go on, or "" when it may again; ``told`` is what only
    the source knows of itself; ``said`` what the log has to say of whose weights they are.
    """

    asked: Tensors | Texts
    changed: Callable[[str], None]
    told: Callable[[], dict[str, Any]]
    said: str = ""

    @property
    def profile(self) -> str:
        """What its answers are."""
        return "text" if isinstance(self.asked, Texts) else self.asked.served.shape.profile


class Source(Protocol):
    """One of the two."""

    @property
    def subject(self) -> Subject:
        """What is served."""
        ...

    async def open(self, held: AsyncExitStack) -> Opened:
        """Make it answer; ``held`` lets it go. Raises: SealError."""
        ...
