"""Write docs/reference/commands.md and seal.schema.json from the code. A test compares them."""

import io
import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS_PAGE = ROOT / "docs" / "reference" / "commands.md"
SCHEMA_PAGE = ROOT / "docs" / "reference" / "seal.schema.json"


def commands_page() -> str:
    """Every command with the help it prints, subcommands too."""
    import argparse

    from sealwright.app.cli import COMMANDS, main, parser_of

    os.environ["COLUMNS"] = "96"
    with redirect_stdout(io.StringIO()) as top:
        main(["--help"])
    parts = [
        "# Commands\n\nMade from the code by `python scripts/reference.py`; a test compares the two.\n",
        f"```\n{top.getvalue().rstrip()}\n```\n",
    ]
    for name in COMMANDS:
        parser, _ = parser_of(name)
        parts.append(f"## seal {name}\n\n```\n{parser.format_help().rstrip()}\n```\n")
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for word, sub in action.choices.items():
                    parts.append(
                        f"### seal {name} {word}\n\n```\n{sub.format_help().rstrip()}\n```\n"
                    )
    return "\n".join(parts)


def schema_page() -> str:
    """The JSON Schema of seal.toml."""
    from sealwright.core.settings import json_schema

    return json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    COMMANDS_PAGE.write_text(commands_page(), encoding="utf-8")
    SCHEMA_PAGE.write_text(schema_page(), encoding="utf-8")
    sys.stdout.write(f"wrote {COMMANDS_PAGE.name} and {SCHEMA_PAGE.name}\n")
