"""URLs are pinned to what they held when they were first seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.core.digest import of_bytes
from sealwright.core.errors import BadInput, Refused
from sealwright.intake import urls
from sealwright.intake.urls import Listed

A, B = of_bytes(b"a"), of_bytes(b"b")


def take(listed, held, before=None, **more):
    return urls.take(listed, held.__getitem__, before or urls.none(), now="2026-01-01", **more)


def test_a_changed_url_is_refused_and_its_first_day_is_named():
    first = take([Listed("http://x/1", "1")], {"1": A})
    assert (first.new, first.changed) == (1, 0)
    assert take([Listed("http://x/1", "1")], {"1": A}, first.pins).new == 0
    with pytest.raises(Refused, match="http://x/1 changed") as refused:
        take([Listed("http://x/1", "1")], {"1": B}, first.pins)
    assert refused.value.rule == "urls.changed"
    assert "2026-01-01" in refused.value.why
    again = take([Listed("http://x/1", "1")], {"1": B}, first.pins, repin=True)
    assert (again.changed, again.pins.urls["http://x/1"].sha256) == (1, B)


def test_content_that_is_not_what_the_list_promises_is_refused():
    with pytest.raises(Refused) as refused:
        take([Listed("http://x/1", "1", B)], {"1": A})
    assert refused.value.rule == "urls.not-as-listed"


def test_a_url_that_is_not_listed_any_more_stays_pinned():
    first = take([Listed("u", "", A), Listed("v", "", B)], {})
    second = take([Listed("v", "", B)], {}, first.pins)
    assert second.pins.urls["u"].sha256 == A
    with pytest.raises(Refused):
        take([Listed("u", "", B)], {}, second.pins)


@given(st.dictionaries(st.text(min_size=1), st.sampled_from([A, B]), min_size=1))
def test_pins_survive_their_bytes_and_the_same_list_changes_nothing(held):
    listed = [Listed(url, "", sha256) for url, sha256 in held.items()]
    first = take(listed, {})
    again = take(listed, {}, urls.decode(urls.encode(first.pins)))
    assert (again.pins, again.new, again.changed) == (first.pins, 0, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "url\nx\n",
        "link,path\nx,1\n",
        "url,path\n,1\n",
        "url,path\nx,\n",
        "url,sha256\nx,12\n",
        "url,path\nx,1\nx,2\n",
        'url,path\n"x,1\n',
    ],
)
def test_a_list_that_makes_no_sense_is_refused(text):
    with pytest.raises(BadInput):
        urls.read_list(text.encode(), "list.csv")


def test_a_list_is_read_with_either_column():
    text = 'path,url,note\r\n1.txt,http://x/1,"a,b"\r\n'
    assert urls.read_list(text.encode(), "l") == (Listed("http://x/1", "1.txt"),)
    text = f"url,sha256\nhttp://x/1,{A.upper()}\n"
    assert urls.read_list(text.encode(), "l") == (Listed("http://x/1", "", A),)
