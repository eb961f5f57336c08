"""in-toto Statement v1 (https://in-toto.io/Statement/v1) as canonical JSON, both ways."""

from __future__ import annotations

from typing import Any

from sealwright.core.digest import check
from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.records import Artifact, Json, Statement
from sealwright.evidence import jcs

TYPE = "https://in-toto.io/Statement/v1"
_MEMBERS = frozenset({"_type", "predicate", "predicateType", "subject"})


def encode(statement: Statement) -> bytes:
    """The bytes that get signed. Raises: BadInput (no subject, a bad digest, a float)."""
    if not statement.subjects:
        raise BadInput("a statement has no subject", why="in-toto wants at least one")
    if not statement.predicate_type:
        raise BadInput("a statement has no predicate type")
    return jcs.canonical(
        {
            "_type": TYPE,
            "subject": [_descriptor(subject) for subject in statement.subjects],
            "predicateType": statement.predicate_type,
            "predicate": statement.predicate,
        }
    )


def decode(data: bytes) -> Statement:
    """The inverse of :func:`encode`, and nothing laxer.

    Raises: VerifyError, rule ``json.*`` or ``statement.malformed``.
    """
    return of_value(jcs.parse(data))


def of_value(value: Any) -> Statement:
    """A parsed JSON value as a statement. Raises: VerifyError, rule ``statement.malformed``."""
    if not isinstance(value, dict) or value.keys() != _MEMBERS:
        raise _malformed(f"an object with exactly {', '.join(sorted(_MEMBERS))} wanted")
    if value["_type"] != TYPE:
        raise _malformed(f"_type is {str(value['_type'])[:80]!r}, {TYPE} wanted")
    kind, predicate, subjects = value["predicateType"], value["predicate"], value["subject"]
    if not isinstance(kind, str) or not kind:
        raise _malformed("predicateType is not a name")
    if not isinstance(predicate, dict):
        raise _malformed("predicate is not an object")
    if not isinstance(subjects, list) or not subjects:
        raise _malformed("subject is not a list with at least one member")
    return Statement(tuple(_artifact(subject) for subject in subjects), kind, predicate)


def _descriptor(artifact: Artifact) -> dict[str, Json]:
    out: dict[str, Json] = {"name": artifact.name, "digest": {"sha256": check(artifact.digest)}}
    if artifact.media_type:
        out["mediaType"] = artifact.media_type
    return out


def _artifact(value: Any) -> Artifact:
    if not isinstance(value, dict) or not {"name", "digest"} <= value.keys():
        raise _malformed("a subject needs name and digest")
    if value.keys() - {"name", "digest", "mediaType"}:
        raise _malformed("a subject has a member nobody knows")
    name, digest, media_type = value["name"], value["digest"], value.get("mediaType", "")
    if not isinstance(name, str) or not isinstance(media_type, str):
        raise _malformed("a subject's name or mediaType is not a string")
    if "mediaType" in value and not media_type:
        raise _malformed("a subject's mediaType is empty")
    if not isinstance(digest, dict) or digest.keys() != {"sha256"}:
        raise _malformed("a subject's digest is not one sha256")
    sha256 = digest["sha256"]
    try:
        return Artifact(name, check(sha256 if isinstance(sha256, str) else ""), media_type)
    except BadInput as error:
        raise _malformed(error.what) from error


def _malformed(why: str) -> VerifyError:
    return VerifyError("not an in-toto Statement v1", why=why, rule="statement.malformed")
