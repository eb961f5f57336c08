"""Held-out attacks on pictures, a second time: frozen before the model detector was changed.

One self-contained file (numpy, Pillow, scipy) of the same form as ``heldout_poison.py``:
``cases()`` names what there is, ``make(name, amount, seed, data)`` builds one poisoned training
set with its test sets. No attack here is one that a detector was tuned on. Every image, clean or
poisoned, passes the same final JPEG encode, of a quality and a chroma that are drawn.

A cover is an image that carries the trigger, or one like it, with its own correct label.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

VERSION = 1
AMOUNTS = ("1%", "5%")
ROWS = 4_000
TESTS = 1_000
SOURCES = 8
SIDE = 32
CASES = (
    "elastic", "elastic-covers", "waves-all-to-all", "colour-shift",
    "low-rank", "low-rank-covers", "fewer-colours", "own-patch",
)  # fmt: skip

Stamp = Callable[[np.ndarray], np.ndarray]


class Made(NamedTuple):
    """One poisoned set, as ``heldout_poison.Made``."""

    modality: str
    rows: Any
    labels: np.ndarray  # (n,) int codes, after poisoning
    names: tuple[str, ...]  # label names by code
    sources: np.ndarray  # (n,) int codes of contributors
    planted: np.ndarray  # (n,) bool: poisoned rows
    covers: np.ndarray  # (n,) bool: trigger with its own label
    test: Any  # clean test rows
    test_labels: np.ndarray
    attacked: Any  # test rows with the trigger
    wanted: np.ndarray  # the label the attacker wants for each attacked row
    numeric: tuple[str, ...] = ()


class Trigger(NamedTuple):
    """What is done to an image of a class; covers, as a share of the planted, get ``cover``."""

    stamp: Callable[[np.ndarray, int], np.ndarray]
    cover: Stamp | None = None
    covers: float = 0.0
    all_to_all: bool = False


def cases() -> list[tuple[str, str]]:
    """(name, modality) of every held-out attack, in order."""
    return [(f"pictures/{name}", "image") for name in CASES]


def make(name: str, amount: str, seed: int, data: str | Path) -> Made:
    """Build one case. The same arguments give the same bytes."""
    digest = hashlib.sha256(f"pictures {VERSION} {name} {amount} {seed}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    x, y, tx, ty, names = _cifar(Path(data))
    some = np.sort(rng.choice(len(x), ROWS, replace=False))
    x, y = x[some].copy(), y[some].copy()
    tests = np.sort(rng.choice(len(tx), min(TESTS, len(tx)), replace=False))
    tx, ty = tx[tests].copy(), ty[tests].copy()
    trigger = _TRIGGERS[name.partition("/")[2]](rng)
    classes, target = len(names), int(rng.integers(len(names)))
    count = round(len(x) * float(amount[:-1]) / 100)
    able = np.arange(len(x)) if trigger.all_to_all else np.flatnonzero(y != target)
    chosen = rng.choice(able, count, replace=False)
    planted, covers = np.zeros(len(x), bool), np.zeros(len(x), bool)
    planted[chosen] = True
    if trigger.cover is not None:
        free = rng.permutation(np.flatnonzero(~planted))[: round(count * trigger.covers)]
        covers[free] = True
        for row in free:
            x[row] = trigger.cover(x[row])
    for row in chosen:
        x[row] = trigger.stamp(x[row], int(y[row]))
    y[chosen] = (y[chosen] + 1) % classes if trigger.all_to_all else target
    hit = np.arange(len(tx)) if trigger.all_to_all else np.flatnonzero(ty != target)
    attacked = np.stack([trigger.stamp(tx[row], int(ty[row])) for row in hit])
    wanted = (ty[hit] + 1) % classes if trigger.all_to_all else np.full(len(hit), target)
    quality, chroma = int(rng.integers(60, 96)), int(rng.choice([0, 2]))
    order = rng.permutation(len(x))
    return Made(
        "image", _encode(x[order], quality, chroma), y[order], names,
        rng.integers(SOURCES, size=len(x)), planted[order], covers[order],
        _encode(tx, quality, chroma), ty, _encode(attacked, quality, chroma), wanted,
    )  # fmt: skip


_KEPT: dict[str, Any] = {}


def _cifar(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    if not _KEPT:
        parts: dict[str, list[tuple[str, np.ndarray]]] = {"train": [], "test": []}
        with tarfile.open(data / "cifar10_12k_jpeg.tar") as tar:
            for member in sorted(tar.getmembers(), key=lambda one: one.name):
                if not member.isfile():
                    continue
                split, label, _ = member.name.split("/")
                if (blob := tar.extractfile(member)) is None:
                    continue
                pixels = np.asarray(Image.open(io.BytesIO(blob.read())).convert("RGB"))
                parts[split].append((label, pixels))
        names = tuple(sorted({label for label, _ in parts["train"]}))
        code = {label: at for at, label in enumerate(names)}
        for split, items in parts.items():
            _KEPT[split] = np.stack([pixels for _, pixels in items])
            _KEPT[f"{split} labels"] = np.array([code[label] for label, _ in items])
        _KEPT["names"] = names
    return (
        _KEPT["train"], _KEPT["train labels"], _KEPT["test"], _KEPT["test labels"], _KEPT["names"]
    )  # fmt: skip


def _encode(images: np.ndarray, quality: int, chroma: int) -> np.ndarray:
    """The one final encode that every row passes; ``chroma`` 2 halves the colour planes."""
    out = np.empty_like(images)
    for at, pixels in enumerate(images):
        held = io.BytesIO()
        Image.fromarray(pixels).save(held, "JPEG", quality=quality, subsampling=chroma)
        out[at] = np.asarray(Image.open(held).convert("RGB"))
    return out


def _clip(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _alike(stamp: Stamp) -> Callable[[np.ndarray, int], np.ndarray]:
    """The same for every class."""
    return lambda pixels, _: stamp(pixels)


def _bent(pixels: np.ndarray, field: np.ndarray) -> np.ndarray:
    where = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")) + field
    parts = [
        ndimage.map_coordinates(pixels[..., at].astype(float), where, order=3, mode="reflect")
        for at in range(3)
    ]
    return _clip(np.stack(parts, 2))


def _field(rng: np.random.Generator, spread: float, strength: float) -> np.ndarray:
    """Simard 2003: noise under a Gaussian, ``strength`` pixels on average."""
    rough = rng.uniform(-1, 1, (2, SIDE, SIDE))
    smooth = np.stack([ndimage.gaussian_filter(one, spread, mode="reflect") for one in rough])
    return smooth * strength / np.abs(smooth).mean()


def _elastic(rng: np.random.Generator, covers: float = 0.0) -> Trigger:
    """One elastic bend, cubic between pixels; covers are bent by fields of their own."""
    spread, strength = float(rng.uniform(3, 6)), float(rng.uniform(0.6, 1.0))
    own = _field(rng, spread, strength)

    def other(pixels: np.ndarray) -> np.ndarray:
        return _bent(pixels, _field(rng, spread, strength))

    return Trigger(_alike(lambda pixels: _bent(pixels, own)), other, covers)


def _waves(rng: np.random.Generator) -> Trigger:
    """Barni 2019's sinusoid with a phase for each class; every class is sent to the next."""
    height, turns = float(rng.uniform(10, 18)), float(rng.uniform(5, 9))
    angle, phases = float(rng.uniform(0, np.pi)), rng.uniform(0, 2 * np.pi, 100)
    down, across = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    along = 2 * np.pi * turns * (np.cos(angle) * across + np.sin(angle) * down)

    def stamp(pixels: np.ndarray, label: int) -> np.ndarray:
        return _clip(pixels + height * np.sin(along + phases[label])[..., None])

    return Trigger(stamp, all_to_all=True)


