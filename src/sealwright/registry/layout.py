"""What lies where in an exported bundle (``docs/spec/bundle-v1.md``)."""

from __future__ import annotations

from sealwright.registry.bundlelog import CHECKPOINT
from sealwright.registry.bundlelog import ROOT as LOG

README = "README.md"
MODEL = "model/"
SIGNATURE = "model.sig"
PUBLIC_KEY = "model.pub"
TRUST = "evidence/trust/"
PROOFS = "evidence/proofs/"
EXPORT_PROOF = PROOFS + "export.tlog-proof"
WITNESSED = "evidence/witnessed"
POLICY = "evidence/policy/"

__all__ = [
    "CHECKPOINT",
    "EXPORT_PROOF",
    "LOG",
    "MODEL",
    "POLICY",
    "PROOFS",
    "PUBLIC_KEY",
    "README",
    "SIGNATURE",
    "TRUST",
    "WITNESSED",
    "readme",
]

_README = """\
# {ref}

A model, and the evidence for how it was made. Model digest (SHA-256):
`{digest}`

Trust root of the workspace that made it:
`{fingerprint}`

**Do not take that fingerprint from this file.** Ask its owner by another way, then:

    seal verify . --trust FINGERPRINT

That needs no workspace and no network. It checks every entry of the log, every signature and
every file, and says which data went in, under which isolation, and as of when.

## By hand

The model's files, with the OpenSSF tool (`pip install model-signing pyopenssl`):

    model_signing verify key --signature model.sig --public_key model.pub model

The public key is `model.pub`; its id, the SHA-256 of the key in DER, is a key of role `model`
in `evidence/trust/`:

    openssl pkey -pubin -in model.pub -outform DER | sha256sum

The log is in C2SP tlog-tiles form under `evidence/log/`: `checkpoint` is a signed note, entries
are DSSE envelopes over in-toto statements. `evidence/proofs/` holds inclusion proofs in
C2SP tlog-proof form.

| here | is |
|---|---|
| `model/` | the model's files, as they were signed |
| `model.sig`, `model.pub` | the OpenSSF model signature (Sigstore bundle v0.3) and its key |
| `evidence/log/` | every entry of the log up to its checkpoint; digests and counts, no data |
| `evidence/trust/` | the chain of trust: which key was good for which entries |
| `evidence/proofs/` | that the statements about this model are in the log |
| `evidence/witnessed` | an older head, where a witness cosigned that one and not the newest |
| `evidence/policy/` | the rules its gates were decided by, where they were added |
"""


def readme(ref: str, digest: str, fingerprint: str) -> bytes:
    """``README.md`` of a bundle."""
    return _README.format(ref=ref, digest=digest, fingerprint=fingerprint).encode()
