"""Where a run's imports and what its project declares differ, as findings about its bill."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from sealwright.app.wiring import Workspace
from sealwright.core.digest import Digest
from sealwright.core.records import Finding
from sealwright.supply.osv import normal


def findings(
    workspace: Workspace,
    subject: Digest,
    imported: Mapping[str, str],
    changed: Sequence[str],
    stray: Sequence[str],
) -> Iterator[Finding]:
    """Where what was imported and what was declared differ."""
    observed = "yes" in imported.values()
    if not observed:
        yield Finding(
            "bom.not-observed",
            "low",
            subject,
            "nobody saw what the run imported, so every installed library is listed",
            hint="run it again: Python processes of the room say what they imported",
        )
    if stray:
        yield Finding(
            "bom.undeclared-file",
            "medium",
            subject,
            f"{len(stray)} imported files belong to no installed distribution: {stray[0]}",
            hint="reinstall the environment from its lock file",
        )
    declared = _declared(workspace)
    used = sorted(name for name, said in imported.items() if said == "yes")
    if declared is not None and (missing := [name for name in used if name not in declared]):
        yield Finding(
            "bom.undeclared-library",
            "low",
            subject,
            f"{len(missing)} imported libraries stand in no lock file: {', '.join(missing[:5])}",
            hint="pin them in requirements.txt or the lock file you use",
        )
    if changed:
        yield Finding(
            "bom.changed-since",
            "low",
            subject,
            f"{len(changed)} libraries are no longer installed as the run used them",
            hint="make the bill on the machine and environment of the run",
        )


_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?:[=<>!~;@\\]|$)")
_LOCKED = re.compile(r'^name = "([^"]+)"', re.MULTILINE)


def _declared(workspace: Workspace) -> frozenset[str] | None:
    """Names that the project's lock or requirements files hold; None where there are none."""
    files = [
        *workspace.root.glob("requirements*.txt"),
        *workspace.root.glob("requirements/*.txt"),
        *(workspace.root / name for name in ("uv.lock", "poetry.lock", "pdm.lock")),
    ]
    names: set[str] = set()
    found = False
    for path in files:
        if not path.is_file() or path.is_symlink():
            continue
        found = True
        text = path.read_text("utf-8", "replace")
        if path.suffix == ".lock":
            names.update(map(normal, _LOCKED.findall(text)))
        else:
            names.update(normal(m[1]) for line in text.split("\n") if (m := _NAME.match(line)))
    return frozenset(names) if found else None
