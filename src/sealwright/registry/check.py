"""Checking an exported bundle with nothing but the bundle, a pin and the time.

What a producer says its gates allowed is judged again from the log it comes with, by the
producer's own policy. That is input, not proof: ``registry.consumer`` has the caller's own
policy judge the same log.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import (
    BadInput,
    Refused,
    SealError,
    UnknownSigner,
    VerifyError,
)
from sealwright.core.predicates import EXPORT
from sealwright.core.records import Artifact, Recorded
from sealwright.evidence import trust as trusts
from sealwright.evidence.history import History
from sealwright.evidence.keys import load_public
from sealwright.evidence.merkle import root_at
from sealwright.evidence.proof import MAX_PROOF_BYTES, LogProof
from sealwright.evidence.trust import Trust
from sealwright.registry import account, layout, signature, witnessed
from sealwright.registry import export as exports
from sealwright.registry.aliases import refuse_unusable
from sealwright.registry.bundle import Bundle, hashed, opened, read
from sealwright.registry.bundlelog import BundleLog, tile_of
from sealwright.registry.files import ModelFile
from sealwright.registry.versions import Model, Models

MAX_SMALL_BYTES = 64 << 20
_MAX_TRUST_BYTES = 4 << 20
_SKEW_S = 300
"""How far ahead of ours a witness's clock may be."""


class VerifiedBundle(msgspec.Struct, frozen=True):
    """A bundle in which everything holds. ``pinned``: under a trust root the caller named.
    ``history`` is its whole log; the last of ``decisions`` is the one that let it be exported.

    ``as_of``: when the newest head in it was seen, by a witness (``as_of_by`` is its name and
    separation) or, ``self-asserted``, by the workspace alone. ``isolation`` and ``profile`` are
    what the run's provenance says. ``warnings`` name what the evidence lacks.
    """

    model: Model
    trust: Trust
    pinned: bool
    history: History
    cosignatures: tuple[witnessed.Cosignature, ...]
    as_of: str
    as_of_by: str
    run: Recorded | None
    datasets: tuple[Artifact, ...]
    decisions: tuple[Recorded, ...]
    files: tuple[ModelFile, ...]
    isolation: str
    profile: str
    warnings: tuple[str, ...]


def verify_bundle(
    path: Path, pin: str | None, *, max_age_s: int | None, now: datetime
) -> VerifiedBundle:
    """Check everything in a bundle; ``pin`` is a fingerprint (see ``evidence.trust.load``).

    Raises: VerifyError naming the member (tampered), Refused (``model.revoked``,
    ``model.blocked``, ``bundle.stale``), UnknownSigner (all of it is consistent, but ``pin``
    is None or names another root), BadInput (no bundle there).
    """
    with opened(path) as bundle:
        checked = _check(bundle)
    if max_age_s is not None:
        _fresh(checked, max_age_s, now)
    if pin is None:
        raise UnknownSigner(
            f"{path} is consistent, but its signer is unknown",
            why=f"it is {checked.model.ref} under the trust root {checked.trust.fingerprint}",
            hint=f"ask its owner for the fingerprint, then: seal verify {path} --trust FINGERPRINT",
        )
    checked.trust.check_pin(pin)
    return msgspec.structs.replace(checked, pinned=True)


