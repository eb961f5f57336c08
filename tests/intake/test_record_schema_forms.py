"""Two schemas must never share a hash: only the forms of the page exist."""

import msgspec
import pytest

from sealwright.intake.schema import Field, FieldType, RecordSchema

INT = {"kind": "int"}


@pytest.mark.parametrize(
    "kind",
    [
        {"kind": "int", "children": [{"name": "a", "type": INT}]},
        {"kind": "list"},
        {"kind": "list", "children": [{"name": n, "type": INT} for n in "ab"]},
        {"kind": "map", "children": [{"name": n, "type": INT} for n in "abc"]},
        {"kind": "struct", "children": [{"name": "a", "type": INT}] * 2},
        {"kind": "string", "scale": 2},
        {"kind": "decimal", "scale": 2**31},
        {"kind": "decimal", "scale": 2**31 - 1},
    ],
)
def test_a_schema_of_another_form_is_refused(kind):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"fields": [{"name": "x", "type": kind}]}, RecordSchema)


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(ValueError, match="one name"):
        RecordSchema((Field("x", FieldType("int")), Field("x", FieldType("string"))))
