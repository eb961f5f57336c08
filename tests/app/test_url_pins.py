"""``seal data add --urls``: a page that was taken over does not come in unnoticed."""

from __future__ import annotations

import json


def add(bare, *more: str) -> tuple[int, dict, str]:
    return bare.seal("data", "add", "web", "--name", "web", *more)


def test_changed_content_of_a_url_is_refused_until_somebody_takes_it_in(bare):
    for n in range(4):
        bare.write(f"web/{n}.txt", f"page {n}")
    rows = "".join(f"http://example.org/{n}.txt,{n}.txt\n" for n in range(4))
    bare.write("list.csv", "url,path\n" + rows)
    bare.ok("init")
    assert add(bare, "--urls", "list.csv", "--reason", "first")[0] == 0
    bare.write("web/4.txt", "page 4")
    code, body, _ = add(bare, "--reason", "more")
    assert (code, body["error"]["rule"]) == (1, "urls.no-list")
    bare.write("web/1.txt", "bought by somebody else")
    code, body, _ = add(bare, "--urls", "list.csv", "--reason", "more")
    assert (code, body["error"]["rule"]) == (1, "urls.changed")
    assert "http://example.org/1.txt" in body["error"]["what"]
    assert len(bare.ok("data", "log", "web")["versions"]) == 1
    assert add(bare, "--urls", "list.csv", "--repin")[0] == 2
    assert add(bare, "--urls", "list.csv", "--repin", "--reason", "looked at it")[0] == 0
    said = [e for e in bare.statements() if e["type"] == "url-pins"]
    shown = bare.ok("log", "show", "--index", str(said[-1]["index"]))["predicate"]
    assert (shown["listed"], shown["new"], shown["changed"], shown["pinned"]) == (4, 0, 1, 4)
    assert "example.org" not in json.dumps(shown)
    assert bare.ok("gc", "--yes") is not None
    assert add(bare, "--urls", "list.csv", "--reason", "again")[0] == 0


def test_a_list_that_names_a_file_elsewhere_is_refused(bare):
    bare.write("web/0.txt", "page")
    bare.write("list.csv", "url,path\nhttp://example.org/,../train.py\n")
    bare.ok("init")
    code, body, _ = add(bare, "--urls", "list.csv")
    assert (code, "no file of" in body["error"]["what"]) == (2, True)
