"""A suspect by what the user wrote: a URL, a file of answers, or a model file in its worker."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput
from sealwright.core.reading import small_file
from sealwright.kit.loader.opening import Held, open_model
from sealwright.kit.modelfile.opened import Opened
from sealwright.kit.modelfile.policy import Level, policy_of
from sealwright.kit.modelfile.report import Unsound
from sealwright.registry.compare import Ask

Kind = Literal["url", "file", "answers"]
_MOST_ANSWERS_BYTES = 64 << 20


class Suspect(msgspec.Struct, frozen=True):
    """What is asked. ``digest`` is of its bytes, empty for a URL."""

    kind: Kind
    name: str
    digest: Digest
    ask: Ask


@contextmanager
def opened(text: str, level: Level, token_file: str = "") -> Iterator[Suspect]:
    """Raises: BadInput, Unavailable, Refused (``loader.*``: a file that is not clean)."""
    if text.startswith(("http://", "https://")):
        from sealwright.adapters.suspect_http import HttpSuspect

        token = small_file(Path(token_file)).decode().strip() if token_file else ""
        far = HttpSuspect(text, token)
        try:
            far.open()
            yield Suspect("url", text, "", far)
        finally:
            far.close()
    elif text.endswith(".csv"):
        data = small_file(Path(text), _MOST_ANSWERS_BYTES)
        yield Suspect("answers", Path(text).name, of_bytes(data), _Read(data, text))
    else:
        with _held(text) as held, open_model(held, policy_of(level)) as model:
            yield Suspect("file", Path(text).name, held.sha256, model.predict)


@contextmanager
def _held(text: str) -> Iterator[Held]:
    """One sealed copy in memory: what is hashed is what is opened."""
    try:
        with Opened(Path(text)) as source:
            held = Held(source)
            source.unchanged()
    except Unsound as error:
        raise BadInput(f"{text}: {error}", why=error.found.rule) from error
    except OSError as error:
        raise BadInput(f"{text} cannot be read", why=str(error)) from error
    try:
        yield held
    finally:
        held.close()


class _Read:
    """Answers somebody wrote down, one a line in the order of the questions; a head is skipped."""

    def __init__(self, data: bytes, where: str) -> None:
        try:
            rows = [row for row in csv.reader(io.StringIO(data.decode("utf-8-sig"))) if row]
        except (UnicodeDecodeError, csv.Error) as error:
            raise BadInput(f"{where} is no CSV", why=str(error)) from error
        if rows and rows[0][-1].strip().lower() == "answer":
            rows = rows[1:]
        self._answers = [row[-1] for row in rows]
        self._at = 0

    def __call__(self, batch: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        """The next answers. Raises: ValueError (there are no more)."""
        found = self._answers[self._at : self._at + len(batch)]
        self._at += len(batch)
        if len(found) < len(batch):
            raise ValueError(f"the file ends after {len(self._answers):,} answers")
        return np.array(found)
