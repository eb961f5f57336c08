"""The bill of materials of a run or a model: from its evidence, and what its Pythons imported."""

from __future__ import annotations

import io
import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from sealwright import __version__
from sealwright.app import advising, distributions, materialfindings, pastruns
from sealwright.app.distributions import Described
from sealwright.app.pastruns import Past
from sealwright.app.wiring import Workspace
from sealwright.core import clock
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, SealError
from sealwright.core.ports import StoredFile
from sealwright.core.predicates import BOM
from sealwright.core.records import Artifact, Finding, Json, Recorded, Statement
from sealwright.core.refs import Ref
from sealwright.pipeline.training import IMPORTS
from sealwright.registry.versions import Model, Models
from sealwright.supply import bom
from sealwright.supply.audit import Imported, Installed
from sealwright.supply.bom import Bill, Part, Step
from sealwright.supply.licence import Licence
from sealwright.supply.osv import normal
from sealwright.train import environment, keep
from sealwright.train.environment import Environment, Identity
from sealwright.train.packages import Package

_DATA = re.compile(r"data:[^@]+@\d+")
_NOT_INPUTS = frozenset(
    {"code", "config", "environment", "interpreter", "packages", "lock", "diff"}
)


class Collected(msgspec.Struct, frozen=True):
    """A bill, what is odd about it, and whether somebody looked while the run went on."""

    bill: Bill
    data: bytes
    findings: tuple[Finding, ...]
    observed: bool

    @property
    def sha256(self) -> Digest:
        """The bill's own digest."""
        return of_bytes(self.data)


class _Library(msgspec.Struct, frozen=True):
    """A package of the evidence, and what the disk says of it while it still is the same."""

    package: Package
    described: Described | None
    imported: Imported


def collect(workspace: Workspace, ref: Ref) -> Collected:
    """The bill of ``run:ID`` or ``model:NAME@N``. Raises: BadInput, VerifyError."""
    if ref.kind == "data":
        raise BadInput("a bill of materials is of a run or a model", hint="seal lineage data:NAME")
    history = workspace.history()
    if ref.kind == "model":
        model = Models(history).resolve(ref)
        pasts = pastruns.past_runs(workspace, Ref("run", model.run))
        subject = Part(
            f"model:{model.digest}",
            "machine-learning-model",
            f"model:{model.name}",
            version=str(model.version),
            sha256=model.digest,
            of="the model's files, as OpenSSF model signing digests them",
            signer=model.signer,
        )
        artifact = Artifact(model.ref, model.digest)
    else:
        pasts = pastruns.past_runs(workspace, ref)
        artifact = pasts[-1].entry.statement.subjects[0]
        subject = Part(
            f"run:{ref.name}",
            "application",
            f"run:{ref.name}",
            sha256=pasts[-1].entry.digest,
            of="the statement of its last stage",
            signer=pasts[-1].entry.key_id,
        )
    return _bill(workspace, subject, artifact, pasts)


def record(workspace: Workspace, collected: Collected, artifact: Artifact) -> int:
    """Keep the bill, and say in the log which one there is of ``artifact``; its entry's index."""
    kept = workspace.store.put(keep.SCOPE, io.BytesIO(collected.data))
    counts: dict[str, Json] = dict(bom.counts(collected.bill))
    said: dict[str, Json] = {
        "sha256": collected.sha256,
        "format": "CycloneDX 1.6 JSON",
        "counts": counts,
        "observed": collected.observed,
        "findings": [finding.rule for finding in collected.findings],
        "bill": msgspec.to_builtins(kept),
        "actor": workspace.principal.name,
        "time": clock.stamp(workspace.clock()),
    }
    return workspace.recorder.record(Statement((artifact,), BOM, said)).index


def of_model(workspace: Workspace, model: Model) -> str:
    """Make and keep the bill of a model just registered; a word if that cannot be done."""
    try:
        collected = collect(workspace, Ref("model", model.name, model.version))
        record(workspace, collected, Artifact(model.ref, model.digest))
    except SealError as error:
        return f"no bill of materials: {error.what} ({error.why}); seal supply bom {model.ref}"
    return ""


def recorded(workspace: Workspace, artifact: Artifact) -> bytes:
    """The newest bill that was kept of ``artifact``. Raises: BadInput (none), VerifyError."""
    for entry in reversed(workspace.history().of_type(BOM)):
        found = entry.statement.predicate.get("bill")
        if entry.statement.subjects[0] == artifact and found is not None:
            file = msgspec.convert(found, StoredFile)
            return workspace.store.open(keep.SCOPE, file).pread(0, file.size)
    raise BadInput(f"no bill of {artifact.name} was kept", hint=f"seal supply bom {artifact.name}")


