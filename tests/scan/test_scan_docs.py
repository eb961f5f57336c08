from __future__ import annotations

import re
from pathlib import Path

import pytest

from sealwright.scan import registry

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/detectors.md").read_text("utf-8")


def rows() -> dict[str, list[str]]:
    lines = re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", PAGE, re.M)
    return {name: [cell.strip() for cell in rest.split(" | ")] for name, rest in lines}


def test_every_detector_is_in_the_table_and_no_other_is():
    assert set(rows()) == set(registry.detectors())


@pytest.mark.parametrize("name", registry.detectors())
def test_a_detector_is_described_as_it_is(name):
    spec = registry.detector(name).spec
    modality, kind, sees, needs = rows()[name]
    assert (modality, kind) == (spec.modality, spec.kind)
    assert [family for family in spec.families if f"`{family}`" not in sees] == []
    assert [need for need in spec.needs if need not in needs] == []
    assert re.search(rf"^## {name}$", PAGE, re.M)
