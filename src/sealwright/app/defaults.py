"""What protects without being asked for, and the names of what was opted out of. Pure.

The names go into the intent and the provenance of every run. See docs/concepts/defaults.md.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from sealwright.core.settings import Gpu, Isolation, Settings

CUSTODY = "keys.custody"
ALWAYS = (
    "encryption at rest, and secrets redacted from what a run prints",
    "default deny from the second member on",
)
"""What no setting turns off."""


class Default(msgspec.Struct, frozen=True):
    """One protection: the opt-out's ``name``, what is ``on``, and what its loss costs.

    ``still`` is what catches some of it; ``mend`` puts it back.
    """

    name: str
    on: str
    costs: str
    still: str
    mend: str


DEFAULTS = (
    Default(
        "room.isolation",
        "a sealed room",
        "a script sees your files and your network",
        "its model is not registered until somebody approves; team and regulated refuse the run",
        'room.isolation = "standard" in seal.toml',
    ),
    Default(
        "network",
        "no network",
        "what was read can be sent to the granted hosts",
        "a proxy counts hosts and bytes; team wants two others, regulated refuses",
        "take network out of [room] and [stage.NAME] in seal.toml",
    ),
    Default(
        "room.gpu",
        "no devices bound",
        "a script talks to the GPU's driver in the kernel",
        "the rung in the evidence is one lower",
        'room.gpu = "off" in seal.toml',
    ),
    Default(
        "screening.enabled",
        "data is screened before it trains",
        "poisoned records are not looked for",
        "the log says unscreened; team and regulated refuse until others approve",
        "screening.enabled = true in seal.toml",
    ),
    Default(
        "screening.reduced",
        "all detectors that fit",
        "what the left-out ones would see",
        "the screening says that it was reduced",
        "take detectors and alpha out of [screening] in seal.toml",
    ),
    Default(
        "supply.level",
        "model files may name their framework only",
        "a model file may run the project's own code",
        "everything else in it is still refused",
        'supply.level = "framework" in seal.toml',
    ),
    Default(
        "secrets.outputs",
        "outputs that hold a secret are held back",
        "a secret can leave in an output",
        "the finding secret.leaked",
        'secrets.outputs = "hold" in seal.toml',
    ),
    Default(
        "secrets.env",
        "secrets stay out of the room",
        "a script can read the secret's value",
        "redaction, and outputs that are held back",
        'NAME = "broker:HOST" in secrets of [stage.NAME]',
    ),
    Default(
        CUSTODY,
        "keys locked by more than a file",
        "whoever has your account has the keys",
        "nothing: there is no second lock",
        "seal keys protect, or keep them elsewhere: seal init --kms, seal keys move",
    ),
)


def opted_out(
    settings: Settings,
    *,
    custody: str,
    isolation: Isolation,
    gpu: Gpu,
    network: bool,
    secrets: Collection[str],
) -> tuple[str, ...]:
    """The names of :data:`DEFAULTS` that do not hold for one run, in their order.

    ``secrets`` are those of the run that lie in its environment.
    """
    screening = settings.screening
    out = {
        "room.isolation": isolation == "none",
        "network": network,
        "room.gpu": gpu != "off",
        "screening.enabled": not screening.enabled,
        "screening.reduced": screening.enabled and screening.reduced,
        "supply.level": settings.supply.level == "project",
        "secrets.outputs": settings.secrets.outputs != "hold",
        "secrets.env": bool(secrets),
        CUSTODY: custody == "key-file",
    }
    return tuple(one.name for one in DEFAULTS if out[one.name])


def of_project(settings: Settings, custody: str) -> tuple[str, ...]:
    """What seal.toml opts out of, for any of its stages."""
    stages = settings.stage.values()
    return opted_out(
        settings,
        custody=custody,
        isolation=settings.room.isolation,
        gpu=settings.room.gpu,
        network=bool(settings.room.network) or any(stage.network for stage in stages),
        secrets=[n for stage in stages for n, how in stage.secrets.items() if how == "env"],
    )
