"""Bills of materials: of a hundred packages laid out by hand, and of this very interpreter."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from sealwright import __version__
from sealwright.app import materials
from sealwright.app.bench import Ask, Row, cpu_s, measure
from sealwright.supply import bom
from sealwright.supply.bom import Bill, Part
from sealwright.train import environment, packages
from sealwright.train.environment import Environment

SEED = 20_260_101
PACKAGES = 100
_LICENCES = (
    "License-Expression: MIT",
    "License-Expression: Apache-2.0 OR BSD-2-Clause",
    "Classifier: License :: OSI Approved :: BSD License",
    "Classifier: License :: OSI Approved\nLicense: Apache License 2.0",
    "License: Copyright (c) the authors, all of the text of a licence follows here, as it often is",
    "License: MIT",
)
_WITHOUT = 2


def rows(ask: Ask) -> list[Row]:
    """Speed, and what share has a digest, a purl and a licence; equal twice; valid."""
    with tempfile.TemporaryDirectory(prefix="sealwright-bench-") as folder:
        site, project = Path(folder) / "site-packages", Path(folder) / "project"
        project.mkdir()
        lay_out(site, 10 if ask.quick else 200)
        own = environment.describe([sys.executable], project)
        made = _moved(own, site)
        taken = cpu_s(lambda: bom.encode(_bill(_moved(own, site))), 1 if ask.quick else 3)
        first, again = (bom.encode(_bill(_moved(own, site))) for _ in range(2))
        again = bom.encode(_reversed(_bill(made))) if first == again else again
        parts = materials.libraries_of(made)
        ours = cpu_s(lambda: _own(project), 1)
        theirs = _cyclonedx_py(Path(folder))
        return [
            measure(
                f"bill of {PACKAGES} packages",
                taken,
                "s CPU",
                target=2,
                better="lower",
                note=f"{len(first):,} bytes, {sum(len(one.parts) for one in parts)} native files",
            ),
            *_shares("laid-out packages", parts, {}),
            measure(
                "equal bytes twice, whatever the order", float(first == again), "1 is yes", target=1
            ),
            *_valid(first),
            measure(
                "bill of this interpreter, all found anew",
                ours,
                "s CPU",
                yardsticks={k: v for k, v in theirs.items() if k.endswith("CPU s")},
                note=f"{len(own.identity.packages)} packages",
            ),
            *_shares("this interpreter's packages", materials.libraries_of(own), theirs),
            *_valid(bom.encode(_bill(own)), ", this interpreter"),
        ]


def lay_out(site: Path, files: int) -> None:
    """A hundred installed packages, with up to twice ``files`` rows of RECORD each.

    Two of them say nothing of a licence.
    """
    draw = random.Random(SEED)  # noqa: S311 - a set that must be the same again
    for number in range(PACKAGES):
        name = f"part_{number:03d}"
        version = f"{draw.randrange(9)}.{draw.randrange(30)}.{draw.randrange(9)}"
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        licence = "" if number < _WITHOUT else f"{_LICENCES[number % len(_LICENCES)]}\n"
        needs = "".join(f"Requires-Dist: part-{draw.randrange(PACKAGES):03d}\n" for _ in range(3))
        text = f"Metadata-Version: 2.4\nName: {name.replace('_', '-')}\nVersion: {version}\n"
        (info / "METADATA").write_text(f"{text}{licence}{needs}\nLong text.\n")
        (info / "INSTALLER").write_text("pip\n")
        paths = [f"{name}/m{at}.py" for at in range(draw.randrange(2, 2 * files))]
        paths += [f"{name}/_fast.abi3.so"] if number % 5 == 0 else []
        (info / "RECORD").write_text("".join(map(_row, paths)) + f"{info.name}/RECORD,,\n")


def _row(path: str) -> str:
    digest = hashlib.sha256(path.encode()).digest()
    return f"{path},sha256={base64.urlsafe_b64encode(digest).decode().rstrip('=')},{len(path)}\n"


def _moved(own: Environment, site: Path) -> Environment:
    """The interpreter's environment with the packages of another folder, read off the disk."""
    if own.interpreter is None:
        raise AssertionError("this interpreter is one")
    found = packages.read([site]).packages
    interpreter = msgspec.structs.replace(own.interpreter, sites=(str(site),), user_site="")
    identity = msgspec.structs.replace(own.identity, packages=found)
    return msgspec.structs.replace(own, interpreter=interpreter, identity=identity)


