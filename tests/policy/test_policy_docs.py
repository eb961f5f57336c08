"""The policy pages say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from sealwright.policy import facts, policyset

DOCS = Path(__file__).parents[2] / "docs"


def test_the_rule_in_the_guide_loads_and_decides() -> None:
    (rule,) = re.findall(r"```cedar\n(.*?)```", (DOCS / "guide/policy.md").read_text(), re.S)
    shipped = policyset.shipped("solo")
    texts = {**dict(shipped.files), "house.cedar": rule}
    loaded = policyset.of_texts(texts, shipped.schema, "solo")
    values = facts.of({**facts.refusing(), "inputs": 1}).jsonable()
    decided = loaded.engine.judge("train", "ann", "x", values).decided
    assert "house.two-sources" in {one.id for one in decided}


def test_the_rule_in_the_spec_is_the_one_that_ships() -> None:
    (rule,) = re.findall(r"```cedar\n(.*?)```", (DOCS / "spec/facts-v1.md").read_text(), re.S)
    assert rule in policyset.shipped_files("team")["team.cedar"]


def test_every_command_of_the_guide_is_one_that_parses() -> None:
    from sealwright.app.cli import parser_of

    for page in ("guide/policy.md", "concepts/policy.md", "reference/json-policy.md"):
        for command, word in re.findall(r"`?seal (policy|access) (\w+)", (DOCS / page).read_text()):
            parser, _ = parser_of(command)
            assert word in parser.format_help(), f"seal {command} {word} in {page}"
