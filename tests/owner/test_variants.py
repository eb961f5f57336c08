"""What a model becomes when its small weights are cut is known before anybody cuts them."""

import msgspec
import numpy as np
import owner_house as house
import pytest
from test_fingerprint import committed, stored

from sealwright.core.errors import VerifyError
from sealwright.registry import compare
from sealwright.registry import fingerprint as fp
from sealwright.registry import fingerprint_make as making
from sealwright.registry.fingerprint_derived import pruned, variants
from sealwright.registry.fingerprint_references import derived

CUT = house.model(31_000)
"""Far enough from the victim that nobody would see the one in the other."""


def fingerprint():
    candidates = house.pool()
    answers = house.answers(candidates)
    answers = msgspec.structs.replace(
        answers, variants=("pruned 50 %",), derived=CUT(candidates.inputs)[None]
    )
    return making.make("ab" * 32, bytes(32), house.NAMES, candidates, answers, sizes=house.SIZES)


MADE = fingerprint()


def judged(made, suspect):
    return compare.compare(made, compare.ask(made, house.labels(suspect), {}))


def test_a_copy_with_its_weights_cut_is_recognised_by_the_variant_alone():
    assert judged(house.fingerprint(), CUT).verdict == "not shown"
    assert judged(MADE, CUT).verdict == "consistent with copying"


def test_variants_cost_a_factor_and_accuse_nobody():
    plain = {one.name: one for one in judged(house.fingerprint(), house.VICTIM).tests}
    for one in judged(MADE, house.VICTIM).tests:
        more = np.log10(2) if one.name in fp.KINSHIP else 0
        assert one.log10_p == pytest.approx(plain[one.name].log10_p + more)
    for at in range(20):
        assert judged(MADE, house.model(70_000 + at)).verdict == "not shown"


def test_leaning_to_one_class_is_no_kinship():
    rng = np.random.default_rng(0)
    strata = np.repeat([0, 1], 2000)
    model = (rng.random(4000) < 0.8).astype(np.int64)
    leaning = (rng.random(4000) < 0.9).astype(np.int64)
    assert abs(compare.excess(leaning, model, strata)) < 0.01
    assert compare.excess(model, model, strata) == pytest.approx(0.32, abs=0.02)
    assert compare.excess(1 - model, model, strata) == pytest.approx(-0.32, abs=0.02)


def test_questions_that_siblings_answer_alike_are_one_stratum():
    siblings = np.array([[0, 0, 1, 2], [0, 1, 1, 2], [0, 0, 1, 2]])
    found = compare.strata_of(siblings)
    assert len(set(found.tolist())) == 4
    same = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]])
    assert compare.strata_of(same)[0] == compare.strata_of(same)[1]


def test_the_commitment_holds_the_variants_too():
    assert fp.decode(stored(MADE), committed(MADE), "ab" * 32) == MADE
    near = MADE.sets[0]
    turned = msgspec.structs.replace(near, derived=near.derived[::-1])
    for other in (
        msgspec.structs.replace(MADE, variants=("pruned 70 %",)),
        msgspec.structs.replace(MADE, variants=()),
        msgspec.structs.replace(MADE, sets=(turned, *MADE.sets[1:])),
    ):
        assert fp.commit(other) != fp.commit(MADE)
        with pytest.raises(VerifyError):
            fp.decode(stored(other), committed(MADE), "ab" * 32)


def test_a_fingerprint_without_variants_is_what_it_was():
    plain = house.fingerprint()
    assert fp.decode(stored(plain), committed(plain), "ab" * 32) == plain
    assert "variants" not in dict(fp.parts(plain))


def test_networks_have_variants_and_trees_have_none():
    network = pytest.importorskip("sklearn.neural_network").MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(120, 5))
    labels = np.array(["no", "yes"])[(rows[:, 0] > 0).astype(int)]
    model = make_pipeline(StandardScaler(), network((8,), max_iter=20, random_state=0))
    with pytest.warns(match="Maximum iterations"):
        model.fit(rows, labels)
    names, codes = derived(model, rows, ("no", "yes"))
    assert names == ("pruned 30 %", "pruned 50 %", "pruned 70 %")
    assert codes.shape == (3, 120)
    assert set(codes.ravel().tolist()) <= {0, 1}
    weights = pruned(model, 0.5).steps[-1][1].coefs_
    assert all(0.4 < (one == 0).mean() < 0.6 for one in weights)
    assert not any((one == 0).any() for one in model.steps[-1][1].coefs_)
    assert not list(variants(DecisionTreeClassifier().fit(rows, labels)))
    names, codes = derived(DecisionTreeClassifier().fit(rows, labels), rows, ("no", "yes"))
    assert (names, codes.shape) == ((), (0, 120))