def subject_of(workspace: Workspace, ref: Ref) -> Artifact:
    """What a bill's statement is about."""
    if ref.kind == "model":
        model = Models(workspace.history()).resolve(ref)
        return Artifact(model.ref, model.digest)
    return pastruns.past_runs(workspace, ref)[-1].entry.statement.subjects[0]


def libraries_of(present: Environment) -> list[Part]:
    """The packages of an environment as parts; nobody says what was imported."""
    found = _libraries(present.identity, present, distributions.describe(present), None)
    return [_library(one, found) for one in found.values()]


def _bill(
    workspace: Workspace, subject: Part, artifact: Artifact, pasts: Sequence[Past]
) -> Collected:
    last = pasts[-1]
    identity = keep.load_environment(
        workspace.store, last.stored["environment"], last.used["environment"]
    )
    present = _present(workspace, last)
    described = distributions.describe(present) if present else {}
    imports = [line for past in pasts for line in _imports(workspace, past)]
    folders = distributions.sites(present) if present else []
    used, stray = distributions.owners(imports, described, folders)
    libraries = _libraries(identity, present, described, used if imports else None)
    parts = [
        *_data_parts(workspace, pasts),
        *(_code(past) for past in _by_digest(pasts, "code")),
        _interpreter(identity, last),
        _system(identity),
        *(_library(one, libraries) for one in libraries.values()),
    ]
    top = tuple(part.ref for part in parts if part.type in ("data", "application"))
    found = advising.judge(workspace, _published(libraries), artifact)
    bill = Bill(
        subject=msgspec.structs.replace(subject, requires=top),
        parts=tuple(_wired(parts, libraries, bool(imports))),
        steps=tuple(_step(past, parts, subject) for past in pasts),
        identity=artifact.digest,
        time=_finished(last.entry),
        tool=__version__,
        datasets=tuple(part.ref for part in parts if part.type == "data"),
        hits=found.audit.hits if found.held.index else (),
        waived={w.request: (w.justification, w.reason) for w in found.waivers.active},
    )
    said = {name: one.imported for name, one in libraries.items()}
    changed = [name for name, one in libraries.items() if one.described is None]
    findings = tuple(materialfindings.findings(workspace, artifact.digest, said, changed, stray))
    return Collected(bill, bom.encode(bill), findings, bool(imports))


def _present(workspace: Workspace, past: Past) -> Environment | None:
    """The environment as it is now, where its program still is there."""
    try:
        return environment.describe(past.command, workspace.root)
    except SealError:
        return None


def _imports(workspace: Workspace, past: Past) -> list[str]:
    if IMPORTS not in past.stored:
        return []
    file = past.stored[IMPORTS]
    text = workspace.store.open(keep.SCOPE, file).pread(0, file.size)
    return text.decode("utf-8", "replace").split("\n")


def _libraries(
    identity: Identity,
    present: Environment | None,
    described: Mapping[str, Described],
    used: frozenset[str] | None,
) -> dict[str, _Library]:
    now = {one.name: one for one in present.identity.packages} if present else {}
    found = {}
    for package in identity.packages:
        name = normal(package.name)
        same = now.get(package.name) == package
        imported: Imported = "unknown" if used is None else "yes" if name in used else "no"
        found[name] = _Library(package, described.get(name) if same else None, imported)
    return found


def _library(one: _Library, others: Mapping[str, _Library]) -> Part:
    package, described = one.package, one.described
    notes = {"imported": one.imported, "origin": described.origin if described else bom.UNKNOWN}
    if described is None:
        notes["changed-since"] = "the environment no longer holds what the run used"
    return Part(
        f"library:{normal(package.name)}",
        "library",
        normal(package.name),
        version=package.version,
        purl=bom.purl(package.name, package.version) if _is_published(package) else "",
        sha256=package.sha256,
        of={"record": "RECORD", "metadata": "METADATA", "tree": "its source files"}[package.by],
        licence=described.licence if described else Licence(),
        requires=tuple(
            f"library:{name}"
            for name in _required(described.requires if described else ())
            if name in others
        ),
        parts=tuple(
            Part(
                f"file:{normal(package.name)}:{path}",
                "file",
                path,
                sha256=sha256,
                of="the file, by RECORD",
            )
            for path, sha256 in (described.natives if described else ())
        ),
        notes=notes,
    )


