"""Write docs/reference/commands.md and seal.schema.json from the code. A test compares them."""

import argparse
import io
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS_PAGE = ROOT / "docs" / "reference" / "commands.md"
SCHEMA_PAGE = ROOT / "docs" / "reference" / "seal.schema.json"


def commands_page() -> str:
    """Every command, its words and its options; argparse's own layout varies with Python."""
    from sealwright.app.cli import COMMANDS, main, parser_of

    with redirect_stdout(io.StringIO()) as top:
        main(["--help"])
    parts = [
        "# Commands\n\nMade from the code by `python scripts/reference.py`; a test compares the"
        " two. Every command also takes `--json` (one JSON object on stdout) and `--help`.\n",
        f"```\n{top.getvalue().rstrip()}\n```\n",
    ]
    for name in COMMANDS:
        parser, _ = parser_of(name)
        parts.append(f"## seal {name}\n\n```\n{(parser.description or '').strip()}\n```\n")
        parts.extend(_sections(parser, f"seal {name}"))
    return "\n".join(parts)


def words_of(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    """The words a command branches into: word, parser, one line."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            lines = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for word, sub in action.choices.items():
                yield word, sub, lines.get(word, "")


def _sections(parser: argparse.ArgumentParser, line: str) -> Iterator[str]:
    """The table of a command's arguments, then a section for each of its words."""
    table = list(_arguments(parser))
    if table:
        yield "\n".join(["| argument | |", "|---|---|", *table, ""])
    for word, sub, what in words_of(parser):
        yield f"### {line} {word}\n\n{what[:1].upper()}{what[1:]}.\n"
        yield from _sections(sub, f"{line} {word}")


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        if "--json" not in action.option_strings:
            cells = (f"`{_spelled(action)}`", action.help or "")
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells).rstrip() + " |"


def _spelled(action: argparse.Action) -> str:
    """``REF``, ``[REF ...]``, ``--last N``, ``--gpu {off,auto}``."""
    value = action.metavar or action.dest.upper()
    if action.choices:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    if action.option_strings:
        name = ", ".join(action.option_strings)
        text = name if action.nargs == 0 else f"{name} {value}"
        return f"{text} (required)" if action.required else text
    shapes = {"?": f"[{value}]", "*": f"[{value} ...]", "+": f"{value} ..."}
    return shapes.get(str(action.nargs), str(value))


def schema_page() -> str:
    """The JSON Schema of seal.toml."""
    from sealwright.core.settings import json_schema

    return json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    COMMANDS_PAGE.write_text(commands_page(), encoding="utf-8")
    SCHEMA_PAGE.write_text(schema_page(), encoding="utf-8")
    sys.stdout.write(f"wrote {COMMANDS_PAGE.name} and {SCHEMA_PAGE.name}\n")
