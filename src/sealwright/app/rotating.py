"""Keys that change: wrapping keys, the root, and signing keys by way of the trust root.

Each can be killed at any moment: what was readable stays readable, what was signed stays
signed, and the same command goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import msgspec

from sealwright.adapters import store_rewrap
from sealwright.adapters.kms_file import FileKms
from sealwright.app import accessing, choosing, trusting
from sealwright.core import clock, digest
from sealwright.core import predicates as p
from sealwright.core.errors import BadInput, SealError
from sealwright.core.locking import directory
from sealwright.core.ports import KeyState, Progress
from sealwright.core.records import Artifact, Json, Receipt, Statement
from sealwright.evidence import trust as trusts
from sealwright.evidence.trust import Role, Trust, TrustKey
from sealwright.vault import secrets
from sealwright.vault.custody import WRAPPING_KEY

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

_SIGNING = ("workspace", "log", "model")
_ASKED_WITH = (WRAPPING_KEY, "sessions")
"""While one of these is disabled nobody can say who they are: asked once it is open."""


class Rotated(msgspec.Struct, frozen=True):
    """A wrapping key's new state, what was put under it, and what opens under no key."""

    key: KeyState
    retired: tuple[int, ...]
    segments: int
    changed: int
    damaged: tuple[str, ...]


class Replaced(msgspec.Struct, frozen=True):
    """A signing key that took over ``role`` from log entry ``first_index``."""

    role: str
    key_id: str
    former: str
    first_index: int
    trust: Trust


def is_signing(name: str) -> bool:
    """Whether ``name`` is a signing role, not a wrapping key."""
    return name in _SIGNING or name.startswith("principal:")


def wrapping_key(ws: Workspace, key: str, reason: str, progress: Progress) -> Rotated:
    """A new generation of ``key``, and everything it wraps put under that; the old is destroyed.

    No data is encrypted again. One that was cut short is brought to its end, without another
    generation. Raises: GateDenied (``access.*``), BadInput (no such key), Refused (disabled,
    destroyed).
    """
    if key not in (WRAPPING_KEY, secrets.KEY, "run") and not key.startswith(("data:", "model:")):
        raise BadInput(
            f"{key} wraps what is made anew by itself",
            why="its keys live for minutes or days; nothing is kept under it",
        )
    with ws.lock():
        state_of(ws, key)
        _require(ws, key, reason)
        return renewed(ws, key, reason, progress)


def renewed(ws: Workspace, key: str, reason: str, progress: Progress) -> Rotated:
    """As :func:`wrapping_key`, where somebody was asked already."""
    with ws.lock():
        before = state_of(ws, key)
        if not before.former:
            before = ws.kms.rotate(key)
        done = rewrapped(ws, key, progress)
        ws.recorder.record(_statement(ws, done.key, "rotated", reason, retired=list(before.former)))
    return msgspec.structs.replace(done, retired=before.former)


def rewrapped(ws: Workspace, key: str, progress: Progress) -> Rotated:
    """Put what ``key`` wraps under its newest generation, then destroy the former ones."""
    if key == WRAPPING_KEY:
        changed = ws.keyring.rewrap(ws.kms)
        state = ws.kms.retire(key)
        return Rotated(state, (), len(ws.keyring.roles()), changed, ())
    if key == secrets.KEY:
        changed = secrets.Secrets(ws.state_dir, ws.kms).rewrap(ws.kms)
        return Rotated(ws.kms.retire(key), (), 0, changed, ())
    if key not in ws.store.scopes():
        # data that was signed in place has a key to derive from, and nothing under it
        return Rotated(ws.kms.retire(key), (), 0, 0, ())
    first = store_rewrap.rewrap(ws.store, ws.kms, key, progress)
    state, last = store_rewrap.retire(ws.store, ws.kms, key, progress)
    return Rotated(state, (), last.segments, first.changed + last.changed, last.damaged)


def root(ws: Workspace, passphrase: str | None, reason: str) -> str:
    """A new root key; returns the new recovery key.

    Raises: GateDenied (``access.*``), BadInput (it is held elsewhere).
    """
    kms = ws.kms
    if not isinstance(kms, FileKms):
        raise BadInput(
            "the root key is not here",
            why=f"[keys] kms is {ws.settings.keys.kms}",
            hint="rotate it where the key service runs: seal keys rotate root --home DIR",
        )
    with ws.lock():
        _require(ws, "root", reason)
        recovery = kms.rotate_root(passphrase)
        ws.recorder.record(_statement(ws, KeyState("root", 0, (), "enabled"), "rotated", reason))
    return recovery


