"""Credentials under one coat are found, look-alikes are not, and no value leaves."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
from random import Random

import pytest

from sealwright.app.bench import secretplant
from sealwright.supply import secretscan

KEY = b"k" * 32
AWS = "AKIA" + "Q3EGRIHCTTV5KJ7W"
TOKEN = "glpat-" + "x7Kq9mZ2bV4nR8tW1yLs"
ASSIGNED = "D7f-" + "Tr0ub4dor&3xkcd!"


def kinds(path: str, data: bytes) -> list[tuple[str, str, int]]:
    return [(h.pattern, h.coat, h.line) for h in secretscan.scan(path, data, KEY).hits]


def test_a_provider_token_is_found_with_its_line() -> None:
    assert kinds("train.py", f"import os\nKEY = '{AWS}'\n".encode()) == [("aws-key-id", "text", 2)]


def test_a_notebooks_outputs_are_read_cell_by_cell() -> None:
    cells = [{"source": ["x = 1"]}, {"source": [], "outputs": [{"text": ["a\n", f"{TOKEN}\n"]}]}]
    (hit,) = secretscan.scan("n.ipynb", json.dumps({"cells": cells}).encode(), KEY).hits
    assert (hit.cell, hit.line, hit.coat, hit.place) == (2, 2, "notebook", "n.ipynb cell 2:2")


@pytest.mark.parametrize("name", ["a.ipynb", "b.ipynb"])
def test_a_broken_notebook_is_read_as_text(name: str) -> None:
    assert kinds(name, f'{{"cells": [{TOKEN}'.encode()) == [("gitlab-token", "text", 1)]


def test_base64_is_taken_off_once() -> None:
    coat = base64.b64encode(f"token is {TOKEN} ok".encode())
    assert kinds("conf.yaml", b"a: 1\nb: " + coat) == [("gitlab-token", "base64", 2)]


def test_gzip_is_taken_off_once() -> None:
    assert kinds("log.gz", gzip.compress(f"x\n{TOKEN}\n".encode())) == [("gitlab-token", "gzip", 2)]


def test_the_strings_of_a_pickle_are_read_and_nothing_is_loaded() -> None:
    data = pickle.dumps({"weights": bytes(range(256)) * 4, "note": f"key {TOKEN} end"})
    assert [kind for kind, coat, _ in kinds("model.pkl", data) if coat == "strings"] == [
        "gitlab-token"
    ]


def test_utf_16_is_text() -> None:
    assert kinds("win.txt", f"a\n{TOKEN}\n".encode("utf-16"))[0][0] == "gitlab-token"


def test_an_assignment_in_settings_is_a_secret_and_an_expression_in_code_is_not() -> None:
    assert kinds(".env", f"DB_PASSWORD={ASSIGNED}\n".encode())
    assert not kinds("x.py", b"_PrivateKey = ed25519.Ed25519PrivateKey | None\n")
    assert kinds("x.py", f'password = "{ASSIGNED}"\n'.encode())


@pytest.mark.parametrize(
    "text",
    [
        'LABEL_KEY = "record-nonce/v1"',
        'api_key = "your-api-key-here"',
        'api_key = os.environ["API_KEY"]',
        'token = "{{ vault.token }}"',
        "etag: 9e107d9d372bb6826bd81d3542a419d6",
        "sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        'secret_id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"',
        'f"room:x:{password}"',
        "password = getpass.getpass()",
        'cache_key = "3ad4f211b78fae7bf5bbed12d216d8ab43ed756b"',
        'secret_arn = "arn:aws:secretsmanager:eu-west-1:140682078109:secret:harbor-a1B2c3"',
        'secret = "projects/yarrow/secrets/amber/versions/2"',
    ],
)
@pytest.mark.parametrize("name", ["x.py", "conf.yaml"])
def test_what_only_looks_like_one_is_not(name: str, text: str) -> None:
    assert kinds(name, text.encode()) == []


def test_a_token_counts_only_while_its_checksum_holds() -> None:
    token = secretplant._checked(Random(7), "ghp").value
    assert kinds("a.py", f"t = '{token}'".encode()) == [("github-token", "text", 1)]
    other = token[:9] + ("x" if token[9] != "x" else "y") + token[10:]
    assert kinds("a.py", f"sample = '{other}'".encode()) == []


def test_no_value_is_in_what_comes_back() -> None:
    said = repr(secretscan.scan("a", f"{AWS} {TOKEN}".encode(), KEY))
    assert AWS not in said
    assert TOKEN not in said


def test_a_fingerprint_is_equal_for_equal_values_and_only_under_one_key() -> None:
    one, other = (secretscan.scan(p, TOKEN.encode(), KEY).hits[0] for p in ("a", "b"))
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != secretscan.scan("a", TOKEN.encode(), b"z" * 32).hits[0].fingerprint


def test_a_file_that_is_too_large_says_so(monkeypatch) -> None:
    monkeypatch.setattr(secretscan, "MOST_BYTES", 1000)
    assert secretscan.scan("big", b"x" * 1001, KEY).cut
    assert secretscan.scan("big.gz", gzip.compress(b"x" * 5000), KEY).cut
    assert not secretscan.scan("small", b"x" * 999, KEY).cut


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b", b"\x1f\x8bgarbage", b"\xff\xfe", b"\0" * 50])
def test_bad_files_give_nothing_and_no_traceback(data: bytes) -> None:
    assert secretscan.scan("x", data, KEY).hits == ()


# in pieces, so that nobody's scanner takes this file for a leak
WORN = "dGhpc0lz" + "Tm90TXlQYXNzd29yZDE="
FORMS = [
    ("kubernetes-secret", f"kind: Secret\nmetadata:\n  name: db\ndata:\n  password: {WORN}\n"),
    ("kubernetes-secret-above", f"\ndata:\n  password: {WORN}\nkind: Secret\n"),
    ("docker-auth", '{"auths": {"quay.io": {"auth": "' + "Ym9iOmh1bnRlcjI0Mg==" + '"}}}'),
    ("curl-user", "curl -k https://h:9200 \\\n -u elastic:" + "Tr0ub4dor-3x"),
    ("assigned-secret", 'var apiToken string = "' + "Zf3D0LXCM3EIMbgJpUNnkRtO" + '"'),
    ("assigned-secret", "<password>" + "Tr0ub4dor-3x" + "</password>"),
    ("assigned-secret", '<add key="Password" value="' + "Tr0ub4dor-3x" + '" />'),
    ("assigned-secret", "registry/:_authToken=" + "743b294a-cd03-11ec-9d64-0242ac120002"),
    ("authorization-header", "Authorization: Token " + "22cb987851bc5659229114c62e60c79abd0d2c08"),
    ("sonar-token", "squ_" + "3f1b9c0de5a74682b1c0d9e8f7a6b5c4d3e2f1a0"),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "text"), FORMS)
def test_a_secret_is_found_in_the_form_its_program_writes_it(pattern: str, text: str) -> None:
    assert pattern in [kind for kind, _, _ in kinds("a.txt", text.encode())]


@pytest.mark.parametrize(
    "text",
    [
        "kind: Secret\nmetadata:\n  name: db\ntype: Opaque\n",
        "kind: ConfigMap\ndata:\n  color: blue\n",
        "curl -u $USER:$PASSWORD https://h",
        "token_id = 743b294a-cd03-11ec-9d64-0242ac120002",
        'tokenId: "743b294a-cd03-11ec-9d64-0242ac120002"',
        "eyJhbGciOi...",
    ],
)
def test_what_only_looks_like_such_a_form_is_none(text: str) -> None:
    assert kinds("a.txt", text.encode()) == []
