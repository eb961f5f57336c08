"""Segments' keys put under their scope's newest wrapping key. No chunk is read or written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice

import msgspec

from sealwright.adapters import store_journal
from sealwright.adapters.store_journal import Step
from sealwright.adapters.store_local import LocalStore, segment_context
from sealwright.core.errors import VerifyError
from sealwright.core.ports import KeyService, KeyState, Progress
from sealwright.vault import container

_BATCH = 512


class Rewrapped(msgspec.Struct, frozen=True):
    """How many segments there were, how many were wrapped anew, and which open under no key."""

    segments: int
    changed: int
    damaged: tuple[str, ...]


def rewrap(store: LocalStore, kms: KeyService, scope: str, progress: Progress) -> Rewrapped:
    """Wrap every segment key of ``scope`` by its newest generation.

    Killed at any moment, everything stays readable, and calling it again goes on. Raises:
    Refused (the key is disabled or destroyed), Unavailable (key service, disk).
    """
    tmp = store.tmp
    finish(store, scope)
    segments = sorted(store.segments(scope))
    changed, damaged, done = 0, [], 0
    batches = iter(segments)
    while batch := list(islice(batches, _BATCH)):
        steps, broken = _steps(store, kms, scope, batch)
        damaged += broken
        if steps:
            store_journal.write(tmp, scope, steps)
            for step in steps:
                store_journal.apply(store.path(scope, step.segment), step)
            store_journal.clear(tmp, scope)
        changed, done = changed + len(steps), done + len(batch)
        progress.advance(done, len(segments), "segment keys")
    return Rewrapped(len(segments), changed, tuple(damaged))


def finish(store: LocalStore, scope: str) -> None:
    """Do again what a rotation that was cut short may have half done."""
    tmp = store.tmp
    steps = store_journal.read(tmp, scope)
    for step in steps:
        path = store.path(scope, step.segment)
        if path.exists():
            store_journal.apply(path, step)
    if steps:
        store_journal.clear(tmp, scope)


def retire(
    store: LocalStore, kms: KeyService, scope: str, progress: Progress
) -> tuple[KeyState, Rewrapped]:
    """Destroy the former generations, once no segment needs one; writers wait for that long."""
    with store.writing(scope, alone=True):
        last = rewrap(store, kms, scope, progress)
        return kms.retire(scope), last


def _steps(
    store: LocalStore, kms: KeyService, scope: str, segments: Sequence[str]
) -> tuple[list[Step], list[str]]:
    steps: list[Step] = []
    damaged: list[str] = []
    for segment in segments:
        try:
            step = _step(store, kms, scope, segment)
        except FileNotFoundError:
            # removed since the list was made
            continue
        except VerifyError:
            damaged.append(segment)
            continue
        if step is not None:
            steps.append(step)
    return steps, damaged


def _step(store: LocalStore, kms: KeyService, scope: str, segment: str) -> Step | None:
    path = store.path(scope, segment)
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        header = container.read_header(fd, f"{scope}/{segment}")
    finally:
        os.close(fd)
    new = kms.rewrap(scope, header.wrapped, segment_context(scope, segment))
    if new == header.wrapped:
        return None
    if len(new) != len(header.wrapped):
        raise VerifyError(
            "a segment's key was wrapped to another length",
            where=f"{scope}/{segment}",
            rule="store.key-changed",
        )
    return Step(segment, header.wrapped_at, new)
