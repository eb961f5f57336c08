"""Every error Sealwright raises on purpose.

::

    SealError                 what, why, hint; the exit code it ends a command with
    ├── BadInput              2  the user gave something that cannot be used
    │   └── BadSettings       2  seal.toml: every problem at once, each with its path
    ├── Unavailable           2  something this machine lacks, or that is busy
    │   └── MissingExtra      2  an optional dependency; the hint is the install line
    ├── UnknownSigner         2  consistent, but signed by nobody you trust
    └── Refused               1  a rule said no
        ├── VerifyError       1  bytes are not what they were signed to be
        └── GateDenied        1  the policy does not hold over the statements

A message names the file, row or entry; the rule; and the command that mends it.
"""

from __future__ import annotations

from collections.abc import Sequence


class SealError(Exception):
    """Base of the tree.

    ``what`` is one sentence about what happened, ``why`` the rule or the fact
    behind it, ``hint`` the one command (or edit) that would mend it.
    """

    exit_code = 2

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def lines(self) -> list[str]:
        """The message as a person reads it, one line an element."""
        out = [self.what]
        if self.why:
            out.append(f"why: {self.why}")
        if self.hint:
            out.append(f"mend: {self.hint}")
        return out


class BadInput(SealError):
    """The user gave something that cannot be used; nothing was changed."""


class BadSettings(BadInput):
    """``seal.toml`` is wrong; ``problems`` holds every fault, each as ``$.path: message``."""

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        super().__init__(
            f"{where}: {len(problems)} problem{'s' if len(problems) != 1 else ''}",
            why="; ".join(problems),
            hint=f"edit {where}; every key is described in docs/reference/settings.md",
        )
        self.problems = tuple(problems)


class Unavailable(SealError):
    """Something this machine lacks, or that is busy; the hint says how to get it."""


class MissingExtra(Unavailable):
    """An optional dependency is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs an optional dependency that is not installed",
            hint=f"pip install 'sealwright[{extra}]'",
        )


class UnknownSigner(SealError):
    """The bytes are consistent, but no key you trust signed them."""


class Refused(SealError):
    """A rule said no. ``rule`` is its id; ``evidence`` what decided (log indices, digests)."""

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        rule: str = "",
        evidence: Sequence[str] = (),
    ) -> None:
        super().__init__(what, why=why, hint=hint)
        self.rule = rule
        self.evidence = tuple(evidence)

    def lines(self) -> list[str]:
        """The message as a person reads it, one line an element."""
        out = [self.what]
        if self.why:
            out.append(f"why: {self.why}")
        if self.rule:
            out.append(f"rule: {self.rule}")
        if self.evidence:
            out.append(f"evidence: {', '.join(self.evidence)}")
        if self.hint:
            out.append(f"mend: {self.hint}")
        return out


class VerifyError(Refused):
    """Bytes are not what they were signed to be. ``where`` names the file, row or log entry."""

    def __init__(
        self, what: str, *, where: str = "", why: str = "", hint: str = "", rule: str = ""
    ) -> None:
        super().__init__(what, why=why, hint=hint, rule=rule, evidence=(where,) if where else ())
        self.where = where


class GateDenied(Refused):
    """A gate's policy does not hold; ``decision`` is the id to hand to ``seal policy explain``."""

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        rule: str = "",
        evidence: Sequence[str] = (),
        decision: str = "",
    ) -> None:
        super().__init__(what, why=why, hint=hint, rule=rule, evidence=evidence)
        self.decision = decision
