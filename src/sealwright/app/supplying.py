"""The supply chain of a stage that is about to run, and of the model a stage left.

Packages against the offline index, code against credential patterns, and every model file that
the run would read against the model-file policy: one statement before the gate decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from sealwright.app import advising, allowing, auditing, secretscanning
from sealwright.app.advising import Audited
from sealwright.app.scanning import Scanned, scan_paths
from sealwright.app.secretscanning import Looked
from sealwright.app.wiring import Workspace
from sealwright.core import clock
from sealwright.core.errors import GateDenied, VerifyError
from sealwright.core.ports import Readable
from sealwright.core.records import Artifact
from sealwright.intake.streams import Silent
from sealwright.intake.versions import open_files
from sealwright.kit.modelfile import sniff
from sealwright.kit.modelfile.policy import Policy, Signed, policy_of
from sealwright.kit.modelfile.report import Unsound, Verdict
from sealwright.kit.modelfile.rules import RULES
from sealwright.kit.modelfile.scan import Scanner
from sealwright.kit.modelfile.source import Bytes
from sealwright.pipeline.training import Prepared
from sealwright.policy import supplied
from sealwright.policy.supplied import Advised, Check, ModelScan
from sealwright.supply import modelfile

_PLAIN = frozenset({"text", "unknown", "json", "notebook"})
_BOXES = frozenset({"zip", "tar", "gzip", "zlib", "bz2", "xz", "lzma", "lz4"})
"""What may hold anything: refused when it is dangerous, and not for a picture inside."""

_HEAD_BYTES = 1 << 16
_RULES = "supply."


class ModelFile(msgspec.Struct, frozen=True):
    """A model file that the stage would read, and what opening it would do."""

    path: str
    verdict: Verdict

    @property
    def refused(self) -> bool:
        """Dangerous; or not understood, where it is no mere archive."""
        if self.verdict.verdict == "dangerous":
            return True
        return self.verdict.verdict != "clean" and self.verdict.format not in _BOXES


class Examined(msgspec.Struct, frozen=True):
    """What was found before a stage ran; the log has its counts."""

    audited: Audited
    secrets: Looked
    models: tuple[ModelFile, ...]
    entry: int

    @property
    def lines(self) -> tuple[str, ...]:
        """What stands in the way or is unknown, each with its mend."""
        return tuple(_lines(self))


def examine(workspace: Workspace, prepared: Prepared) -> Examined:
    """Check a stage's packages, code and model files; the answer is a statement."""
    audited, secrets, models = _look(workspace, prepared)
    done, held = audited.audit, audited.held
    rules = {f.rule for one in models if one.refused for f in one.verdict.findings}
    check = Check(
        run=prepared.run,
        stage=prepared.spec.name,
        code=prepared.pins.code,
        environment=prepared.pins.environment,
        packages=done.packages,
        vulnerable=len(done.vulnerable),
        vulnerabilities_unknown=len(done.unsure) if not held.rule else done.packages,
        waived=len(done.of("waived")),
        advisories=Advised(held.sha256, held.age_days, held.rule),
        files=secrets.files,
        secrets=len(secrets.open),
        secrets_waived=len(secrets.waived),
        cut=len(secrets.cut),
        model_files=len(models),
        model_files_refused=sum(one.refused for one in models),
        rules=tuple(sorted(rules))[:50],
        profile=workspace.profile,
        actor=workspace.principal.name,
        time=clock.stamp(workspace.clock()),
    )
    receipt = workspace.recorder.record(supplied.statement_of(check))
    return Examined(audited, secrets, models, receipt.index)


def _look(
    workspace: Workspace, prepared: Prepared
) -> tuple[Audited, Looked, tuple[ModelFile, ...]]:
    """The look itself. Reach is worked out only where an advisory speaks of a package."""
    environment = Artifact("environment", prepared.pins.environment)
    packages = advising.packages_of(prepared.environment, {})
    audited = advising.judge(workspace, packages, environment, prepared.spec.name)
    if audited.audit.hits:
        packages = auditing.of_stage(prepared.environment, auditing.python_sources(prepared.code))
        audited = advising.judge(workspace, packages, environment, prepared.spec.name)
    contents = [(file.path, data) for file, data in prepared.code.contents()]
    secrets = secretscanning.look(secretscanning.baseline(workspace), contents)
    models = tuple(_models(workspace, prepared, contents))
    return audited, secrets, models


def _models(
    workspace: Workspace, prepared: Prepared, code: Iterable[tuple[str, bytes]]
) -> Iterator[ModelFile]:
    """Every file of the code and of the data that begins like a model file."""
    with Scanner(file_policy(workspace)) as scanner:
        for path, data in code:
            if _is_model(Bytes(data)):
                yield ModelFile(path, scanner.scan(Bytes(data)))
        for dataset in prepared.datasets:
            if dataset.kind != "files":
                continue
            for file in open_files(dataset, workspace.store, workspace.root):
                if _is_model(file.readable):
                    yield ModelFile(file.relpath, scanner.scan(file.readable))


