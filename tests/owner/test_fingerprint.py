"""What is asked and how it is chosen; the commitment, and everything that would break it."""

import msgspec
import numpy as np
import owner_house as house
import pytest

from sealwright.core.errors import BadInput, Refused, VerifyError
from sealwright.core.ports import StoredFile
from sealwright.core.predicates import ALIAS
from sealwright.core.records import Artifact, Recorded, Statement
from sealwright.kit.modelfile.source import Bytes
from sealwright.registry import fingerprint as fp
from sealwright.registry import fingerprint_make as making
from sealwright.registry import fingerprint_points as points
from sealwright.registry.fingerprint_order import moment, order_of
from sealwright.registry.fingerprint_references import wanted

MADE = house.fingerprint()


def committed(made: fp.Fingerprint, **over) -> fp.Commitment:
    said = fp.Commitment(
        model="m",
        version=1,
        commitment=fp.commit(made),
        questions={one.name: one.count for one in made.sets},
        classes=len(made.classes),
        references=48,
        null_references=24,
        recipe="toy",
        data=(),
        details=StoredFile("0" * 64, 1, ()),
        actor="ana",
        reason="",
        time="2026-11-23T18:27:52Z",
    )
    return msgspec.structs.replace(said, **over)


def stored(made: fp.Fingerprint) -> Bytes:
    return Bytes(msgspec.json.encode(made))


# -- questions --------------------------------------------------------------------------------


def test_there_are_three_sets_of_kinship_two_of_matches_and_ordinary_rows():
    assert {one.name for one in MADE.sets} == {*fp.TESTS, fp.BENIGN}


def test_no_question_holds_a_value_its_column_never_takes_except_on_the_way_between():
    table = np.random.default_rng(0).integers(0, 5, (300, 6)).astype(float)
    table[:, 0] = table[:, 0] > 2
    rng = np.random.default_rng(1)
    for made in (points.natural, points.unstructured, points.patterned):
        found = made(table, rng, 500).inputs
        assert all(np.isin(found[:, at], table[:, at]).all() for at in range(6))
    mixed = points.between(table, (table[:, 1] > 2).astype(np.int64), rng, 500).inputs
    assert np.isin(mixed[:, 0], [0, 1]).all()
    assert (mixed == np.round(mixed)).all()


def test_hard_points_are_said_by_the_model_and_by_few_references():
    hard = MADE.named("hard")
    siblings = house.answers(house.pool())
    assert hard is not None
    assert (hard.answers("null") == hard.model()).mean() < 0.5
    assert len(siblings.references) == 48


def test_the_model_has_no_say_in_which_questions_of_kinship_are_kept():
    candidates = house.pool()
    given = house.answers(candidates)
    other = msgspec.structs.replace(given, model=np.zeros_like(given.model))
    one, two = (
        making.make("ab" * 32, bytes(32), house.NAMES, candidates, each, sizes=house.SIZES)
        for each in (given, other)
    )
    for name in fp.KINSHIP:
        assert one.named(name).inputs == two.named(name).inputs


