"""`seal supply attest`: ours written beside an image and verified by whoever has the key."""

import json

from app_house import needs_room

from sealwright.app.bench import imageplant
from sealwright.app.bench.imageplant import BUILDER, Keys
from sealwright.vault.signers import Ed25519Signer


def image(project) -> tuple[str, Keys]:
    keys = Keys(Ed25519Signer.generate(), Ed25519Signer.generate())
    (project.root / "signer.pem").write_bytes(keys.trusted.public_pem())
    return imageplant.write(imageplant.sound(), project.root / "layout", keys), keys


def test_what_we_say_of_an_image_is_written_as_its_referrer_and_verified(project) -> None:
    digest, _ = image(project)
    project.ok("supply", "image", "layout", "--key", "signer.pem", "--least", "0")
    body = project.ok(
        "supply", "attest", "write", f"sha256:{digest}", "--out", "said", "--beside", "layout"
    )
    (name,) = body["bundles"]
    (key,) = body["keys"]
    assert name.endswith("-image-score.sigstore.json")
    words = ("supply", "attest", "verify", "--artifact", "layout", "--key", f"said/{key}")
    alone = project.ok(*words, f"said/{name}")
    beside = project.ok(*words, "said/layout")
    assert len(alone["attestations"]) == len(beside["attestations"]) == 1
    manifest = json.loads(
        (
            project.root / "said/layout/blobs/sha256" / body["referrer"].removeprefix("sha256:")
        ).read_text()
    )
    assert manifest["subject"]["digest"] == f"sha256:{digest}"
    code, body, _ = project.seal(*words[:4], "sha256:" + "0" * 64, *words[5:], f"said/{name}")
    assert (code, body["error"]["rule"]) == (1, "attest.subject")
    code, _, _ = project.seal(*words[:6], "signer.pem", f"said/{name}")
    assert code == 2


def test_referrers_of_others_in_a_layout_are_verified(project) -> None:
    image(project)
    words = ("supply", "attest", "verify", "layout", "--artifact", "layout", "--key", "signer.pem")
    code, body, _ = project.seal(*words, "--builder", BUILDER)
    # the bill beside it names no builder, and is not passed over
    assert (code, body["error"]["rule"]) == (1, "attest.builder")
    assert len(project.ok(*words)["attestations"]) == 2


@needs_room
def test_a_models_provenance_is_written_for_others(project) -> None:
    body = project.ok("run", "--model", "model.json", "--", "python", "train.py")
    ref = body["runs"][0]["model"]["ref"]
    project.ok("supply", "bom", ref, "--out", "bom.json")
    body = project.ok("supply", "attest", "write", ref, "--out", "said")
    kinds = set(body["bundles"].values())
    assert {"https://slsa.dev/provenance/v1", "urn:sealwright:predicate:bom/v1"} <= kinds
    names = [f"said/{name}" for name in body["bundles"]]
    key = f"said/{body['keys'][0]}"
    model = project.root / "model"
    model.mkdir()
    (project.root / "model.json").rename(model / "model.json")
    held = project.ok("supply", "attest", "verify", *names, "--artifact", "model", "--key", key)
    assert len(held["attestations"]) == len(names)


def test_what_nobody_said_anything_about_cannot_be_attested(project) -> None:
    code, body, _ = project.seal("supply", "attest", "write", "sha256:" + "1" * 64, "--out", "x")
    assert (code, "seal log show" in body["error"]["hint"]) == (2, True)
    assert not (project.root / "x").exists()
