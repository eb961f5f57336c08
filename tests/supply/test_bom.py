"""A bill of materials: valid by the official schema, equal bytes, every leaf walked to."""

from __future__ import annotations

import json

import pytest

from sealwright.supply import bom, licence
from sealwright.supply.audit import Hit
from sealwright.supply.bom import Bill, Part, Step
from sealwright.supply.licence import Licence

A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)


def bill(**change: object) -> Bill:
    parts = (
        Part("data:1", "data", "data:train", version="1", sha256=A, of="manifest", signer="k"),
        Part("code", "application", "code", sha256=B, requires=("library:x",), signer="k"),
        Part(
            "library:x",
            "library",
            "x",
            version="1.0",
            purl=bom.purl("x", "1.0"),
            sha256=C,
            licence=Licence(spdx="MIT"),
            requires=("library:y", "library:gone"),
            parts=(Part("file:x", "file", "x.libs/z.so", sha256=D),),
        ),
        Part("library:y", "library", "y", version="2", licence=Licence(name="its own")),
        Part("system", "operating-system", "Linux"),
    )
    subject = Part(
        "model", "machine-learning-model", "model:m", sha256=D, requires=("data:1", "code")
    )
    step = Step(
        "r1", "train", "2026-11-23T12:00:00Z", "2026-11-23T12:01:00Z", ("data:1",), ("model",)
    )
    return Bill(
        **{
            "subject": subject,
            "parts": parts,
            "steps": (step,),
            "identity": D,
            "time": "2026-11-23T12:01:00Z",
            "tool": "0",
            "datasets": ("data:1",),
            **change,
        }
    )


def hit(state: str, waiver: str = "") -> Hit:
    return Hit("x", "1.0", "PYSEC-1", ("CVE-1",), state, "high", 98, "yes", "1.1", waiver)  # type: ignore[arg-type]


def errors(one: Bill) -> object:
    validation = pytest.importorskip("cyclonedx.validation.json", reason="no schema to hold it to")
    from cyclonedx.schema import SchemaVersion

    return validation.JsonStrictValidator(SchemaVersion.V1_6).validate_str(bom.encode(one).decode())


@pytest.mark.parametrize("state", ["vulnerable", "unknown", "waived"])
@pytest.mark.parametrize("justification", ["", *bom._OF_OPENVEX, "accepted_for_now"])
def test_it_is_valid_by_the_official_schema(state: str, justification: str) -> None:
    assert errors(bill()) is None
    one = bill(hits=(hit(state, A),), waived={A: (justification, "looked at it")})
    assert errors(one) is None


def test_equal_bills_have_equal_bytes_whatever_the_order_of_their_parts() -> None:
    assert bom.encode(bill()) == bom.encode(bill(parts=tuple(reversed(bill().parts))))


def test_another_subject_has_another_serial_number() -> None:
    assert bom.document(bill())["serialNumber"] != bom.document(bill(identity=A))["serialNumber"]


def test_the_walk_from_the_model_names_what_has_no_digest_and_what_it_does_not_reach() -> None:
    walked = bom.trace(bill())
    assert walked.reached == ("code", "data:1", "library:x", "library:y", "model")
    assert (walked.unhashed, walked.lost) == (("library:y",), ("system",))
    assert "library:x" in walked.unsigned


def test_an_edge_to_nothing_is_not_written() -> None:
    edges = {row["ref"]: row["dependsOn"] for row in bom.document(bill())["dependencies"]}  # type: ignore[union-attr, call-overload, index]
    assert edges["library:x"] == ["library:y"]


def test_what_nobody_knows_is_called_unknown() -> None:
    (system,) = [c for c in bom.document(bill())["components"] if c["name"] == "Linux"]  # type: ignore[union-attr, call-overload, index]
    said = {p["name"]: p["value"] for p in system["properties"]}  # type: ignore[union-attr, call-overload, index]
    assert said == {"sealwright:digest": "unknown", "sealwright:signer": "unknown"}


def test_somebody_elses_bill_can_be_walked() -> None:
    document = json.loads(bom.encode(bill()))
    assert list(bom.walk(document, "code")) == ["code", "library:x", "library:y"]


@pytest.mark.parametrize(
    ("expression", "classifiers", "text", "spdx", "name"),
    [
        ("MIT AND BSD-3-Clause", (), "x", "MIT AND BSD-3-Clause", ""),
        ("", ("License :: OSI Approved :: MIT License",), "", "MIT", ""),
        ("", ("License :: OSI Approved",), "Apache License 2.0", "Apache-2.0", ""),
        ("", ("License :: Other/Proprietary License",), "", "", "Other/Proprietary License"),
        ("", (), "Copyright (c) somebody " * 9, "", "see its licence file"),
        ("", (), "Our own", "", "Our own"),
        ("", (), "", "", ""),
    ],
)
def test_a_licence_is_what_the_metadata_commits_itself_to(
    expression: str, classifiers: tuple[str, ...], text: str, spdx: str, name: str
) -> None:
    found = licence.of(expression, classifiers, text)
    assert (found.spdx, found.name) == (spdx, name)
