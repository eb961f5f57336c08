"""Any change to any member of an exported bundle is detected, and the member is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from registry_house import START, House

from sealwright.core.errors import BadInput, Refused, SealError, UnknownSigner, VerifyError
from sealwright.core.predicates import DECISION
from sealwright.core.records import Artifact
from sealwright.registry import check
from sealwright.registry.export import export

NOW = START + timedelta(hours=2)


class Exported:
    """One exported bundle, and copies of it to spoil."""

    def __init__(self, root: Path) -> None:
        self.house = House(root)
        data = self.house.dataset("train")
        self.model = self.house.model(self.house.files(a=b"one" * 50, d__b=b"two"), data)
        self.house.cosign()
        decision = self.house.decide("export", Artifact(self.model.ref, self.model.digest))
        self.path = root / "bundle"
        export(
            self.house.models(),
            self.model,
            self.path,
            decision,
            self.house.exporter(),
            {"solo.cedar": b"permit(principal, action, resource);"},
        )
        self.pin = self.house.trust.fingerprint
        self.members = sorted(
            str(p.relative_to(self.path)) for p in self.path.rglob("*") if p.is_file()
        )

    def verify(self, path: Path | None = None) -> check.VerifiedBundle:
        return check.verify_bundle(path or self.path, self.pin, max_age_s=None, now=NOW)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(tmp_path_factory.mktemp("house"))


@pytest.fixture
def spoil(exported: Exported, tmp_path: Path) -> Callable[[Callable[[Path], None]], SealError]:
    def refused(change: Callable[[Path], None]) -> SealError:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(exported.path, copy)
        change(copy)
        with pytest.raises(SealError) as caught:
            exported.verify(copy)
        return caught.value

    return refused


Spoil = Callable[[Callable[[Path], None]], SealError]


def test_an_untouched_bundle_verifies_and_says_what_it_is(exported: Exported) -> None:
    found = exported.verify()
    assert found.pinned
    assert found.model.ref == "model:fraud@1"
    assert [d.name for d in found.datasets] == ["data:train@1"]
    assert [f.path for f in found.files] == ["a", "d/b"]
    assert found.as_of_by == "witness.example/one (same-host)"
    assert found.isolation == "standard"
    assert len(found.decisions) == 2
    assert found.warnings == ()


def test_every_kind_of_member_is_there(exported: Exported) -> None:
    assert exported.members == [
        "README.md",
        "evidence/log/checkpoint",
        "evidence/log/tile/0/000.p/9",
        "evidence/log/tile/entries/000.p/9",
        "evidence/policy/solo.cedar",
        "evidence/proofs/export.tlog-proof",
        "evidence/proofs/model-version.tlog-proof",
        "evidence/proofs/provenance.tlog-proof",
        "evidence/trust/1.json",
        "model.pub",
        "model.sig",
        "model/a",
        "model/d/b",
    ]


def test_a_flipped_byte_in_any_member_is_named(exported: Exported, spoil: Spoil) -> None:
    missed: list[str] = []
    for name in exported.members:
        body = (exported.path / name).read_bytes()
        spread = {0, 1, len(body) // 3, len(body) // 2, len(body) - 2, len(body) - 1}
        for at in sorted(at for at in spread if 0 <= at < len(body)):
            for bit in (1, 0x20):

                def flip(copy: Path, name: str = name, at: int = at, bit: int = bit) -> None:
                    data = bytearray((copy / name).read_bytes())
                    data[at] ^= bit
                    (copy / name).write_bytes(data)

                error = spoil(flip)
                named = isinstance(error, VerifyError) and name in f"{error.where} {error.what}"
                if not named:
                    missed.append(f"{name}[{at}]^{bit}: {type(error).__name__} {error}")
    assert missed == []


def test_a_cut_or_longer_member_is_named(exported: Exported, spoil: Spoil) -> None:
    for name in exported.members:
        for change in (lambda b: b[:-1], lambda b: b + b"\n", lambda b: b""):
            body = change((exported.path / name).read_bytes())

            def write(copy: Path, name: str = name, body: bytes = body) -> None:
                (copy / name).write_bytes(body)

            error = spoil(write)
            assert isinstance(error, VerifyError), (name, error)
            assert name in f"{error.where} {error.what}", (name, error)


def test_a_dropped_member_is_named(exported: Exported, spoil: Spoil) -> None:
    for name in exported.members:
        error = spoil(lambda copy, name=name: (copy / name).unlink())
        assert isinstance(error, VerifyError), (name, error)
        assert name in f"{error.where} {error.what}", (name, error)


@pytest.mark.parametrize(
    "name",
    [
        "model/extra.bin",
        "extra",
        "evidence/extra",
        "evidence/log/tile/0/001",
        "evidence/log/tile/entries/000",
        "evidence/proofs/other.tlog-proof",
        "evidence/policy/more.cedar",
        "evidence/trust/3.json",
        "evidence/trust/01.json",
        "model/.gitignore",
    ],
)
def test_an_added_member_is_named(spoil: Spoil, name: str) -> None:
    def add(copy: Path) -> None:
        (copy / name).write_bytes(b"x")

    error = spoil(add)
    assert isinstance(error, VerifyError)
    assert name in error.where


def test_a_link_in_place_of_a_file_is_refused(spoil: Spoil, tmp_path: Path) -> None:
    def link(copy: Path) -> None:
        (tmp_path / "same").write_bytes((copy / "model/a").read_bytes())
        (copy / "model/a").unlink()
        (copy / "model/a").symlink_to(tmp_path / "same")

    error = spoil(link)
    assert isinstance(error, VerifyError)
    assert (error.rule, error.where) == ("bundle.member-odd", "model/a")


def test_a_model_swapped_for_another_signed_one_is_refused(
    exported: Exported, spoil: Spoil, tmp_path: Path
) -> None:
    other = Exported(tmp_path)

    def swap(copy: Path) -> None:
        shutil.rmtree(copy / "model")
        shutil.copytree(other.path / "model", copy / "model")
        for name in ("model.sig", "model.pub"):
            shutil.copy(other.path / name, copy / name)

    error = spoil(swap)
    assert isinstance(error, VerifyError)
    assert error.where == "model.sig"


def test_another_workspaces_bundle_is_an_unknown_signer(exported: Exported, tmp_path: Path) -> None:
    other = Exported(tmp_path)
    with pytest.raises(UnknownSigner):
        exported.verify(other.path)


def test_another_workspaces_trust_root_is_refused(
    spoil: Spoil, exported: Exported, tmp_path: Path
) -> None:
    other = Exported(tmp_path)

    def swap(copy: Path) -> None:
        shutil.copy(other.path / "evidence/trust/1.json", copy / "evidence/trust/1.json")

    error = spoil(swap)
    assert isinstance(error, VerifyError)


def test_without_a_pin_a_sound_bundle_is_of_an_unknown_signer(exported: Exported) -> None:
    with pytest.raises(UnknownSigner, match="consistent") as caught:
        check.verify_bundle(exported.path, None, max_age_s=None, now=NOW)
    assert caught.value.exit_code == 2
    assert exported.pin in caught.value.why


def test_without_a_pin_a_spoilt_bundle_is_still_refused(exported: Exported, tmp_path: Path) -> None:
    shutil.copytree(exported.path, tmp_path / "copy")
    (tmp_path / "copy/model/a").write_bytes(b"else")
    with pytest.raises(VerifyError, match="model/a"):
        check.verify_bundle(tmp_path / "copy", None, max_age_s=None, now=NOW)


def test_stripped_cosignatures_are_missed(spoil: Spoil) -> None:
    def strip(copy: Path) -> None:
        path = copy / "evidence/log/checkpoint"
        text, _, lines = path.read_bytes().partition(b"\n\n")
        path.write_bytes(text + b"\n\n" + lines.splitlines(keepends=True)[0])

    error = spoil(strip)
    assert isinstance(error, VerifyError)
    assert error.rule == "bundle.cosignature-missing"


def test_a_stale_bundle_is_refused_by_its_cosignature(exported: Exported) -> None:
    with pytest.raises(Refused, match="stale") as caught:
        check.verify_bundle(exported.path, exported.pin, max_age_s=60, now=NOW)
    assert caught.value.rule == "bundle.stale"
    check.verify_bundle(exported.path, exported.pin, max_age_s=7200, now=NOW)


def test_a_bundle_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        check.verify_bundle(tmp_path / "none", None, max_age_s=None, now=NOW)


def test_a_bundle_deeper_than_any_model_is_refused(spoil: Spoil) -> None:
    error = spoil(lambda copy: (copy / "/".join("d" * 70)).mkdir(parents=True))
    assert isinstance(error, VerifyError)
    assert error.rule == "bundle.member-odd"


def test_a_decision_that_does_not_follow_from_the_log_is_refused(tmp_path: Path) -> None:
    house = House(tmp_path)
    data = house.dataset("train")
    model = house.model(house.files(), data)
    honest = house.decide("export", Artifact(model.ref, model.digest))
    (entry,) = (e for e in house.history().entries if e.statement.predicate.get("id") == honest.id)
    forged = dict(entry.statement.predicate) | {"id": "f" * 64, "warnings": []}
    house.record(DECISION, forged, *entry.statement.subjects)
    lie = msgspec.structs.replace(honest, id="f" * 64)
    export(house.models(), model, tmp_path / "b", lie, house.exporter())
    with pytest.raises(VerifyError) as caught:
        check.verify_bundle(tmp_path / "b", house.trust.fingerprint, max_age_s=None, now=NOW)
    assert caught.value.rule == "decision.decision"


@pytest.mark.parametrize("gate", ["register", "export"])
def test_a_model_without_the_decisions_that_let_it_out_is_refused(
    tmp_path: Path, gate: str
) -> None:
    house = House(tmp_path)
    data = house.dataset("train")
    house.gated = gate != "register"
    model = house.model(house.files(), data)
    house.gated = False
    decision = house.decide("export", Artifact(model.ref, model.digest))
    export(house.models(), model, tmp_path / "b", decision, house.exporter())
    with pytest.raises(VerifyError) as caught:
        check.verify_bundle(tmp_path / "b", house.trust.fingerprint, max_age_s=None, now=NOW)
    assert caught.value.rule == "bundle.decision-missing"
    assert gate in caught.value.what
