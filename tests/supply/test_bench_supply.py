"""The sections of ``seal bench supply``: sets that are the same for a seed, figures that hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.app.bench import Ask, Row, secretlookalike, secretplant
from sealwright.app.bench import supply as bench
from sealwright.app.bench.supply import advisories, bills, faults, images, secrets
from sealwright.core.errors import BadInput
from sealwright.supply import index as indexes
from sealwright.supply import osvrange
from sealwright.supply.osv import Advisory, Affected, Event, Range

QUICK = Ask(quick=True)


def by_name(rows: list[Row]) -> dict[str, Row]:
    return {row.what: row for row in rows}


def missed(rows: list[Row]) -> list[str]:
    return [f"{row.what}: {row.value} {row.note}" for row in rows if row.met is False]


def test_there_are_twenty_kinds_of_secrets_and_twenty_thousand_look_alikes() -> None:
    assert len(secretplant.KINDS) == 20
    assert len(secretlookalike.KINDS) * secretplant.LOOK_ALIKES_EACH == 20_000
    assert len(secretplant.KINDS) * secretplant.EACH == 2_000


def test_the_set_of_secrets_is_the_same_for_a_seed_and_another_for_another() -> None:
    one, again, other = (list(secretplant.secrets(seed, 2)) for seed in (1, 1, 2))
    assert one == again != other
    assert list(secretplant.look_alikes(1, 2)) == list(secretplant.look_alikes(1, 2))


def test_what_is_planted_is_found_and_what_only_looks_like_it_is_not() -> None:
    assert missed(secrets.rows(QUICK)) == []


def test_fixtures_are_opened_and_their_digest_is_said(tmp_path: Path) -> None:
    token = "glpat-" + "x7Kq9mZ2bV4nR8tW1yLs"
    lines = [
        {"text": f"a = '{token}'", "kind": "gitlab", "positive": True, "source": "x"},
        {"text": "nothing here", "kind": "gitlab", "positive": False, "source": "x"},
        {"text": "nothing here either", "kind": "other", "positive": True, "source": "x"},
    ]
    path = tmp_path / "f.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    found = by_name(secrets.rows(Ask(quick=True, fixtures=str(path))))
    assert found["published fixtures: precision"].value == 100
    recall = found["published fixtures: recall"]
    assert (recall.value, recall.met, recall.note) == (50, False, "missed 1: x other 1")
    assert len(found["published fixtures: secrets"].note) == len("SHA-256 ") + 64


def test_fixtures_that_are_none_are_one_clear_error(tmp_path: Path) -> None:
    for text in ("{", "[1]", '{"text": "a"}'):
        (tmp_path / "f").write_text(text)
        with pytest.raises(BadInput):
            secrets.rows(Ask(quick=True, fixtures=str(tmp_path / "f")))
    with pytest.raises(BadInput):
        secrets.rows(Ask(quick=True, fixtures=str(tmp_path / "absent")))


def test_every_defect_of_an_image_costs_its_own_signal() -> None:
    assert missed(images.rows(QUICK)) == []


def test_after_no_fault_a_vulnerable_package_passes() -> None:
    done = faults.outcomes()
    assert len(done) >= 12
    assert [one.name for one in done if one.passed] == []


def test_a_fault_after_which_the_package_passes_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = {"the right waiver": (True, faults._waived())}
    monkeypatch.setattr(faults, "FAULTS", right)
    assert [one.name for one in faults.outcomes() if one.passed] == ["the right waiver"]


TEXTS = st.sampled_from("0 0.9 1.0a1 1.0 1.0.post1 1.1.dev2 1.1 2.0 2.0+cpu 3 odd".split())
KINDS = st.sampled_from(["introduced", "fixed", "last_affected", "limit"])


@given(
    TEXTS,
    st.lists(st.lists(st.tuples(KINDS, TEXTS), min_size=1, max_size=5), min_size=1, max_size=2),
)
def test_both_readings_of_the_specification_agree(
    version: str, events: list[list[tuple[Event, str]]]
) -> None:
    ranges = tuple(Range(tuple(one)) for one in events)
    first = osvrange.judge(version, Affected("x", ranges, ()))
    if all(text != "odd" for one in events for _, text in one):
        assert first == advisories._second_reading(version, ranges)


def test_a_listed_version_that_ranges_leave_out_is_counted_by_its_advisory() -> None:
    stretch = Range((("introduced", "1.0"), ("fixed", "2.0")))
    affected = Affected("x", (stretch,), ("0.5", "1.0", "odd"))
    index = indexes.build([Advisory("A-1", "2026-01-01T00:00:00Z", (affected,))], "t", "")
    held = advisories.held_against_lists(index)
    assert (held.listed, held.agree, held.unordered) == (3, 1, 1)
    assert (dict(held.ruled_out), held.differ) == ({"A-1": 1}, 0)


def test_a_hundred_packages_laid_out_are_hashed_named_and_licensed(tmp_path: Path) -> None:
    bills.lay_out(tmp_path / "site", 3)
    assert len(list((tmp_path / "site").glob("*.dist-info"))) == bills.PACKAGES
    assert missed([row for row in bills.rows(QUICK) if row.unit != "s CPU"]) == []


def test_a_section_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput):
        bench.answer(Ask(quick=True, only=("nothing",)))
