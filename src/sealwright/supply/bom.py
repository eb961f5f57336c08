"""A bill of materials: CycloneDX 1.6 JSON, equal bytes for an equal run. Pure.

Written by hand because nothing kept writes a model card, hashes every component and links
data to model. Source: ECMA-424, CycloneDX 1.6; docs/spec/bom-v1.md.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.records import Json
from sealwright.evidence import jcs
from sealwright.supply.audit import Hit
from sealwright.supply.licence import Licence

NAMESPACE = uuid.UUID("6e1a4a52-3c4f-5d0b-9f4e-0d5c7f1f8a01")
UNKNOWN = "unknown"

Type = Literal[
    "application",
    "data",
    "file",
    "library",
    "machine-learning-model",
    "operating-system",
    "platform",
]
_OF_OPENVEX = {
    "component_not_present": "code_not_present",
    "vulnerable_code_not_present": "code_not_present",
    "vulnerable_code_not_in_execute_path": "code_not_reachable",
    "vulnerable_code_cannot_be_controlled_by_adversary": "requires_environment",
    "inline_mitigations_already_exist": "protected_by_mitigating_control",
}
_SEVERITY = {"exploited": "critical", "high": "high", "medium": "medium", "low": "low"}


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One component. ``sha256`` and ``signer`` are empty where nobody knows, which is said.

    ``of`` says what the digest covers; ``requires`` are refs of other parts; ``parts`` lie in
    this one; ``notes`` become properties of ours.
    """

    ref: str
    type: Type
    name: str
    version: str = ""
    purl: str = ""
    sha256: Digest = ""
    of: str = ""
    licence: Licence = Licence()
    signer: str = ""
    requires: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    notes: Mapping[str, str] = msgspec.field(default_factory=dict)


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stage of the run: what went in, what came out, when."""

    run: str
    stage: str
    started: str
    finished: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Bill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything one bill holds. ``subject`` is the model, or the run where it made none."""

    subject: Part
    parts: tuple[Part, ...]
    steps: tuple[Step, ...]
    identity: Digest
    time: str
    tool: str
    datasets: tuple[str, ...] = ()
    hits: tuple[Hit, ...] = ()
    waived: Mapping[Digest, tuple[str, str]] = msgspec.field(default_factory=dict)


def document(bill: Bill) -> dict[str, Json]:
    """The bill as CycloneDX 1.6. Every part appears in ``dependencies``."""
    parts = sorted(bill.parts, key=lambda part: part.ref)
    refs = {bill.subject.ref, *(part.ref for part in parts)}
    out: dict[str, Json] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, bill.identity)}",
        "version": 1,
        "metadata": {
            "timestamp": bill.time,
            "tools": {
                "components": [{"type": "application", "name": "sealwright", "version": bill.tool}]
            },
            "component": _subject(bill),
        },
        "components": [_component(part) for part in parts],
        "dependencies": [_edge(part, refs) for part in sorted((bill.subject, *parts), key=_ref)],
        "formulation": [_formula(bill)],
    }
    if bill.hits:
        out["vulnerabilities"] = [_vulnerability(hit, bill) for hit in bill.hits]
    return out


def encode(bill: Bill) -> bytes:
    """RFC 8785 bytes, so that two writers of one bill agree."""
    return jcs.canonical(document(bill))


class Trace(msgspec.Struct, frozen=True):
    """What a walk from the subject reaches, and what it reaches without digest or signer."""

    reached: tuple[str, ...]
    unhashed: tuple[str, ...]
    unsigned: tuple[str, ...]
    lost: tuple[str, ...]


def trace(bill: Bill) -> Trace:
    """Walk the graph from the subject. ``lost`` are parts that no edge leads to."""
    by_ref = {part.ref: part for part in (bill.subject, *bill.parts)}
    waiting, seen = [bill.subject.ref], {bill.subject.ref}
    while waiting:
        for ref in by_ref[waiting.pop()].requires:
            if ref in by_ref and ref not in seen:
                seen.add(ref)
                waiting.append(ref)
    return Trace(
        tuple(sorted(seen)),
        tuple(sorted(ref for ref in seen if not by_ref[ref].sha256)),
        tuple(sorted(ref for ref in seen if not by_ref[ref].signer)),
        tuple(sorted(by_ref.keys() - seen)),
    )


def purl(name: str, version: str) -> str:
    """A package URL of a PyPI distribution (purl-spec, type ``pypi``)."""
    from urllib.parse import quote

    return f"pkg:pypi/{quote(name.lower().replace('_', '-'))}@{quote(version, safe='.-_~')}"


def _ref(part: Part) -> str:
    return part.ref


