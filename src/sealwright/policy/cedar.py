"""Cedar (https://www.cedarpolicy.com), fail closed.

Cedar alone skips a policy that errors, and cedarpy once ignored a schema it could not read
(cedar-py issue 27). A third trap: entities parsed without the schema hold no action groups,
so ``forbid (…, action in Action::"gate", …)`` matches nothing and says nothing. Here the
schema is mandatory, both checks are proven to bite at load, every policy is validated and
named, every fact of a request has the type the schema gives it, and any diagnostic denies.

Cedar is shown, for an action, the rules whose scope may hold it and the facts those rules read:
the others could not change the answer, and reading them is most of what an answer costs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any, Literal

import cedarpy
import msgspec

from sealwright.core.errors import BadInput
from sealwright.core.records import Json
from sealwright.policy import facts, nesting

MOST_JUDGED = 4096


class Rule(msgspec.Struct, frozen=True):
    """One policy: its ``@id``, what it says of itself, and what it reads.

    ``whole``: it looks at the context otherwise than fact by fact (``context has …``).
    """

    id: str
    effect: Literal["permit", "forbid"]
    reason: str
    mend: str
    source: str
    reads: tuple[str, ...]
    literals: tuple[bool | int | str, ...]
    actions: tuple[str, ...]
    whole: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """What Cedar said: who decided, who warned, and what went wrong (which denies)."""

    allowed: bool
    decided: tuple[Rule, ...]
    warned: tuple[Rule, ...]
    errors: tuple[str, ...]


class Words(msgspec.Struct, frozen=True):
    """What a schema must speak of: a string fact, the actions, their group, a sample context."""

    text_fact: str
    group: str
    actions: tuple[str, ...]
    sample: str


class Part(msgspec.Struct, frozen=True):
    """The rules that may apply to one action, and the facts they read; None: they read all."""

    policies: cedarpy.PolicySet
    reads: frozenset[str] | None


class Engine(msgspec.Struct, frozen=True):
    """A validated policy set, parsed once. ``parts`` are by action, ``warn:…`` among them."""

    rules: Mapping[str, Rule]
    parts: Mapping[str, Part]
    sample: Mapping[str, Json]
    entities: cedarpy.Entities
    bodies: Mapping[str, Any]
    judged: dict[tuple[str, str, str, bytes], Verdict] = msgspec.field(default_factory=dict)
    answered: dict[tuple[str, str, str, str], Any] = msgspec.field(default_factory=dict)

    def judge(
        self, action: str, principal: str, resource: str, values: Mapping[str, Json]
    ) -> Verdict:
        """One decision: ``action`` and ``warn:action`` over the same values. Never raises.

        The same question about the same values has the same answer: it is kept, up to
        ``MOST_JUDGED`` of them; so is what Cedar said of the facts that one action's rules read.
        A set of policies never changes, so no answer goes stale.
        """
        if not self.rules:
            return Verdict(False, (), (), ())
        try:
            question = (action, principal, resource, msgspec.json.encode(values))
            known = self.judged.get(question)
            if known is None:
                known = self._ask(action, principal, resource, values)
                if len(self.judged) >= MOST_JUDGED:
                    self.judged.clear()
                self.judged[question] = known
        except (ArithmeticError, ValueError, TypeError, KeyError, RuntimeError) as error:
            return Verdict(False, (), (), (f"{type(error).__name__}: {error}",))
        return known

    def _ask(
        self, action: str, principal: str, resource: str, values: Mapping[str, Json]
    ) -> Verdict:
        _of_their_types(values, self.sample)
        gate, warn = (
            self._answer(prefix + action, principal, resource, values) for prefix in ("", "warn:")
        )
        errors = (*gate.diagnostics.errors, *warn.diagnostics.errors)
        return Verdict(
            gate.decision is cedarpy.Decision.Allow and not errors,
            self._named(gate.diagnostics.reasons),
            self._named(r for r in warn.diagnostics.reasons if self.rules[r].effect == "forbid"),
            tuple(errors),
        )

    def _answer(
        self, action: str, principal: str, resource: str, values: Mapping[str, Json]
    ) -> Any:
        part = self.parts[action]
        read = values if part.reads is None else {name: values[name] for name in part.reads}
        question = (action, principal, resource, msgspec.json.encode(read).decode())
        known = self.answered.get(question)
        if known is None:
            request = _request(*question)
            known = cedarpy.is_authorized_batch([request], part.policies, self.entities)[0]
            if len(self.answered) >= MOST_JUDGED:
                self.answered.clear()
            self.answered[question] = known
        return known

    def _named(self, ids: Any) -> tuple[Rule, ...]:
        return tuple(self.rules[rule] for rule in sorted(ids))


@cache
def engine_version() -> str:
    """Name and version of what judges, as decisions record it."""
    return f"cedarpy/{version('cedarpy')}"


@lru_cache(maxsize=32)
def load(files: tuple[tuple[str, str], ...], schema: str, words: Words | None = None) -> Engine:
    """Parse and validate policy files ``(name, text)``; ``words`` default to the gates'.

    Cached by content. Raises: BadInput naming the file, the rule and the fault.
    """
    words = words or _gate_words()
    parsed = _schema(schema, words)
    static: dict[str, Any] = {}
    rules: dict[str, Rule] = {}
    for name, text in files:
        for rule, body in _file(name, text, parsed):
            if rule.id in rules:
                raise BadInput(
                    f"{name}: the rule {rule.id} is defined twice",
                    why=f"also in {rules[rule.id].source}",
                )
            rules[rule.id], static[rule.id] = rule, body
    sample = json.loads(words.sample)
    return Engine(
        rules, _parts(rules, static, words.actions), sample, _entities(parsed, words), static
    )


def without(engine: Engine, rule: str) -> Engine:
    """The same rules but one: what a test of rules asks about."""
    rules = {name: one for name, one in engine.rules.items() if name != rule}
    actions = tuple(name for name in engine.parts if not name.startswith("warn:"))
    parts = _parts(rules, engine.bodies, actions)
    return Engine(rules, parts, engine.sample, engine.entities, engine.bodies)


def _parts(
    rules: Mapping[str, Rule], bodies: Mapping[str, Any], actions: tuple[str, ...]
) -> dict[str, Part]:
    named = frozenset(prefix + action for action in actions for prefix in ("", "warn:"))
    parts = dict[str, Part]()
    for action in sorted(named):
        chosen = [rule for rule in rules.values() if _may_apply(rule, action, named)]
        whole = any(rule.whole for rule in chosen)
        reads = frozenset[str]().union(*(rule.reads for rule in chosen))
        policies = _set_of(bodies, {rule.id for rule in chosen})
        parts[action] = Part(policies, None if whole else reads)
    return parts


def _may_apply(rule: Rule, action: str, named: frozenset[str]) -> bool:
    """Whether a rule's scope may hold ``action``: a group in it may, Cedar itself decides."""
    if not _speaks_of(rule, warn=action.startswith("warn:")):
        return False
    return not rule.actions or action in rule.actions or not named.issuperset(rule.actions)


