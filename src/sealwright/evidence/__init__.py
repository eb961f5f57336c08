"""Statements, envelopes, trees and proofs: bytes in, a verified value or an error out."""
