"""Cedar's traps, each shown shut."""

from __future__ import annotations

import json

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_house import House

from sealwright.core.errors import BadInput
from sealwright.policy import cedar, facts, policyset

PERMIT = '@id("open") @reason("r") permit(principal, action in Action::"gate", resource);\n'


def engine(text: str) -> cedar.Engine:
    return cedar.load((("house.cedar", text),), facts.schema())


def judged(text: str, action: str = "train", **changed: facts.Value) -> cedar.Verdict:
    values = facts.of({**House().decide("train", []).drawn.facts.values, **changed})
    return engine(text).judge(action, "ann", "x", values.jsonable())


def forbid(condition: str) -> str:
    head = '@id("f") @reason("because") forbid(principal, action in Action::"gate", resource)'
    return f"{head} when {{ {condition} }};\n"


def test_membership_of_a_string_in_a_list_literal_is_refused_at_load() -> None:
    with pytest.raises(BadInput, match=r"house\.cedar does not fit the schema"):
        engine(PERMIT + forbid('context.run_status in ["failed", "killed"]'))


def test_the_right_spelling_of_string_membership_decides() -> None:
    text = PERMIT + forbid('["failed", "killed"].contains(context.run_status)')
    assert judged(text, run_status="ok").allowed
    assert not judged(text, run_status="killed").allowed


def test_a_forbid_that_errors_is_not_skipped() -> None:
    text = PERMIT + forbid("context.inputs + 9223372036854775807 < 0")
    verdict = judged(text, inputs=1)
    assert not verdict.allowed
    assert "overflow" in verdict.errors[0]


def test_an_error_in_a_rule_that_only_warns_denies_too() -> None:
    text = PERMIT + forbid("context.inputs + 9223372036854775807 < 0").replace('"gate"', '"warn"')
    assert not judged(text, inputs=1).allowed


def test_plain_cedar_would_have_allowed_what_we_deny() -> None:
    """The trap itself, so that we notice if Cedar changes."""
    request = {
        "principal": 'P::"a"',
        "action": 'Action::"train"',
        "resource": 'A::"x"',
        "context": {},
    }
    policies = "permit(principal, action, resource);\n" + (
        "forbid(principal, action, resource) when { context.missing_fact > 0 };"
    )
    result = cedarpy.is_authorized(request, policies, [])
    assert result.allowed and result.diagnostics.errors


def test_action_groups_are_known_to_the_engine() -> None:
    """Entities parsed without the schema hold no action groups: forbids would match nothing."""
    text = '@id("a") @reason("r") permit(principal, action, resource);\n' + forbid("true")
    assert not judged(text).allowed


@pytest.mark.parametrize("schema", ["", "this is not a schema", "entity Principal;"])
def test_a_schema_that_is_missing_or_broken_is_refused(schema: str) -> None:
    with pytest.raises(BadInput, match="schema"):
        cedar.load((("a.cedar", PERMIT),), schema)


def test_a_schema_without_types_for_the_facts_is_refused() -> None:
    loose = (
        "entity Principal; entity Artifact;"
        'action "train" appliesTo { principal: Principal, resource: Artifact, context: {} };'
    )
    with pytest.raises(BadInput):
        cedar.load((("a.cedar", PERMIT),), loose)


