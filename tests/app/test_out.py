"""What reaches a terminal: our words and colours, and nothing a name smuggles in."""

from __future__ import annotations

import json
import sys

import pytest

from sealwright.app.cli import out as outs
from sealwright.app.cli.out import Bar, Out
from sealwright.core.errors import BadInput, VerifyError

HOSTILE = "a\x1b[2Jb\x9bc\rd\x07e\u202ef\udcffg\x7fh\x1b]0;title\x07"
ODD = [*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), "\u202e", "\u2066", "\u2028", "\udcff"]


@pytest.fixture
def terminal(monkeypatch, capsys):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)


def is_plain(text: str) -> bool:
    return not any(each in text for each in ODD if each not in "\n\t")


def say_everything(out: Out) -> None:
    out.emit({"name": HOSTILE}, f"it is {HOSTILE}")
    out.emit({}, lambda: out.table([[HOSTILE, "1"]], ["name", "count"]))
    out.say(HOSTILE)
    out.note(HOSTILE)
    out.error(BadInput(HOSTILE, why=HOSTILE, hint=HOSTILE))
    out.error(VerifyError(HOSTILE, where=HOSTILE, rule=HOSTILE))
    out.fault(OSError(2, HOSTILE, HOSTILE))


@pytest.mark.parametrize("as_json", [False, True])
def test_no_control_character_of_a_name_reaches_the_terminal(capsys, as_json) -> None:
    say_everything(Out(as_json=as_json))
    said = capsys.readouterr()
    assert is_plain(said.out)
    assert is_plain(said.err)
    assert "\\x1b[2J" in said.err


def test_json_gives_the_name_back_to_the_last_character(capsys) -> None:
    Out(as_json=True).emit({"name": HOSTILE}, "")
    assert json.loads(capsys.readouterr().out) == {"name": HOSTILE}


def test_only_paint_colours(capsys, terminal) -> None:
    out = Out()
    fake = "\x1b[32mok\x1b[0m"
    out.say(f"{out.paint('ok', 'green')} {out.paint(fake, 'red')} {fake}")
    assert capsys.readouterr().out == (
        "\x1b[32mok\x1b[0m \x1b[31m\\x1b[32mok\\x1b[0m\x1b[0m \\x1b[32mok\\x1b[0m\n"
    )


def test_a_line_break_in_a_name_stays_in_its_cell(capsys) -> None:
    out = Out()
    out.emit({}, out.table([["a\nok  all is well", "1"]], ["name", "count"]))
    assert capsys.readouterr().out.count("\n") == 2


def test_a_line_break_in_an_error_cannot_begin_a_line_of_ours(capsys) -> None:
    Out().error(BadInput("no\nseal: sealed run:1", why="a\nsealed run:1"))
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith(("seal: sealed", "sealed", "  sealed"))] == []


def test_a_progress_line_is_one_line(capsys) -> None:
    Bar("adding").advance(1, 1, f"x\n{HOSTILE}")
    said = capsys.readouterr().err.removeprefix("\r\x1b[K")
    assert is_plain(said)
    assert "\n" not in said


def test_text_that_is_for_reading_stays_as_it_is() -> None:
    text = "Grüße, 中文, emoji 🙂, tab\tand\nline └─ tree"
    assert outs.shown(text) == text
