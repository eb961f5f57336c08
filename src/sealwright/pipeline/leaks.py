"""What a stage says and writes, held against the secrets: redacted, held back, reported."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Literal

import msgspec

from sealwright.core.records import Finding, Json
from sealwright.train import redact
from sealwright.train.outcome import RoomResult
from sealwright.train.redact import Redactor
from sealwright.train.spec import Channel, Listener, OutputFile


class Secrets(msgspec.Struct, frozen=True):
    """Every value in the vault by name, which of them go in, and what a leak into a file means.

    ``env`` go into the room's environment; ``broker`` (secret → host) stay with the proxy.
    """

    values: Mapping[str, str] = msgspec.field(default_factory=dict)
    env: tuple[str, ...] = ()
    broker: Mapping[str, str] = msgspec.field(default_factory=dict)
    outputs: Literal["hold", "allow"] = "hold"

    def given(self, wall_s: int) -> list[Json]:
        """What the provenance says: names, ways in, and how long a lease can last at most."""
        leased: list[Json] = [
            {"name": name, "mode": "env", "lease_s": wall_s} for name in sorted(self.env)
        ]
        brokered: list[Json] = [
            {"name": name, "mode": "broker", "host": host}
            for name, host in sorted(self.broker.items())
        ]
        return leased + brokered


class Ears:
    """A listener between the room and everybody else: what it passes on holds no secret."""

    def __init__(self, redactor: Redactor, listener: Listener) -> None:
        self._listener = listener
        self._streams = {name: redactor.stream() for name in _CHANNELS}
        self.logs: dict[Channel, io.BytesIO] = {name: io.BytesIO() for name in _CHANNELS}

    def __call__(self, channel: Channel, data: bytes) -> None:
        """Show and keep what is safe to."""
        self._pass_on(channel, self._streams[channel].feed(data))

    def end(self) -> tuple[Finding, ...]:
        """Pass on what was held back; returns what was redacted."""
        for channel, stream in self._streams.items():
            self._pass_on(channel, stream.end())
        return tuple(
            finding
            for channel, stream in self._streams.items()
            for finding in redact.leaked(stream.counts, channel)
        )

    def _pass_on(self, channel: Channel, data: bytes) -> None:
        if data:
            self.logs[channel].write(data)
            self._listener(channel, data)


_CHANNELS: tuple[Channel, ...] = ("stdout", "stderr")


def examine(result: RoomResult, redactor: Redactor, secrets: Secrets) -> RoomResult:
    """The result without the outputs that hold a secret of the vault, and with the findings.

    A token that is only shaped like one is reported and not held back.
    """
    found: list[Finding] = []
    kept: list[OutputFile] = []
    for number, output in enumerate(result.outputs):
        named = redactor.text(output.relpath)
        where = named if named == output.relpath else f"the name of output {number}"
        with result.open(output) as source:
            names = redactor.search(source) | {
                hit.name for hit in redactor.find(output.relpath.encode())
            }
        leaked = redact.leaked(dict.fromkeys(names, 1), where)
        held = secrets.outputs == "hold" and any(redactor.is_value(name) for name in names)
        if held:
            leaked = tuple(_held(finding, where) for finding in leaked)
        else:
            kept.append(output)
        found += leaked
    told = tuple(_redacted(finding, redactor) for finding in result.findings)
    return msgspec.structs.replace(
        result, outputs=tuple(kept), findings=(*told, *found) if found else told
    )


def _held(finding: Finding, where: str) -> Finding:
    return msgspec.structs.replace(
        finding,
        message=f"{finding.message}; the file was held back",
        hint=f'write {where} without it, or set secrets.outputs = "allow" in seal.toml',
    )


def _redacted(finding: Finding, redactor: Redactor) -> Finding:
    return msgspec.structs.replace(finding, message=redactor.text(finding.message))