def _is_model(source: Readable) -> bool:
    head = source.pread(0, _HEAD_BYTES)
    try:
        return sniff.kind_of(head, source) not in _PLAIN
    except Unsound as error:
        return error.found.rule.startswith("code.")


def explained(denied: GateDenied, examined: Examined) -> GateDenied:
    """The same refusal, naming packages, places and files, with the line that mends the first."""
    rules = denied.rule.split(", ")
    if not any(rule.startswith(_RULES) for rule in rules):
        return denied
    mend = _mend(examined) if rules[0].startswith(_RULES) else ""
    return GateDenied(
        denied.what,
        why="; ".join([denied.why, *examined.lines]),
        hint=mend or denied.hint,
        rule=denied.rule,
        evidence=(*denied.evidence, f"supply check: entry {examined.entry}"),
        decision=denied.decision,
    )


def _lines(examined: Examined) -> Iterator[str]:
    for hit in examined.audited.audit.of("vulnerable")[:5]:
        mend = f"; {hit.package}>={hit.fixed} is free of it" if hit.fixed else ""
        yield f"{hit.package} {hit.version}: {hit.id}, {hit.rank}, imported: {hit.imported}{mend}"
    if examined.audited.held.rule:
        yield f"{examined.audited.held.rule}: {examined.audited.held.why}"
    for secret in examined.secrets.open[:5]:
        yield f"{secret.place}: {secret.pattern} (secret:{secret.fingerprint})"
    for one in examined.models:
        if one.refused:
            said = modelfile.message(one.verdict.findings[0])
            yield f"{one.path} is {one.verdict.verdict}: {said}"


def _mend(examined: Examined) -> str:
    """One command for the first thing that stands in the way."""
    if examined.secrets.open:
        first = examined.secrets.open[0]
        return (
            f"take it out of {first.path} (seal secret set NAME), or, if it is none:"
            f" seal supply waive secret:{first.fingerprint} --until +90d --reason '...'"
        )
    if refused := [one for one in examined.models if one.refused]:
        return RULES[refused[0].verdict.findings[0].rule].mend
    hits = examined.audited.audit.of("vulnerable")
    if hits:
        hit = hits[0]
        install = f"install {hit.package}>={hit.fixed}, or: " if hit.fixed else ""
        return (
            f"{install}seal supply waive {hit.id} --package {hit.package}"
            f" --versions '=={hit.version}' --until +30d --reason '...'"
        )
    return advising.mend_index() if examined.audited.held.rule else ""


def scan_model(
    workspace: Workspace, model: Artifact, place: Path, digests: Sequence[tuple[str, str]]
) -> tuple[ModelScan, tuple[Scanned, ...]]:
    """Scan the files a stage left as its model, and say in the log what they are.

    ``digests`` are (path, SHA-256) of what left the room. Raises: VerifyError (a file was
    changed on the way).
    """
    scanned = _scan(workspace, place)
    known = {sha256 for _, sha256 in digests}
    for one in scanned:
        if one.sha256 and one.sha256 not in known:
            raise VerifyError(
                f"{one.path} is not what left the room",
                where=one.path,
                why="it was changed before it was scanned",
                rule="run.output-swapped",
            )
    words = [one.verdict.verdict for one in scanned]
    worst = next((w for w in ("dangerous", "not understood") if w in words), "clean")
    rules = sorted({f.rule for one in scanned for f in one.verdict.findings})
    scan = ModelScan(
        verdict=worst,  # type: ignore[arg-type]
        clean=words.count("clean"),
        dangerous=words.count("dangerous"),
        not_understood=words.count("not understood"),
        policy=scanned[0].verdict.policy if scanned else "",
        rules=tuple(rules[:50]),
        actor=workspace.principal.name,
        time=clock.stamp(workspace.clock()),
    )
    workspace.recorder.record(supplied.scan_statement(model, scan))
    return scan, tuple(scanned)


def words(scanned: Iterable[Scanned]) -> tuple[str, ...]:
    """What a person is told of model files that are not clean."""
    return tuple(
        f"{one.path} is {one.verdict.verdict}: {modelfile.message(one.verdict.findings[0])}"
        for one in scanned
        if one.verdict.verdict != "clean" and one.verdict.findings
    )


def _scan(workspace: Workspace, place: Path) -> list[Scanned]:
    level = workspace.settings.supply.level
    return scan_paths([str(place)], level, _signed(workspace), Silent())


def file_policy(workspace: Workspace) -> Policy:
    """What a model file may name here: `[supply] level`, and classes the team signed."""
    return policy_of(workspace.settings.supply.level, _signed(workspace))


def _signed(workspace: Workspace) -> tuple[Signed, ...]:
    """The team's own classes, at the one level where they count."""
    return allowing.signed(workspace) if workspace.settings.supply.level == "project" else ()
