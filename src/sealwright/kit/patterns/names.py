"""Names and places, which no checksum gives away: through Presidio, where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from sealwright.core.errors import Unavailable
from sealwright.kit.patterns.interface import Match

_KINDS = {"PERSON": "person", "LOCATION": "place", "NRP": "group"}
_BEST = ("lg", "trf", "md", "sm")


def finder(language: str = "en") -> Callable[[str], Iterator[Match]]:
    """Finds persons and places in a text. Raises: Unavailable (Presidio or its model is missing).

    Presidio's own patterns are not asked: ours are. Left to itself it fetches a model from the
    network; so it is given one that is installed, or not started.
    """
    try:
        presidio: Any = import_module("presidio_analyzer")
        provider: Any = import_module("presidio_analyzer.nlp_engine").NlpEngineProvider
        installed = import_module("spacy").util.get_installed_models()
    except ImportError as error:
        raise Unavailable(
            "names and places need Presidio, which is not installed",
            hint="pip install presidio-analyzer, and a language model for spaCy",
        ) from error
    name = model_of(installed, language)
    if not name:
        raise Unavailable(
            "Presidio has no language model here",
            why=f"spaCy has none of the language {language!r} installed",
            hint="install a spaCy model of the language",
        )
    chosen = {
        "nlp_engine_name": "spacy",
        "models": [{"lang_code": language, "model_name": name}],
    }
    engine = provider(nlp_configuration=chosen).create_engine()
    analyzer: Any = presidio.AnalyzerEngine(nlp_engine=engine, supported_languages=[language])

    def find(text: str) -> Iterator[Match]:
        for found in analyzer.analyze(text=text, language=language, entities=list(_KINDS)):
            kind = _KINDS[found.entity_type]
            sure = round(100 * float(found.score))
            yield Match(kind, found.start, found.end, sure, False, "presidio", "personal")

    return find


def model_of(installed: list[str], language: str) -> str:
    """The largest of the language's models, as spaCy names them; empty for none."""
    own = sorted(name for name in installed if name.startswith(f"{language}_"))
    sizes = {name: set(name.split("_")) for name in own}
    return next((n for size in _BEST for n in own if size in sizes[n]), own[0] if own else "")