def _check(bundle: Bundle) -> VerifiedBundle:
    chain = _chain(bundle)
    trust = _trust(chain)
    log = BundleLog(bundle)
    history = _history(log, trust)
    log.check_tiles()
    heads = _heads(bundle, log, trust)
    models = Models(history)
    model, files = _model(bundle, models, trust)
    told = _export_statement(bundle, history, model, trust, heads)
    indices = exports.proof_indices(models, model, told.index)
    for name, body in exports.proofs(indices, log.checkpoint(), log.hash_at).items():
        if read(bundle, name, MAX_PROOF_BYTES) != body:
            raise _changed(name, "it is not the proof of that entry under the checkpoint")
    _no_others(bundle, log, len(chain), told, [*indices, *(layout.MODEL + f.path for f in files)])
    decisions = account.decisions(history, model, told)
    unread = account.replayed(decisions, history, trust)
    datasets = account.datasets(history, model)
    run, warnings = account.provenance_of(models, model, datasets)
    warnings += unread
    refuse_unusable(model)
    as_of, by = _as_of(heads, told)
    if not heads:
        warnings.append("no witness cosigned the log: its age and completeness are self-asserted")
    isolation, profile = account.room(run)
    return VerifiedBundle(
        model=model,
        trust=trust,
        pinned=False,
        history=history,
        cosignatures=heads,
        as_of=as_of,
        as_of_by=by,
        run=run,
        datasets=datasets,
        decisions=decisions,
        files=files,
        isolation=isolation,
        profile=profile,
        warnings=tuple(warnings),
    )


def _chain(bundle: Bundle) -> list[bytes]:
    chain: list[bytes] = []
    while f"{layout.TRUST}{len(chain) + 1}.json" in bundle.sizes or not chain:
        name = f"{layout.TRUST}{len(chain) + 1}.json"
        chain.append(read(bundle, name, _MAX_TRUST_BYTES))
    return chain


def _trust(chain: list[bytes]) -> Trust:
    try:
        return trusts.load(chain, None)
    except VerifyError as error:
        raise VerifyError(
            f"evidence/{error.what}",
            where=f"evidence/{error.where}",
            why=error.why,
            hint="ask for the bundle again",
            rule=error.rule,
        ) from error


def _history(log: BundleLog, trust: Trust) -> History:
    """The log's statements; an error about an entry also names the member that holds it."""
    try:
        return History.read(log, trust)
    except VerifyError as error:
        where, _, number = error.where.partition(" ")
        member = layout.CHECKPOINT
        if where == "entry" and number.isdecimal() and int(number) < log.size():
            member = layout.LOG + tile_of(int(number), log.size()).path
        elif error.where.startswith(layout.LOG):
            member = error.where
        raise VerifyError(
            f"{member}: {error.what}",
            where=member if where != "entry" else f"{member}, {error.where}",
            why=error.why,
            hint="ask for the bundle again",
            rule=error.rule,
        ) from error


def _heads(bundle: Bundle, log: BundleLog, trust: Trust) -> tuple[witnessed.Cosignature, ...]:
    """The cosignatures on the newest head, else on the older one that comes with it."""
    head = witnessed.check(log.checkpoint(), trust, layout.CHECKPOINT)
    found = head.cosignatures
    if layout.WITNESSED in bundle.sizes:
        note = read(bundle, layout.WITNESSED, MAX_SMALL_BYTES)
        try:
            older = witnessed.check(note, trust, layout.WITNESSED)
        except SealError as error:
            raise _changed(layout.WITNESSED, f"{error.what}; {error.why}") from error
        size = older.checkpoint.size
        if size > log.size() or root_at(size, log.hash_at) != older.checkpoint.root:
            raise _changed(layout.WITNESSED, "the log is not a continuation of that head")
        if not older.cosignatures:
            raise _changed(layout.WITNESSED, "no witness cosigned it")
        found = (*found, *older.cosignatures)
    return found


def _model(bundle: Bundle, models: Models, trust: Trust) -> tuple[Model, tuple[ModelFile, ...]]:
    sig = read(bundle, layout.SIGNATURE, MAX_SMALL_BYTES)
    model = models.signed_by(of_bytes(sig))
    if model is None:
        raise _changed(layout.SIGNATURE, "no model version in the log was signed with it")
    key = trust.public("model", model.index).get(model.signer)
    if key is None:
        raise VerifyError(
            f"{model.ref} is signed by no model key that was good for it",
            where=f"entry {model.index}",
            rule="model.signer",
        )
    pem = read(bundle, layout.PUBLIC_KEY, 1 << 16)
    if pem != key.pem:
        raise _changed(layout.PUBLIC_KEY, "it is not the model key of the trust root")
    signed = signature.verify(sig, load_public(pem))
    if signed.digest != model.digest:
        raise _changed(layout.SIGNATURE, "the log names another model digest")
    files: list[ModelFile] = []
    for name in bundle.sizes:
        if name.startswith(layout.MODEL):
            size, sha256 = hashed(bundle, name)
            files.append(ModelFile(name.removeprefix(layout.MODEL), size, sha256))
    return model, signature.check_files(signed, files)


