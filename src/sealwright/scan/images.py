"""Image files as batches of one size. Runs in the sealed room; one batch in memory at a time.

Pixels stay as a training script would read them: alpha is dropped and not blended, orientation
is not applied, the first frame is the image. Nothing is cropped, a trigger may sit in a corner.
A file that cannot be read is counted, by reason, and never a traceback.
Source: docs/spec/screening-v1.md.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.errors import MissingExtra
from sealwright.scan.interface import Batch, Fact

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_SIDE = 64
MOST_PIXELS = 1 << 26
MOST_BYTES = 1 << 28
BATCH = 256


class File(msgspec.Struct, frozen=True):
    """One record: its number in the version's order, and codes or -1."""

    path: Path
    record: int
    label: int = -1
    source: int = -1


class Surveyed(msgspec.Struct, frozen=True):
    """What can be read, at which common (width, height), and what is to be said of it."""

    files: tuple[File, ...]
    size: tuple[int, int]
    unread: tuple[int, ...]
    facts: tuple[Fact, ...]


def survey(files: Sequence[File]) -> Surveyed:
    """Decode every file once. The common size is the most frequent, at most MOST_SIDE a side."""
    sizes: Counter[tuple[int, int]] = Counter()
    modes: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    readable, unread = [], []
    for file in files:
        try:
            mode, size, _ = decoded(file.path, None)
        except Unreadable as fault:
            faults[fault.reason] += 1
            unread.append(file.record)
            continue
        readable.append(file)
        sizes[size] += 1
        modes[mode] += 1
    common = _bounded(sizes.most_common(1)[0][0]) if sizes else (1, 1)
    facts = tuple(_facts(sizes, modes, faults, common))
    return Surveyed(tuple(readable), common, tuple(unread), facts)


def batches(surveyed: Surveyed, rows: int = BATCH) -> Iterator[Batch]:
    """The readable files, in order. Raises: Unreadable (a file changed since the survey)."""
    for at in range(0, len(surveyed.files), rows):
        part = surveyed.files[at : at + rows]
        yield Batch(
            np.array([file.record for file in part], np.int64),
            np.array([file.label for file in part], np.int32),
            np.array([file.source for file in part], np.int32),
            images=np.stack([decoded(file.path, surveyed.size)[2] for file in part]),
        )


class Unreadable(Exception):
    """A file that is no image we can look at; ``reason`` is one of a few fixed words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decoded(
    path: Path, size: tuple[int, int] | None
) -> tuple[str, tuple[int, int], npt.NDArray[np.uint8]]:
    """The file's own mode and size, and its pixels (h, w, 3) at ``size``. Raises: Unreadable."""
    try:
        import PIL.Image
    except ImportError as missing:
        raise MissingExtra("reading images", "scan") from missing
    try:
        if path.stat().st_size > MOST_BYTES:
            raise Unreadable("too-large")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PIL.Image.open(path) as image:
                mode, own = image.mode, image.size
                if own[0] * own[1] > MOST_PIXELS:
                    raise Unreadable("too-large")
                pixels = _pixels(image, size or _bounded(own))
    except Unreadable:
        raise
    except PIL.Image.DecompressionBombError:
        raise Unreadable("too-large") from None
    except PIL.UnidentifiedImageError:
        raise Unreadable("not-an-image") from None
    except FileNotFoundError:
        raise Unreadable("missing") from None
    except MemoryError:
        raise Unreadable("too-large") from None
    except Exception:  # decoders raise whatever they like on a broken file
        raise Unreadable("broken") from None
    return mode, own, pixels


def _pixels(image: Image, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    import PIL.Image

    if image.format == "JPEG" and image.mode in {"RGB", "L"}:
        image.draft(image.mode, size)
    if image.mode.startswith(("I", "F")):
        grey = _scaled(np.asarray(image, np.float64))
        plain = PIL.Image.fromarray(grey).convert("RGB")
    elif image.mode == "RGBA":
        plain = PIL.Image.fromarray(np.ascontiguousarray(np.asarray(image)[..., :3]))
    else:
        plain = image.convert("RGB")
    if plain.size != size:
        plain = plain.resize(size, PIL.Image.Resampling.BOX)
    return np.asarray(plain, np.uint8)


def _scaled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Deeper than 8 bits → 8: by 2^8 where they are integers above 255, else from [0, 1]."""
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    top = float(values.max(initial=0.0))
    scale = 1 / 256 if top > 255 else (255.0 if top <= 1 else 1.0)
    return np.clip(values * scale, 0, 255).astype(np.uint8)


def _bounded(size: tuple[int, int]) -> tuple[int, int]:
    """Shrunk to at most MOST_SIDE a side, proportions kept."""
    factor = min(1.0, MOST_SIDE / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _facts(
    sizes: Counter[tuple[int, int]],
    modes: Counter[str],
    faults: Counter[str],
    common: tuple[int, int],
) -> Iterator[Fact]:
    total = sum(sizes.values())
    resized = total - sizes[common]
    if resized:
        width, height = common
        yield Fact(
            "images.resized",
            "info",
            f"{resized:,} of {total:,} images in {len(sizes):,} sizes were looked at as "
            f"{width}x{height}; a pattern smaller than a pixel of that is not seen",
            {"resized": resized, "sizes": len(sizes), "width": width, "height": height},
        )
    odd = {mode: count for mode, count in modes.items() if mode not in {"RGB", "L"}}
    if odd:
        named = ", ".join(f"{count:,} {mode}" for mode, count in sorted(odd.items()))
        yield Fact(
            "images.converted",
            "info",
            f"converted to 8-bit RGB: {named}",
            dict(sorted(odd.items())),
        )
    if faults:
        count = sum(faults.values())
        named = ", ".join(f"{n:,} {reason}" for reason, n in sorted(faults.items()))
        message = f"{count:,} image files could not be read: {named}"
        yield Fact(
            "images.unread", "high", message, {"unread": count, **dict(sorted(faults.items()))}
        )
