"""What to run: the stages of seal.toml, or one command from the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from sealwright.core import refs
from sealwright.core.errors import BadInput
from sealwright.core.refs import Ref
from sealwright.core.settings import (
    ComputeSettings,
    Settings,
    StageSettings,
    size_bytes,
    span_s,
)
from sealwright.train.spec import Plan

ADHOC = "run"
"""The stage name of a command that seal.toml does not know."""


class StageSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One command, what it reads and what it leaves.

    ``outputs`` maps dataset names to project paths; ``model`` is a project path, empty
    where it is to be guessed (one stage) or where the stage makes none (several).
    ``listed`` says that the inputs were named one by one, and are no default.
    """

    name: str
    argv: tuple[str, ...]
    inputs: tuple[Ref, ...]
    outputs: Mapping[str, str] = msgspec.field(default_factory=dict)
    model: str = ""
    model_name: str = ""
    guess_model: bool = False
    listed: bool = False
    after: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    secrets: Mapping[str, str] = msgspec.field(default_factory=dict)
    compute: Plan = Plan()


def of_settings(settings: Settings, only: Sequence[str] = ()) -> tuple[StageSpec, ...]:
    """The stages of seal.toml, or those named. Raises: BadInput (there is none, no such)."""
    if not settings.stage:
        raise BadInput(
            "seal.toml has no stages to run",
            hint="seal run -- python train.py, or add [stage.train] to seal.toml",
        )
    for name in only:
        if name not in settings.stage:
            raise BadInput(f"seal.toml has no [stage.{name}]", why=_known(settings))
    alone = len(settings.stage) == 1
    return tuple(
        _stage(name, stage, alone)
        for name, stage in settings.stage.items()
        if not only or name in only
    )


def ad_hoc(
    argv: Sequence[str], settings: Settings, inputs: Sequence[Ref], model: str, name: str
) -> StageSpec:
    """A command as typed. A stage of seal.toml that starts the same script lends its fields.

    ``python train.py --epochs 3`` is the stage whose command is ``python train.py``.
    """
    known = next(
        (
            item
            for item in settings.stage.items()
            if tuple(argv[: len(item[1].cmd)]) == tuple(item[1].cmd)
        ),
        None,
    )
    if known is not None:
        spec = _stage(known[0], known[1], True)
        return msgspec.structs.replace(
            spec,
            argv=tuple(argv),
            inputs=tuple(inputs) or spec.inputs,
            listed=bool(inputs or spec.inputs),
            model=model or spec.model,
            model_name=name or spec.model_name,
            guess_model=not (model or spec.model),
        )
    return StageSpec(
        ADHOC,
        tuple(argv),
        tuple(inputs),
        listed=bool(inputs),
        model=model,
        model_name=name,
        guess_model=not model,
    )


def _stage(name: str, stage: StageSettings, alone: bool) -> StageSpec:
    return StageSpec(
        name,
        tuple(stage.cmd),
        tuple(refs.parse(text, "data") for text in stage.inputs),
        outputs=dict(stage.outputs),
        model=stage.model,
        model_name=stage.name,
        listed=bool(stage.inputs),
        guess_model=alone and not stage.model and not stage.outputs,
        after=tuple(stage.after),
        env=tuple(stage.env),
        network=tuple(stage.network),
        secrets=dict(stage.secrets),
        compute=_plan(stage.compute),
    )


def _plan(compute: ComputeSettings) -> Plan:
    return Plan(
        cpu_ms=1000 * span_s(compute.cpu),
        memory_bytes=size_bytes(compute.memory),
        wall_ms=1000 * span_s(compute.wall),
        gpu=compute.gpu,
        enforce=compute.enforce,
    )


def _known(settings: Settings) -> str:
    return f"it has {', '.join(settings.stage)}"