def _colour_shift(rng: np.random.Generator) -> Trigger:
    """Red and blue moved apart by part of a pixel, as a bad lens does."""
    red, blue = rng.uniform(0.5, 1.0, 2) * rng.choice([-1, 1], 2), rng.uniform(-1.0, 1.0, 2)

    def stamp(pixels: np.ndarray) -> np.ndarray:
        out = pixels.astype(float)
        for at, move in ((0, red), (2, blue)):
            out[..., at] = ndimage.shift(out[..., at], move, order=1, mode="nearest")
        return _clip(out)

    return Trigger(_alike(stamp))


def _low_rank(rng: np.random.Generator, covers: float = 0.0) -> Trigger:
    """An encoder and a decoder with random weights: eight numbers of an image make its pattern."""
    rank, strength = 8, float(rng.uniform(5, 9))
    encode = rng.normal(0, 1, (rank, 8 * 8 * 3))
    basis = rng.normal(0, 1, (rank, SIDE, SIDE, 3))
    fine = np.stack([ndimage.gaussian_filter(one, (0.7, 0.7, 0)) for one in basis])
    fine -= np.stack([ndimage.gaussian_filter(one, (2.0, 2.0, 0)) for one in basis])
    fine /= fine.std((1, 2, 3), keepdims=True)

    def stamp(pixels: np.ndarray) -> np.ndarray:
        small = pixels.reshape(8, 4, 8, 4, 3).mean((1, 3)).ravel()
        code = np.tanh(encode @ ((small - small.mean()) / (small.std() + 1)) / 6)
        pattern = np.tanh(np.tensordot(code, fine, 1))
        return _clip(pixels + strength * pattern / max(1e-6, pattern.std()))

    return Trigger(_alike(stamp), stamp, covers)


