"""The documentation is held to the code: what is undocumented, stale or broken fails here."""

import ast
import importlib
import importlib.util
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from sealwright.app.cli import COMMANDS, EXIT_CODES, parser_of
from sealwright.app.cli.bench import BENCHES
from sealwright.core import predicates, settings
from sealwright.core.errors import SealError

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src" / "sealwright"
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
MADE = REFERENCE / "commands.md"
FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.M | re.S)


def reference_script():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE_SCRIPT = reference_script()


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def written() -> str:
    """Every page that a person wrote."""
    return "\n".join(page.read_text("utf-8") for page in PAGES if page != MADE)


def table_of(page: Path) -> list[list[str]]:
    """The cells of every row that starts with code, as text."""
    rows = (line for line in page.read_text("utf-8").splitlines() if line.startswith("| `"))
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SRC.rglob("*.py")):
        if "project" not in path.parts:  # the demo's own scripts
            name = ".".join(path.relative_to(SRC.parent).with_suffix("").parts)
            yield name.removesuffix(".__init__"), ast.parse(path.read_text("utf-8"))


# -- commands ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "make"),
    [
        (REFERENCE_SCRIPT.COMMANDS_PAGE, REFERENCE_SCRIPT.commands_page),
        (REFERENCE_SCRIPT.SCHEMA_PAGE, REFERENCE_SCRIPT.schema_page),
    ],
    ids=["commands.md", "seal.schema.json"],
)
def test_the_generated_reference_is_what_the_code_gives(page, make):
    assert page.read_text("utf-8") == make(), "run: python scripts/reference.py"


def command_lines(parser, line: str) -> Iterator[str]:
    inner = list(REFERENCE_SCRIPT.words_of(parser))
    if not inner:
        yield line
    for word, sub, _ in inner:
        yield from command_lines(sub, f"{line} {word}")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_word_is_written_about(command):
    text = re.sub(r"\s+", " ", written())
    lines = command_lines(parser_of(command)[0], f"seal {command}")
    assert [line for line in lines if not re.search(rf"\b{line}\b", text)] == []


