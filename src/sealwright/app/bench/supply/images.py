"""Images with one planted defect each: whether it costs its own signal, and no other."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from sealwright.app.bench import Ask, Row, cpu_s, imageplant, measure
from sealwright.app.bench.imageplant import BROKEN, BUILDER, DEFECTS, Keys, Plan
from sealwright.core.errors import VerifyError
from sealwright.evidence.keys import load_public
from sealwright.supply import image as images
from sealwright.supply import index as indexes
from sealwright.supply.image import Score, Wanted
from sealwright.supply.oci import Layout
from sealwright.supply.osv import Advisory, Affected, Range
from sealwright.vault.signers import Ed25519Signer

NOW = datetime(2026, 11, 25, tzinfo=UTC)
FRAIL = Advisory(
    "PYSEC-1",
    "2026-11-20T00:00:00Z",
    (Affected("frail", (Range((("introduced", "0"), ("fixed", "2.0"))),), ()),),
)


def rows(ask: Ask) -> list[Row]:
    """Forty defects whatever ``quick``: all of them take a second."""
    keys = Keys(Ed25519Signer.generate(), Ed25519Signer.generate())
    with tempfile.TemporaryDirectory(prefix="sealwright-bench-") as folder:
        root = Path(folder)
        one, other = (score(imageplant.sound(), root / name, keys) for name in ("a", "b"))
        wrong = [name for name in DEFECTS if not _costs_its_own(name, root, keys)]
        refused = sum(_is_refused(name, root, keys) for name in BROKEN)
        layout = Layout(root / "a")
        taken = cpu_s(
            lambda: images.score(layout, layout.image(images.pick(layout)), _wanted(keys))
        )
    return [
        measure(
            "planted defects that cost their own signal only",
            len(DEFECTS) - len(wrong),
            "of 40",
            target=40,
            note=", ".join(wrong),
        ),
        measure("points a sound image loses", 100 - one.score, "points", target=0, better="lower"),
        measure("same score twice", float(one == other), "1 is yes", target=1),
        measure("layouts with a changed or lost blob, refused", refused, "of 2", target=2),
        measure("a small image scored", 1000 * taken, "ms CPU"),
    ]


def score(plan: Plan, root: Path, keys: Keys) -> Score:
    """Write a plan as a layout in ``root`` and score it. Raises: VerifyError."""
    digest = imageplant.write(plan, root, keys)
    said = {"same": digest, "other": "f" * 64}
    layout = Layout(root)
    wanted = _wanted(keys, said.get(plan.pinned, ""), said.get(plan.rebuilt, ""))
    return images.score(layout, layout.image(images.pick(layout)), wanted)


def _wanted(keys: Keys, pinned: str = "", rebuilt: str = "") -> Wanted:
    return Wanted(
        (load_public(keys.trusted.public_pem()),),
        (BUILDER,),
        indexes.build([FRAIL], "test", ""),
        NOW,
        b"k" * 32,
        pinned=pinned,
        rebuilt=rebuilt,
    )


def _costs_its_own(name: str, root: Path, keys: Keys) -> bool:
    signal, change = DEFECTS[name]
    scored = score(imageplant.plant(change), root / name.replace("/", " "), keys)
    lost = {one.name for one in scored.signals if one.points < one.of}
    said = scored.signal(signal)
    return lost == {signal} and bool(said.found or said.says)


def _is_refused(name: str, root: Path, keys: Keys) -> bool:
    try:
        score(imageplant.plant(BROKEN[name]), root / name, keys)
    except VerifyError:
        return True
    return False