def _own(project: Path) -> bytes:
    return bom.encode(_bill(environment.describe([sys.executable], project)))


def _bill(of: Environment) -> Bill:
    parts = materials.libraries_of(of)
    tops = tuple(part.ref for part in parts)
    subject = Part("run:bench", "application", "run:bench", sha256=of.digest, requires=tops)
    made = "2026-11-25T00:00:00Z"
    return Bill(subject, tuple(parts), (), of.digest, made, __version__)


def _reversed(bill: Bill) -> Bill:
    return msgspec.structs.replace(bill, parts=bill.parts[::-1])


def _shares(what: str, parts: Sequence[Part], theirs: Mapping[str, float]) -> list[Row]:
    """Packages imported from a source tree have no purl: nobody published them."""
    published = [part for part in parts if part.purl]
    others = [part.name for part in parts if not part.purl]

    def yard(word: str) -> dict[str, float]:
        return {name: value for name, value in theirs.items() if name.endswith(word)}

    def share(said: Sequence[bool]) -> float:
        return 100 * sum(said) / max(1, len(said))

    return [
        measure(
            f"{what}: with SHA-256",
            share([bool(part.sha256) for part in parts]),
            "%",
            target=100,
            yardsticks=yard("hashed %"),
        ),
        measure(
            f"{what}: with purl, of those that were published",
            share([bool(p.sha256 and p.purl) for p in published]) if published else 0,
            "%",
            target=100,
            note=f"{len(published)} published; not: {', '.join(others) or 'none'}",
        ),
        measure(
            f"{what}: with licence",
            share([part.licence.known for part in parts]),
            "%",
            target=97,
            yardsticks=yard("licensed %"),
        ),
    ]


def _valid(data: bytes, of: str = "") -> list[Row]:
    """By the official schema, where the library that ships it is installed."""
    what = f"valid by the schema of CycloneDX 1.6, strictly{of}"
    try:
        validation = import_module("cyclonedx.validation.json")
        missing = import_module("cyclonedx.exception").MissingOptionalDependencyException
        version = import_module("cyclonedx.schema").SchemaVersion.V1_6
    except ImportError:
        return [Row(what, None, "1 is yes", note="not measured: no schema is installed")]
    try:
        found = validation.JsonStrictValidator(version).validate_str(data.decode())
    except missing:
        return [Row(what, None, "1 is yes", note="not measured: no validator is installed")]
    return [measure(what, float(found is None), "1 is yes", target=1, note=str(found or "")[:200])]


def _cyclonedx_py(folder: Path) -> dict[str, float]:
    """The usual writer over the same interpreter, where it is installed."""
    if find_spec("cyclonedx_py") is None:
        return {}
    out = folder / "theirs.json"
    words = [sys.executable, "-m", "cyclonedx_py", "environment", "--of", "JSON", "-o", str(out)]

    def work() -> None:
        subprocess.run(
            [*words, sys.executable], check=True, capture_output=True, env=dict(os.environ)
        )

    taken = cpu_s(work, 1)
    found: list[dict[str, Any]] = json.loads(out.read_bytes()).get("components", [])
    count = max(1, len(found))
    return {
        "cyclonedx-py, CPU s": taken,
        "cyclonedx-py, hashed %": 100 * sum(bool(one.get("hashes")) for one in found) / count,
        "cyclonedx-py, licensed %": 100 * sum(bool(one.get("licenses")) for one in found) / count,
    }
