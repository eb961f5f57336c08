"""References are the recipe again, with another seed and never the fitted numbers."""

import msgspec
import numpy as np
import pytest

from sealwright.core.errors import BadInput
from sealwright.registry import fingerprint_references as references
from sealwright.registry.fingerprint import Reference

base = pytest.importorskip("sklearn.base")
linear = pytest.importorskip("sklearn.linear_model")
pipeline = pytest.importorskip("sklearn.pipeline")
scaling = pytest.importorskip("sklearn.preprocessing")
trees = pytest.importorskip("sklearn.tree")

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(200, 5))
LABELS = (ROWS[:, 0] + 0.3 * RNG.normal(size=200) > 0).astype(np.int64)
ASKED = RNG.normal(size=(300, 5))


def trained(recipe, count=12):
    return [
        references.trained(recipe, ROWS, LABELS, ASKED, one) for one in references.wanted(count, 3)
    ]


def digests(recipe, relation):
    return {one.digest for one, _ in trained(recipe) if one.relation == relation}


def test_a_recipe_that_draws_gives_other_models_and_one_that_does_not_the_same():
    assert len(digests(trees.ExtraTreeClassifier(), "same")) == 6
    assert len(digests(linear.LogisticRegression(), "same")) == 1
    assert len(digests(linear.LogisticRegression(), "half")) == 6


def test_a_reference_is_the_same_for_its_seed_and_keeps_nothing_of_the_fit():
    recipe = pipeline.make_pipeline(
        scaling.StandardScaler(), trees.ExtraTreeClassifier(random_state=1)
    )
    wanted = references.wanted(12, 3)[0]
    fresh = references.trained(recipe, ROWS, LABELS, ASKED, wanted)
    fitted = base.clone(recipe).fit(ROWS, 1 - LABELS)
    assert references.trained(fitted, ROWS, LABELS, ASKED, wanted) == fresh
    assert references.reseeded(recipe, 9).steps[-1][1].random_state == 9
    assert recipe.steps[-1][1].random_state == 1


def test_half_of_the_rows_still_has_every_class():
    labels = np.array([0] * 150 + [1] * 49 + [2])
    model = trees.DecisionTreeClassifier(random_state=0)
    for one in references.wanted(12, 3):
        made, _ = references.trained(model, ROWS, labels, ASKED, one)
        assert made.rows == (200 if one.relation == "same" else 100)


def test_what_the_worker_left_is_believed_only_where_it_fits():
    from sealwright.app import owning

    pairs, wanted = trained(trees.ExtraTreeClassifier()), references.wanted(12, 3)
    said = b"".join(each for _, each in pairs)
    listed = tuple(one for one, _ in pairs)
    good = {references.ANSWERS: said, references.REFERENCES: msgspec.json.encode(listed)}
    made, codes = owning._believed(good, wanted, len(ASKED))
    assert (made, codes.shape) == (listed, (12, 300))
    other = Reference(**{**msgspec.structs.asdict(listed[0]), "group": "a"})
    for bad in (
        {},
        {**good, references.ANSWERS: said[:-2]},
        {**good, references.ANSWERS: b"\1\0" + said[2:] if said[0] == 0 else b"\0\0" + said[2:]},
        {**good, references.REFERENCES: b"[]"},
        {**good, references.REFERENCES: b"nonsense"},
        {**good, references.REFERENCES: msgspec.json.encode((other, *listed[1:]))},
    ):
        with pytest.raises(BadInput):
            owning._believed(bad, wanted, len(ASKED))
