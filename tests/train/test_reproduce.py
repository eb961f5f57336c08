from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sealwright.train import reproduce
from sealwright.train.environment import Identity
from sealwright.train.packages import Package

A, B, C = "a" * 64, "b" * 64, "c" * 64
HERE = Identity(
    A,
    "3.11.7",
    "cpython",
    (Package("numpy", "2.0", A), Package("torch", "2.5", B)),
    "Linux",
    "x86_64",
    "glibc 2.36",
)


def test_equal_outputs_are_identical() -> None:
    found = reproduce.compare({"m.joblib": A, "log": B}, {"log": B, "m.joblib": A})
    assert (found.outcome, found.exit_code, found.lines()) == ("identical", 0, ["identical"])


def test_what_differs_is_named_by_path_and_kind() -> None:
    found = reproduce.compare({"a": A, "b": B, "c": C}, {"a": A, "b": C, "d": A})
    assert (found.outcome, found.exit_code) == ("different", 1)
    assert [(one.path, one.kind) for one in found.differences] == [
        ("b", "changed"),
        ("c", "missing"),
        ("d", "extra"),
    ]
    assert found.lines() == ["b: changed", "c: missing", "d: extra"]


def test_a_notebook_that_differs_says_why_it_usually_does() -> None:
    found = reproduce.compare({"out.ipynb": A}, {"out.ipynb": B})
    assert "times its cells ran" in found.lines()[0]


def test_a_run_that_made_nothing_cannot_be_reproduced() -> None:
    assert reproduce.compare({}, {}).exit_code == 1


def test_the_same_environment_is_available() -> None:
    assert reproduce.unavailable(HERE, msgspec.structs.replace(HERE)) is None


def test_a_newer_sealwright_does_not_make_the_environment_unavailable() -> None:
    then = (*HERE.packages, Package("sealwright", "0.1", A))
    newer = (*HERE.packages, Package("sealwright", "0.2", B))
    before = msgspec.structs.replace(HERE, packages=then)
    assert reproduce.unavailable(before, msgspec.structs.replace(HERE, packages=newer)) is None
    assert reproduce.unavailable(before, HERE) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"packages": HERE.packages[:1]}, "torch 2.5 is not installed here"),
        (
            {"packages": (Package("numpy", "2.1", C), HERE.packages[1])},
            "numpy was 2.0, here it is 2.1",
        ),
        (
            {"packages": (Package("numpy", "2.0", C), HERE.packages[1])},
            "numpy 2.0 has other files than it had then",
        ),
        (
            {"packages": (*HERE.packages, Package("x", "1", A))},
            "x 1 is installed here and was not then",
        ),
        ({"version": "3.12.1", "interpreter": B}, "Python was 3.11.7, here it is 3.12.1"),
        ({"interpreter": B}, "Python 3.11.7 is another build of the interpreter"),
        ({"machine": "aarch64"}, "machine was x86_64, here it is aarch64"),
        ({"libc": ""}, "C library was glibc 2.36, here it is none"),
    ],
)
def test_what_the_environment_lacks_is_named(change: dict[str, Any], said: str) -> None:
    found = reproduce.unavailable(HERE, msgspec.structs.replace(HERE, **change))
    assert found is not None
    assert (found.outcome, found.exit_code, found.lacking) == ("unavailable", 2, (said,))
    assert found.lines() == [f"environment unavailable: {said}"]
