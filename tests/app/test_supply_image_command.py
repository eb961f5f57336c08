"""`seal supply image`: an unsigned image is held down, a signed one passes."""

from sealwright.app.bench import imageplant
from sealwright.app.bench.imageplant import BUILDER, DEFECTS, Keys
from sealwright.vault.signers import EcdsaP256Signer, Ed25519Signer


def test_a_signed_image_scores_and_an_unsigned_one_is_held_down(project) -> None:
    keys = Keys(EcdsaP256Signer.generate(), Ed25519Signer.generate())
    (project.root / "key.pem").write_bytes(keys.trusted.public_pem())
    digest = imageplant.write(imageplant.sound(), project.root / "good", keys)
    imageplant.write(imageplant.plant(DEFECTS["no signature"][1]), project.root / "bad", keys)
    words = ("--key", "key.pem", "--builder", BUILDER)
    body = project.ok("supply", "image", "good", *words, "--digest", f"sha256:{digest}")
    points = {one["name"]: one["points"] for one in body["signals"]}
    assert points["signature"] == 20
    assert points["pinned"] == 5
    code, body, _ = project.seal("supply", "image", "bad", *words)
    assert (code, body["score"] <= 60) == (1, True)


def test_a_changed_layer_is_refused_with_its_digest(project) -> None:
    keys = Keys(Ed25519Signer.generate(), Ed25519Signer.generate())
    imageplant.write(
        imageplant.plant(imageplant.BROKEN["a byte of a layer is flipped"]),
        project.root / "x",
        keys,
    )
    code, body, _ = project.seal("supply", "image", "x")
    assert (code, body["error"]["rule"]) == (1, "supply.image-digest")
