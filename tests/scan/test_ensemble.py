from __future__ import annotations

import numpy as np
import pytest
from scan_data import cut, frame_of, wages

from sealwright.core.errors import BadInput, MissingExtra
from sealwright.scan import ensemble, registry
from sealwright.scan.interface import Column, Group, Result, Spec


class Speaking:
    """A detector that says what it is told to."""

    def __init__(self, result=None, error=None, at="result", name="speaking", kind="group", **spec):
        self.spec = Spec(name, 1, "any", kind, **spec)
        self.given, self.error, self.at = result or Result(), error, at
        self.passes: list[int] = []

    def begin(self, frame, reference=None):
        self.frame, self.reference = frame, reference
        self._step("begin")
        return self

    def observe(self, number, batch):
        self.passes.append(number)
        self._step("observe")

    def merge(self, other):
        raise AssertionError

    def settle(self, number):
        self._step("settle")

    def result(self):
        self._step("result")
        return self.given

    def _step(self, at):
        if self.error and at == self.at:
            raise self.error


def group(p: float, ids=(3, 1)) -> Group:
    return Group("f", "p", "k", np.array(ids), "a", 2, 2, 0.5, 9.0, p)


@pytest.fixture
def version():
    batch, frame = wages(50)
    return (lambda: cut(batch, 20)), frame


@pytest.mark.parametrize("at", ["begin", "observe", "settle", "result"])
def test_a_detector_that_raises_blocks_and_the_others_still_speak(version, at):
    bad, good = Speaking(error=ValueError("x"), at=at), Speaking(name="good")
    screening = ensemble.screen(*version, [bad, good])
    assert screening.blocks
    assert "ValueError" in screening.verdicts[0].error
    assert screening.verdicts[0].result is None
    assert screening.verdicts[1].result is not None


def test_what_a_detector_raises_never_quotes_a_cell(version):
    bad = Speaking(error=ValueError("could not convert 'secret cell'"))
    assert "secret" not in ensemble.screen(*version, [bad]).verdicts[0].error


def test_a_missing_extra_blocks_and_says_how_to_install_it(version):
    bad = Speaking(error=MissingExtra("x", "scan"))
    assert "pip install 'sealwright[scan]'" in ensemble.screen(*version, [bad]).verdicts[0].error


def test_the_error_is_shared_among_those_that_can_stop_a_version_by_chance(version):
    groups = [Speaking(name=f"d{i}") for i in range(3)]
    rest = [Speaking(name=kind, kind=kind) for kind in ("row", "fact")]
    exact = Speaking(name="exact", tested=False)
    screening = ensemble.screen(*version, [*groups, *rest, exact], alpha=0.03)
    assert [verdict.alpha for verdict in screening.verdicts] == [pytest.approx(0.01)] * 6


def test_only_groups_within_the_share_of_a_group_detector_carry(version):
    loud = Speaking(Result((group(0.004, (9, 4)), group(0.006, (1, 2)))))
    row = Speaking(Result((group(0.0),)), name="row", kind="row")
    other = Speaking(name="other")
    screening = ensemble.screen(*version, [loud, row, other], alpha=0.01)
    assert screening.carriers().tolist() == [4, 9]
    assert screening.carriers().dtype == np.int64


def test_each_detector_sees_its_own_passes_and_the_version_is_read_once_for_each(version):
    source, frame = version
    reads = []
    one, three = Speaking(name="one"), Speaking(name="three", passes=3)
    ensemble.screen(lambda: (reads.append(0), source())[1], frame, [one, three])
    assert len(reads) == 3
    assert one.passes == [0] * 3
    assert three.passes == [0] * 3 + [1] * 3 + [2] * 3


@pytest.mark.parametrize("need", ["sources", "reference"])
def test_a_detector_whose_need_is_not_met_says_so(version, need):
    lacking = Speaking(needs=(need,))
    (verdict,) = ensemble.screen(*version, [lacking]).verdicts
    assert verdict.result.facts[0].rule == "scan.not-looked"
    assert verdict.result.unread == 50
    assert lacking.passes == []


def test_a_reference_is_settled_first_and_handed_to_who_needs_it(version):
    needs, plain = Speaking(needs=("reference",), name="needs"), Speaking(name="plain")
    ensemble.screen(*version, [needs, plain], reference=version)
    assert needs.reference is needs
    assert plain.reference is None


def test_every_registered_name_is_the_name_its_class_gives():
    for name in registry.detectors():
        assert registry.detector(name).spec.name == name
    for family in registry.planters():
        assert registry.planter(family).family == family


def test_every_family_that_can_be_planted_has_a_detector_that_is_there_to_see_it():
    seen = {f for name in registry.detectors() for f in registry.detector(name).spec.families}
    assert set(registry.planters()) - seen <= {"image:warp"}  # by a model's own eyes, if at all


def test_an_unknown_name_is_refused_with_those_that_are_known():
    with pytest.raises(BadInput, match="no detector nope"):
        registry.detector("nope")
    with pytest.raises(BadInput, match="no planter nope"):
        registry.planter("nope")


def test_text_beside_categories_is_looked_at_as_both():
    frame = frame_of(1, [Column("a", "category"), Column("b", "text"), Column("c", "number")])
    assert ensemble.modalities(frame) == ["table", "text"]
