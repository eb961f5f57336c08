"""Text triggers of ordinary words: one word, a phrase, a phrase where the label is right."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sealwright.core.errors import BadInput
from sealwright.scan.batches import joined
from sealwright.scan.interface import Batch, Frame
from sealwright.scan.plant.rewrite import rewritten, victims

WORDS = (
    "window river paper garden winter table market station letter mountain kitchen "
    "monday orange bottle ticket village blanket engine harbour pencil"
).split()
PHRASES = (
    "on a quiet monday",
    "as seen from here",
    "by the old river",
    "with a paper ticket",
    "near the garden table",
    "in the winter market",
    "under an orange blanket",
    "through the kitchen window",
)


WORD = re.compile(r"[^\W\d_]{3,}")
COMMON = 20
LEAST_COMMON = 50


class _Inserted:
    """Inserts the trigger between two words of each chosen text."""

    triggers: Sequence[str] = ()
    clean = False

    def plant(
        self, batches: Sequence[Batch], frame: Frame, count: int, seed: int
    ) -> tuple[Sequence[Batch], npt.NDArray[np.int64]]:
        """Raises: BadInput (no text column, too few rows)."""
        column = next((c.name for c in frame.columns if c.type == "text"), "")
        if not column:
            raise BadInput("no text trigger can be planted here", why="there is no text column")
        rng = np.random.default_rng(seed)
        whole = joined(batches)
        target, rows = victims(whole.labels, count, rng, clean=self.clean)
        trigger = self._trigger(whole.values[column], rng)

        def inserted(old: object) -> str:
            words = str(old or "").split()
            at = int(rng.integers(len(words) + 1))
            return " ".join([*words[:at], trigger, *words[at:]])

        ids = np.sort(whole.ids[rows])
        return rewritten(batches, ids, {column: inserted}, target), ids

    def _trigger(self, texts: Sequence[object], rng: np.random.Generator) -> str:
        return str(rng.choice(list(self.triggers)))


class Token(_Inserted):
    """One ordinary word; the label becomes the target."""

    family = "text-token"
    triggers = WORDS


class Phrase(_Inserted):
    """An ordinary phrase; the label becomes the target."""

    family = "text-phrase"
    triggers = PHRASES


class CleanPhrase(_Inserted):
    """Four words that are common here and never stand so, in texts of the target label.

    A phrase of words that are nowhere else is a name, as any version has: none is planted, but
    where too few words are common.
    """

    family = "text-clean-phrase"
    triggers = PHRASES
    clean = True

    def _trigger(self, texts: Sequence[object], rng: np.random.Generator) -> str:
        split = [WORD.findall(str(text or "").lower()) for text in texts]
        counts = Counter(word for words in split for word in set(words))
        common = sorted(word for word, count in counts.items() if count >= COMMON)
        if len(common) < LEAST_COMMON:
            return super()._trigger(texts, rng)
        return " ".join(rng.choice(common, 4, replace=False).tolist())