def test_half_of_the_references_are_the_null_and_both_relations_are_everywhere():
    for count in (20, 48, 61):
        found = wanted(count, 7)
        assert len(found) == count
        assert sum(one.group == making.NULL for one in found) == -(-count // 2)
        assert len({one.seed for one in found}) == count
        for group in (making.NULL, *making.GROUPS):
            assert {one.relation for one in found if one.group == group} == {"same", "half"}


# -- refusals ---------------------------------------------------------------------------------


def test_a_recipe_that_gives_the_same_model_again_leaves_no_fingerprint():
    given = house.answers(house.pool())
    same = tuple(
        msgspec.structs.replace(one, digest="1" * 64) if one.relation == "same" else one
        for one in given.references
    )
    with pytest.raises(Refused) as refused:
        making.require_independent(msgspec.structs.replace(given, references=same))
    assert refused.value.rule == "fingerprint.deterministic"


def test_a_reference_that_is_the_model_itself_is_refused():
    candidates = house.pool()
    pairs = house.references()
    with pytest.raises(Refused) as refused:
        making.require_independent(
            house.answers(candidates, [*pairs[:-1], (pairs[-1][0], house.VICTIM)])
        )
    assert refused.value.rule == "fingerprint.deterministic"


def test_one_reference_under_several_names_is_refused():
    given = house.answers(house.pool())
    twice = (
        *given.references[:-1],
        msgspec.structs.replace(given.references[-1], digest=given.references[1].digest),
    )
    with pytest.raises(Refused) as refused:
        making.require_independent(msgspec.structs.replace(given, references=twice))
    assert refused.value.rule == "fingerprint.references"


def test_too_few_references_are_refused():
    candidates = house.pool()
    with pytest.raises(Refused) as refused:
        making.require_independent(house.answers(candidates, house.references(19)))
    assert refused.value.rule == "fingerprint.references"


def test_a_model_that_says_what_all_say_has_no_fingerprint():
    candidates = house.pool()
    given = house.answers(candidates)
    codes = np.tile(given.model, (len(given.references), 1))
    codes[:, 0] = (codes[:, 0] + 1) % 4
    alike = msgspec.structs.replace(given, codes=codes)
    with pytest.raises(Refused) as refused:
        making.make("ab" * 32, bytes(32), house.NAMES, candidates, alike, sizes=house.SIZES)
    assert refused.value.rule == "fingerprint.none"


# -- the commitment ---------------------------------------------------------------------------


def test_what_was_committed_to_is_read_back():
    found = fp.decode(stored(MADE), committed(MADE), MADE.model)
    assert found == MADE


@pytest.mark.parametrize("part", [name for name, _ in fp.parts(MADE)])
def test_a_part_that_was_changed_afterwards_breaks_the_commitment(part):
    name, _, field = part.partition(".")
    if field:
        sets = list(MADE.sets)
        at = [one.name for one in sets].index(name)
        data = getattr(sets[at], field)
        if not data:
            pytest.skip("the set has no such part")
        step = 8 if field == "inputs" else 2
        other = data[step : 2 * step] + data[step:]
        if other == data:
            other = data[:-step] + (b"\0" * step if data[-step:] != b"\0" * step else data[:step])
        if other == data:
            other = b"\1\0" + data[2:] if data[:2] != b"\1\0" else b"\2\0" + data[2:]
        sets[at] = msgspec.structs.replace(sets[at], **{field: other})
        changed = msgspec.structs.replace(MADE, sets=tuple(sets))
    else:
        new = {
            "model": "cd" * 32,
            "classes": ("b", "a", "c", "d"),
            "siblings": MADE.siblings[:-1],
            "null": MADE.null[:-1],
        }[part]
        changed = msgspec.structs.replace(MADE, **{part: new})
    with pytest.raises(VerifyError) as refused:
        fp.decode(stored(changed), committed(MADE), MADE.model)
    assert refused.value.rule == "fingerprint.changed"


def test_the_same_questions_under_another_salt_give_another_digest():
    assert fp.commit(MADE) != fp.commit(house.fingerprint(b"\1" * 32))


def test_a_fingerprint_of_another_model_is_refused():
    with pytest.raises(VerifyError):
        fp.decode(stored(MADE), committed(MADE), "cd" * 32)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff\xfe", msgspec.json.encode(MADE)[:-20]])
def test_bytes_that_are_no_fingerprint_are_refused(data):
    with pytest.raises(VerifyError) as refused:
        fp.decode(Bytes(data), committed(MADE), MADE.model)
    assert refused.value.rule == "fingerprint.changed"


def test_the_statement_is_read_back_and_holds_no_question():
    statement = fp.statement_of(committed(MADE), Artifact("model:m@1", MADE.model))
    entry = Recorded(4, "0" * 64, "1" * 64, statement)
    assert fp.commitment_of(entry) == committed(MADE)
    assert len(msgspec.json.encode(statement.predicate)) < 1500


def test_a_statement_that_says_something_else_is_refused():
    entry = Recorded(4, "0" * 64, "1" * 64, Statement((), "x", {"model": "m"}))
    with pytest.raises(VerifyError) as refused:
        fp.commitment_of(entry)
    assert refused.value.rule == "fingerprint.statement"


# -- what came first --------------------------------------------------------------------------


class Log:
    """Entries of a history, as far as an order looks at them."""

    def __init__(self, *released: int) -> None:
        statement = Statement((), ALIAS, {"model": "m", "version": 1})
        other = Statement((), ALIAS, {"model": "m", "version": 2})
        self.entries = [Recorded(2, "", "", other)]
        self.entries += [Recorded(at, "", "", statement) for at in released]

    def of_type(self, *_kinds):
        return self.entries


def order(log: Log, published: str = "", index: int = 10):
    statement = fp.statement_of(committed(MADE), Artifact("model:m@1", MADE.model))
    return order_of(log, Recorded(index, "", "", statement), committed(MADE), published)


def test_a_commitment_before_the_first_release_holds_and_one_after_does_not():
    assert order(Log(12, 15)).holds
    late = order(Log(8, 12))
    assert not late.holds
    assert "after the model's first release, entry 8" in late.why


def test_a_model_that_was_never_released_needs_a_date():
    assert not order(Log()).holds
    assert order(Log(), "2026-11-24").holds


def test_a_suspect_that_was_there_before_the_commitment_cannot_be_claimed():
    assert not order(Log(12), "2026-11-23").holds
    assert order(Log(8), "2026-12-01T00:00:00+01:00").holds


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-11-23T10:00:00"])
def test_what_is_no_date_is_refused(text):
    with pytest.raises(BadInput):
        moment(text)
