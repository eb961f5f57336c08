"""``seal supply allow``: a class counts while its source is what was signed."""

HOLDS_IT = b"\x80\x02cfraudkit.net\nNet\n)\x81}b."


def word(project, level: str) -> str:
    return project.seal("supply", "scan", "m.pkl", "--level", level)[1]["files"][0]["verdict"]


def test_a_signed_class_is_clean_at_level_project_until_its_source_changes(project):
    (project.root / "m.pkl").write_bytes(HOLDS_IT)
    source = project.write("fraudkit/net.py", "class Net:\n    pass\n")
    assert word(project, "project") == "not understood"
    given = ("supply", "allow", "fraudkit.net.Net", "--source", "fraudkit/net.py")
    project.ok(*given, "--reason", "ours")
    assert word(project, "project") == "clean"
    assert word(project, "framework") == "not understood"
    source.write_text("class Net:\n    x = 1\n")
    assert word(project, "project") == "not understood"
    project.ok(*given, "--reason", "ours, changed")
    assert word(project, "project") == "clean"
    project.ok(*given, "--end", "--reason", "weights now")
    assert word(project, "project") == "not understood"


def test_what_a_library_leaves_out_cannot_be_allowed(project):
    project.write("x.py", "x = 1\n")
    code, body, _ = project.seal(
        "supply", "allow", "os.system", "--source", "x.py", "--reason", "please"
    )
    assert (code, body["error"]["rule"]) == (1, "supply.allow-library")
    code, _, _ = project.seal("supply", "allow", "a.B", "--source", "/etc/hosts", "--reason", "x")
    assert code == 2
    code, _, _ = project.seal("supply", "allow", "a.B", "--source", "x.py")
    assert code == 2
