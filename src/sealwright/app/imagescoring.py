"""Scoring an image with what this workspace knows: its index, its waivers, its clock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sealwright.app import advising, secretscanning
from sealwright.app.wiring import Workspace
from sealwright.core import clock
from sealwright.core.digest import Digest
from sealwright.core.predicates import IMAGE
from sealwright.core.reading import small_file
from sealwright.core.records import Artifact, Json, Statement
from sealwright.evidence.keys import load_public
from sealwright.policy import waivers
from sealwright.policy.approvals import Book
from sealwright.supply import image as images
from sealwright.supply.image import Score, Wanted
from sealwright.supply.oci import Layout

_PEM_BYTES = 1 << 16


def score(
    workspace: Workspace,
    place: Path,
    *,
    tag: str = "",
    keys: Sequence[Path] = (),
    builders: tuple[str, ...] = (),
    pinned: Digest = "",
    rebuilt: Path | None = None,
) -> tuple[Score, int]:
    """Score one image and say so in the log; returns the entry's index, too.

    Raises: BadInput, VerifyError (a blob is not what it is called).
    """
    layout = Layout(place)
    again = images.pick(Layout(rebuilt), tag).sha256 if rebuilt is not None else ""
    now = workspace.clock()
    history = workspace.history()
    held = advising.held(workspace, history, now)
    standing = waivers.standing(history, Book(history, workspace.trust), now, workspace.profile)
    wanted = Wanted(
        tuple(load_public(small_file(path, _PEM_BYTES)) for path in keys),
        builders,
        None if held.rule else held.index,
        now,
        secretscanning.fingerprint_key(workspace),
        pinned,
        again,
        waivers.secrets(standing),
    )
    scored = images.score(layout, layout.image(images.pick(layout, tag)), wanted)
    points: dict[str, Json] = {one.name: one.points for one in scored.signals}
    said: dict[str, Json] = {
        "score": scored.score,
        "signals": points,
        "rules": [*dict.fromkeys(images.rules(scored))],
        "keys": [key.key_id for key in wanted.keys],
        "advisories": held.sha256 if wanted.index else "",
        "actor": workspace.principal.name,
        "time": clock.stamp(now),
    }
    subject = Artifact("image", scored.image)
    return scored, workspace.recorder.record(Statement((subject,), IMAGE, said)).index
