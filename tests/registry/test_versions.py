"""Versions, aliases and revocations follow from the statements, and from nothing else."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from registry_house import House

from sealwright.core import refs
from sealwright.core.errors import BadInput, GateDenied, Refused, VerifyError
from sealwright.core.records import Artifact
from sealwright.registry import aliases, register, revoke
from sealwright.registry import manifest as manifests


def made(house: House, count: int, *inputs: Artifact) -> None:
    for number in range(count):
        source = house.files(f"m{number}", weights=b"%d" % number)
        house.model(source, *inputs, run=f"r{number}")


def test_versions_are_newest_first_and_resolve_by_number_latest_and_alias(house: House) -> None:
    made(house, 3)
    models = house.models()
    house.promote(models.resolve(refs.parse("model:fraud@2")))
    models = house.models()
    assert [m.ref for m in models.all()] == ["model:fraud@3", "model:fraud@2", "model:fraud@1"]
    assert models.resolve(refs.parse("model:fraud")).version == 3
    assert models.resolve(refs.parse("model:fraud@latest")).version == 3
    assert models.resolve(refs.parse("model:fraud@prod")).version == 2
    assert models.resolve(refs.parse("model:fraud@2")).aliases == ("prod",)


@pytest.mark.parametrize("text", ["model:fraud@9", "model:other", "model:fraud@prod"])
def test_what_is_not_there_is_said_with_what_is(house: House, text: str) -> None:
    made(house, 1)
    with pytest.raises(BadInput) as caught:
        house.models().resolve(refs.parse(text))
    assert caught.value.why
    assert caught.value.hint


def test_a_model_is_kept_encrypted_and_comes_back_byte_for_byte(house: House) -> None:
    model = house.model(house.files(weights=b"SECRET-WEIGHTS" * 1000))
    manifest = manifests.load(house.store, model.name, model.manifest)
    (file,) = manifest.files
    readable = house.store.open("model:fraud", file.stored())
    assert readable.pread(0, file.size) == b"SECRET-WEIGHTS" * 1000
    everything = b"".join(p.read_bytes() for p in (house.root / "store").rglob("*") if p.is_file())
    assert b"SECRET-WEIGHTS" not in everything


def test_files_that_changed_since_the_decision_are_refused(house: House) -> None:
    source = house.files(weights=b"decided on")
    digest, _ = register.digest_of(source)
    house.gated = False
    decision = house.decide("register", Artifact("model:fraud", digest))
    (source / "weights").write_bytes(b"swapped")
    wanted = register.Registration("fraud", source, digest, "r1", "train", (), "ana")
    before = house.log.size()
    with pytest.raises(VerifyError) as caught:
        register.register(wanted, decision, house.ports())
    assert caught.value.rule == "model.changed"
    assert house.log.size() == before


@pytest.mark.parametrize("gate", ["register", "promote"])
def test_nothing_is_registered_without_an_allowing_decision(house: House, gate: str) -> None:
    source = house.files()
    digest, _ = register.digest_of(source)
    subject = Artifact("model:fraud", digest)
    house.gated = False
    decision = house.decide(gate, subject, allowed=gate != "register")
    wanted = register.Registration("fraud", source, digest, "r1", "train", (), "ana")
    with pytest.raises(GateDenied):
        register.register(wanted, decision, house.ports())
    assert house.models().all() == ()


def test_promotions_move_an_alias_and_rollbacks_walk_its_trail(house: House) -> None:
    made(house, 3)
    for version in (1, 2, 3):
        house.promote(house.models().resolve(refs.parse(f"model:fraud@{version}")))

    def back() -> int:
        target = aliases.rollback_target(house.models(), "fraud", "prod")
        decision = house.decide("promote", Artifact(target.ref, target.digest))
        moved = aliases.rollback(house.models(), "fraud", "prod", decision, house.mover())
        assert moved.model.version == house.models().alias("fraud", "prod").version
        return moved.model.version

    assert back() == 2
    assert back() == 1
    with pytest.raises(Refused) as caught:
        back()
    assert caught.value.rule == "model.no-rollback"
    house.promote(house.models().resolve(refs.parse("model:fraud@3")))
    assert back() == 1


def test_a_rollback_passes_over_a_revoked_version(house: House) -> None:
    made(house, 3)
    for version in (1, 2, 3):
        house.promote(house.models().resolve(refs.parse(f"model:fraud@{version}")))
    second = house.models().resolve(refs.parse("model:fraud@2"))
    take_back(house, Artifact(second.ref, second.digest))
    assert aliases.rollback_target(house.models(), "fraud", "prod").version == 1


@pytest.mark.parametrize("alias", ["latest", "3", "Prod", "a b", ""])
def test_names_that_mean_a_version_cannot_be_aliases(house: House, alias: str) -> None:
    made(house, 1)
    with pytest.raises(BadInput):
        house.promote(house.models().all()[0], alias)


def take_back(house: House, artifact: Artifact) -> revoke.Revocation:
    return revoke.revoke(
        house.history(),
        artifact,
        actor="ana",
        reason="poisoned",
        recorder=house.recorder,
        clock=house.clock,
    )


def test_revoking_data_blocks_every_descendant_and_nothing_else(house: House) -> None:
    raw = house.dataset("raw")
    clean = house.dataset("clean", inputs=(raw,))
    other = house.dataset("other")
    bad = house.model(house.files("bad", w=b"bad"), clean, run="r1", name="bad")
    good = house.model(house.files("good", w=b"good"), other, run="r2", name="good")
    house.promote(bad)
    found = take_back(house, raw)
    assert [item.name for item in found.blast][:1] == ["data:clean@1"]
    assert found.models == (bad.ref,)
    assert found.aliases == ("model:bad@prod",)
    status = {m.ref: (m.status, [a.name for a in m.blocked_by]) for m in house.models().all()}
    house.gated = False
    assert status == {bad.ref: ("blocked", ["data:raw@1"]), good.ref: ("active", [])}
    with pytest.raises(Refused) as caught:
        house.promote(house.models().resolve(refs.parse(bad.ref)))
    assert caught.value.rule == "model.blocked"


def test_a_model_made_after_the_revocation_is_blocked_too(house: House) -> None:
    data = house.dataset("train")
    take_back(house, data)
    house.gated = False
    assert house.model(house.files(), data).status == "blocked"


def test_a_revocation_needs_a_reason_a_known_artifact_and_happens_once(house: House) -> None:
    data = house.dataset("train")
    with pytest.raises(BadInput, match="reason"):
        revoke.revoke(
            house.history(), data, actor="a", reason=" ", recorder=house.recorder, clock=house.clock
        )
    with pytest.raises(BadInput, match="knows no"):
        take_back(house, Artifact("data:x@1", "0" * 64))
    take_back(house, data)
    with pytest.raises(BadInput, match="already"):
        take_back(house, data)


def test_empty_files_relate_nothing(house: House) -> None:
    empty = Artifact("diff", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    house.gated = False
    house.run("r0", (), empty.digest)
    model = house.model(house.files(), empty)
    take_back(house, empty)
    assert house.models().resolve(refs.parse(model.ref)).blocked_by == (empty,)
    assert house.models().graph.ancestors(model.digest) == ()


def register_one(root: Path, number: int, keys: dict[str, bytes]) -> None:
    from sealwright.adapters.db_sqlite import SqliteLog
    from sealwright.adapters.kms_file import FileKms
    from sealwright.adapters.store_local import LocalStore
    from sealwright.evidence.recorder import SigningRecorder
    from sealwright.vault.signers import EcdsaP256Signer, Ed25519Signer

    house = House.__new__(House)
    house.root, house.ticks, house.gated = root, number, False
    house.workspace = Ed25519Signer.from_private_pem(keys["workspace"])
    house.model_key = EcdsaP256Signer.from_private_pem(keys["model"])
    house.chain = [keys["trust"]]
    log_key = Ed25519Signer.from_private_pem(keys["log"])
    origin = house.trust.origin
    house.kms = FileKms.open(root / "state", None)
    house.store = LocalStore(root / "store", house.kms)
    house.log = SqliteLog.open(root / "ledger.db", origin, log_key)
    house.recorder = SigningRecorder(house.log, house.workspace)
    house.model(house.files(f"p{number}", w=b"%d" % number), run=f"r{number}")


def test_processes_registering_at_once_get_different_versions(house: House) -> None:
    keys = {
        "workspace": house.workspace.private_pem(),
        "model": house.model_key.private_pem(),
        "log": house.log_key.private_pem(),
        "trust": house.chain[0],
    }
    spawn = multiprocessing.get_context("spawn")
    jobs = [spawn.Process(target=register_one, args=(house.root, n, keys)) for n in range(3)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    assert [job.exitcode for job in jobs] == [0, 0, 0]
    assert sorted(m.version for m in house.models().all()) == [1, 2, 3]
