"""The packages an audit is about: those of the project's Python, or those a run was sealed with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from sealwright.app import advising, pastruns
from sealwright.app import distributions as installed
from sealwright.app.advising import Audited
from sealwright.app.wiring import Workspace
from sealwright.core import refs
from sealwright.core.errors import BadInput
from sealwright.core.records import Artifact
from sealwright.supply import reach, sarif
from sealwright.supply.audit import Hit, Installed
from sealwright.supply.osv import normal
from sealwright.supply.reach import Distribution
from sealwright.train import environment, keep, snapshot
from sealwright.train.environment import Environment

_SOURCE_BYTES = 4 << 20
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SETTINGS = "seal.toml"
_MEND_UNKNOWN = "install a release whose version can be ordered"


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


def results(done: Audited, root: Path) -> Iterator[sarif.Result]:
    """What SARIF shows: what is vulnerable, and what is unknown, where the project names it."""
    places = _places(root)
    for hit in done.audit.hits:
        if hit.state in ("vulnerable", "unknown"):
            path, line = places.get(hit.package, (_SETTINGS, 0))
            yield _result(hit, path, line)
    for name, why in done.audit.unknown:
        path, line = places.get(name, (_SETTINGS, 0))
        rule = sarif.Rule(
            "supply.unknown", "Nobody can say whether it is vulnerable", _MEND_UNKNOWN
        )
        yield sarif.Result(
            rule, "error", f"{name}: {why}", path, line, fingerprint=f"{name}:unknown"
        )
    if done.held.rule:
        rule = sarif.Rule(done.held.rule, "There is no index to look into", advising.mend_index())
        yield sarif.Result(rule, "error", done.held.why, _SETTINGS, fingerprint=done.held.rule)


def _result(hit: Hit, path: str, line: int) -> sarif.Result:
    mend = f"{hit.package}>={hit.fixed}" if hit.fixed else "no fixed release is named"
    also = f" ({', '.join(hit.aliases)})" if hit.aliases else ""
    return sarif.Result(
        sarif.Rule(f"advisory.{hit.id}", f"{hit.package} has a known vulnerability", mend),
        "warning" if hit.state == "vulnerable" and hit.rank in ("low", "medium") else "error",
        f"{hit.package} {hit.version} is {hit.state}: {hit.id}{also}, rank {hit.rank},"
        f" imported: {hit.imported}; {mend}",
        path,
        line,
        fingerprint=f"{hit.package}:{hit.id}",
    )


def _places(root: Path) -> dict[str, tuple[str, int]]:
    """Package → file and line of the project's locks that starts with its name."""
    found: dict[str, tuple[str, int]] = {}
    for lock in environment.locks(root):
        text = (root / lock.path).read_text("utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            named = line.strip().removeprefix("name = ").removeprefix("- ").lstrip("'\"")
            if word := _WORD.match(named):
                found.setdefault(normal(word[0]), (lock.path, number))
    return found