def fenced(page: Path) -> Iterator[str]:
    """The ``seal`` lines of a page's code blocks, as typed: no prompt, comment or redirection."""
    for block in FENCE.findall(page.read_text("utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            typed = re.split(r"\s+#|\s{2,}(?![-\[])", line.strip().removeprefix("$ "))[0]
            if typed.startswith("seal "):
                yield typed


def simple_commands(line: str) -> Iterator[list[str]]:
    """The commands of a shell line, cut at ``;``, ``&&``, ``|`` and what is redirected."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for token in [*lexer, ";"]:
        if token and set(token) <= set(";&|"):
            if words:
                yield words
            words = []
        else:
            words.append(token)


def as_parsed(words: list[str]) -> None:
    """Raises BadInput or SystemExit if the real parser would not take it."""
    cut = next((at for at, word in enumerate(words) if set(word) <= set("<>")), len(words))
    parser, module = parser_of(words[1])
    typed = [word for word in words[2:cut] if word != "--json"]
    if hasattr(module, "TAKES_COMMAND") and "--" in typed:
        typed = typed[: typed.index("--")]
    parser.parse_args(typed)


LINES = [(page, line) for page in PAGES for line in fenced(page) if page != MADE]


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{shown(p)}: {t}" for p, t in LINES])
def test_a_command_line_in_the_docs_parses(page, line):
    for words in simple_commands(re.sub(r"\[--|\]|\[(?=[A-Z])", "", line)):
        if words[0] == "seal" and "--help" not in words and "--version" not in words:
            assert words[1] in COMMANDS, line
            as_parsed(words)


def test_the_first_screens_really_hold_command_lines():
    assert len(LINES) > 40


def inline(text: str) -> Iterator[list[str]]:
    """The words of each ``seal …`` or ``make …`` in backticks."""
    for code in re.findall(r"(?<!`)`((?:seal|make)\s[^`]+)`", FENCE.sub("", text)):
        yield code.split()


def is_real(words: list[str]) -> bool:
    """Do the command and its words exist? What follows them may be left out in prose."""
    if words[0] == "make":
        return re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M) is not None
    if words[1] in ("--help", "--version", "COMMAND"):
        return True
    if words[1] not in COMMANDS:
        return False
    parser, rest = parser_of(words[1])[0], words[2:]
    while inner := {word: sub for word, sub, _ in REFERENCE_SCRIPT.words_of(parser)}:
        rest = [word for word in rest if word != "--json"]
        if not rest or not re.fullmatch(r"[a-z][a-z-]*", rest[0]):
            return True
        if rest[0] not in inner:
            return False
        parser, rest = inner[rest[0]], rest[1:]
    known = {option for action in parser._actions for option in action.option_strings}
    cut = rest.index("--") if "--" in rest else len(rest)
    options = [word.split("=")[0] for word in rest[:cut] if re.match(r"--[a-z]", word)]
    return set(options) <= known | {"--json"}


@pytest.mark.parametrize("page", [page for page in PAGES if page != MADE], ids=shown)
def test_a_command_in_a_sentence_exists(page):
    unreal = [words for words in inline(page.read_text("utf-8")) if not is_real(words)]
    assert unreal == []


def test_the_readme_shows_the_two_commands_and_ci_finds_the_test_command():
    readme = (ROOT / "README.md").read_text("utf-8")
    first = readme.splitlines()[:40]
    assert any(line.startswith("make demo") for line in first)
    assert any(line.startswith("make test") for line in first)
    pattern = re.search(r"sed -n '(.*?)' README\.md", (ROOT / ".ci" / "run").read_text())
    found = subprocess.run(
        ["sed", "-n", pattern[1], str(ROOT / "README.md")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert found.splitlines()[0] == "make test"
    made = re.findall(r"^make (\w+)", "\n".join(FENCE.findall(readme)), re.M)
    assert all(is_real(["make", target]) for target in made)


# -- settings, exit codes, errors, environment, benches, predicates --------------------------


def defaults() -> dict[str, object]:
    """``room.files`` → 100000, for every key that has a default."""
    found: dict[str, object] = {}

    def walk(kind: type, prefix: str) -> None:
        for field in msgspec.structs.fields(kind):
            inner = (field.type, *getattr(field.type, "__args__", ()))
            struct = next(
                (x for x in inner if isinstance(x, type) and issubclass(x, msgspec.Struct)), None
            )
            named = "NAME." if field.type is not struct else ""
            if struct is not None:
                walk(struct, f"{prefix}{field.name}.{named}")
            elif field.default is not msgspec.NODEFAULT:
                found[prefix + field.name] = field.default
            elif field.default_factory is not msgspec.NODEFAULT:
                found[prefix + field.name] = field.default_factory()

    walk(settings.Settings, "")
    return found


def test_every_setting_is_documented_with_its_default_and_no_other_is():
    rows = {
        row[0].strip("`"): row[1] for row in table_of(REFERENCE / "settings.md") if len(row) == 3
    }
    paths = {path for path, _ in settings.describe()}
    assert set(rows) == paths
    has = defaults()
    assert {path for path, cell in rows.items() if cell == "required"} == paths - set(has)
    for path, cell in rows.items():
        if cell.startswith("`"):
            assert tomllib.loads(f"x = {cell.strip('`')}")["x"] == has[path], path


def test_every_exit_code_is_documented_in_the_words_of_the_program():
    text = (REFERENCE / "exit-codes.md").read_text("utf-8")
    assert dict(re.findall(r"^\| (\d) \| (.*) \|$", text, re.M)) == {
        str(code): line for code, line in EXIT_CODES.items()
    }


def errors() -> dict[str, type[SealError]]:
    """Every class below SealError, by its name, wherever it is defined."""
    found: dict[str, type[SealError]] = {}
    bases = {
        node.name: (name, [ast.unparse(base).split(".")[-1] for base in node.bases])
        for name, tree in modules()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    known = {"SealError"}
    while new := {name for name, (_, of) in bases.items() if known & set(of)} - known:
        known |= new
    for name in known - {"SealError"}:
        found[name] = getattr(importlib.import_module(bases[name][0]), name)
    return found


def test_every_error_kind_is_documented_with_its_exit_code_and_no_other_is():
    rows = {row[0].strip("`"): int(row[1]) for row in table_of(REFERENCE / "exit-codes.md")}
    assert rows == {name: kind.exit_code for name, kind in errors().items()}


def variables() -> Iterator[str]:
    """Names read from the environment anywhere in the program."""
    ours = {"sealwright.train.audit_hook"}  # told by one of our processes to another
    for name, tree in modules():
        if name in ours:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "os.environ.get",
                "os.getenv",
            ):
                key = node.args[0]
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
                key = node.slice
            else:
                continue
            if isinstance(key, ast.Constant):
                yield key.value


def test_every_environment_variable_that_is_read_is_documented():
    rows = {row[0].strip("`") for row in table_of(REFERENCE / "settings.md") if len(row) == 2}
    read = set(variables()) - {"HOME", "PATH"}
    assert {"SEAL_PASSPHRASE", "XDG_STATE_HOME"} <= read
    assert rows == read


def test_every_bench_is_documented():
    text = (DOCS / "benchmarks.md").read_text("utf-8")
    assert [name for name in BENCHES if f"`{name}`" not in text] == []


def test_every_predicate_has_its_section():
    text = (DOCS / "spec" / "predicates.md").read_text("utf-8")
    headed = {
        name.strip()
        for line in re.findall(r"^## (.*)$", text, re.M)
        for name in line.replace("`", "").split(",")
    }
    names = {uri.removesuffix("/v1").split(":")[-1].split("/")[-1] for uri in predicates.ALL}
    assert names <= headed


# -- capabilities -----------------------------------------------------------------------------


def capabilities() -> list[list[str]]:
    text = (DOCS / "capabilities.md").read_text("utf-8")
    return re.findall(r"^\| (\d+) \| (.+?) \| (.+) \|$", text, re.M)


def test_the_capabilities_are_numbered_one_to_sixty_six():
    assert [int(number) for number, _, _ in capabilities()] == list(range(1, 67))


@pytest.mark.parametrize(("number", "what", "today"), capabilities())
def test_a_capability_names_a_real_command_or_says_not_yet(number, what, today):
    named = list(inline(today))
    assert all(is_real(words) for words in named)
    assert named or "not yet" in today.lower()


# -- links and words --------------------------------------------------------------------------


def slug(heading: str) -> str:
    """The anchor that a Markdown heading gets."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def links(page: Path) -> Iterator[tuple[str, str]]:
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text("utf-8")))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield path, anchor


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_no_relative_link_is_broken(page):
    broken = []
    for path, anchor in links(page):
        target = page.parent / path if path else page
        if not target.exists():
            broken.append(path)
        elif anchor and target.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", FENCE.sub("", target.read_text("utf-8")), re.M)
            if anchor not in map(slug, headings):
                broken.append(f"{path}#{anchor}")
    assert broken == []