def _subject(bill: Bill) -> dict[str, Json]:
    out = _component(bill.subject)
    if bill.subject.type == "machine-learning-model":
        data: list[Json] = [{"ref": ref} for ref in bill.datasets]
        out["modelCard"] = {"modelParameters": {"datasets": data}}
    return out


def _component(part: Part) -> dict[str, Json]:
    out: dict[str, Json] = {"type": part.type, "bom-ref": part.ref, "name": part.name}
    if part.version:
        out["version"] = part.version
    if part.purl:
        out["purl"] = part.purl
    if part.sha256:
        out["hashes"] = [{"alg": "SHA-256", "content": part.sha256}]
    if part.licence.known:
        out["licenses"] = [_licence(part.licence)]
    if part.type == "data":
        out["data"] = [{"type": "dataset", "name": part.name}]
    if part.parts:
        out["components"] = [_component(one) for one in sorted(part.parts, key=_ref)]
    notes = {
        **part.notes,
        "digest": part.of if part.sha256 else UNKNOWN,
        "signer": part.signer or UNKNOWN,
    }
    out["properties"] = [
        {"name": f"sealwright:{name}", "value": text} for name, text in sorted(notes.items())
    ]
    return out


def _licence(licence: Licence) -> dict[str, Json]:
    if licence.spdx and not any(word in licence.spdx for word in (" ", "(")):
        return {"license": {"id": licence.spdx, "acknowledgement": "declared"}}
    if licence.spdx:
        return {"expression": licence.spdx, "acknowledgement": "declared"}
    return {"license": {"name": licence.name, "acknowledgement": "declared"}}


def _edge(part: Part, refs: set[str]) -> dict[str, Json]:
    wanted: list[Json] = [*sorted(set(part.requires) & refs)]
    return {"ref": part.ref, "dependsOn": wanted}


def _formula(bill: Bill) -> dict[str, Json]:
    return {
        "bom-ref": "formula",
        "workflows": [
            {
                "bom-ref": f"workflow:{step.run}:{step.stage}",
                "uid": f"{step.run}:{step.stage}",
                "name": step.stage,
                "taskTypes": ["build"],
                "timeStart": step.started,
                "timeEnd": step.finished,
                "inputs": _resources(step.inputs),
                "outputs": _resources(step.outputs),
            }
            for step in bill.steps
        ],
    }


def _resources(refs: Iterable[str]) -> list[Json]:
    return [{"resource": {"ref": ref}} for ref in refs]


def _vulnerability(hit: Hit, bill: Bill) -> dict[str, Json]:
    ref = next((p.ref for p in bill.parts if p.name == hit.package and p.type == "library"), "")
    out: dict[str, Json] = {
        "bom-ref": f"vulnerability:{hit.id}:{hit.package}",
        "id": hit.id,
        "source": {"name": "OSV"},
        "references": [{"id": name, "source": {"name": "alias"}} for name in hit.aliases],
        "ratings": [{"severity": _SEVERITY[hit.rank]}],
        "affects": [{"ref": ref}] if ref else [],
        "analysis": _analysis(hit, bill),
    }
    if hit.fixed:
        out["recommendation"] = f"{hit.package}>={hit.fixed}"
    return out


def _analysis(hit: Hit, bill: Bill) -> dict[str, Json]:
    if hit.state == "unknown":
        return {"state": "in_triage", "detail": hit.why or "its version cannot be ordered"}
    if hit.state != "waived":
        return {"state": "exploitable", "detail": f"imported: {hit.imported}"}
    justification, reason = bill.waived.get(hit.waiver, ("", ""))
    detail = f"waiver {hit.waiver}: {reason}"
    if said := _OF_OPENVEX.get(justification):
        return {"state": "not_affected", "justification": said, "detail": detail}
    return {"state": "exploitable", "response": ["will_not_fix"], "detail": detail}


def counts(bill: Bill) -> Mapping[str, int]:
    """What a statement says of the bill."""
    libraries = [part for part in bill.parts if part.type == "library"]
    walked = trace(bill)
    return {
        "components": len(bill.parts) + 1,
        "libraries": len(libraries),
        "unhashed": len(walked.unhashed),
        "unsigned": len(walked.unsigned),
        "unlicensed": sum(not part.licence.known for part in libraries),
        "unreached": len(walked.lost),
    }


def walk(document: Mapping[str, Any], ref: str) -> Iterator[str]:
    """Every component that ``ref`` leads to in a bill that somebody else wrote, in order met."""
    edges: dict[str, Sequence[str]] = {
        row["ref"]: row.get("dependsOn", ()) for row in document.get("dependencies", ())
    }
    waiting, seen = [ref], {ref}
    while waiting:
        here = waiting.pop(0)
        yield here
        for other in edges.get(here, ()):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
