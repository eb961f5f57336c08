"""The packages an audit is about: those of the project's Python, or those a run was sealed with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sealwright.app import advising, pastruns
from sealwright.app import distributions as installed
from sealwright.app.wiring import Workspace
from sealwright.core import refs
from sealwright.core.errors import BadInput
from sealwright.core.records import Artifact
from sealwright.supply import reach
from sealwright.supply.audit import Installed
from sealwright.supply.reach import Distribution
from sealwright.train import environment, keep, snapshot
from sealwright.train.environment import Environment

_SOURCE_BYTES = 4 << 20


def packages(workspace: Workspace, run: str, python: str) -> tuple[tuple[Installed, ...], Artifact]:
    """What to audit, and the environment it makes up. Raises: BadInput, VerifyError."""
    return _past(workspace, run) if run else _present(workspace, python)


def of_stage(described: Environment, sources: Iterable[bytes]) -> tuple[Installed, ...]:
    """The packages of a stage that is about to run, with what its code can reach."""
    found = reach.imports(sources)
    return advising.packages_of(described, reach.reach(found, list(distributions(described))))


def distributions(described: Environment) -> Iterator[Distribution]:
    """Modules and requirements of everything installed for an environment."""
    for one in installed.describe(described).values():
        yield Distribution(one.name, one.modules, one.requires)


def _present(workspace: Workspace, python: str) -> tuple[tuple[Installed, ...], Artifact]:
    described = environment.describe([python], workspace.root)
    code = snapshot.take(workspace.root)
    return of_stage(described, python_sources(code)), Artifact("environment", described.digest)


def python_sources(code: snapshot.Snapshot) -> Iterator[bytes]:
    """The Python files of a snapshot."""
    for file, content in code.contents():
        if file.path.endswith(".py") and len(content) <= _SOURCE_BYTES:
            yield content


def _past(workspace: Workspace, run: str) -> tuple[tuple[Installed, ...], Artifact]:
    found: dict[str, Installed] = {}
    digest = ""
    for past in pastruns.past_runs(workspace, refs.parse(run, "run")):
        digest = past.used["environment"]
        identity = keep.load_environment(workspace.store, past.stored["environment"], digest)
        for one in identity.packages:
            found[one.name] = Installed(one.name, one.version)
    if not digest:
        raise BadInput(f"{run} has no environment on record")
    return tuple(found[name] for name in sorted(found)), Artifact("environment", digest)
