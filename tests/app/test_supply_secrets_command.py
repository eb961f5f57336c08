"""`seal supply secrets`: places, never values; a waiver is the baseline, and it ends."""

import json

TOKEN = "glpat-" + "x7Kq9mZ2bV4nR8tW1yLs"


def test_a_token_is_found_named_and_never_printed(project) -> None:
    project.write("lib/client.py", f"TOKEN = '{TOKEN}'\n")
    code, body, err = project.seal("supply", "secrets", ".")
    (hit,) = body["open"]
    assert (code, hit["path"], hit["line"]) == (1, "lib/client.py", 1)
    assert TOKEN not in json.dumps(body) + err


def test_a_waiver_is_the_baseline_for_one_value(project) -> None:
    project.write("a.py", f"TOKEN = '{TOKEN}'\n")
    _, body, _ = project.seal("supply", "secrets", "a.py")
    name = f"secret:{body['open'][0]['fingerprint']}"
    project.ok("supply", "waive", name, "--until", "+30d", "--reason", "the vendor's example")
    body = project.ok("supply", "secrets", "a.py")
    assert (len(body["open"]), len(body["waived"])) == (0, 1)
    project.write("a.py", f"TOKEN = '{TOKEN[:-1]}t'\n")
    assert project.seal("supply", "secrets", "a.py")[0] == 1


def test_a_secret_waiver_names_no_package(project) -> None:
    words = ("secret:0", "--package", "x", "--versions", "==1", "--until", "+1d", "--reason", "r")
    assert project.seal("supply", "waive", *words)[0] == 2
    assert project.seal("supply", "waive", "PYSEC-1", "--until", "+1d", "--reason", "r")[0] == 2


def test_a_path_that_is_not_there_is_one_clear_error(project) -> None:
    code, body, _ = project.seal("supply", "secrets", "nowhere")
    assert (code, "does not exist" in json.dumps(body)) == (2, True)


def test_without_a_workspace_it_looks_and_says_that_nothing_is_waived(bare) -> None:
    bare.write("a.py", f"TOKEN = '{TOKEN}'\n")
    first, second = (bare.seal("supply", "secrets", "a.py", "--sarif", "o.sarif") for _ in "12")
    assert (first[0], "nothing is waived" in first[2]) == (1, True)
    assert first[1]["open"][0]["fingerprint"] != second[1]["open"][0]["fingerprint"]
    (one,) = json.loads((bare.root / "o.sarif").read_text())["runs"][0]["results"]
    assert one["ruleId"] == "secret.gitlab-token"
    bare.write("a.py", "x = 1\n")
    assert bare.seal("supply", "secrets", "a.py")[0] == 0
