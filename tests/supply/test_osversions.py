"""Versions of distributions, ordered as their own package managers order them."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.supply import osversions

DPKG = shutil.which("dpkg")
RISING_DEBIAN = [
    "1.0~~", "1.0~~a", "1.0~", "1.0~rc1-1", "1.0", "1.0-0.1", "1.0-1", "1.0-1+b1", "1.0-1+deb12u1",
    "1.0-10", "1.0a", "1.0+dfsg-1", "1.0.1", "1.1", "1.10", "1:0.1", "2:0~1",
]  # fmt: skip
RISING_ALPINE = [
    "0.9", "1.0_alpha", "1.0_alpha2", "1.0_beta1", "1.0_pre3", "1.0_rc1", "1.0_rc1-r1", "1.0",
    "1.0-r0", "1.0-r2", "1.0-r10", "1.0_git20240101", "1.0_p1", "1.0_p10", "1.0a", "1.0b", "1.0.01",
    "1.0.09", "1.0.1", "1.0.2", "1.0.10", "1.1", "1.10", "2",
]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "rising"), [(osversions.dpkg, RISING_DEBIAN), (osversions.apk, RISING_ALPINE)]
)
def test_a_rising_list_stays_as_it_is(key, rising) -> None:
    assert sorted(rising, key=key) == rising
    assert len({key(one) for one in rising}) == len(rising)


@pytest.mark.parametrize(("one", "other"), [("1", "1-0"), ("0:1", "1"), ("1a", "1a0"), ("01", "1")])
def test_what_dpkg_calls_equal_is_equal(one: str, other: str) -> None:
    assert osversions.dpkg(one) == osversions.dpkg(other)


@pytest.mark.parametrize(
    "text", ["", "a", "1 2", "1:", "1:a", ":1", "1_2", "-1", "1-", "9" * 300, "1\n"]
)
def test_what_is_no_debian_version_has_no_place(text: str) -> None:
    assert osversions.dpkg(text) is None


@pytest.mark.parametrize(
    "text",
    ["", "a1", "1.", "1..2", "1ab", "1_foo", "1-1", "1-r", "1~", "1-r1_p1", "9" * 300, "1\n"],
)
def test_what_is_no_alpine_version_has_no_place(text: str) -> None:
    assert osversions.apk(text) is None


PIECE = st.text("0123456789aZ.+~", max_size=7)
DEBIAN = st.builds(
    lambda epoch, first, rest, revision: f"{epoch}{first}{rest}{revision}",
    st.sampled_from(["", "0:", "1:", "10:"]),
    st.sampled_from("0129"),
    PIECE,
    st.one_of(st.just(""), PIECE.filter(bool).map(lambda one: f"-{one}")),
)


@pytest.mark.skipif(DPKG is None, reason="dpkg is not on this machine")
@settings(max_examples=150, deadline=None)
@given(DEBIAN, DEBIAN)
def test_the_order_is_that_of_dpkg_itself(one: str, other: str) -> None:
    def says(word: str) -> bool:
        command = [str(DPKG), "--compare-versions", one, word, other]
        return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0

    ours = osversions.dpkg(one), osversions.dpkg(other)
    assert (ours[0] < ours[1]) == says("lt")  # type: ignore[operator]
    assert (ours[0] == ours[1]) == says("eq")


NUMBER = st.sampled_from(["0", "1", "2", "10", "01", "09", "00"])
ALPINE = st.builds(
    lambda first, more, letter, suffixes, commit, revision: (
        first + "".join(f".{n}" for n in more) + letter + "".join(suffixes) + commit + revision
    ),
    NUMBER,
    st.lists(NUMBER, max_size=2),
    st.sampled_from(["", "a", "b"]),
    st.lists(
        st.builds(
            lambda word, number: f"_{word}{number}",
            st.sampled_from(["alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"]),
            st.sampled_from(["", "0", "1", "10"]),
        ),
        max_size=2,
    ),
    st.sampled_from(["", "~a1", "~b"]),
    st.sampled_from(["", "-r0", "-r1", "-r10"]),
)
KINDS = ["digits", "letter", "suffix", "number", "hash", "revision", "end"]
WORDS = ["alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"]


def pieces(text: str) -> list[tuple[str, str]]:
    """The second reading cuts a version up, and walks along two of them at once."""
    out, before = [], ""
    for found in re.finditer(r"_[a-z]+|~[0-9a-f]+|-r[0-9]+|\.?[0-9]+|[a-z]", text):
        piece = found[0]
        if piece[0] == "_":
            kind = "suffix"
        elif piece[0] in "~-":
            kind = "hash" if piece[0] == "~" else "revision"
        elif piece.isalpha():
            kind = "letter"
        else:
            kind = "number" if before == "suffix" else "digits"
        out.append(
            (kind, piece.lstrip("_~-.").removeprefix("r") if kind != "suffix" else piece[1:])
        )
        before = kind
    return [*out, ("end", "")]


def second_reading(one: str, other: str) -> int:
    """Below 0 where ``one`` is the older."""
    for place, ((kind, mine), (theirs, yours)) in enumerate(
        zip(pieces(one), pieces(other), strict=False)
    ):
        if kind != theirs:
            if kind == "suffix" and WORDS.index(mine) < 4:
                return -1
            if theirs == "suffix" and WORDS.index(yours) < 4:
                return 1
            return KINDS.index(theirs) - KINDS.index(kind)
        if kind == "suffix":
            found = WORDS.index(mine) - WORDS.index(yours)
        elif kind in ("letter", "hash") or (
            kind == "digits" and place and "0" in (mine[0], yours[0])
        ):
            found = (mine > yours) - (mine < yours)
        else:
            found = int(mine or 0) - int(yours or 0)
        if found:
            return found
    return 0


@settings(max_examples=1000, deadline=None)
@given(ALPINE, ALPINE)
def test_the_order_of_apk_is_that_of_a_second_reading(one: str, other: str) -> None:
    ours = osversions.apk(one), osversions.apk(other)
    assert None not in ours
    said = second_reading(one, other)
    assert (ours[0] < ours[1], ours[0] == ours[1]) == (said < 0, said == 0)  # type: ignore[operator]
