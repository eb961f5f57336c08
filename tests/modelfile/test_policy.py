"""The tables, and the rules that are documented."""

import re
from pathlib import Path

import pytest

from sealwright.kit.modelfile.policy import Signed, policy_of, tables
from sealwright.kit.modelfile.report import settled
from sealwright.kit.modelfile.rules import RULES

ROOT = Path(__file__).resolve().parents[2]
NEVER = (
    ("os", "system"),
    ("builtins", "getattr"),
    ("builtins", "eval"),
    ("functools", "partial"),
    ("operator", "attrgetter"),
    ("importlib", "import_module"),
    ("types", "FunctionType"),
    ("numpy", "load"),
    ("numpy._core", "_ufunc_reconstruct"),
    ("torch", "load"),
    ("torch.storage", "_load_from_bytes"),
    ("joblib.numpy_pickle", "load"),
    ("sklearn.preprocessing._function_transformer", "FunctionTransformer"),
)


@pytest.mark.parametrize(("module", "name"), NEVER)
def test_what_could_run_code_is_on_no_list(module, name):
    assert policy_of("framework").uses_of(module, name) == ""


def test_every_rule_is_documented_with_what_it_leads_to_and_no_other_is():
    text = (ROOT / "docs/spec/model-file-policy-v1.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([a-z0-9.-]+\.[a-z0-9-]+)` \| ([a-z ]+) \|", text, re.M))
    rows = {name: word for name, word in rows.items() if not name.endswith(".json")}
    assert rows == {name: rule.verdict for name, rule in RULES.items()}


def test_every_rule_that_the_readers_use_exists():
    used = set()
    for path in (ROOT / "src/sealwright/kit/modelfile").glob("*.py"):
        text = path.read_text("utf-8")
        used |= set(re.findall(r'(?:Unsound|Found|stop|refuse|_refused)\(\s*"([a-z.0-9-]+)"', text))
    assert used
    assert used <= set(RULES)


def test_a_level_holds_everything_below_it():
    weights, framework = policy_of("weights"), policy_of("framework")
    assert set(weights.uses) < set(framework.uses)
    assert weights.digest != framework.digest


def test_a_signed_class_counts_at_level_project_only():
    signed = (Signed("fraudkit.net", "Net", "0" * 64),)
    assert policy_of("framework", signed).uses_of("fraudkit.net", "Net") == ""
    assert "n" in policy_of("project", signed).uses_of("fraudkit.net", "Net")
    assert policy_of("project", signed).digest != policy_of("project").digest


def test_the_tables_name_no_function_of_a_library_that_was_not_read():
    functions = {
        (module, name)
        for table in tables()
        if table.library in ("numpy", "sklearn")
        for module, names in table.pairs.items()
        for name, uses in names.items()
        if "c" in uses and not name[:1].isupper() and not name.startswith("__pyx")
    }
    assert functions == {
        ("numpy", "dtype"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.numeric", "_frombuffer"),
        ("numpy.ma.core", "_mareconstruct"),
        ("numpy.random._pickle", "__bit_generator_ctor"),
        ("numpy.random._pickle", "__generator_ctor"),
        ("numpy.random._pickle", "__randomstate_ctor"),
        ("sklearn.metrics._dist_metrics", "newObj"),
        ("sklearn.neighbors._ball_tree", "newObj"),
        ("sklearn.neighbors._kd_tree", "newObj"),
    }


def test_no_format_is_never_clean():
    assert settled([], "", "x").verdict == "not understood"
