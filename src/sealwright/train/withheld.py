"""Which files of a project are never copied into the room as code, and why.

Three groups: places that hold secrets or our own state, files that look like keys, and files
that look like data. A data set enters the room only when it was declared, because code is
sealed by digest alone: no rows, no screening, no revocation.
"""

from __future__ import annotations

import fnmatch
from pathlib import PurePosixPath

import msgspec

LARGEST_CODE_BYTES = 8 << 20
LARGEST_JSON_BYTES = 1 << 20
MOST_IMAGES = 20

PRIVATE_NAMES = frozenset({".git", ".hg", ".svn", ".seal", ".ssh", ".aws", ".gnupg", ".kube"})
"""Directories (or, for a git worktree, a file) that never enter, at any depth."""

_KEY_PATTERNS = (
    ".env*", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "*.asc.key",
    "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", ".netrc", "_netrc", ".pgpass", ".pypirc",
    ".npmrc", ".git-credentials", ".htpasswd", ".vault-token", "kubeconfig", "credentials",
    "credentials.json", "client_secret*.json", "service-account*.json", "service_account*.json",
    "secrets.toml", "secrets.yaml", "secrets.yml", "secrets.json", "kaggle.json",
)  # fmt: skip

DATA_SUFFIXES = frozenset(
    {
        ".sav",  # codespell:ignore sav
        ".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson", ".npy", ".npz", ".arrow",
        ".feather", ".orc", ".avro", ".h5", ".hdf5", ".mat", ".sas7bdat", ".dta", ".xls",
        ".xlsx", ".tfrecord", ".tfrecords", ".lmdb", ".mdb", ".sqlite", ".sqlite3", ".db",
        ".duckdb", ".rds", ".rdata", ".wav", ".flac", ".mp3", ".ogg", ".mp4", ".avi", ".mkv",
        ".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z",
    }
)  # fmt: skip

MODEL_SUFFIXES = frozenset(
    {
        ".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".keras",
        ".pb", ".tflite", ".gguf", ".bin", ".cbm", ".ubj", ".mlmodel",
    }
)  # fmt: skip

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".dcm"}
)

_CERTIFICATE_SUFFIXES = frozenset({".pem", ".crt", ".cer"})


class Withheld(msgspec.Struct, frozen=True, order=True):
    """A file that stays out of the room. ``rule`` is one of the ``snapshot.*`` ids below."""

    path: str
    rule: str
    why: str
    size_bytes: int = 0


def by_place(path: str) -> tuple[str, str] | None:
    """``(rule, why)`` when the path alone keeps the file out, else None."""
    parts = PurePosixPath(path).parts
    for part in parts:
        if part.lower() in PRIVATE_NAMES:
            return "snapshot.private", f"{part} never enters the room"
        if part.lower().startswith(".env"):
            return "snapshot.secret", f"{part} never enters the room"
    if parts and is_key_name(parts[-1]):
        return "snapshot.secret", f"{parts[-1]} is a name that credentials go by"
    return None


def is_key_name(name: str) -> bool:
    """Does a file of this name usually hold credentials?"""
    lowered = name.lower()
    return any(fnmatch.fnmatchcase(lowered, pattern) for pattern in _KEY_PATTERNS)


def by_size_and_kind(path: str, size_bytes: int) -> tuple[str, str] | None:
    """``(rule, why)`` when the file looks like data or a model, else None."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in DATA_SUFFIXES:
        return "snapshot.data", f"a {suffix} file is data, and this one is not declared"
    if suffix in MODEL_SUFFIXES:
        return "snapshot.model", f"a {suffix} file is a model or data, and it is not declared"
    if suffix == ".json" and size_bytes > LARGEST_JSON_BYTES:
        return "snapshot.data", "a JSON file over 1 MiB is data, and this one is not declared"
    if size_bytes > LARGEST_CODE_BYTES:
        return "snapshot.large", "over 8 MiB: too large to be code, and it is not declared"
    return None


def by_content(path: str, head: bytes) -> tuple[str, str] | None:
    """``(rule, why)`` when the file's first bytes are those of a private key."""
    start = head.lstrip()[:64]
    if start.startswith(b"-----BEGIN ") and b"PRIVATE KEY" in start:
        return "snapshot.secret", "it starts with a private key"
    if start.startswith(b"PuTTY-User-Key-File"):
        return "snapshot.secret", "it starts with a private key"
    if PurePosixPath(path).suffix.lower() in _CERTIFICATE_SUFFIXES and b"PRIVATE KEY" in head:
        return "snapshot.secret", "it holds a private key"
    return None


def is_image(path: str) -> bool:
    """Is this an image? A few are icons, many are a data set."""
    return PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES
