"""What a gate is told, next to the log: who asks, when, for what, and what was just measured.

Every default is the one that refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from sealwright.core import clock
from sealwright.core.errors import BadInput
from sealwright.core.records import Json, Principal
from sealwright.evidence.trust import Trust
from sealwright.policy.principals import Account

Established = Literal["self-asserted", "key", "oidc"]


class RoomFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The room a run is about to have (gate ``train``). ``rung`` as the fact has it."""

    isolation: str = "none"
    rung: int = 0
    network_none: bool = False
    egress_granted: bool = False
    plaintext_on_disk: bool = True
    missing: tuple[str, ...] = ("unknown",)


class Witnessed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The best cosignature: the witness's separation, the log size it covers, its time."""

    separation: Literal["none", "same-uid", "same-host", "remote"] = "none"
    size: int = 0
    time: str = ""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """A gate's request. ``profile`` is what seal.toml says; ``trust`` names people's keys."""

    now: datetime
    principal: Principal
    profile: str
    trust: Trust | None = None
    host: str = ""
    reason: str = ""
    params: Mapping[str, Json] = msgspec.field(default_factory=dict)
    run: str = ""
    room: RoomFacts = RoomFacts()
    witnessed: Witnessed = Witnessed()
    key_custody: Literal["unknown", "key-file", "passphrase", "external"] = "unknown"

    @property
    def account(self) -> Account:
        """Who asks, where."""
        return Account(self.principal.name, self.principal.key_id, self.principal.uid, self.host)

    def jsonable(self) -> dict[str, Json]:
        """What a decision keeps, so that an auditor can judge again (``trust`` is their own)."""
        return {
            "time": clock.stamp(self.now),
            "principal": self.account.jsonable(),
            "established": self.principal.established,
            "profile": self.profile,
            "reason": self.reason,
            "params": dict(self.params),
            "run": self.run,
            "room": msgspec.to_builtins(self.room),
            "witnessed": msgspec.to_builtins(self.witnessed),
            "key_custody": self.key_custody,
        }


def from_json(given: Mapping[str, Any], trust: Trust | None) -> Context:
    """The inverse of :meth:`Context.jsonable`. Raises: BadInput."""
    try:
        who = msgspec.convert(given["principal"], Account)
        return Context(
            now=clock.parse(given["time"]),
            principal=Principal(who.name, who.key_id, "person", _established(given), who.uid),
            profile=str(given["profile"]),
            trust=trust,
            host=who.host,
            reason=str(given["reason"]),
            params=dict(given["params"]),
            run=str(given["run"]),
            room=msgspec.convert(given["room"], RoomFacts),
            witnessed=msgspec.convert(given["witnessed"], Witnessed),
            key_custody=given["key_custody"],
        )
    except (KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
        raise BadInput("a decision does not keep what it was given", why=str(error)) from error


def _established(given: Mapping[str, Any]) -> Established:
    """Decisions from before there were sessions say nothing, which is self-asserted."""
    said: Established = msgspec.convert(given.get("established", "self-asserted"), Established)
    return said
