"""Names and places, which no checksum gives away: through Presidio, where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from sealwright.core.errors import Unavailable
from sealwright.kit.patterns.interface import Match

_KINDS = {"PERSON": "person", "LOCATION": "place", "NRP": "group"}


def finder(language: str = "en") -> Callable[[str], Iterator[Match]]:
    """Finds persons and places in a text. Raises: Unavailable (Presidio or its model is missing).

    Presidio's own patterns are not asked: ours are.
    """
    try:
        analyzer: Any = import_module("presidio_analyzer").AnalyzerEngine()
    except ImportError as error:
        raise Unavailable(
            "names and places need Presidio, which is not installed",
            hint="pip install presidio-analyzer, and a language model for spaCy",
        ) from error
    except (OSError, SystemExit) as error:
        raise Unavailable(
            "Presidio has no language model here",
            why=str(error)[:200],
            hint="install a spaCy model of the language",
        ) from error

    def find(text: str) -> Iterator[Match]:
        for found in analyzer.analyze(text=text, language=language, entities=list(_KINDS)):
            kind = _KINDS[found.entity_type]
            sure = round(100 * float(found.score))
            yield Match(kind, found.start, found.end, sure, False, "presidio", "personal")

    return find
