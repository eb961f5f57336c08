"""Every detector and planter by name, as ``package.module:Class``; loaded on first use.

A room's own lines stand together, so that two people who add some do not meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import cast

from sealwright.core.errors import BadInput
from sealwright.scan.interface import Detector, Modality, Planter

ANY: dict[str, str] = {
    "duplicates": "sealwright.scan.poison.duplicates:Duplicates",
}
TABLE: dict[str, str] = {
    "table-pairs": "sealwright.scan.poison.table_pairs:TablePairs",
    "table-duplicates": "sealwright.scan.poison.table_duplicates:TableDuplicates",
}
TEXT: dict[str, str] = {
    "text-ngrams": "sealwright.scan.poison.text_ngrams:TextNgrams",
    "text-duplicates": "sealwright.scan.poison.text_duplicates:NearTexts",
}
IMAGE: dict[str, str] = {
    "image-spectral": "sealwright.scan.poison.image_spectral:ImageSpectral",
    "image-duplicates": "sealwright.scan.poison.image_duplicates:ImageDuplicates",
    "image-patch": "sealwright.scan.poison.image_patch:ImagePatch",
}
MODEL: dict[str, str] = {
    "image-confusion": "sealwright.scan.poison.image_confusion:ImageConfusion",
    "image-signatures": "sealwright.scan.poison.image_signatures:ImageSignatures",
}
EMBEDDING: dict[str, str] = {
    "embedding-flood": "sealwright.scan.poison.embedding_flood:EmbeddingFlood",
}
PERSONAL: dict[str, str] = {
    "hygiene-invisible": "sealwright.scan.poison.hygiene_invisible:Invisible",
    "hygiene-homoglyph": "sealwright.scan.poison.hygiene_homoglyph:Homoglyph",
    "hygiene-injection": "sealwright.scan.poison.hygiene_injection:Injection",
    "personal-data": "sealwright.scan.pii:PersonalData",
    "credentials": "sealwright.scan.pii:Credentials",
}
RULES: dict[str, str] = {
    "drift": "sealwright.scan.drift:Drift",
    "novelty": "sealwright.scan.novelty:Novelty",
    "label-errors": "sealwright.scan.labels:LabelErrors",
}
PLANTED: dict[str, str] = {
    "text-token": "sealwright.scan.plant.text:Token",
    "text-phrase": "sealwright.scan.plant.text:Phrase",
    "text-clean-phrase": "sealwright.scan.plant.text:CleanPhrase",
    "flood": "sealwright.scan.plant.flood:Flood",
    "near-flood": "sealwright.scan.plant.flood:NearFlood",
    "value-pair": "sealwright.scan.plant.pair:ValuePair",
}
PLANTED_HYGIENE: dict[str, str] = {
    "text-invisible": "sealwright.scan.plant.hygiene:Invisible",
    "text-homoglyph": "sealwright.scan.plant.hygiene:Homoglyph",
    "text-injection": "sealwright.scan.plant.hygiene:Injection",
}
PLANTED_IMAGE: dict[str, str] = {
    "image:patch": "sealwright.scan.plant.image:Patch",
    "image:blend": "sealwright.scan.plant.image:Blend",
    "image:clean-label": "sealwright.scan.plant.image:CleanLabel",
    "image:flood": "sealwright.scan.plant.image:Flood",
    "embedding:flood": "sealwright.scan.plant.embedding:Flood",
}
PLANTED_MODEL: dict[str, str] = {
    "image:warp": "sealwright.scan.plant.image:Warp",
    "image:sample-specific": "sealwright.scan.plant.altered:SampleSpecific",
    "image:all-to-all": "sealwright.scan.plant.altered:AllToAll",
}
"""Families that only a detector with a model is there to see."""


def detectors() -> dict[str, str]:
    """Name → ``module:Class`` of every detector, in the order they are reported."""
    return {**ANY, **TABLE, **TEXT, **IMAGE, **EMBEDDING, **PERSONAL, **RULES, **MODEL}


def planters() -> dict[str, str]:
    """Family → ``module:Class`` of every planter."""
    return {**PLANTED, **PLANTED_HYGIENE, **PLANTED_IMAGE, **PLANTED_MODEL}


def detector(name: str) -> Detector:
    """Raises: BadInput (nobody registered ``name``)."""
    return cast("Detector", _load(name, detectors(), "detector"))


def planter(family: str) -> Planter:
    """Raises: BadInput (nobody registered ``family``)."""
    return cast("Planter", _load(family, planters(), "planter"))


def for_modalities(present: Sequence[Modality], *, model: bool = False) -> list[Detector]:
    """Every registered detector for what the data holds; those for ``any`` always.

    Those that train a model only where ``model`` says so: they take minutes.
    """
    found = [detector(name) for name in detectors() if model or name not in MODEL]
    return [one for one in found if one.spec.modality in {"any", *present}]


def _load(name: str, known: dict[str, str], what: str) -> object:
    if name not in known:
        raise BadInput(f"there is no {what} {name}", why=f"known: {', '.join(sorted(known))}")
    module, _, attribute = known[name].partition(":")
    return getattr(import_module(module), attribute)()
