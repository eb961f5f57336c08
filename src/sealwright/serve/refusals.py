"""Refusals of the guard: the rule, the status it has over HTTP, the words. One table for all."""

from __future__ import annotations

from sealwright.core.errors import BadInput, Refused, SealError, Unavailable

STATUS: dict[str, int] = {
    "guard.route": 404,
    "guard.control-route": 403,
    "guard.method": 405,
    "guard.unknown-caller": 401,
    "guard.step-up": 401,
    "guard.origin": 403,
    "guard.external": 403,
    "guard.header": 400,
    "guard.upgrade": 400,
    "guard.pipelined": 400,
    "guard.http": 400,
    "guard.too-large": 413,
    "guard.headers": 431,
    "guard.slow": 408,
    "guard.encoding": 415,
    "guard.body": 400,
    "guard.input": 400,
    "guard.parameter": 400,
    "guard.rows": 413,
    "guard.output": 400,
    "guard.fidelity": 403,
    "guard.model": 404,
    "guard.busy": 503,
    "guard.stopping": 503,
    "guard.worker": 503,
    "guard.upstream": 502,
    "guard.answer": 400,
    "guard.ledger": 503,
    "guard.evidence": 503,
    "guard.fault": 500,
    "guard.rate": 429,
    "guard.budget": 403,
    "guard.model-budget": 403,
    "guard.coverage": 403,
    "guard.reservation": 503,
    "guard.blocked": 403,
    "guard.withdrawn": 403,
    "guard.lease": 403,
}
"""Rule → HTTP status. What is not listed is 403 where a rule said no."""


class OutOfService(Unavailable):
    """What an answer needs is not there now: the worker, the ledger, the journal. ``rule`` says."""

    def __init__(self, rule: str, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what, why=why, hint=hint)
        self.rule = rule


def out_of_service(rule: str, error: SealError) -> OutOfService:
    """``error`` under the rule of where it happened."""
    return OutOfService(rule, error.what, why=error.why, hint=error.hint)


def refused(rule: str, what: str, why: str = "", hint: str = "") -> Refused:
    """A refusal of the guard."""
    return Refused(what, why=why, hint=hint, rule=rule)


UNNAMED = frozenset(
    {
        "guard.route",
        "guard.control-route",
        "guard.method",
        "guard.unknown-caller",
        "guard.origin",
        "guard.external",
    }
)
"""Refusals before anybody was known: counted by rule in the next batch."""


def rule_of(error: SealError) -> str:
    """The rule of a refusal or of what was unavailable."""
    if isinstance(error, Refused | OutOfService):
        return error.rule or "guard.fault"
    if isinstance(error, BadInput):
        return "guard.body"
    return "guard.worker" if isinstance(error, Unavailable) else "guard.fault"


def status_of(rule: str) -> int:
    """The HTTP status of a rule; tokens that do not hold are 401."""
    if rule.startswith("token."):
        return 401
    return STATUS.get(rule, 403)


def words(error: SealError, rule: str) -> str:
    """The one sentence a protocol's error form has room for."""
    parts = [error.what]
    if error.why:
        parts.append(f"why: {error.why}")
    parts.append(f"rule: {rule}")
    if error.hint:
        parts.append(f"mend: {error.hint}")
    return "; ".join(parts)
