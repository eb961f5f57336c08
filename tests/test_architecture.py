"""The walls of the house: who may import whom, what nothing may load, how large a port may be."""

import ast
import importlib.util
import inspect
import json
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from importlinter.application.use_cases import read_user_options
from importlinter.cli import lint_imports

from sealwright.app.cli import COMMANDS
from sealwright.core import ports

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src" / "sealwright"
HEAVY = {"torch", "numpy", "pandas", "pyarrow", "sklearn"}
NOT_FOR_HELP = HEAVY | {"cryptography", "cedarpy", "msgspec", "asyncio", "sqlite3"}
SMALL_IMPORT = 5
HELP_MODULES = 120
PORT_METHODS = 6
FILE_LINES = 400


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Every import of every module, those inside functions too; not those for type checkers."""
    return grimp.build_graph("sealwright", exclude_type_checking_imports=True, cache_dir=None)


def loaded_by(code: str) -> set[str]:
    """The modules that ``code`` loads beyond a bare interpreter (and its site packages' .pth)."""
    probe = (
        "import sys; before = set(sys.modules); import json, io, contextlib\n"
        "words = set(sys.modules) - before\n"
        f"{code}\n"
        "print(json.dumps(sorted(set(sys.modules) - before - words)), file=sys.__stdout__)"
    )
    return set(json.loads(_python(probe)))


def _python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.splitlines()[-1]


def tops(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_the_import_contracts_hold(monkeypatch, capfd):
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True, is_debug_mode=False) == 0, capfd.readouterr().out


def test_the_contracts_have_no_exceptions(monkeypatch):
    monkeypatch.chdir(ROOT)
    contracts = read_user_options().contracts_options
    assert contracts
    assert [one for one in contracts if one.get("ignore_imports")] == []
    assert [one for one in contracts if one.get("exclude_type_checking_imports")] == []


def test_no_modules_import_each_other_in_a_circle_not_even_lazily(graph):
    """Tarjan's strongly connected components, over modules; each has one member."""
    ahead = {name: sorted(graph.find_modules_directly_imported_by(name)) for name in graph.modules}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    circles: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in ahead[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            if len(stack) - at > 1:
                circles.append(stack[at:])
            del stack[at:]

    for name in sorted(graph.modules):
        if name not in index:
            visit(name)
    assert circles == []


def test_the_graph_counts_imports_inside_functions(graph):
    """``seal run`` imports its rooms when it runs; the checks above must still see that."""
    path = SRC / "app" / "cli" / "run.py"
    tree = ast.parse(path.read_text())
    lazy = [
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and node.module == "sealwright.app"
    ]
    assert lazy
    assert "sealwright.app.wiring" in graph.find_modules_directly_imported_by(
        "sealwright.app.cli.run"
    )


def test_only_the_app_names_adapters(graph):
    adapters = graph.find_descendants("sealwright.adapters")
    users = {user for name in adapters for user in graph.find_modules_that_directly_import(name)}
    assert {".".join(user.split(".")[:2]) for user in users} <= {
        "sealwright.app",
        "sealwright.adapters",
    }


def test_importing_the_package_loads_almost_nothing():
    assert len(loaded_by("import sealwright")) <= SMALL_IMPORT


def test_help_loads_few_modules_and_none_that_is_heavy():
    code = (
        "from sealwright.app.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()): main(['--help'])"
    )
    modules = loaded_by(code)
    assert "sealwright.app.cli" in modules
    assert len(modules) <= HELP_MODULES
    assert tops(modules) & NOT_FOR_HELP == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_loads_no_numerics(command):
    code = (
        "from sealwright.app.cli import main\n"
        f"with contextlib.redirect_stdout(io.StringIO()): assert main([{command!r}, '--help']) == 0"
    )
    assert tops(loaded_by(code)) & (HEAVY | {"cryptography", "cedarpy", "asyncio"}) == set()


@pytest.mark.parametrize("room", ["core", "evidence", "vault", "policy"])
def test_a_lower_room_loads_nothing_heavy(room):
    names = sorted(
        f"sealwright.{room}.{path.stem}"
        for path in (SRC / room).glob("*.py")
        if path.stem != "__init__"
    )
    modules = loaded_by(f"import {', '.join(names)}")
    assert set(names) <= modules
    assert tops(modules) & (HEAVY | {"starlette", "flask", "asyncio"}) == set()


def port_classes() -> list[type]:
    return [
        one
        for _, one in inspect.getmembers(ports, inspect.isclass)
        if getattr(one, "_is_protocol", False) and one.__module__ == ports.__name__
    ]


def test_a_port_is_small():
    sizes = {
        port.__name__: len([name for name in vars(port) if not name.startswith("_")])
        for port in port_classes()
    }
    assert "Store" in sizes
    assert {name: size for name, size in sizes.items() if not 1 <= size <= PORT_METHODS} == {}


def test_a_file_can_be_held_in_the_head():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in SRC.rglob("*.py")
        if (lines := path.read_text("utf-8").count("\n")) > FILE_LINES
    }
    assert long == {}


def test_every_command_has_its_file_and_every_file_its_command():
    described = {
        path.stem
        for path in (SRC / "app" / "cli").glob("*.py")
        if any(
            isinstance(node, ast.FunctionDef) and node.name == "configure"
            for node in ast.parse(path.read_text("utf-8")).body
        )
    }
    assert described == set(COMMANDS)
    assert all(importlib.util.find_spec(f"sealwright.app.cli.{name}") for name in COMMANDS)


def test_the_environment_is_read_in_few_places():
    """Settings come from seal.toml and wiring; a room is told, it does not look."""
    readers = {
        path.relative_to(SRC).parts[0]
        for path in SRC.rglob("*.py")
        if "project" not in path.parts
        and ("os.environ" in (text := path.read_text("utf-8")) or "os.getenv" in text)
    }
    assert (
        readers & {"core", "evidence", "vault", "policy", "intake", "registry", "pipeline"} == set()
    )
