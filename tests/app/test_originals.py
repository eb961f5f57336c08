"""``seal data verify`` looks at the store and at what lies in the project."""

import pytest


def test_one_changed_byte_in_the_project_is_refused_by_name(project):
    path = project.root / "data" / "train.csv"
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    for words in (["data", "verify"], ["data", "verify", "train"], ["verify", "data:train@1"]):
        code, body, err = project.seal(*words)
        assert code == 1
        assert body["error"]["rule"] == "data.original-changed"
        assert body["error"]["evidence"] == ["data/train.csv"]
        assert "data/train.csv" in err
        assert body["error"]["hint"].startswith("seal data add data/train.csv --name train")


def test_the_line_that_mends_it_mends_it(project):
    path = project.root / "data" / "train.csv"
    path.write_text(path.read_text().replace("7,1\n", "7,0\n", 1))
    assert project.seal("data", "verify")[0] == 1
    project.ok("data", "add", "data/train.csv", "--name", "train", "--reason", "corrected")
    project.ok("data", "verify")
    project.ok("data", "verify", "train@1")


@pytest.mark.parametrize("change", ["rewritten", "gone"])
def test_equal_rows_in_other_bytes_and_a_missing_original_are_no_change(project, change):
    path = project.root / "data" / "train.csv"
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    project.ok("data", "verify")


def test_one_changed_file_of_a_folder_is_named(project):
    for name in "abc":
        project.write(f"notes/{name}.txt", name * 50)
    project.ok("data", "add", "notes", "--name", "notes", "--reason", "first")
    project.write("notes/b.txt", "b" * 49 + "c")
    code, body, _ = project.seal("data", "verify")
    assert (code, body["error"]["evidence"]) == (1, ["notes/b.txt"])