def test_a_schema_that_leaves_a_gate_out_of_the_group_is_refused() -> None:
    apart = facts.schema().replace(
        'action "train", "register"',
        'action "train" appliesTo { principal: Principal, resource: Artifact, context: Facts };\n'
        'action "register"',
    )
    with pytest.raises(BadInput, match="every gate"):
        cedar.load((("a.cedar", PERMIT),), apart)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("permit(principal, action, resource);", "no @id"),
        ('@id("a") permit(principal, action, resource);', "no @reason"),
        (PERMIT + PERMIT, "defined twice"),
        (PERMIT + forbid("context.nothing_like_it"), "not found"),
        (PERMIT + forbid("1 + true == 2"), "unexpected type"),
        (PERMIT + "forbid(principal, action", "not Cedar"),
        ('@id("t") @reason("r") permit(principal == ?principal, action, resource);', "template"),
        ('@id("z") @reason("r") permit(principal, action == Action::"trian", resource);', "schema"),
    ],
)
def test_a_faulty_policy_is_refused_at_load(text: str, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        engine(text)
    assert says in f"{refused.value.what} {refused.value.why}"


def test_an_empty_policy_set_denies() -> None:
    assert not judged("").allowed
    assert not judged("// nothing but a comment\n").allowed


def test_a_set_without_a_permit_denies() -> None:
    assert not judged(forbid("false")).allowed


def test_a_missing_or_ill_typed_fact_denies() -> None:
    good = facts.of(facts.refusing()).jsonable()
    loaded = engine(PERMIT)
    assert loaded.judge("train", "ann", "x", good).allowed
    for name in facts.NAMES:
        without = {k: v for k, v in good.items() if k != name}
        assert not loaded.judge("train", "ann", "x", without).allowed
        assert not loaded.judge("train", "ann", "x", {**good, name: None}).allowed
    nan = {**good, "inputs": float("nan")}
    assert not loaded.judge("train", "ann", "x", nan).allowed  # type: ignore[arg-type]
    assert not loaded.judge("train", "ann", "x", {**good, "extra": 1}).allowed


def test_an_action_nobody_knows_denies() -> None:
    assert not judged(PERMIT, action="deploy").allowed


def test_a_principal_name_cannot_break_out_of_the_request() -> None:
    text = PERMIT.replace("principal,", 'principal == Principal::"root",')
    values = facts.of(facts.refusing()).jsonable()
    for name in ('root"', 'x", "root', "root\n", 'Principal::"root"', "\x00root"):
        assert not engine(text).judge("train", name, "x", values).allowed
    assert engine(text).judge("train", "root", "x", values).allowed


def test_rules_tell_what_they_read() -> None:
    rule = engine(PERMIT + forbid("context.inputs > 3 && context.code_dirty")).rules["f"]
    assert rule.reads == ("code_dirty", "inputs")
    assert 3 in rule.literals


@pytest.mark.parametrize("profile", facts.PROFILES)
def test_no_shipped_policy_allows_when_nothing_is_known(profile: str) -> None:
    shipped = policyset.shipped(profile)
    values = facts.of(facts.refusing()).jsonable()
    for gate in facts.GATES:
        assert not shipped.engine.judge(gate, "ann", "x", values).allowed


_names = st.sampled_from([row.name for row in facts.ROWS if row.kind == "Long"])
_conditions = st.recursive(
    st.builds(
        "context.{} {} {}".format,
        _names,
        st.sampled_from(["<", ">", "==", "+ 9223372036854775807 >", "* 4611686018427387904 <"]),
        st.integers(0, 3),
    ),
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["&&", "||"]), inner),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_conditions, min_size=1, max_size=4), st.integers(0, 4))
def test_a_fuzzed_set_never_allows_where_any_rule_errors(
    conditions: list[str], number: int
) -> None:
    rules = "".join(
        forbid(condition).replace('"f"', f'"f{i}"') for i, condition in enumerate(conditions)
    )
    values = {
        **facts.of(facts.refusing()).jsonable(),
        **{row.name: number for row in facts.ROWS if row.kind == "Long"},
    }
    verdict = engine(PERMIT + rules).judge("train", "ann", "x", values)
    alone = [
        engine(PERMIT + forbid(condition)).judge("train", "ann", "x", values)
        for condition in conditions
    ]
    assert verdict.allowed == all(one.allowed for one in alone)
    assert not (verdict.allowed and verdict.errors)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_text_that_is_not_a_policy_never_allows(text: str) -> None:
    try:
        loaded = engine(text)
    except BadInput:
        return
    assert not loaded.judge("train", "ann", "x", facts.of(facts.refusing()).jsonable()).allowed


def whole(engine: cedar.Engine, schema: str, action: str, values: dict[str, object]) -> object:
    """What Cedar says when it is shown every rule, every fact and the schema."""
    everything = json.dumps({"templates": {}, "staticPolicies": engine.bodies, "templateLinks": []})
    request = {
        "principal": {"type": "Principal", "id": "ann"},
        "action": {"type": "Action", "id": action},
        "resource": {"type": "Artifact", "id": "x"},
        "context": values,
    }
    policies = cedarpy.PolicySet.from_json_str(everything)
    parsed = cedarpy.Schema.from_str(schema)
    entities = cedarpy.Entities.from_json_str("[]", parsed)
    return cedarpy.is_authorized_batch([request], policies, entities, parsed)[0]


OTHER_VALUES = st.one_of(
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from(["ok", "none", "strange"]),
    st.lists(st.sampled_from(["a", "b"]), max_size=2),
    st.just([1]),
)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(facts.PROFILES),
    st.sampled_from(facts.GATES),
    st.dictionaries(st.sampled_from([row.name for row in facts.ROWS]), OTHER_VALUES, max_size=8),
    st.sets(st.sampled_from([row.name for row in facts.ROWS]), max_size=1),
)
def test_showing_cedar_only_what_an_action_needs_changes_no_answer(
    profile: str, gate: str, changed: dict[str, object], dropped: set[str]
) -> None:
    shipped = policyset.shipped(profile)
    values = {**House().decide("train", []).drawn.facts.jsonable(), **changed}
    values = {name: value for name, value in values.items() if name not in dropped}
    ours = shipped.engine.judge(gate, "ann", "x", values)
    theirs = whole(shipped.engine, shipped.schema, gate, values)
    assert ours.allowed is (theirs.allowed and not theirs.diagnostics.errors)
    assert bool(ours.errors) is bool(theirs.diagnostics.errors)
    assert {rule.id for rule in ours.decided} == set(theirs.diagnostics.reasons)


def test_a_rule_that_looks_at_the_whole_context_sees_all_of_it() -> None:
    text = PERMIT + forbid("context has inputs && context.inputs == 7")
    assert engine(text).rules["f"].whole
    assert not judged(text, inputs=7).allowed
    assert judged(text, inputs=8).allowed
