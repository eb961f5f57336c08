"""``python -m sealwright.scan.picturehash`` in the sealed room: image files in, signatures out.

Every file below ``in/``, in the order of its number, becomes 201 bytes of ``signatures``: 1 if
it could be read, its difference hash, its thumbnail. What cannot be decoded is said, not skipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sealwright.core.errors import MissingExtra
from sealwright.kit import neardup

INPUTS = "in"
OUTPUT = "signatures"
RECORD = np.dtype([("read", "u1"), ("hash", "<u8"), ("thumb", "u1", (192,))])
_SIZE = (72, 64)
_MOST_PIXELS = 64_000_000


def main(folder: Path = Path()) -> int:
    """Exit 0; a file that is no image is a record that says so."""
    files = sorted((folder / INPUTS).iterdir(), key=lambda path: int(path.name))
    out: npt.NDArray[Any] = np.zeros(len(files), RECORD)
    for at, path in enumerate(files):
        pixels = _pixels(path)
        if pixels is not None:
            found = neardup.pictures(pixels[None])
            out[at] = (1, found.hashes[0], found.thumbs[0])
    (folder / OUTPUT).write_bytes(out.tobytes())
    return 0


def _pixels(path: Path) -> npt.NDArray[np.uint8] | None:
    """(64, 72, 3) uint8, whatever the file's size and mode were; None if it is no image."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra("comparing pictures", "scan") from error
    Image.MAX_IMAGE_PIXELS = _MOST_PIXELS
    try:
        with Image.open(path) as image:
            small = image.convert("RGB").resize(_SIZE, Image.Resampling.BOX)
            pixels: npt.NDArray[np.uint8] = np.asarray(small, np.uint8)
            return pixels
    except Exception:  # a decoder may raise anything over hostile bytes
        return None


if __name__ == "__main__":
    raise SystemExit(main())
