"""Events are read the same however their bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.core.errors import Unavailable
from sealwright.serve.sse import Event, Events, written

LINES = st.text(
    st.characters(blacklist_characters="\r\n", blacklist_categories=("Cs",)), max_size=9
)


@given(
    st.lists(st.lists(LINES, min_size=1, max_size=3), max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.data(),
)
def test_what_is_written_is_read_however_it_is_cut(
    events: list[list[str]], end: str, data: st.DataObject
) -> None:
    bodies = ["\n".join(lines).encode() for lines in events]
    wire = b"".join(written(body) for body in bodies).replace(b"\n", end.encode())
    reader, got, at = Events(), list[Event](), 0
    while at < len(wire):
        size = data.draw(st.integers(1, 12))
        got += reader.feed(wire[at : at + size])
        at += size
    reader.close()
    assert [event.data for event in got] == bodies


def test_comments_names_and_a_mark_at_the_beginning() -> None:
    reader = Events()
    got = reader.feed(
        b"\xef\xbb\xbf: hello\nevent: x\nid: 5\nretry: 1\ndata: a\ndata:b\n\n\n\ndata\n\n"
    )
    assert got == [Event(b"a\nb", b"x"), Event(b"")]


def test_half_an_event_is_told() -> None:
    for half in (b"data: a\n", b"data"):
        reader = Events()
        reader.feed(half)
        with pytest.raises(Unavailable):
            reader.close()


def test_a_line_or_an_event_without_end_is_refused() -> None:
    with pytest.raises(Unavailable):
        for _ in range(100):
            reader = Events(1_000)
            for _ in range(20):
                reader.feed(b"x" * 100)
    reader = Events(1_000)
    with pytest.raises(Unavailable):
        for _ in range(30):
            reader.feed(b"data: " + b"x" * 100 + b"\n")
