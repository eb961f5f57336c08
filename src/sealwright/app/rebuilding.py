"""``seal supply rebuild``: the same again in isolation, and why it came out different."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from sealwright.app import pastruns, reproducing
from sealwright.app.wiring import Workspace
from sealwright.core import clock
from sealwright.core.digest import of_bytes
from sealwright.core.errors import BadInput, Refused, Unavailable
from sealwright.core.ports import JailBounds, JailInput
from sealwright.core.predicates import REBUILD
from sealwright.core.records import Artifact, Json, Statement
from sealwright.core.refs import Ref
from sealwright.evidence import jcs
from sealwright.kit.modelfile.source import Bytes
from sealwright.supply import archive, archivediff, rebuild
from sealwright.supply.archive import Contents
from sealwright.supply.archivediff import Cause
from sealwright.supply.rebuild import Outcome
from sealwright.supply.rebuildplan import (
    EPOCH,
    FIRST,
    STILL,
    VARIED,
    Plan,
    Report,
    Surroundings,
    second,
)
from sealwright.supply.rebuildroom import PLAN, PROJECT, REPORT

_MODULE = "sealwright.supply.rebuildroom"
_MOST_BYTES = 256 << 20
_MOST_FILES = 20_000
_LEFT_OUT = frozenset(
    {".git", ".hg", ".seal", ".venv", "__pycache__", "build", "dist", ".tox", ".mypy_cache"}
)

Heard = Callable[[str], None]


def rebuild_one(
    workspace: Workspace,
    target: Path,
    against: Path | None = None,
    hold: tuple[str, ...] = (),
    heard: Heard | None = None,
) -> tuple[Outcome, int]:
    """Build a project or pack a folder again, or compare two archives; a statement says so.

    Returns the outcome and the entry's index. Raises: BadInput (no build, no archive),
    Unavailable (no room), VerifyError (a layout's blob).
    """
    if (target / "pyproject.toml").is_file() or (target / "setup.py").is_file():
        outcome = _wheel(workspace, target, against, hold, heard or (lambda _: None))
    elif target.is_dir() and not (target / "oci-layout").is_file():
        outcome = _layer(target, against)
    elif against is not None:
        outcome = _compared("archive", archive.read(target), archive.read(against))
    else:
        raise BadInput(
            f"{target} is nothing that can be built again",
            why="a project has a pyproject.toml, a layer is a folder; two archives are compared",
            hint=f"seal supply rebuild {target} --against OTHER",
        )
    return outcome, _record(workspace, outcome, target.name)


def rerun(workspace: Workspace, ref: Ref, listener: Callable[..., None]) -> tuple[Outcome, int]:
    """A training run again, by what ``seal reproduce`` does. Raises: BadInput (not here now)."""
    causes: list[Cause] = []
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for past in pastruns.past_runs(workspace, ref):
        found = reproducing.reproduce(workspace, past, listener)
        if found.outcome == "unavailable":
            raise BadInput(
                f"run {ref.name} cannot be done again here",
                why="; ".join(found.lacking[:5]),
                hint=f"seal reproduce run:{ref.name} lists what is lacking",
            )
        outputs = {
            f"{past.stage}/{path}": digest
            for path, digest in pastruns.outputs_of(workspace, past).items()
        }
        before |= outputs
        after |= outputs
        for row in found.differences:
            after[f"{past.stage}/{row.path}"] = row.after
            # the only causes that a past run names are the times that its formats hold
            causes.append(Cause("timestamps" if row.cause else "content", row.path))
    one, two = (of_bytes(jcs.canonical(made)) for made in (before, after))
    outcome = Outcome("run", one, two, tuple(causes[:20]), "compared" if causes else "")
    return outcome, _record(workspace, outcome, f"run:{ref.name}")


def _wheel(
    workspace: Workspace, project: Path, against: Path | None, hold: tuple[str, ...], heard: Heard
) -> Outcome:
    packed = pack_project(project)
    first, tools = _built(workspace, packed, {"first": FIRST}, heard)
    if against is not None:
        found = _compared("wheel", first["first"], archive.read(against))
        return msgspec.structs.replace(found, tools=tools)
    again, _ = _built(workspace, packed, {"second": second(hold)}, heard)
    pair = (first["first"], again["second"])
    if pair[0].sha256 == pair[1].sha256:
        return Outcome("wheel", pair[0].sha256, pair[1].sha256, tools=tools, held=hold)
    builds = {name: one for name, one in VARIED.items() if name not in hold}
    try:
        tried, _ = _built(workspace, packed, {"still": STILL, **builds}, heard, needed="still")
    except BadInput:
        tried = {}
    still = tried.pop("still", None)
    causes, how = rebuild.attribute(pair, still, tried)
    return Outcome("wheel", pair[0].sha256, pair[1].sha256, tuple(causes), how, tools, hold)


def _built(
    workspace: Workspace,
    packed: bytes,
    builds: Mapping[str, Surroundings],
    heard: Heard,
    needed: str = "",
) -> tuple[dict[str, Contents], Mapping[str, str]]:
    """Each build's wheel. Raises: BadInput (the first, or the needed one, gives none)."""
    heard(", ".join(builds))
    plan = msgspec.json.encode(Plan(EPOCH, builds))
    inputs = [
        JailInput(name, len(data), Bytes(data), of_bytes(data))
        for name, data in ((PLAN, plan), (PROJECT, packed))
    ]
    try:
        done = workspace.jail.run(_MODULE, (), inputs, JailBounds(wall_s=1800))
    except Refused as error:
        # no judgement on the project: it could not be built
        raise Unavailable(error.what, why=error.why or error.rule, hint=error.hint) from error
    try:
        report = msgspec.json.decode(done.outputs[REPORT], type=Report)
    except (KeyError, msgspec.MsgspecError) as error:
        raise BadInput("the builds left no report", why=done.said[-300:]) from error
    must = needed or next(iter(builds))
    if must in report.failed:
        raise BadInput(
            "the project cannot be built here",
            why=report.failed[must][-600:],
            hint="pip wheel --no-deps --no-build-isolation . says the same outside the room",
        )
    found = {
        name: archive.of_bytes(done.outputs[f"{name}.whl"], file)
        for name, file in report.made.items()
        if name in builds and f"{name}.whl" in done.outputs
    }
    return found, report.tools


def _layer(folder: Path, against: Path | None) -> Outcome:
    first = archive.of_bytes(pack_layer(folder), folder.name)
    if against is not None:
        return _compared("layer", first, archive.read(against))
    return _compared("layer", first, archive.of_bytes(pack_layer(folder), folder.name))


def _compared(kind: str, first: Contents, second: Contents) -> Outcome:
    causes = archivediff.compare(first, second)
    return Outcome(
        kind,  # type: ignore[arg-type]
        first.sha256,
        second.sha256,
        causes,
        "compared" if causes else "",
    )


def pack_project(project: Path) -> bytes:
    """A project's files as a tar, without what builds leave behind. Raises: BadInput."""
    return _packed(project, _LEFT_OUT)


def pack_layer(folder: Path) -> bytes:
    """A folder as a deterministic layer: sorted, owner 0:0, one time. Raises: BadInput."""
    return _packed(folder, frozenset())


def _packed(root: Path, left_out: frozenset[str]) -> bytes:
    out = io.BytesIO()
    size = 0
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for number, path in enumerate(_files(root, left_out)):
            found = path.lstat()
            entry = tarfile.TarInfo(path.relative_to(root).as_posix())
            entry.mtime = EPOCH
            entry.mode = 0o755 if path.is_dir() or found.st_mode & 0o111 else 0o644
            size += found.st_size
            if number >= _MOST_FILES or size > _MOST_BYTES:
                raise BadInput(
                    f"{root} is too large to be built again",
                    why=f"at most {_MOST_FILES:,} files and {_MOST_BYTES >> 20} MiB",
                )
            if stat.S_ISLNK(found.st_mode):
                entry.type, entry.linkname, entry.mode = (
                    tarfile.SYMTYPE,
                    str(path.readlink()),
                    0o777,
                )
                tar.addfile(entry)
            elif stat.S_ISDIR(found.st_mode):
                entry.type = tarfile.DIRTYPE
                tar.addfile(entry)
            elif stat.S_ISREG(found.st_mode):
                data = path.read_bytes()
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
            else:
                raise BadInput(f"{path} is no file, folder or link")
    return out.getvalue()


def _files(root: Path, left_out: frozenset[str]) -> list[Path]:
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = (
            [n for n in folders if n not in left_out and not n.endswith(".egg-info")]
            if (left_out)
            else folders
        )
        found += [Path(folder) / name for name in (*folders, *files)]
    return sorted(found)


def _record(workspace: Workspace, outcome: Outcome, name: str) -> int:
    causes: list[Json] = [{"cause": one.cause, "path": one.path} for one in outcome.causes[:20]]
    said: dict[str, Json] = {
        "kind": outcome.kind,
        "equal": outcome.equal,
        "digests": [outcome.first, outcome.second],
        "causes": causes,
        "how": outcome.how,
        "held": [*outcome.held],
        "tools": dict(outcome.tools),
        "actor": workspace.principal.name,
        "time": clock.stamp(workspace.clock()),
    }
    return workspace.recorder.record(
        Statement((Artifact(name, outcome.first),), REBUILD, said)
    ).index
