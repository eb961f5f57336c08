"""A class of the team's own counts once another person approved it, and not before."""

from __future__ import annotations

from access_house import Office

HOLDS_IT = b"\x80\x02cfraudkit.net\nNet\n)\x81}b."
ALLOW = ("supply", "allow", "fraudkit.net.Net", "--source", "fraudkit/net.py", "--reason", "ours")


def word(office: Office) -> str:
    _, body = office.seal("olga", "supply", "scan", "m.pkl", "--level", "project")[:2]
    return str(body["files"][0]["verdict"])


def test_in_team_a_class_counts_once_somebody_else_approved_it(office: Office) -> None:
    (office.root / "m.pkl").write_bytes(HOLDS_IT)
    (office.root / "fraudkit").mkdir()
    (office.root / "fraudkit" / "net.py").write_text("class Net:\n    pass\n")
    asked = office.ok("olga", *ALLOW)
    assert word(office) == "not understood"
    office.ok("olga", "access", "approve", asked["request"], "--reason", "my own")
    assert word(office) == "not understood"
    office.ok("rita", "access", "approve", asked["request"], "--reason", "looked at it")
    assert word(office) == "clean"
    (office.root / "fraudkit" / "net.py").write_text("class Net:\n    x = 1\n")
    assert word(office) == "not understood"
