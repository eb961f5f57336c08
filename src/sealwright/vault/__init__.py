"""Keys at rest, the encrypted segment format, and the signers."""
