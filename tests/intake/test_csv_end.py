"""Where a CSV file ends: what pyarrow lets pass, and what must still be allowed."""

from __future__ import annotations

import io

import pytest

from sealwright.core.errors import BadInput
from sealwright.intake import csvtext


def scanned(text: str) -> tuple[dict[str, int], int]:
    return csvtext.scan(lambda: io.BytesIO(text.encode()), "t.csv", ",")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1,2", 1),
        ("a,b\n1,2\n", 1),
        ("a,b\r\n1,2\r\n", 1),
        ("a,b\n1,2\n\n\n", 1),
        ("a\nend\n", 1),
        ("a\nend", 1),
        ('a,b\n1,"x\ny"\n', 1),
        ('a,b\n1,"x\ny"', 1),
        ('a,b\n1,5" pipe\n2,"quoted ""word"""\n', 2),
        ('a,b\n1,""\n', 1),
        ("a,b\n", 0),
        ("a,b\n" + "1,2\n" * 300_000, 300_000),
    ],
)
def test_every_row_is_counted_and_none_is_made_up(text: str, rows: int) -> None:
    assert scanned(text)[1] == rows


def test_types_do_not_see_the_row_behind_the_end() -> None:
    masks, _ = scanned("a,b\n1,1.5\n")
    assert [str(t) for t in csvtext.join([masks]).types] == ["int64", "double"]


@pytest.mark.parametrize("tail", ['"', '1,"', '1,"2', '1,"2""', '1,"2\n3,4', '"1,2\n\n'])
def test_a_quote_that_is_open_at_the_end_is_refused(tail: str) -> None:
    with pytest.raises(BadInput, match="line 3 and never closed"):
        scanned(f"a,b\n0,0\n{tail}")
