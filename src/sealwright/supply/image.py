"""A reputation score for an image, 0 to 100, from its layout alone: each point with its evidence.

::

    signature 20 · attestations 15 · vulnerabilities 20 · base 10 · privileges 10
    secrets 10 · pinned 5 · rebuilt 5 · small 5

What nobody can say earns nothing. Hard caps: not signed by a key you trust at most 60, a
secret in any layer at most 30, a blob that is not what it is called 0.
Source: docs/spec/image-score-v1.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput
from sealwright.evidence.keys import PublicKey
from sealwright.supply import imageattest, imagefiles
from sealwright.supply.imagefiles import Found
from sealwright.supply.index import Index
from sealwright.supply.oci import Descriptor, Image, Layout

OLDEST_DAYS = 90
_UNSIGNED, _SECRET = 60, 30


class Wanted(msgspec.Struct, frozen=True):
    """What a reader brings: their keys, builders and index, and what they already know.

    ``pinned`` is the digest they asked for; ``rebuilt`` that of a second build; ``key`` makes
    the fingerprints of secrets; ``waived`` are fingerprints that count for nothing.
    """

    keys: tuple[PublicKey, ...]
    builders: tuple[str, ...]
    index: Index | None
    now: datetime
    key: bytes
    pinned: Digest = ""
    rebuilt: Digest = ""
    waived: frozenset[str] = frozenset()


class Signal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signal: points of so many, what was seen, and where."""

    name: str
    points: int
    of: int
    found: tuple[Found, ...] = ()
    says: str = ""


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The score, its signals, and the caps that held it down."""

    image: Digest
    score: int
    signals: tuple[Signal, ...]
    caps: tuple[str, ...]

    def signal(self, name: str) -> Signal:
        """One of the nine."""
        return next(one for one in self.signals if one.name == name)


def pick(layout: Layout, tag: str = "") -> Descriptor:
    """The image that is meant: by tag or digest, or the only one. Raises: BadInput."""
    images = [one for one in layout.manifests() if not imageattest.is_about_another(layout, one)]
    if tag:
        images = [
            one
            for one in images
            if tag in (one.annotations.get(imageattest.REF, ""), f"sha256:{one.sha256}")
        ]
    if len(images) != 1:
        names = [one.annotations.get(imageattest.REF, one.sha256[:16]) for one in images]
        raise BadInput(
            f"{len(images)} images of that layout are meant" if images else "no such image there",
            why=f"it holds {', '.join(names[:6])}" if names else "",
            hint="seal supply image LAYOUT --tag TAG",
        )
    return images[0]


def score(layout: Layout, image: Image, wanted: Wanted) -> Score:
    """Score one image. Two runs over equal bytes and equal wishes are equal."""
    files = image.final()
    secrets = _secrets(image, wanted)
    signed = _signature(layout, image, wanted)
    signals = (
        signed,
        _attestations(layout, image, wanted),
        _vulnerabilities(image, files, wanted),
        _base(image, files, wanted.now),
        _privileges(image, files),
        secrets,
        _pinned(image, wanted),
        _rebuilt(image, wanted),
        _small(image, files),
    )
    total = sum(one.points for one in signals)
    caps = []
    if image.refused:
        number, why = image.refused[0]
        caps.append(f"0: layer {number} was not read ({why}), so nothing is known of it")
        total = 0
    if secrets.found:
        caps.append(f"{_SECRET}: a secret lies in a layer")
        total = min(total, _SECRET)
    if not signed.points:
        caps.append(f"{_UNSIGNED}: no key you trust signed it")
        total = min(total, _UNSIGNED)
    return Score(image.descriptor.sha256, total, signals, tuple(caps))


def _signature(layout: Layout, image: Image, wanted: Wanted) -> Signal:
    by, bad = imageattest.signers(layout, image.descriptor, wanted.keys)
    found = tuple(Found("image.signature-wrong", where) for where in bad)
    if bad or not by:
        says = "a signature does not hold" if bad else "no signature by a key you trust"
        return Signal("signature", 0, 20, found, says)
    return Signal("signature", 20, 20, (), f"signed by {', '.join(key[:16] for key in by)}")


def _attestations(layout: Layout, image: Image, wanted: Wanted) -> Signal:
    said, found = imageattest.statements(layout, image.descriptor, wanted.keys)
    provenance = [one for one in said if imageattest.PROVENANCE in one.predicate_type]
    built = [one for one in provenance if one.builder in wanted.builders]
    bills = [one for one in said if imageattest.is_bill(one.predicate_type)]
    points = 8 * bool(built) + 7 * bool(bills)
    if provenance and not built:
        builder = provenance[0].builder[:80] or "nobody"
        found += (Found("image.builder-unknown", builder),)
    if not bills:
        found += (Found("image.no-bill", "no bill of materials that a key you trust signed"),)
    if not provenance:
        found += (Found("image.no-provenance", "no provenance that a key you trust signed"),)
    wrong = any(one.rule == "image.attestation-wrong" for one in found)
    return Signal("attestations", 0 if wrong else points, 15, found, f"{len(said)} hold")


def _vulnerabilities(image: Image, files: Mapping[str, Any], wanted: Wanted) -> Signal:
    packages = imagefiles.packages(files)
    if wanted.index is None:
        none = Found("image.no-index", "there is no usable index of advisories")
        return Signal(
            "vulnerabilities", 0, 20, (none,), f"{len(packages)} packages, none looked up"
        )
    found, unknown, worst = imagefiles.vulnerable(packages, files, wanted.index)
    points = 20
    if found:
        points = 0 if worst in ("exploited", "high") else 10
    if unknown:
        found += (
            Found("image.packages-unknown", f"{unknown} packages that no index here speaks of"),
        )
        points = min(points, 10)
    return Signal("vulnerabilities", points, 20, found, f"{len(packages)} packages")


def _base(image: Image, files: Mapping[str, Any], now: datetime) -> Signal:
    found: list[Found] = []
    release = imagefiles.os_release(files)
    notes = image.manifest.get("annotations") or {}
    named = notes.get("org.opencontainers.image.base.digest") or release
    if not named:
        found.append(Found("image.base-unknown", "neither an annotation nor os-release names it"))
    age = _age_days(image.config.get("created"), now)
    if age is None:
        found.append(Found("image.age-unknown", "the configuration says no time of creation"))
    elif age > OLDEST_DAYS:
        found.append(Found("image.old", f"{age} days old, {OLDEST_DAYS} count as fresh"))
    elif age < -1:
        found.append(Found("image.from-the-future", str(image.config.get("created"))[:32]))
    points = 5 * bool(named) + 5 * (age is not None and -1 <= age <= OLDEST_DAYS)
    return Signal("base", points, 10, tuple(found), release or "unknown")


def _age_days(text: object, now: datetime) -> int | None:
    try:
        made = clock.parse(f"{str(text)[:19]}Z")
    except BadInput:
        return None
    return int((now - made).total_seconds() // 86_400)


def _privileges(image: Image, files: Mapping[str, Any]) -> Signal:
    found = imagefiles.privileges(image, files)
    return Signal("privileges", max(0, 10 - 5 * len({f.rule for f in found})), 10, found)


def _secrets(image: Image, wanted: Wanted) -> Signal:
    found = imagefiles.secrets(image, wanted.key, wanted.waived)
    return Signal("secrets", 0 if found else 10, 10, found)


def _pinned(image: Image, wanted: Wanted) -> Signal:
    if not wanted.pinned:
        return Signal("pinned", 0, 5, (Found("image.not-pinned", "named by no digest"),))
    if wanted.pinned != image.descriptor.sha256:
        found = Found("image.pin-differs", f"sha256:{wanted.pinned} was asked for")
        return Signal("pinned", 0, 5, (found,))
    return Signal("pinned", 5, 5)


def _rebuilt(image: Image, wanted: Wanted) -> Signal:
    if not wanted.rebuilt:
        return Signal("rebuilt", 0, 5, (Found("image.not-rebuilt", "nobody built it again"),))
    if wanted.rebuilt != image.descriptor.sha256:
        found = Found("image.rebuild-differs", f"sha256:{wanted.rebuilt} came of a second build")
        return Signal("rebuilt", 0, 5, (found,))
    return Signal("rebuilt", 5, 5)


def _small(image: Image, files: Mapping[str, Any]) -> Signal:
    found = imagefiles.surplus(image, files)
    return Signal("small", max(0, 5 - len({f.rule for f in found})), 5, found)


def rules(scored: Score) -> Sequence[str]:
    """Every rule that cost something, in order."""
    return [one.rule for signal in scored.signals for one in signal.found]