def test_every_page_can_be_reached_from_the_index():
    reached, ahead = set(), [DOCS / "README.md", ROOT / "README.md"]
    while ahead:
        page = ahead.pop().resolve()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        ahead += [page.parent / path for path, _ in links(page) if path]
    assert [shown(page) for page in PAGES if page not in reached] == []


def forbidden() -> list[str]:
    """Words that belong on no other machine; in pieces, so that they are not here either."""
    hosts = [
        ("pypi", ".org"),
        ("python", "hosted.org"),
        ("deb.debian", ".org"),
        ("security.debian", ".org"),
        ("archive.ubuntu", ".com"),
        ("registry.", "npmjs", ".org"),
        ("proxy.golang", ".org"),
        ("download.pytorch", ".org"),
        ("conda.anaconda", ".org"),
    ]
    paths = [("/work", "/main"), ("/work", "/shared"), ("/tmp", "/plan"), ("/home/", "runner")]
    return ["".join(parts) for parts in (*hosts, *paths)]


def tracked() -> list[Path]:
    """What git tracks; in a tree without git, everything but what tools leave."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return [ROOT / name for name in done.stdout.split("\0") if name]
    skipped = {".venv", "build", ".git", "__pycache__", ".hypothesis"}
    made = {".so", ".pyc"}
    return [
        path
        for path in ROOT.rglob("*")
        if not skipped & set(path.relative_to(ROOT).parts) and path.suffix not in made
    ]


def test_nothing_tracked_names_a_registry_or_a_build_machine():
    words = re.compile("|".join(map(re.escape, forbidden())), re.I)
    found = [
        f"{shown(path)}: {hit[0]}"
        for path in tracked()
        if path.is_file() and (hit := words.search(path.read_text("utf-8", errors="replace")))
    ]
    assert found == []
