"""``python -m sealwright.supply.rebuildroom`` in the sealed room: a project in, wheels out.

``plan.json`` says under which surroundings; ``project.tar`` is unpacked afresh for each build, and
each is a process of its own. Wheels become ``NAME.whl``, what was said ``report.json``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

import msgspec

from sealwright.supply.rebuildplan import Plan, Report, Surroundings

PLAN, PROJECT, REPORT = "plan.json", "project.tar", "report.json"
_TOOLS = ("setuptools", "wheel", "hatchling", "flit_core", "poetry-core", "numpy", "cython")
_SAID = 1500
_LATER = 400 * 86_400


def main() -> int:
    """Build everything that the plan names; one that fails is in the report."""
    plan = msgspec.json.decode(Path(PLAN).read_bytes(), type=Plan)
    made: dict[str, str] = {}
    failed: dict[str, str] = {}
    for number, (name, around) in enumerate(plan.builds.items()):
        sys.stderr.write(f"progress {number} {name}\n")
        sys.stderr.flush()
        # a folder of one name in all, so that only `elsewhere` changes where it is built
        work = Path("work") / ("another/place/further-down" if around.elsewhere else "here")
        wheel, said = _build(work, around, plan)
        if wheel is None:
            failed[name] = said
        else:
            made[name] = wheel.name
            shutil.copyfile(wheel, f"{name}.whl")
        shutil.rmtree("work")
    report = Report(_tools(), made, failed)
    Path(REPORT).write_bytes(msgspec.json.encode(report))
    return 0


def _build(work: Path, around: Surroundings, plan: Plan) -> tuple[Path | None, str]:
    source, out = work / "source", work / "wheels"
    for folder in (source, out, work / "home", work / "tmp"):
        folder.mkdir(parents=True)
    try:
        _unpack(source, around, plan.epoch)
    except (tarfile.TarError, OSError) as error:
        return None, f"the project cannot be laid out: {error}"
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "sealwright.supply.rebuildheld",
             msgspec.json.encode(around).decode(), str(out.resolve())],
            cwd=source,
            env=_environment(work, around, plan.epoch),
            umask=around.umask,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=plan.seconds,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None, f"it ran for more than {plan.seconds} s"
    wheels = [path for path in out.iterdir() if path.suffix == ".whl" and path.is_file()]
    if done.returncode or len(wheels) != 1:
        return None, done.stdout.decode("utf-8", "replace")[-_SAID:].strip() or "no wheel came out"
    return wheels[0], ""


def _unpack(source: Path, around: Surroundings, epoch: int) -> None:
    with tarfile.open(PROJECT) as archive:
        members = sorted(archive, key=lambda member: member.name, reverse=around.reversed)
        archive.extractall(source, members, filter="data")
    when = epoch + (_LATER if around.later else 0)
    for path in sorted(source.rglob("*")):
        if not path.is_symlink():
            # what a checkout under that umask would have
            path.chmod((path.stat().st_mode | 0o644) & ~around.umask)
            os.utime(path, (when, when))


def _environment(work: Path, around: Surroundings, epoch: int) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {
        **kept,
        "SOURCE_DATE_EPOCH": str(epoch),
        "PYTHONHASHSEED": str(around.hash_seed),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TZ": around.timezone,
        "LC_ALL": around.locale,
        "LANG": around.locale,
        "USER": around.user,
        "LOGNAME": around.user,
        "HOME": str((work / "home").resolve()),
        "TMPDIR": str((work / "tmp").resolve()),
    }


def _tools() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in _TOOLS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())