def _export_statement(
    bundle: Bundle,
    history: History,
    model: Model,
    trust: Trust,
    heads: tuple[witnessed.Cosignature, ...],
) -> Recorded:
    """The export that wrote this bundle, and every member it names as it names it."""
    proof = read(bundle, layout.EXPORT_PROOF, MAX_PROOF_BYTES)
    index = LogProof.decode(proof, layout.EXPORT_PROOF).index
    told = next((e for e in history.of_type(EXPORT) if e.index == index), None)
    if told is None or told.statement.subjects != (Artifact(model.ref, model.digest),):
        raise _changed(layout.EXPORT_PROOF, f"entry {index} is no export of {model.ref}")
    predicate: Any = told.statement.predicate
    for name, digest in _named(told).items():
        if of_bytes(read(bundle, name, MAX_SMALL_BYTES)) != digest:
            raise _changed(name, f"the export (entry {told.index}) names another SHA-256")
    if predicate.get("trust") != trust.digest:
        raise VerifyError(
            "the chain of trust is not the one this bundle was exported with",
            where=layout.TRUST,
            why="a version was dropped or added",
            rule="trust.broken",
        )
    covered = max((c.size for c in heads), default=0)
    if covered < _integer(predicate.get("witnessed")):
        raise VerifyError(
            "cosignatures were taken out of the bundle",
            where=layout.CHECKPOINT,
            why=f"a witness had cosigned {predicate['witnessed']} entries, here it is {covered}",
            rule="bundle.cosignature-missing",
        )
    return told


def _no_others(
    bundle: Bundle, log: BundleLog, trust_versions: int, told: Recorded, more: list[str]
) -> None:
    known = {layout.WITNESSED, *log.members, *_named(told), *more}
    known.update(f"{layout.TRUST}{number}.json" for number in range(1, trust_versions + 1))
    for name in bundle.sizes:
        if name not in known:
            raise VerifyError(
                f"{name} does not belong into this bundle",
                where=name,
                why="no statement in its log speaks of it",
                rule="bundle.member-added",
            )


def _as_of(heads: tuple[witnessed.Cosignature, ...], told: Recorded) -> tuple[str, str]:
    if heads:
        newest = max(heads, key=lambda c: c.time)
        return newest.stamp, f"{newest.witness} ({newest.separation})"
    return str(told.statement.predicate["time"]), "self-asserted"


def _fresh(checked: VerifiedBundle, max_age_s: int, now: datetime) -> None:
    age_s = int((now - clock.parse(checked.as_of)).total_seconds())
    if not -_SKEW_S <= age_s <= max_age_s:
        raise Refused(
            f"the bundle is stale: its log was last seen {checked.as_of}",
            why=f"{age_s:,} s ago, at most {max_age_s:,} s wanted; by {checked.as_of_by}",
            hint="ask for a new export",
            rule="bundle.stale",
        )


def _named(told: Recorded) -> dict[str, Digest]:
    value: Any = told.statement.predicate.get("members")
    try:
        return {str(item["name"]): str(item["digest"]) for item in value}
    except (KeyError, TypeError) as error:
        raise BadInput("an export statement of a kind this version does not know") from error


def _integer(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _changed(name: str, why: str) -> VerifyError:
    return VerifyError(f"{name} was changed", where=name, why=why, rule="bundle.member-changed")
