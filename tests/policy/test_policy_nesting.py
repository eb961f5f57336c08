"""A policy out of somebody else's log cannot end the process that judges it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sealwright.core.errors import BadInput
from sealwright.policy import facts, nesting, policyset

HOSTILE = {
    "brackets": "(" * 9_000 + "true" + ")" * 9_000,
    "sets": "[" * 9_000 + "]" * 9_000,
    "attributes": "context" + ".a" * 18_000,
    "conjunctions": "true" + " && true" * 4_000,
    "conditions": "if true then " * 1_500 + "true" + " else true" * 1_500,
    "after a string": '"\\"" == "' + '" && ' + "(" * 9_000 + "true" + ")" * 9_000,
    "after a comment": '// "\n' + "(" * 9_000 + "true" + ")" * 9_000,
}
RULE = '@id("a")\n@reason("b")\nforbid (principal, action, resource) when {{ {} }};'


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_policy_that_nests_too_deep_is_refused_before_it_is_parsed(body: str) -> None:
    script = (
        "import sys\nfrom sealwright.core.errors import BadInput\n"
        "from sealwright.policy import facts, policyset\n"
        "try:\n    policyset.of_texts({'x.cedar': sys.stdin.read()}, facts.schema(), 'solo')\n"
        "except BadInput as error:\n    print(error.what)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=RULE.format(body),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "nests too deep" in done.stdout


@pytest.mark.parametrize("profile", facts.PROFILES)
def test_what_is_shipped_is_far_from_it(profile: str) -> None:
    for name, text in policyset.shipped(profile).files:
        nesting.check(name, text * 50)


def test_many_policies_are_not_a_deep_one() -> None:
    nesting.check("x", RULE.format("context.inputs > 0") * 1_000)
    with pytest.raises(BadInput, match="line 3"):
        nesting.check("x", RULE.format("!" * 2_000 + "true"))
