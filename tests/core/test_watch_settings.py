"""``[watch]``: hours, and every fault of the table at once."""

import pytest

from sealwright.core import settings
from sealwright.core.amounts import hours
from sealwright.core.errors import BadInput, BadSettings


@pytest.mark.parametrize(
    ("text", "span"), [("06-22", (6, 22)), ("22-4", (22, 4)), ("0-24", (0, 0)), ("", (0, 0))]
)
def test_hours_are_read_as_they_are_written(text, span):
    assert hours(text) == span


@pytest.mark.parametrize("text", ["6-6", "6-25", "06:00-22:00", "6", "-", "a-b", "006-22"])
def test_what_is_no_span_of_hours_is_refused(text):
    with pytest.raises(BadInput, match="hours"):
        hours(text)


def test_every_fault_of_the_table_is_told_at_once():
    raw = b'[watch]\nhours = "6-6"\nlasts = "90d"\nreads_per_day = -1\nbytes_per_day = "x"\n'
    with pytest.raises(BadSettings) as caught:
        settings.parse(raw)
    told = str(caught.value.why or caught.value) + "".join(getattr(caught.value, "problems", ()))
    for key in ("hours", "lasts", "reads_per_day", "bytes_per_day"):
        assert f"$.watch.{key}" in told
