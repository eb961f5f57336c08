from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sealwright.core.errors import BadInput
from sealwright.core.ports import StoredFile
from sealwright.core.records import Artifact
from sealwright.evidence import jcs, statement
from sealwright.train import provenance
from sealwright.train.environment import Environment, Identity, Lock
from sealwright.train.interpreter import Program
from sealwright.train.packages import Package
from sealwright.train.snapshot import Change, CodeFile, Snapshot

A, B, C = "a" * 64, "b" * 64, "c" * 64
STORED = StoredFile(C, 10, (A,))


def code(changes: tuple[Change, ...] = ()) -> Snapshot:
    files = tuple(CodeFile(f"pkg/module_{n}.py", "file", 10, A) for n in range(500))
    return Snapshot(Path("/p"), files, source="git", commit="f" * 40, changes=changes)


def around(packages: int = 200, locks: tuple[Lock, ...] = ()) -> Environment:
    listed = tuple(Package(f"package-{n:03}", f"1.{n}", B) for n in range(packages))
    identity = Identity(A, "3.11.7", "cpython", listed, "Linux", "x86_64", "glibc 2.36")
    program = Program("/usr/bin/python3", A, "/usr/bin/python3")
    facts = {"kernel": "6.1", "blas": ""}
    return Environment(("/usr/bin/python3",), program, None, identity, locks=locks, facts=facts)


def ran(**more: Any) -> provenance.Ran:
    given: dict[str, Any] = {
        "run": "r1",
        "stage": "train",
        "project": "demo",
        "command": ["python", "train.py", "--epochs", "3"],
        "isolation": "standard",
        "profile": "solo",
        "started": datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC),
        "finished": datetime(2026, 1, 31, 12, 1, 0, tzinfo=UTC),
        "inputs": [Artifact("data:train@1", B)],
        "config": C,
        "room": {"network": "none", "seccomp": True, "peak_bytes": 7},
        "byproducts": [provenance.Byproduct("stdout", A, STORED)],
    }
    return provenance.Ran(**(given | more))


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for member in value.values():
            yield from leaves(member)
    elif isinstance(value, list):
        for member in value:
            yield from leaves(member)
    else:
        yield value


def names(predicate: dict[str, Any]) -> list[str]:
    return [row["name"] for row in predicate["buildDefinition"]["resolvedDependencies"]]


def test_it_has_every_field_slsa_v1_requires_in_its_type() -> None:
    predicate: Any = provenance.predicate(ran(), code(), around())
    assert set(predicate) == {"buildDefinition", "runDetails"}
    definition, details = predicate["buildDefinition"], predicate["runDetails"]
    assert re.fullmatch(r"urn:.+", definition["buildType"])
    assert definition["externalParameters"]["command"] == ["python", "train.py", "--epochs", "3"]
    assert isinstance(definition["internalParameters"], dict)
    for row in definition["resolvedDependencies"] + details["byproducts"]:
        assert set(row) <= {"name", "uri", "digest", "annotations", "mediaType"}
        assert re.fullmatch("[0-9a-f]{64}", row["digest"]["sha256"])
    assert re.fullmatch(r"urn:.+", details["builder"]["id"])
    assert all(isinstance(text, str) for text in details["builder"]["version"].values())
    for name in ("startedOn", "finishedOn"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", details["metadata"][name])
    assert details["metadata"]["invocationId"] == "r1"


def test_it_names_data_code_config_environment_interpreter_and_packages() -> None:
    predicate: Any = provenance.predicate(ran(), code(), around())
    assert names(predicate) == [
        "data:train@1",
        "code",
        "config",
        "environment",
        "interpreter",
        "packages",
    ]


def test_the_command_reads_back_as_it_was_given() -> None:
    predicate: Any = provenance.predicate(ran(), code(), around())
    external = predicate["buildDefinition"]["externalParameters"]
    assert provenance.command_of(external) == tuple(ran().command)


def test_a_lock_and_a_diff_are_named_when_there_are_any() -> None:
    changed = code((Change("train.py", "f" * 40, A),))
    predicate: Any = provenance.predicate(ran(), changed, around(locks=(Lock("uv.lock", B),)))
    assert names(predicate)[-2:] == ["lock", "diff"]
    notes = predicate["buildDefinition"]["resolvedDependencies"][1]["annotations"]
    assert (notes["commit"], notes["dirty"]) == ("f" * 40, True)


def test_it_says_where_code_and_environment_are_kept() -> None:
    kept = provenance.Kept(STORED, STORED)
    predicate: Any = provenance.predicate(ran(), code(), around(), kept)
    rows = {row["name"]: row for row in predicate["buildDefinition"]["resolvedDependencies"]}
    for name in ("code", "environment"):
        stored = rows[name]["annotations"]["stored"]
        assert stored == {"sha256": C, "size": 10, "segments": [A]}
    (stream,) = predicate["runDetails"]["byproducts"]
    assert stream["annotations"]["stored"]["sha256"] == C


def test_two_hundred_packages_and_five_hundred_files_stay_small_and_hold_no_float() -> None:
    command = ["python", *(f"--option-{n}={'x' * 20}" for n in range(200))]
    made = [Artifact(f"out/model_{n}.joblib", A) for n in range(50)]
    whole = provenance.statement(made, ran(command=command), code(), around(), provenance.Kept())
    encoded = statement.encode(whole)
    assert len(encoded) <= 40_000
    assert jcs.parse(encoded)
    assert not any(isinstance(leaf, float) for leaf in leaves(whole.predicate))
    assert whole.subjects == tuple(made)


@pytest.mark.parametrize("command", [["python", "-c", "x" * 100_000], ["é"] * 30_000])
def test_an_endless_command_is_recorded_by_its_start_and_its_digest(command: list[str]) -> None:
    made = [Artifact("model", A)]
    whole: Any = provenance.statement(made, ran(command=command), code(), around())
    assert len(statement.encode(whole)) < 65_535
    external = whole.predicate["buildDefinition"]["externalParameters"]
    assert external["command"] == command[: len(external["command"])]
    with pytest.raises(BadInput):
        provenance.command_of(external)
    assert external["commandSha256"] == hashlib.sha256(jcs.canonical(command)).hexdigest()


def test_no_host_path_is_recorded() -> None:
    predicate = provenance.predicate(ran(), code(), around())
    assert b"/usr/bin" not in jcs.canonical(predicate)