def _of_their_types(values: Mapping[str, Json], sample: Mapping[str, Json]) -> None:
    """Exactly the facts of the schema, each of its type. Raises: TypeError (which denies)."""
    if values.keys() != sample.keys():
        odd = sorted(values.keys() ^ sample.keys())
        raise TypeError(f"facts that are missing or unknown: {', '.join(odd)}")
    for name, known in sample.items():
        value = values[name]
        if type(value) is not type(known):
            raise TypeError(f"{name} is {type(value).__name__}, not {type(known).__name__}")
        if type(value) is list and not all(type(one) is str for one in value):
            raise TypeError(f"{name} holds other things than strings")


def _speaks_of(rule: Rule, *, warn: bool) -> bool:
    """Whether a rule can apply to an action ``warn:…`` (or to one that is none), by its scope."""
    return not rule.actions or any(
        (name == "warn" or name.startswith("warn:")) is warn for name in rule.actions
    )


def _set_of(static: Mapping[str, Any], names: set[str]) -> cedarpy.PolicySet:
    chosen = {name: body for name, body in static.items() if name in names}
    try:
        return cedarpy.PolicySet.from_json_str(
            json.dumps({"templates": {}, "staticPolicies": chosen, "templateLinks": []})
        )
    except ValueError as error:
        raise BadInput("the policies do not form a set", why=str(error)) from error