def switch(ws: Workspace, key: str, reason: str, *, on: bool) -> KeyState:
    """Disable or enable a wrapping key.

    Raises: GateDenied (``access.*``), BadInput, Unavailable (no such key), Refused (destroyed).
    """
    with ws.lock():
        state = state_of(ws, key)
        if on:
            return _enabled(ws, key, reason, state)
        _require(ws, key, reason)
        if state.state == "enabled":
            # stated first: what is disabled may be what statements are signed with
            ws.recorder.record(_statement(ws, state, "disabled", reason))
        return ws.kms.switch(key, on=False)


def _enabled(ws: Workspace, key: str, reason: str, before: KeyState) -> KeyState:
    if key not in _ASKED_WITH:
        _require(ws, key, reason)
    state = ws.kms.switch(key, on=True)
    try:
        if key in _ASKED_WITH:
            _require(ws, key, reason)
    except SealError:
        ws.kms.switch(key, on=before.state == "enabled")
        raise
    ws.recorder.record(_statement(ws, state, "enabled", reason))
    return state


def signing_key(ws: Workspace, role: str, reason: str) -> Replaced:
    """A new key takes over ``role``; what the old one signed stays verifiable.

    The trust root names both with their log entries. Nothing is appended between the last
    entry of the old key and the first of the new. Raises: GateDenied (``access.*``), BadInput,
    Unavailable (no such role).
    """
    if not is_signing(role):
        raise BadInput(f"{role!r} is no signing role", why=f"known: {', '.join(_SIGNING)}")
    with ws.lock():
        _require(ws, role, reason)
        return replaced(ws, role, reason)


def replaced(ws: Workspace, role: str, reason: str) -> Replaced:
    """As :func:`signing_key`, where nobody is to be asked (a copy of a workspace)."""
    kind, _, name = role.partition(":")
    with ws.lock(), directory(ws.seal_dir / "trust", alone=True):
        recorder = ws.recorder
        ws.__dict__["recorder"] = getattr(recorder, "inner", recorder)
        try:
            choosing.finish(ws.keyring, ws.trust)
            old = ws.keyring.signer(role).key_id
            new = ws.keyring.prepare(role)
            present = ws.trust.find(old, cast("Role", kind))
            key = trusts.key_of(new, cast("Role", kind), name or (present.name if present else ""))
            first_index = ws.log.size() + 1
            keys = _handed_over(ws.trust, old, key, first_index)
            trust, _ = trusting.extend(ws, keys, reason)
            ws.keyring.promote(role)
            for part in ("principal", "signer"):
                ws.__dict__.pop(part, None)
            # the first entry and checkpoint of the new key: no former one is the newest any more
            state = KeyState(role, trust.version, (), "enabled")
            ws.recorder.record(_statement(ws, state, "replaced", reason))
        finally:
            ws.__dict__["recorder"] = recorder
    return Replaced(role, new.key_id, old, first_index, trust)


def state_of(ws: Workspace, key: str) -> KeyState:
    """Raises: BadInput (no such key)."""
    for state in ws.kms.states():
        if state.name == key:
            return state
    raise BadInput(f"there is no key {key} here", hint="seal keys list")


def _named(ws: Workspace, key: str) -> Artifact:
    return Artifact(f"key:{key}", digest.of_bytes(f"{ws.id} {key}".encode()))


def _require(ws: Workspace, key: str, reason: str) -> None:
    accessing.require(ws, "administer", [_named(ws, key)], reason=reason)


def _handed_over(trust: Trust, old: str, new: TrustKey, at: int) -> Sequence[TrustKey]:
    return (
        *(
            msgspec.structs.replace(key, last_index=max(at - 1, key.first_index))
            if (key.key_id, key.role) == (old, new.role) and key.last_index is None
            else key
            for key in trust.keys
        ),
        msgspec.structs.replace(new, first_index=at),
    )


def _statement(ws: Workspace, state: KeyState, act: str, reason: str, **more: Json) -> Statement:
    subject = digest.of_bytes(f"{ws.id} {state.name} {state.generation}".encode())
    return Statement(
        (Artifact(f"key:{state.name}", subject),),
        p.KEY,
        {
            "key": state.name,
            "generation": state.generation,
            "act": act,
            "actor": ws.principal.name,
            "reason": reason,
            "time": clock.stamp(ws.clock()),
            **more,
        },
    )


def record_key(ws: Workspace, state: KeyState, act: str, reason: str, **more: Json) -> Receipt:
    """State in the log what is done with a key."""
    return ws.recorder.record(_statement(ws, state, act, reason, **more))
