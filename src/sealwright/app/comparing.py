"""A suspect against a model: the commitment is checked, the suspect asked, the answer recorded."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.app import accessing
from sealwright.app.suspects import Suspect
from sealwright.app.wiring import Workspace
from sealwright.core import refs
from sealwright.core.clock import stamp
from sealwright.core.errors import BadInput
from sealwright.core.predicates import COMPARISON
from sealwright.core.records import Artifact, Json, Recorded, Statement
from sealwright.registry import compare as comparing
from sealwright.registry import fingerprint as fingerprints
from sealwright.registry.compare import Comparison
from sealwright.registry.fingerprint import Commitment
from sealwright.registry.fingerprint_order import Order, order_of
from sealwright.registry.versions import Model, Models


class Compared(msgspec.Struct, frozen=True):
    """A comparison, and how the commitment stands in time."""

    model: Model
    commitment: Commitment
    commitments: int
    order: Order
    comparison: Comparison
    index: int


def opened(workspace: Workspace, model: str, entry: int) -> tuple[Model, Recorded, Commitment, int]:
    """A model, its commitment (the newest; or the one at ``entry``) and how many there are.

    Raises: BadInput (there is none).
    """
    history = workspace.history()
    found = Models(history).resolve(refs.parse(model, "model"))
    known = fingerprints.commitments(history, found.digest)
    if not known:
        raise BadInput(
            f"{found.ref} has no fingerprint",
            why="there is nothing that was committed to before",
            hint=f"seal model fingerprint {found.ref}",
        )
    chosen = [one for one in known if entry in (-1, one[0].index)]
    if not chosen:
        at = ", ".join(str(one.index) for one, _ in known)
        raise BadInput(f"entry {entry} is no fingerprint of {found.ref}", why=f"they are at {at}")
    return found, *chosen[-1], len(known)


def questions(workspace: Workspace, model: str, entry: int) -> npt.NDArray[np.float64]:
    """(n, d) the questions in the order asked; whoever sees them can prepare for them."""
    found, _, said, _ = opened(workspace, model, entry)
    accessing.require(workspace, "view", [Artifact(found.ref, found.digest)])
    return comparing.asked(fingerprints.load(workspace.store, said, found.digest))


def compare(
    workspace: Workspace,
    model: str,
    suspect: Suspect,
    names: Mapping[str, str],
    *,
    entry: int = -1,
    published: str = "",
    most: int = 0,
    reason: str = "",
) -> Compared:
    """Ask, judge, record. Raises: VerifyError (``fingerprint.changed``), BadInput, Refused."""
    found, recorded, said, count = opened(workspace, model, entry)
    made = fingerprints.load(workspace.store, said, found.digest)
    order = order_of(workspace.history(), recorded, said, published)
    answered = comparing.ask(made, suspect.ask, names, most)
    judged = ordered(comparing.compare(made, answered, count), order)
    statement = _statement(workspace, found, said, suspect, order, judged, reason)
    index = workspace.recorder.record(statement).index
    return Compared(found, said, count, order, judged, index)


def ordered(judged: Comparison, order: Order) -> Comparison:
    """A claim needs a commitment that came before; without one, nothing can be told."""
    if judged.verdict != "consistent with copying" or order.holds:
        return judged
    why = (
        "the answers would be consistent with copying, but the commitment proves nothing:"
        f" {order.why}"
    )
    return msgspec.structs.replace(judged, verdict="cannot tell", reason=why, alternatives=())


def _statement(
    workspace: Workspace,
    model: Model,
    said: Commitment,
    suspect: Suspect,
    order: Order,
    judged: Comparison,
    reason: str,
) -> Statement:
    tests: list[Json] = [
        {
            "name": one.name,
            "asked": one.asked,
            "answered": one.answered,
            "value": f"{one.value:.6f}",
            "null_mean": f"{one.null_mean:.6f}",
            "null_highest": f"{one.null_highest:.6f}",
            "bound": f"{one.bound:.6f}",
            "log10_p": f"{one.log10_p:.2f}",
            "counts": one.counts,
        }
        for one in judged.tests
    ]
    predicate: dict[str, Json] = {
        "model": model.name,
        "version": model.version,
        "suspect": {"kind": suspect.kind, "name": suspect.name, "digest": suspect.digest},
        "fingerprint": {"entry": order.entry, "commitment": said.commitment},
        "order": {
            "holds": order.holds,
            "released": order.released,
            "published": order.published,
        },
        "verdict": judged.verdict,
        "why": judged.reason,
        "tests": tests,
        "divided_by": judged.divided_by,
        "null_models": judged.null_models,
        "asked": judged.asked,
        "answered": judged.answered,
        "actor": workspace.principal.name,
        "reason": reason,
        "time": stamp(workspace.clock()),
    }
    return Statement((Artifact(model.ref, model.digest),), COMPARISON, predicate)