def _is_published(package: Package) -> bool:
    return bool(package.version) and package.by == "record" and ":" not in package.name


def _required(requires: Iterable[str]) -> Iterator[str]:
    for text in requires:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            yield normal(wanted.name)


def _wired(
    parts: Sequence[Part], libraries: Mapping[str, _Library], observed: bool
) -> Iterator[Part]:
    """Code requires what it imported (all there is, where nobody looked), the rest hangs there."""
    tops = [f"library:{name}" for name, one in libraries.items() if one.imported != "no"]
    inner = {ref for part in parts if part.type == "library" for ref in part.requires}
    loose = [
        f"library:{name}"
        for name, one in libraries.items()
        if one.imported == "no" and f"library:{name}" not in inner
    ]
    system = [part.ref for part in parts if part.type == "operating-system"]
    for part in parts:
        if part.type == "application":
            wanted = [*tops, *(p.ref for p in parts if p.type == "platform")]
            yield msgspec.structs.replace(part, requires=tuple(wanted))
        elif part.type == "platform":
            yield msgspec.structs.replace(part, requires=(*system, *loose))
        else:
            yield part


def _data_parts(workspace: Workspace, pasts: Sequence[Past]) -> Iterator[Part]:
    seen = set()
    history = workspace.history()
    for past in pasts:
        for name, digest in past.used.items():
            if name in _NOT_INPUTS or not _DATA.fullmatch(name) or digest in seen:
                continue
            seen.add(digest)
            about = [e for e in history.about(digest) if e.statement.subjects[0].name == name]
            said = about[0].statement.predicate if about else {}
            yield Part(
                f"data:{digest}",
                "data",
                name.partition("@")[0],
                version=name.partition("@")[2],
                sha256=digest,
                of="its manifest",
                signer=about[0].key_id if about else "",
                notes={
                    "records": str(said.get("rows", bom.UNKNOWN)),
                    "root": str(said.get("root", bom.UNKNOWN)),
                    "added-by": str(said.get("actor", bom.UNKNOWN)),
                    "sensitivity": str(said.get("sensitivity", "") or "unlabelled"),
                },
            )


def _by_digest(pasts: Sequence[Past], name: str) -> Iterator[Past]:
    seen = set()
    for past in pasts:
        if past.used[name] not in seen:
            seen.add(past.used[name])
            yield past


def _code(past: Past) -> Part:
    return Part(
        f"code:{past.used['code']}",
        "application",
        "code",
        sha256=past.used["code"],
        of="its file list",
        signer=past.entry.key_id,
        notes={"stage": past.stage},
    )


def _interpreter(identity: Identity, past: Past) -> Part:
    return Part(
        f"interpreter:{identity.interpreter}",
        "platform",
        identity.implementation or "program",
        version=identity.version,
        sha256=identity.interpreter,
        of="the executable, and its library where it has one",
        notes={"machine": identity.machine},
    )


def _system(identity: Identity) -> Part:
    """The base image: known by name, and by no digest, which is said."""
    return Part(
        "system",
        "operating-system",
        identity.system or platform.system(),
        version=identity.libc,
    )


def _step(past: Past, parts: Sequence[Part], subject: Part) -> Step:
    by_digest = {part.sha256: part.ref for part in (*parts, subject) if part.sha256}
    inputs = [by_digest[d] for n, d in past.used.items() if n not in IMPORTS and d in by_digest]
    outputs = [by_digest[s.digest] for s in past.entry.statement.subjects if s.digest in by_digest]
    metadata = _metadata(past.entry)
    return Step(
        past.run,
        past.stage,
        metadata["startedOn"],
        metadata["finishedOn"],
        tuple(dict.fromkeys(inputs)),
        tuple(dict.fromkeys(outputs)),
    )


def _metadata(entry: Recorded) -> dict[str, str]:
    details: dict[str, dict[str, str]] = msgspec.to_builtins(
        entry.statement.predicate["runDetails"]
    )
    return details["metadata"]


def _finished(entry: Recorded) -> str:
    return _metadata(entry)["finishedOn"]


def _published(libraries: Mapping[str, _Library]) -> tuple[Installed, ...]:
    """What advisories can speak of."""
    return tuple(
        Installed(name, one.package.version, one.imported)
        for name, one in libraries.items()
        if _is_published(one.package)
    )
