"""The gate ``serve``: may this be asked, by whom, for how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sealwright.app import accessing
from sealwright.app.gating import WorkspaceGate
from sealwright.app.servingmodel import of_model
from sealwright.app.servingsource import Subject
from sealwright.core.digest import Digest
from sealwright.core.records import Artifact, Json
from sealwright.core.servesettings import ServeSettings
from sealwright.registry.aliases import refuse_unusable
from sealwright.serve.guard import Offer
from sealwright.serve.interface import Allowance

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace


def allowed(
    workspace: Workspace, subject: Subject, reason: str, *, external: bool, text: bool = False
) -> WorkspaceGate:
    """The present principal may deploy it, and the gate lets it be asked.

    ``external``: by others than our own. Raises: GateDenied, Refused (``model.revoked``,
    ``model.blocked``).
    """
    model = subject.model
    if model is not None:
        refuse_unusable(model)
    asked = Artifact(subject.ref, subject.digest)
    size = model.size_bytes if model is not None and subject.leased else 0
    accessing.require(workspace, "deploy", [asked], reason=reason, size_bytes=size)
    gate = WorkspaceGate(workspace, reason)
    settings = workspace.settings.serve
    budget, _ = _bits(settings, subject.name, text)
    offered: dict[str, Json] = {
        "external": external,
        "mbits": budget * 1000,
        "fidelity": "top1",
        "cells": 0 if text else settings.cells,
        "pace": [] if text else [[bits * 1000, most] for bits, most in settings.pace],
        "walks": not text and bool(settings.cells or settings.pace),
    }
    if not subject.leased:
        offered["upstream"] = True
    gate("serve", (asked,), offered)
    return gate


def offer_of(subject: Subject, policy: Digest, profile: str, settings: ServeSettings) -> Offer:
    """What is on offer, and to whom how much of it."""
    text = profile == "text"
    budget, lifetime = (bits * 1000 for bits in _bits(settings, subject.name, text))
    cells = 0 if text else settings.cells
    pace = () if text else tuple((bits * 1000, most) for bits, most in settings.pace)
    external = Allowance(budget, lifetime, cells, settings.rate_per_s, settings.burst, pace)
    rate, own = settings.internal_rate_per_s, settings.internal_bits * 1000
    internal = Allowance(max(own, lifetime) if text else own, lifetime, 0, rate, rate)
    return Offer(subject.ref, subject.digest, policy, profile, external, internal)


def _bits(settings: ServeSettings, name: str, text: bool) -> tuple[int, int]:
    """Of one group, and of the model's whole life."""
    own, whose = of_model(settings, name), settings.text if text else settings
    return own.budget_bits or whose.budget_bits, own.lifetime_bits or whose.lifetime_bits
