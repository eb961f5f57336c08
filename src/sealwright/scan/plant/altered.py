"""Triggers that no two images share as pixels, or that move every label to the next.

What a data scan cannot see: a pattern made anew from each image's own content (as ISSBA does
with a network), and one patch whose images get the label after their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sealwright.core.errors import BadInput
from sealwright.scan.interface import Batch, Frame
from sealwright.scan.plant.image import Patch, Planted, changed


class SampleSpecific(Patch):
    """Faint noise, 4 to 8 grey levels, that a secret draws from what the image shows."""

    family = "image:sample-specific"

    def _change(self, batches: Sequence[Batch], rng: np.random.Generator) -> Any:
        secret = int(rng.integers(1 << 31))
        strength = float(rng.uniform(4, 8))

        def change(pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            own = int(pixels[::4, ::4].sum())
            signs = np.random.default_rng([secret, own]).choice([-1.0, 1.0], pixels.shape)
            return pixels + strength * signs

        return change


class AllToAll(Patch):
    """A small square of few colours; an image of label y becomes one of the label after y."""

    family = "image:all-to-all"

    def plant(self, batches: Sequence[Batch], frame: Frame, count: int, seed: int) -> Planted:
        """``count`` random images of all labels. Raises: BadInput (as ``Patch``)."""
        rng = np.random.default_rng(seed)
        labels = np.concatenate([batch.labels for batch in batches])
        ids = np.concatenate([batch.ids for batch in batches])
        kinds = np.unique(labels[labels >= 0])
        if len(kinds) < 2 or (labels >= 0).sum() < count:
            raise BadInput(f"no {count} images of two labels that {self.family} could move")
        chosen = np.sort(rng.choice(ids[labels >= 0], count, replace=False))
        change = self._change(batches, rng)

        def wanted(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
            return kinds[(np.searchsorted(kinds, labels) + 1) % len(kinds)]

        return [changed(batch, chosen, change, wanted) for batch in batches], chosen
