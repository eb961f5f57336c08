"""The vulnerability gate: what passes, what is waived, what is unknown; nothing fails open."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import msgspec
import pytest

from sealwright.core.digest import of_bytes
from sealwright.core.errors import BadInput, VerifyError
from sealwright.policy.waivers import Waiver
from sealwright.supply import audit as audits
from sealwright.supply import index as indexes
from sealwright.supply import reach
from sealwright.supply.audit import Installed
from sealwright.supply.index import Index
from sealwright.supply.osv import Advisory, Affected, Range
from sealwright.supply.reach import Distribution

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def advisory(
    name: str = "PYSEC-1", package: str = "demo", fixed: str = "2.0", **more: object
) -> Advisory:
    stretch = Range((("introduced", "0"), ("fixed", fixed)))
    known = {"modified": "2026-11-20T00:00:00Z", "aliases": ("CVE-2026-1",), **more}
    return Advisory(id=name, affected=(Affected(package, (stretch,), ()),), **known)  # type: ignore[arg-type]


def index(*advisories: Advisory, exploited: tuple[str, ...] = ()) -> Index:
    return indexes.build(advisories or (advisory(),), "test", "", exploited=exploited)


def waiver(**change: str) -> Waiver:
    terms = {
        "vulnerability": "CVE-2026-1",
        "package": "demo",
        "versions": "==1.0",
        "scope": "*",
        "until": "2026-12-01T00:00:00Z",
        **change,
    }
    return Waiver(
        request="a" * 64,
        justification="accepted_for_now",
        owner="ann",
        approvers=("bob",),
        reason="r",
        **terms,  # type: ignore[arg-type]
    )


def test_an_affected_version_is_vulnerable_and_its_fix_is_named() -> None:
    done = audits.audit([Installed("Demo", "1.0")], index(), ())
    assert done.vulnerable == ("demo",)
    assert done.hits[0].fixed == "2.0"


def test_a_fixed_version_and_a_package_nobody_speaks_of_pass() -> None:
    done = audits.audit([Installed("demo", "2.0"), Installed("other", "1")], index(), ())
    assert (done.hits, done.unknown) == ((), ())


def test_a_version_that_cannot_be_ordered_is_unknown() -> None:
    done = audits.audit([Installed("demo", "from-git"), Installed("else", "?")], index(), ())
    assert done.unsure == ("demo", "else")


def test_without_an_index_everything_is_unknown() -> None:
    done = audits.nothing_known([Installed("demo", "2.0")], "there is none")
    assert done.unsure == ("demo",)


def test_a_withdrawn_advisory_says_nothing() -> None:
    kept = index(advisory(withdrawn="2026-11-21T00:00:00Z"))
    assert audits.audit([Installed("demo", "1.0")], kept, ()).hits == ()


def test_what_is_known_to_be_exploited_comes_first() -> None:
    found = index(
        advisory("PYSEC-1", severity="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
        advisory(
            "PYSEC-2",
            "quiet",
            aliases=("CVE-2026-2",),
            severity="CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N",
        ),
        exploited=("CVE-2026-2",),
    )
    done = audits.audit([Installed("demo", "1.0"), Installed("quiet", "1.0")], found, ())
    assert [(hit.id, hit.rank) for hit in done.hits] == [
        ("PYSEC-2", "exploited"),
        ("PYSEC-1", "high"),
    ]


def test_an_advisory_without_a_score_counts_as_high() -> None:
    assert audits.audit([Installed("demo", "1.0")], index(), ()).hits[0].rank == "high"


def test_a_waiver_lets_exactly_its_own_package_version_and_stage_through() -> None:
    here = [Installed("demo", "1.0")]
    assert audits.audit(here, index(), (waiver(),)).vulnerable == ()
    for change in (
        {"versions": "==1.1"},
        {"package": "demo2"},
        {"vulnerability": "CVE-2026-9"},
        {"scope": "train"},
    ):
        assert audits.audit(here, index(), (waiver(**change),)).vulnerable == ("demo",), change
    assert audits.audit(here, index(), (waiver(scope="train"),), "train").vulnerable == ()


@pytest.mark.parametrize("text", [">=1.0", "!=2", "", "nonsense"])
def test_a_waiver_of_every_later_version_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        audits.specifier(text)


def test_equal_indexes_have_equal_bytes_and_come_back_as_they_were() -> None:
    data = indexes.pack(index())
    assert data == indexes.pack(index())
    assert indexes.unpack(data, of_bytes(data)) == index()


def corrupt(data: bytes) -> list[tuple[str, bytes, bool]]:
    """What may happen to an index on disk; True where the digest is that of the new bytes."""
    text = gzip.decompress(data)
    other = msgspec.json.decode(text)
    return [
        ("another file", indexes.pack(index(advisory("PYSEC-9"))), False),
        ("empty", b"", False),
        ("cut short", data[:-10], False),
        ("a byte flipped", bytes([data[0] ^ 1]) + data[1:], False),
        ("signed, and no gzip", b"not gzip", True),
        ("signed, and cut short", data[:-4], True),
        ("signed, with a second stream", data + gzip.compress(b"{}"), True),
        ("signed, and no JSON", gzip.compress(b"{"), True),
        (
            "signed, of another format",
            gzip.compress(msgspec.json.encode({**other, "format": "x"})),
            True,
        ),
        (
            "signed, with an unknown field",
            gzip.compress(msgspec.json.encode({**other, "y": 1})),
            True,
        ),
        (
            "signed, with a field gone",
            gzip.compress(b'{"format": "sealwright advisories v1"}'),
            True,
        ),
    ]


@pytest.mark.parametrize("fault", range(11))
def test_an_index_that_was_changed_or_makes_no_sense_is_refused(fault: int) -> None:
    data = indexes.pack(index())
    _, bad, signed = corrupt(data)[fault]
    with pytest.raises(VerifyError) as refused:
        indexes.unpack(bad, of_bytes(bad if signed else data))
    assert refused.value.rule == "supply.index-corrupt"


def test_an_index_that_unpacks_without_end_is_refused() -> None:
    bomb = gzip.compress(b" " * (indexes.MOST_BYTES + 10), 1)
    with pytest.raises(VerifyError):
        indexes.unpack(bomb, of_bytes(bomb))


def test_age_is_that_of_the_newest_record_and_the_future_is_refused() -> None:
    assert index().age_days(NOW) == 4
    with pytest.raises(VerifyError):
        index(advisory(modified="2027-01-01T00:00:00Z")).age_days(NOW)


def test_an_index_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput):
        indexes.build((), "empty", "")


def test_only_what_nothing_can_reach_is_called_not_imported() -> None:
    installed = [
        Distribution("a", ("a",), ("b>=1", "c; extra == 'x'")),
        Distribution("b", ("b",), ()),
        Distribution("c", ("c",), ()),
        Distribution("d", ("d",), ()),
    ]
    found = reach.imports([b"import a.sub\nfrom os import path\n"])
    assert reach.reach(found, installed) == {
        "a": "yes",
        "b": "unknown",
        "c": "unknown",
        "d": "no",
    }


@pytest.mark.parametrize(
    "source", [b"import importlib\nimportlib.import_module(x)", b"exec(code)", b"def (", b"\xff"]
)
def test_code_that_decides_as_it_runs_leaves_everything_unknown(source: bytes) -> None:
    found = reach.imports([source])
    assert reach.reach(found, [Distribution("d", ("d",), ())]) == {"d": "unknown"}
