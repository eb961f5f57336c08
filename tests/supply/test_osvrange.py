"""Advisories evaluated as OSV says: events in order, limits, enumerated versions, local parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from sealwright.core.errors import BadInput
from sealwright.supply import cvss, osv, osvrange
from sealwright.supply.osv import Affected, Range


def affected(*events: tuple[str, str], versions: tuple[str, ...] = ()) -> Affected:
    stretch = (Range(events),) if events else ()  # type: ignore[arg-type]
    return Affected("demo", stretch, versions)


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("0.9", "affected"),
        ("1.0", "not affected"),
        ("1.0rc1", "affected"),
        ("1.5", "not affected"),
        ("2.0", "affected"),
        ("2.1.9", "affected"),
        ("2.2", "not affected"),
    ],
)
def test_events_switch_in_version_order_whatever_order_they_are_written_in(
    version: str, state: str
) -> None:
    one = affected(("fixed", "2.2"), ("introduced", "2.0"), ("fixed", "1.0"), ("introduced", "0"))
    assert osvrange.judge(version, one) == state


def test_last_affected_is_affected_and_what_follows_is_not() -> None:
    one = affected(("introduced", "1"), ("last_affected", "1.4"))
    assert [osvrange.judge(v, one) for v in ("1.4", "1.4.1")] == ["affected", "not affected"]


def test_a_limit_ends_what_no_fix_ends() -> None:
    one = affected(("introduced", "0"), ("limit", "3"))
    assert [osvrange.judge(v, one) for v in ("2.9", "3")] == ["affected", "not affected"]


def test_a_local_build_is_judged_as_the_public_version_it_was_built_from() -> None:
    one = affected(("introduced", "0"), ("last_affected", "2.13.0"))
    assert osvrange.judge("2.13.0+cpu", one) == "affected"
    assert osvrange.judge("2.13.0+cpu", affected(versions=("2.13.0",))) == "affected"


def test_an_enumerated_version_counts_beside_the_ranges() -> None:
    one = affected(("introduced", "5"), ("fixed", "6"), versions=("1.0.0",))
    assert osvrange.judge("1.0", one) == "affected"
    assert osvrange.judge("1.1", one) == "not affected"


@pytest.mark.parametrize("version", ["not a version", "", "1.0-rc-what", "banana"])
def test_a_version_that_cannot_be_ordered_is_unknown_and_never_unaffected(version: str) -> None:
    assert osvrange.judge(version, affected(("introduced", "0"), ("fixed", "1"))) == "unknown"


def test_an_event_that_cannot_be_ordered_makes_the_range_unknown() -> None:
    assert osvrange.judge("1.0", affected(("introduced", "what"))) == "unknown"


def test_an_advisory_of_commits_alone_is_unknown() -> None:
    assert osvrange.judge("1.0", Affected("demo", (), (), opaque=2)) == "unknown"


def test_the_fix_named_is_the_next_one_and_not_a_fix_of_another_branch() -> None:
    one = affected(("introduced", "1"), ("fixed", "1.5"), ("introduced", "2"), ("fixed", "2.3"))
    assert osvrange.fixed_in("1.2", one) == "1.5"
    assert osvrange.fixed_in("2.0", one) == "2.3"
    assert osvrange.fixed_in("9", one) == ""


versions = st.builds(
    lambda major, minor, tail: f"{major}.{minor}{tail}",
    st.integers(0, 4),
    st.integers(0, 4),
    st.sampled_from(["", "a1", "rc2", ".post1", ".dev3"]),
)


@given(versions, versions, versions)
def test_between_introduced_and_fixed_is_affected_and_nothing_else(
    at: str, start: str, end: str
) -> None:
    low, high = sorted((Version(start), Version(end)))
    one = affected(("introduced", str(low)), ("fixed", str(high)))
    inside = low <= Version(at) < high
    assert osvrange.judge(at, one) == ("affected" if inside else "not affected")


@pytest.mark.parametrize(
    ("vector", "score"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 98),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 100),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 61),
        ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 78),
        ("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 31),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0),
    ],
)
def test_base_scores_are_those_of_the_standard(vector: str, score: int) -> None:
    assert cvss.base(vector) == score


@pytest.mark.parametrize("vector", ["", "CVSS:4.0/AV:N", "CVSS:3.1/AV:N", "AV:N/AC:L/Au:N"])
def test_a_vector_of_another_kind_is_refused(vector: str) -> None:
    with pytest.raises(BadInput):
        cvss.base(vector)


GOOD = {
    "id": "PYSEC-1",
    "modified": "2024-01-02T03:04:05.678Z",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "Demo_Package"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2"}]}],
        }
    ],
}


def test_a_record_is_read_into_its_normal_form() -> None:
    one = osv.parse(GOOD, "x.json")
    assert one.affected[0].package == "demo-package"
    assert one.modified == "2024-01-02T03:04:05Z"


def test_other_ecosystems_are_left_out() -> None:
    entry = {"package": {"ecosystem": "npm", "name": "x"}, "ranges": []}
    assert osv.parse({**GOOD, "affected": [entry]}, "x").affected == ()


@pytest.mark.parametrize(
    "change",
    [
        {"id": 3},
        {"id": ""},
        {"modified": None},
        {"affected": {}},
        {"affected": ["x"]},
        {"affected": [{"package": {"ecosystem": "PyPI"}}]},
        {"affected": [{**GOOD["affected"][0], "versions": [1.5]}]},  # type: ignore[index]
        {
            "affected": [
                {
                    "package": {"ecosystem": "PyPI", "name": "x"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "2"}]}],
                }
            ]
        },
        {
            "affected": [
                {
                    "package": {"ecosystem": "PyPI", "name": "x"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"bogus": "2"}]}],
                }
            ]
        },
    ],
)
def test_a_malformed_record_is_refused_and_never_half_read(change: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        osv.parse({**GOOD, **change}, "x.json")