@cache
def _gate_words() -> Words:
    sample = json.dumps(facts.of(facts.refusing()).jsonable())
    return Words("run_status", "gate", facts.GATES, sample)


def _schema(text: str, words: Words) -> cedarpy.Schema:
    try:
        parsed = cedarpy.Schema.from_str(text)
    except ValueError as error:
        raise BadInput("the policy schema cannot be read", why=str(error)) from error
    # Cedar's `in` is no membership of strings: a schema that lets it pass checks nothing
    wrong = f'forbid(principal, action, resource) when {{ context.{words.text_fact} in ["ok"] }};'
    if cedarpy.validate_policies(wrong, parsed).validation_passed:
        raise BadInput(
            "the policy schema checks nothing",
            why="a policy with a type error passed validation against it",
        )
    return parsed


def _entities(schema: cedarpy.Schema, words: Words) -> cedarpy.Entities:
    """No entities but the schema's action groups, shown to work for every action."""
    entities = cedarpy.Entities.from_json_str("[]", schema)
    group = f'permit(principal, action in Action::"{words.group}", resource);'
    probes = [_request(action, "probe", "probe", words.sample) for action in words.actions]
    grouped = cedarpy.PolicySet.from_str(group)
    for result in cedarpy.is_authorized_batch(probes, grouped, entities, schema):
        if not result.allowed:
            raise BadInput(
                f'the policy schema does not put every gate into the group "{words.group}"',
                why="a rule about the group would match nothing; "
                + "; ".join(result.diagnostics.errors),
            )
    return entities


def _file(name: str, text: str, schema: cedarpy.Schema) -> Iterator[tuple[Rule, Any]]:
    nesting.check(name, text)
    try:
        tree = json.loads(cedarpy.policies_to_json_str(text))
    except (ValueError, RecursionError) as error:
        raise BadInput(
            f"{name} is not Cedar",
            why=str(error),
            hint=f"mend policies/{name}, or take the shipped one: seal policy write --only {name}",
        ) from error
    if tree["templates"]:
        raise BadInput(f"{name} holds a template", why="a policy with ?slots applies to nobody")
    result = cedarpy.validate_policies(text, schema)
    if not result.validation_passed or result.errors:
        why = "; ".join(sorted({error.error for error in result.errors})) or "not validated"
        raise BadInput(
            f"{name} does not fit the schema", why=why, hint="docs/spec/facts-v1.md has every fact"
        )
    for body in tree["staticPolicies"].values():
        yield _rule(name, body), body


def _rule(name: str, body: Mapping[str, Any]) -> Rule:
    notes = body.get("annotations", {})
    rule_id, reason = notes.get("id") or "", notes.get("reason") or ""
    if not rule_id or not reason:
        raise BadInput(
            f"{name}: a policy has no @id or no @reason",
            why="a refusal must be able to say which rule decided, and why",
        )
    conditions = body.get("conditions", [])
    reads: set[str] = set()
    literals: list[bool | int | str] = []
    others = 0  # looks at the context that are not at one fact of it
    for node in _nodes(conditions):
        others += node == {"Var": "context"}
        if node.keys() == {"."} and node["."]["left"] == {"Var": "context"}:
            reads.add(node["."]["attr"])
            others -= 1
        elif node.keys() == {"Value"} and isinstance(node["Value"], bool | int | str):
            literals.append(node["Value"])
    return Rule(
        rule_id,
        body["effect"],
        reason,
        notes.get("mend") or "",
        name,
        tuple(sorted(reads)),
        tuple(dict.fromkeys(literals)),
        tuple(_actions(body["action"])),
        others != 0,
    )


def _actions(scope: Mapping[str, Any]) -> Iterator[str]:
    """The actions a policy names; none for a policy about all of them."""
    for entity in [scope["entity"]] if "entity" in scope else scope.get("entities", []):
        yield entity["id"]


def _nodes(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, dict):
        yield value
        for member in value.values():
            yield from _nodes(member)
    elif isinstance(value, list):
        for member in value:
            yield from _nodes(member)


def _request(action: str, principal: str, resource: str, context: str) -> dict[str, Any]:
    return {
        "principal": {"type": "Principal", "id": principal},
        "action": {"type": "Action", "id": action},
        "resource": {"type": "Artifact", "id": resource},
        "context": context,
    }
