"""What a slice of a stored file is called: keyed, so that nobody else can test a guess."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sealwright.core.ports import Kms


class Namer:
    """Names slices: HMAC-SHA256 over a keyed fingerprint, both keys derived from the scope's.

    The fingerprint is a GMAC: ten times as fast as a second SHA-256 beside the file's own,
    and collisions cannot be sought without its key. It never leaves this class.
    """

    def __init__(self, kms: Kms, scope: str) -> None:
        self._name_key = kms.derive(scope, b"segment-name")
        self._fingerprint = AESGCM(kms.derive(scope, b"segment-fingerprint"))

    def name(self, content: memoryview) -> str:
        """The slice's segment id."""
        tag = self._fingerprint.encrypt(bytes(12), b"", content)
        message = content.nbytes.to_bytes(8, "big") + tag
        return hmac.new(self._name_key, message, hashlib.sha256).hexdigest()
