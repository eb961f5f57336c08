"""What watches behind the answers, made for what is asked; or why nothing does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import msgspec

from sealwright.app import servingpasts
from sealwright.app.servingbase import Base
from sealwright.app.servingcover import Cover
from sealwright.app.servinghttp import Runs
from sealwright.app.servingkept import Drawer, Keeping
from sealwright.app.servingladder import Climber, by_hand, drifted
from sealwright.app.servingmonitors import Monitors
from sealwright.app.servingpasts import SealedPasts
from sealwright.app.servingsample import Shelf
from sealwright.app.servingsource import Subject, Tensors, Texts
from sealwright.app.servingwalks import Walking
from sealwright.core.digest import Digest
from sealwright.serve.evidence import Event
from sealwright.serve.kept import Keeper
from sealwright.serve.monitors.drift import Shift
from sealwright.serve.oip_mount import Observer
from sealwright.serve.outputs import ceiling_mbits

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

Say = Callable[[str], None]
_INPUT_KEY, _MONITORS_LABEL = "serving", b"sealwright guard monitors v1"
_LINKS_LABEL = b"sealwright guard links v1"
OFF = "off ([serve] monitors = false)"
_CLASSIFIERS = frozenset({"multiclass", "binary"})


class Observed(msgspec.Struct, frozen=True):
    """Who observes answers, what of it goes on beside them, and how it stands, in words.

    ``closes`` are called in order once nothing is answered any more.
    """

    observer: Observer
    beside: Sequence[Runs]
    told: Callable[[], dict[str, str]]
    closes: Sequence[Callable[[], Awaitable[None]]] = ()


async def observed(
    workspace: Workspace,
    subject: Subject,
    asked: Tensors | Texts,
    base: Base,
    held: AsyncExitStack,
    say: Say,
) -> Observed:
    """What watches, and beside it what keeps, where that is wanted. Raises: SealError.

    ``held`` lets go of what callers' pasts lie in, after all that writes there.
    """
    pasts = servingpasts.opened(workspace, asked.space, base.now_ms)
    held.callback(pasts.close)
    if pasts.empty:
        balances = await base.ledger.balances(subject.ref)
        said = servingpasts.missing(subject, workspace.principal.name, balances)
        if said is not None:
            await base.journal.event(said, again=True)
    watched = await _watched(workspace, subject, asked, base, pasts, say)
    rows, keep = workspace.settings.serve.kept_rows, workspace.settings.serve.kept_time
    drawer = Drawer(workspace, subject.digest)
    if not rows and drawer.remove():
        say("what an earlier server kept of questions is removed: [serve] kept_rows is 0")
    if not rows or isinstance(asked, Texts) or asked.served.shape.profile not in _CLASSIFIERS:
        return watched

    def now_ms() -> int:
        return int(workspace.clock().timestamp() * 1000)

    keeper = Keeper(asked.served.shape, rows)
    keeping = Keeping(watched.observer, keeper, drawer, keep, now_ms, say)
    why = f"of what each of the heaviest callers asks, {rows:,} rows are kept for {keep}"
    await base.journal.event(kept(subject, workspace.principal.name, why), again=True)
    return Observed(
        keeping,
        (*watched.beside, keeping),
        lambda: {**watched.told(), "kept": keeping.state},
        (*watched.closes, keeping.close),
    )


def kept(subject: Subject, actor: str, why: str) -> Event:
    """Said in the log before the first question is kept."""
    return Event(
        what="kept",
        model=subject.ref,
        model_digest=subject.digest,
        principal=actor,
        group="",
        rung="observe",
        rule="guard.kept",
        why=why,
    )


async def _watched(
    workspace: Workspace,
    subject: Subject,
    asked: Tensors | Texts,
    base: Base,
    pasts: SealedPasts,
    say: Say,
) -> Observed:
    """Coverage of any features; monitors where they fit and are wanted."""
    cover = Cover(workspace.state_dir / f"serve-{asked.space[:16]}.frame", say, pasts)
    why = asked.unwatched if workspace.settings.serve.monitors else OFF
    found = Observed(
        cover, (cover,), lambda: {"coverage": cover.state, "monitors": why}, (cover.close,)
    )
    joined = list[Callable[[str, str], None]]()

    def tell(principal: str, group: str) -> None:
        for one in joined:
            one(principal, group)

    base.linker.joined = tell
    if not why:
        monitors = await _monitors(workspace, subject, asked.space, base, cover, pasts, say)
        joined.append(monitors.joined)
        found = Observed(
            monitors,
            (cover, monitors),
            lambda: {"coverage": cover.state, "monitors": monitors.state},
            (cover.close, monitors.close),
        )
    if isinstance(asked, Texts) or asked.served.shape.profile not in _CLASSIFIERS:
        return found
    walking = Walking(
        *(found.observer, cover, base.ledger, subject.ref, base.linker.group, base.now_ms, say),
        ceiling_mbits(asked.served.shape, "top1", 1),
        charging=bool(workspace.settings.serve.cells or workspace.settings.serve.pace),
        pasts=pasts,
    )
    joined.append(walking.joined)
    base.desk.paces = walking.paces
    return Observed(
        walking,
        (*found.beside, walking),
        lambda: _with(found.told(), walking),
        (*found.closes, walking.close),
    )


def _with(told: dict[str, str], walking: Walking) -> dict[str, str]:
    """What else coverage has to say."""
    said = walking.state
    return {**told, "coverage": f"{told['coverage']}; {said}"} if said else told


async def _monitors(
    workspace: Workspace,
    subject: Subject,
    space: Digest,
    base: Base,
    cover: Cover,
    pasts: SealedPasts,
    say: Say,
) -> Monitors:
    """What watches, and moves groups by what it hears."""
    ref, digest = subject.ref, subject.digest
    desk, journal = base.desk, base.journal
    hand = by_hand(workspace.history(), ref)
    climber = Climber(ref, digest, base.ledger, journal, base.now_ms, desk.moving, hand)
    await climber.recall()
    desk.moved = climber.by_person

    async def told(shifts: Sequence[Shift]) -> None:
        who = workspace.principal.name
        await journal.event(drifted(ref, digest, who, shifts), again=True)

    key = workspace.kms.derive(_INPUT_KEY, _MONITORS_LABEL)
    shelf = Shelf(workspace.seal_dir / "serve", space, key)
    linked = workspace.settings.serve.links
    base.linker.enforced = linked == "enforce"
    acquaint = None if linked == "off" else base.linker.acquainted
    secret = workspace.kms.derive(_INPUT_KEY, _LINKS_LABEL)
    monitors = Monitors(
        cover, shelf, climber, base.linker.group, told, say, acquaint, secret, pasts
    )
    await monitors.work()
    return monitors