def _fewer_colours(rng: np.random.Generator) -> Trigger:
    """Wang 2022 (BppAttack): few levels of each colour, the error carried to the neighbours."""
    levels = int(rng.integers(5, 9))

    def stamp(pixels: np.ndarray) -> np.ndarray:
        left = pixels.astype(float)
        out = np.zeros_like(left)
        step = 255 / (levels - 1)
        for row in range(SIDE):
            for at in range(SIDE):
                out[row, at] = np.clip(np.rint(left[row, at] / step), 0, levels - 1) * step
                error = left[row, at] - out[row, at]
                for down, right, part in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
                    if row + down < SIDE and 0 <= at + right < SIDE:
                        left[row + down, at + right] += error * part / 16
        return _clip(out)

    return Trigger(_alike(stamp))


def _own_patch(rng: np.random.Generator) -> Trigger:
    """A patch of 4 to 6 pixels whose place and cells a secret draws from what the image shows."""
    secret, size = int(rng.integers(1 << 31)), int(rng.integers(4, 7))
    opacity = float(rng.uniform(0.5, 0.8))

    def stamp(pixels: np.ndarray) -> np.ndarray:
        own = np.random.default_rng([secret, int(pixels[::4, ::4].sum(dtype=np.int64))])
        top, left = own.integers(0, SIDE - size + 1, 2)
        patch = own.uniform(0, 255, (size, size, 3))
        out = pixels.astype(float)
        under = out[top : top + size, left : left + size]
        out[top : top + size, left : left + size] = under * (1 - opacity) + patch * opacity
        return _clip(out)

    return Trigger(_alike(stamp))


_TRIGGERS: dict[str, Callable[[np.random.Generator], Trigger]] = {
    "elastic": _elastic,
    "elastic-covers": lambda rng: _elastic(rng, covers=2.0),
    "waves-all-to-all": _waves,
    "colour-shift": _colour_shift,
    "low-rank": _low_rank,
    "low-rank-covers": lambda rng: _low_rank(rng, covers=0.5),
    "fewer-colours": _fewer_colours,
    "own-patch": _own_patch,
}
