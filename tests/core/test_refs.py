import pytest

from sealwright.core import refs
from sealwright.core.errors import BadInput
from sealwright.core.refs import Ref


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("data:train@3", Ref("data", "train", 3)),
        ("data:train", Ref("data", "train")),
        ("data:train@latest", Ref("data", "train")),
        ("model:fraud@prod", Ref("model", "fraud", alias="prod")),
        ("run:r0123", Ref("run", "r0123")),
    ],
)
def test_references_parse(text, ref):
    assert refs.parse(text) == ref


def test_the_prefix_may_be_left_out_where_a_kind_is_given():
    assert refs.parse("train@2", "data") == Ref("data", "train", 2)


@pytest.mark.parametrize(
    "text",
    ["train", "dat:x@1", "data:x@0", "data:x@prod", "data:@1", "data:X@1", "data:../x", "run:a@1"],
)
def test_what_is_not_a_reference_is_refused_with_an_example(text):
    with pytest.raises(BadInput):
        refs.parse(text)


def test_a_reference_prints_as_it_is_typed():
    assert str(refs.parse("model:fraud@2")) == "model:fraud@2"
    assert str(refs.parse("data:train")) == "data:train@latest"
