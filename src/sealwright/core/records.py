"""The nouns, as frozen records (see docs/concepts.md).

Statements hold JSON without floats: decimals travel as strings, times as RFC 3339.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from sealwright.core.digest import Digest

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]
"""What a statement may hold: RFC 8785 JSON, and no floats."""

Severity = Literal["info", "low", "medium", "high", "critical"]


class Artifact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Anything named by its digest. ``name`` is for people (``data:train@1``)."""

    name: str
    digest: Digest
    media_type: str = ""


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One observed fact about the artifact whose digest is ``subject``.

    ``metrics`` values are integers or decimal strings; ``threats`` are MITRE ATLAS ids.
    """

    rule: str
    severity: Severity
    subject: Digest
    message: str
    hint: str = ""
    threats: tuple[str, ...] = ()
    metrics: Mapping[str, int | str] = msgspec.field(default_factory=dict)


class Outcome(msgspec.Struct, frozen=True):
    """What a stage hands on. ``details`` goes into its statement as it is."""

    outputs: tuple[Artifact, ...] = ()
    findings: tuple[Finding, ...] = ()
    details: Mapping[str, Json] = msgspec.field(default_factory=dict)


class Statement(msgspec.Struct, frozen=True):
    """An in-toto Statement v1 before it is signed (https://in-toto.io/Statement/v1)."""

    subjects: tuple[Artifact, ...]
    predicate_type: str
    predicate: Mapping[str, Json]


class Receipt(msgspec.Struct, frozen=True):
    """Where a statement landed: its log index, the log's size and root just after."""

    index: int
    leaf: Digest
    size: int
    root: Digest


class Recorded(msgspec.Struct, frozen=True):
    """A statement read back from the log, its signature already verified.

    ``key_id`` is the signing key's id; ``digest`` the SHA-256 of the entry's bytes.
    Only ``evidence`` makes these.
    """

    index: int
    digest: Digest
    key_id: str
    statement: Statement


class Principal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who acts: a person, a service or a run.

    ``established`` says how we know: ``key`` and ``oidc`` were proven (docs/spec/identity-v1.md).
    """

    name: str
    key_id: str
    kind: Literal["person", "service", "run"] = "person"
    established: Literal["self-asserted", "key", "oidc"] = "self-asserted"
    uid: int = -1


class Decision(msgspec.Struct, frozen=True):
    """What a gate decided. ``reasons`` is never empty, allowed or not.

    ``id`` is the SHA-256 of the canonical request and facts; ``failed`` the policy ids
    that denied; ``mends`` the commands that would change the answer.
    """

    id: Digest
    gate: str
    allowed: bool
    reasons: tuple[str, ...]
    failed: tuple[str, ...] = ()
    mends: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
