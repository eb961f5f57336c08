"""The ``seal`` command: a table of words, each in a file that is imported when it runs."""

from __future__ import annotations

import argparse
import atexit
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from sealwright import __version__

if TYPE_CHECKING:
    from types import ModuleType

    from sealwright.app.cli.out import Out

COMMANDS: dict[str, str] = {
    "demo": "seal a real pipeline, then attack it",
    "init": "find the train script and data; write seal.toml, policies and keys",
    "doctor": "what this machine has, what it lacks, and the line that mends it",
    "data": "add, list, verify, screen, compare and prove datasets",
    "run": "run a training command in the sealed room",
    "reproduce": "run a past run again and compare what comes out",
    "serve": "serve a model behind the guard; keys, budgets, what was answered",
    "verify": "check a dataset, a model, a run or an exported bundle",
    "model": "list, promote, roll back and export models",
    "lineage": "where a dataset or model came from and what was made of it",
    "log": "show, verify, publish, witness and mirror the log",
    "supply": "model files, bills of materials, vulnerabilities, waivers",
    "redteam": "attack a model before somebody else does",
    "policy": "check, activate and explain the rules",
    "access": "members, roles, grants, approvals; who you are",
    "secret": "keep tokens for runs without showing them to the script",
    "contain": "hold somebody or something back for a while, and let go",
    "keys": "list, rotate, shred and serve keys; how the root is kept",
    "backup": "write the workspace to one file",
    "restore": "bring a backup back, under a new log origin",
    "gc": "remove what no live version uses",
    "bench": "measure this machine against the targets",
}
"""Every command and its one line. The file is ``app/cli/<command>.py``."""

EXIT_CODES: dict[int, str] = {
    0: "passed",
    1: "refused by a gate, a policy or a verification",
    2: "could not do it: usage, bad input, a fault, or a signer nobody here trusts",
}


def command() -> NoReturn:
    """``seal``: run one command, then end the process.

    Where Arrow was at work the interpreter is not taken apart: a thread of its pool that lets go of
    a Python file at that moment aborts the process ("terminate called without an active
    exception", CPython 3.11), after all was done.
    """
    code = main()
    if "pyarrow" not in sys.modules:
        sys.exit(code)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # whoever read it has gone
            code = code or 1
    os._exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (see :data:`EXIT_CODES`)."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["--json"]:
        words = [*words[1:2], "--json", *words[2:]]
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        sys.stdout.write(f"sealwright {__version__}\n")
        return 0
    return _run(words[0], words[1:])


class Parser(argparse.ArgumentParser):
    """Faults in the words are errors like any other: one shape, also under ``--json``.

    ``default_word`` is the word that is meant where the first one is none.
    """

    default_word = ""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse, with the default word put in where it was left out."""
        given = list(args or ())
        if self.default_word and given and given[0] not in ("-h", "--help", *self._words()):
            given = [self.default_word, *given]
        return super().parse_known_args(given, namespace)

    def _words(self) -> tuple[str, ...]:
        found = [action.choices for action in self._actions if action.dest == "verb"]
        return tuple(found[0] or ()) if found else ()

    def error(self, message: str) -> NoReturn:
        """Raises: BadInput."""
        from sealwright.core.errors import BadInput

        raise BadInput(f"{self.prog}: {message}", hint=f"{self.prog} --help")


def parser_of(name: str) -> tuple[argparse.ArgumentParser, ModuleType]:
    """The argument parser of one command, and the module that runs it."""
    from importlib import import_module

    module = import_module(f"sealwright.app.cli.{name}")
    parser = Parser(
        prog=f"seal {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    module.configure(parser)
    return parser, module


def _run(name: str, words: list[str]) -> int:
    from sealwright.app.cli.out import Out
    from sealwright.core.errors import BadInput, SealError

    cut = words.index("--") if "--" in words else len(words)
    out = Out(as_json="--json" in (name, *words[:cut]))
    try:
        return _dispatch(name, words, cut, out)
    except SealError as error:
        out.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("\nseal: stopped\n")
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 2
    except OSError as error:
        out.fault(error)
        return 2
    except RecursionError:
        out.error(BadInput("something nests too deep to be read", why="over 1,000 levels"))
        return 2


def _dispatch(name: str, words: list[str], cut: int, out: Out) -> int:
    from sealwright.core.errors import BadInput

    if name not in COMMANDS:
        raise BadInput(f"no command {name!r}{_near(name)}", hint="seal --help")
    parser, module = parser_of(name)
    ours, rest = [word for word in words[:cut] if word != "--json"], words[cut:]
    # after a "--" stands somebody else's command line, where the command takes one
    takes = hasattr(module, "TAKES_COMMAND")
    try:
        args = parser.parse_args(ours if takes else [*ours, *rest])
    except SystemExit as stop:
        return int(stop.code or 0)
    args.command_line = rest[1:] if takes else []
    return int(module.run(args, out))


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [
        "seal: a sealed room for machine-learning pipelines",
        "",
        "usage: seal COMMAND [options]      seal COMMAND --help",
        "",
        *(f"  {name:<{width}}  {line}" for name, line in COMMANDS.items()),
        "",
        "references   data:NAME@N   model:NAME@N   model:NAME@ALIAS   run:ID   (latest works)",
        *(
            f"{'' if code else 'exit codes':<11}  {code} {line}"
            for code, line in EXIT_CODES.items()
        ),
        "start here   seal demo      then, in your project: seal init",
    ]
    return "\n".join(lines) + "\n"


def _near(word: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, COMMANDS, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
