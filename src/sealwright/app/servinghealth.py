"""What goes on beside the answering may fail in a round, says so once, and goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

PAST_LOST = "what callers asked is not kept over a restart"
PAST_KEPT = "what callers asked is kept over a restart again"


class Health:
    """``broken`` is why the last round failed, nothing where it did not; changes are said."""

    def __init__(self, say: Callable[[str], None], what: str, again: str) -> None:
        """``what`` fails, in words that its reason follows; ``again`` is said once it is over."""
        self._say, self._what, self._again = say, what, again
        self.broken = ""

    @contextmanager
    def round(self) -> Iterator[None]:
        """One round: its faults end here."""
        broken = ""
        try:
            yield
        except Exception as error:  # one that went on would end what is beside, and nobody knew
            broken = str(error) or type(error).__name__
        if broken != self.broken:
            self.broken = broken
            self._say(f"{self._what}: {broken}" if broken else self._again)
