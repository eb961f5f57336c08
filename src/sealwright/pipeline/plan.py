"""The order of the stages, and everything a stage is pinned to before it starts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

import msgspec

from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput
from sealwright.core.records import Artifact
from sealwright.evidence import jcs
from sealwright.pipeline.spec import StageSpec


class Pins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The digests a stage may use and no others; each is checked again when it is opened.

    ``config`` covers the command, the settings of the stage and the limits of the room.
    """

    inputs: tuple[Artifact, ...]
    code: Digest
    config: Digest
    environment: Digest
    interpreter: Digest
    packages: Digest
    diff: str = ""
    lock: str = ""

    @property
    def plan(self) -> Digest:
        """The digest of all of it: what the intent in the log names."""
        return of_bytes(jcs.canonical(msgspec.to_builtins(self)))


def order(stages: Sequence[StageSpec]) -> tuple[StageSpec, ...]:
    """Stages so that each comes after what it reads and after what it names.

    Stages that do not depend on each other keep their order. Raises: BadInput (a cycle,
    two stages that make one dataset).
    """
    by_name = {stage.name: stage for stage in stages}
    makers = _makers(stages)
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for stage in stages:
        before = {makers[ref.name] for ref in stage.inputs if ref.name in makers}
        named = {name for name in stage.after if name in by_name}
        sorter.add(stage.name, *sorted(before | named))
    try:
        return tuple(by_name[name] for name in sorter.static_order())
    except CycleError as error:
        raise BadInput(
            "the stages of seal.toml go round in a circle", why=" -> ".join(error.args[1])
        ) from error


def config_digest(stage: StageSpec, limits: Mapping[str, int | str]) -> Digest:
    """The digest of what was asked for: command, inputs, outputs, model, limits of the room."""
    asked = {
        "argv": list(stage.argv),
        "env": list(stage.env),
        "inputs": [str(ref) for ref in stage.inputs],
        "limits": dict(limits),
        "model": stage.model,
        "model_name": stage.model_name,
        "outputs": dict(stage.outputs),
        "stage": stage.name,
    }
    if stage.network or stage.secrets:
        asked |= {"network": list(stage.network), "secrets": dict(stage.secrets)}
    return of_bytes(jcs.canonical(asked))


def _makers(stages: Sequence[StageSpec]) -> dict[str, str]:
    makers: dict[str, str] = {}
    for stage in stages:
        for name in stage.outputs:
            if name in makers:
                raise BadInput(f"two stages make data:{name}", why=f"{makers[name]}, {stage.name}")
            makers[name] = stage.name
    return makers
