"""Check, activate and explain the rules that the gates judge by.

seal policy check [REF]        what every gate would say now; nothing is recorded
seal policy show               the rules in force, and what policies/ says
seal policy activate           put policies/ in force, by a statement in the log
seal policy explain ID         why a gate decided as it did, judged again from the log
seal policy write              put the shipped rules of the profile into policies/
seal policy test               the cases in policies/tests, against the rules in policies/
seal policy network            which stage reads what and reaches whom (--kubernetes: as YAML)
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace
    from sealwright.core.records import Artifact
    from sealwright.policy.facts import Gate
    from sealwright.policy.gates import Judgement
    from sealwright.policy.whatif import Counterfactual

HELP = "check, activate and explain the rules"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
    check = words.add_parser("check", help="what every gate would say now; records nothing")
    check.add_argument("ref", nargs="?", metavar="REF", help="data:NAME@N or model:NAME@N")
    check.add_argument(
        "--gate",
        choices=("train", "register", "promote", "export", "serve"),
        help="only this gate; serve is asked only so",
    )
    check.add_argument("--reason", default="", help="as if this reason were given")
    words.add_parser("show", help="the rules in force, and what policies/ says")
    activate = words.add_parser("activate", help="put policies/ in force")
    activate.add_argument("--reason", required=True, help="why; goes into the log")
    explain = words.add_parser("explain", help="why a gate decided as it did")
    explain.add_argument("id", metavar="ID", help="a decision's id, a log index, or latest")
    test = words.add_parser("test", help="judge the cases in policies/tests")
    test.add_argument(
        "--strict", action="store_true", help="fail, too, where no case would miss a rule"
    )
    network = words.add_parser("network", help="which stage reads what and reaches whom")
    network.add_argument(
        "--kubernetes", action="store_true", help="as NetworkPolicy objects, in YAML"
    )
    write = words.add_parser("write", help="write the shipped rules that are not there yet")
    write.add_argument("--only", default="", metavar="FILE", help="write this one anew")


def run(args: argparse.Namespace, out: Out) -> int:
    """Run the subcommand."""
    from sealwright.app import wiring

    workspace = wiring.open_workspace()
    words = {
        "check": _check,
        "show": _show,
        "activate": _activate,
        "explain": _explain,
        "write": _write,
        "network": _network,
        "test": _test,
    }
    return words[args.word](workspace, args, out)


def _check(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app.gating import WorkspaceGate
    from sealwright.app.running import around, room_facts

    gate = WorkspaceGate(workspace, args.reason, room_facts(around(workspace)))
    judgements = [
        gate.judge(name, subjects, {})
        for name, subjects in _asked(workspace, args.ref)
        if name == args.gate or (args.gate is None and name != "serve")
    ]
    denied = [j for j in judgements if not j.decision.allowed]
    out.emit({"gates": [_told(j) for j in judgements]}, lambda: _checked(judgements, out))
    return 1 if denied else 0


def _asked(workspace: Workspace, ref: str | None) -> Iterator[tuple[Gate, list[Artifact]]]:
    """The gates that concern a reference, or the newest of everything in the project."""
    from sealwright.core import refs
    from sealwright.core.records import Artifact
    from sealwright.intake.versions import Datasets
    from sealwright.registry.versions import Models

    history = workspace.history()
    datasets, models = Datasets(history, workspace.store), Models(history)
    if ref is not None:
        parsed = refs.parse(ref)
        if parsed.kind == "data":
            yield "train", [datasets.resolve(parsed).artifact]
            return
        model = models.resolve(parsed)
        yield "promote", [Artifact(model.ref, model.digest)]
        yield "export", [Artifact(model.ref, model.digest)]
        yield "serve", [Artifact(model.ref, model.digest)]
        return
    newest = [datasets.latest(name) for name in sorted({d.name for d in datasets.all()})]
    yield "train", [dataset.artifact for dataset in newest if dataset]
    for name in sorted({model.name for model in models.all()}):
        subject = [Artifact(models.of(name)[0].ref, models.of(name)[0].digest)]
        yield "promote", subject
        yield "export", subject
        yield "serve", subject


def _checked(judgements: Sequence[Judgement], out: Out) -> str:
    lines = []
    for judgement in judgements:
        decision = judgement.decision
        subjects = ", ".join(s.name for s in judgement.subjects) or "no data yet"
        word = out.paint("passes", "green") if decision.allowed else out.paint("refuses", "red")
        lines.append(f"{decision.gate:<9}{word}  {subjects}")
        if not decision.allowed:
            lines += [f"         {reason}" for reason in decision.reasons]
            lines += [f"         mend: {mend}" for mend in decision.mends]
        lines += [f"         warns: {warning}" for warning in decision.warnings]
    return "\n".join(lines) or "nothing to check yet: seal data add PATH --name NAME"


def _show(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app.gating import policies_of
    from sealwright.policy import activation
    from sealwright.policy.approvals import Book

    history = workspace.history()
    told = activation.timeline(history, Book(history, workspace.trust))
    present = policies_of(workspace)
    newest = told.newest
    active = newest is not None and newest.digest == present.digest
    rules = [_rule(rule) for rule in present.engine.rules.values()]
    shape: dict[str, Any] = {
        "profile": present.profile,
        "digest": present.digest,
        "active": active,
        "in_force": newest.digest if newest else "",
        "since": newest.index if newest else None,
        "not_accepted": list(told.refused),
        "rules": rules,
    }

    def text() -> str:
        state = "in force" if active else "NOT in force: seal policy activate --reason '...'"
        head = f"{present.profile}  {present.digest[:16]}  {state}"
        rows = [(r["effect"], r["id"], r["gates"], r["reason"]) for r in rules]
        lines = [head, out.table(rows, ["does", "rule", "at", "because"])]
        return "\n".join([*lines, *(f"not accepted: {line}" for line in told.refused)])

    out.emit(shape, text)
    return 0


def _rule(rule: Any) -> dict[str, str]:
    warns = bool(rule.actions) and all(a.startswith("warn") for a in rule.actions)
    gates = [a.removeprefix("warn:") for a in rule.actions if a not in ("gate", "warn")]
    return {
        "id": rule.id,
        "effect": "warns" if warns else {"permit": "permits", "forbid": "blocks"}[rule.effect],
        "gates": ", ".join(gates) or "every gate",
        "reason": rule.reason,
        "mend": rule.mend,
        "file": rule.source,
    }


def _activate(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app.gating import context_of, policies_of
    from sealwright.core.errors import GateDenied
    from sealwright.policy import activation, approvals, policytests

    present = policies_of(workspace)
    tested = policytests.run(workspace.root / "policies", present)
    with workspace.lock():
        history, now = workspace.history(), workspace.clock()
        book = approvals.Book(history, workspace.trust)
        account = context_of(workspace).account
        newest = activation.timeline(history, book).newest
        if newest is not None and newest.digest == present.digest:
            out.emit(
                {"digest": present.digest, "changed": False},
                f"already in force: {present.profile} {present.digest[:16]}",
            )
            return 0
        if max(present.rank, newest.rank if newest else 0) > 0:
            policytests.refuse_failing(tested)
        elif tested.failed:
            out.note(f"{len(tested.failed)} of its cases fail: seal policy test")
        try:
            statement = activation.activate(
                present, history, book, account, args.reason, now, tested.jsonable()
            )
        except GateDenied as denied:
            if book.matching(activation.ACTION, [present.digest], {}) is not None:
                raise
            asked = approvals.ask(
                activation.ACTION, [present.artifact], {}, account, args.reason, now
            )
            workspace.recorder.record(asked)
            digest = approvals.digest_of(asked.predicate)
            raise GateDenied(
                denied.what,
                why=denied.why,
                rule=denied.rule,
                hint=f"another person: seal access approve {digest[:16]} --reason '...'; "
                "then the same command again",
            ) from denied
        receipt = workspace.recorder.record(statement)
    out.emit(
        {"digest": present.digest, "changed": True, "index": receipt.index},
        f"in force: {present.profile} {present.digest[:16]} (log entry {receipt.index})",
    )
    return 0


def _explain(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.policy import replay, whatif

    history = workspace.history()
    entry = replay.find(history, args.id)
    judgement = replay.replay(entry, history, workspace.trust)
    found = whatif.counterfactuals(judgement)
    change = {name: value for one in found for name, value in one.change.items()}
    passes = bool(change) and whatif.would_pass(judgement, change)
    shape = {
        **_told(judgement),
        "index": entry.index,
        "replayed": True,
        "facts": judgement.drawn.facts.jsonable(),
        "notes": list(judgement.drawn.notes),
        "counterfactuals": [
            {"rule": one.rule, "read": _plain(one.read), "change": _plain(one.change)}
            for one in found
        ],
        "would_pass": passes,
    }
    out.emit(shape, lambda: _explained(judgement, entry.index, found, passes, out))
    return 0


def _explained(
    judgement: Judgement, index: int, found: Sequence[Counterfactual], passes: bool, out: Out
) -> str:
    decision = judgement.decision
    word = "allowed" if decision.allowed else "refused"
    about = ", ".join(s.name for s in judgement.subjects) or "nothing"
    lines = [
        f"{decision.gate} {word} for {about}",
        f"decision {decision.id}, log entry {index}, judged again from the log: the same",
        "",
    ]
    told = {one.rule: one for one in found}
    for rule, reason in zip(decision.failed, decision.reasons, strict=False):
        lines.append(f"refused by {reason}")
        one = told.get(rule)
        if one is not None:
            lines += [f"    {name} is {_value(value)}" for name, value in one.read.items()]
            wanted = " and ".join(f"{n} = {_value(v)}" for n, v in one.change.items())
            lines.append(f"    would pass with {wanted}" if wanted else "    no fact would do")
    if decision.allowed:
        lines += [f"allowed by {reason}" for reason in decision.reasons]
    lines += [f"warned by {warning}" for warning in decision.warnings]
    lines += [f"mend: {mend}" for mend in decision.mends]
    if len(found) > 1:
        lines.append(f"with all of these the gate would {'open' if passes else 'still refuse'}")
    lines += [f"did not count: {note}" for note in judgement.drawn.notes]
    facts = judgement.drawn.facts.jsonable()
    rows = [(name, _value(value)) for name, value in facts.items()]
    return "\n".join([*lines, "", out.table(rows, ["fact", "value"])])


def _write(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.policy import policyset, policytests

    policies = workspace.root / "policies"
    written = policyset.write(policies, workspace.profile, args.only)
    starter = None if args.only else policytests.write_starter(policies)
    written += [starter] if starter else []
    names = [path.name for path in written]
    out.emit(
        {"written": names},
        f"wrote {', '.join(names)}; seal policy activate --reason '...' puts them in force"
        if names
        else "every shipped file is there",
    )
    return 0


def _test(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app.cli import policy_test

    return policy_test.run(workspace, args, out)


def _network(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app.cli import policy_network

    return policy_network.run(workspace, args, out)


def _told(judgement: Judgement) -> dict[str, Any]:
    decision = judgement.decision
    return {
        "id": decision.id,
        "gate": decision.gate,
        "subjects": [{"name": s.name, "digest": s.digest} for s in judgement.subjects],
        "allowed": decision.allowed,
        "reasons": list(decision.reasons),
        "failed": list(decision.failed),
        "warnings": list(decision.warnings),
        "mends": list(decision.mends),
        "policy": judgement.active.digest,
        "profile": judgement.active.profile,
    }


def _plain(values: Any) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def _value(value: Any) -> str:
    from sealwright.policy.facts import NEVER

    if isinstance(value, bool):
        return "yes" if value else "no"
    if value == NEVER:
        return "never"
    if isinstance(value, tuple | list):
        return "{" + ", ".join(map(str, value)) + "}"
    return str(value)
