"""Canary records: who opens them is held, and a file that holds them is known."""

import random
import time

import pytest


@pytest.fixture
def decoys(project):
    """A dataset of customers, and decoys of it."""
    rng = random.Random(7)
    lines = ["id,city,label"]
    lines += [f"CU-{rng.randrange(10**9, 10**10)},Bern,{n % 2}" for n in range(200)]
    (project.root / "data" / "customers.csv").write_text("\n".join(lines) + "\n")
    project.ok("data", "add", "data/customers.csv", "--label", "label", "--reason", "first")
    made = project.ok(
        "data", "canary", "make", "customers", "--name", "archive", "--count", "20",
        "--reason", "last year",
    )  # fmt: skip
    assert (made["rows"], made["marked"]) == (20, 20)
    return project


def armed(project):
    project.ok("data", "canary", "arm", "archive", "--reason", "a wire")
    return project


def values(project):
    import pyarrow.parquet as pq

    return pq.read_table(project.root / "data" / "archive.parquet")["id"].to_pylist()


def test_decoys_that_are_not_armed_are_an_ordinary_dataset(decoys):
    decoys.ok("data", "read", "archive")
    assert decoys.ok("data", "canary", "list") == {"armed": []}
    assert decoys.ok("contain", "list")["containments"] == []


def test_whoever_opens_an_armed_one_gets_nothing_and_is_held(decoys):
    armed(decoys)
    assert decoys.ok("data", "canary", "list") == {"armed": ["archive"]}
    decoys.ok("data", "verify", "archive")  # what shows nobody a value trips nothing
    decoys.ok("data", "read", "customers")
    code, body, _ = decoys.seal("data", "read", "archive")
    assert (code, body["error"]["rule"]) == (1, "access.over-budget")
    held = decoys.ok("contain", "list")["containments"]
    assert {one["step"] for one in held} == {"revoke-tokens", "quarantine-principal"}
    assert {one["rule"] for one in held} == {"watch.canary"}
    code, body, _ = decoys.seal("data", "read", "customers")
    assert (code, body["error"]["rule"]) == (1, "access.quarantined")


def test_a_run_over_it_is_held_too(decoys):
    armed(decoys)
    time.sleep(1.1)  # the log's times are whole seconds
    decoys.seal("run", "--input", "archive", "--", "python", "-c", "pass")
    rules = {one["rule"] for one in decoys.ok("contain", "list")["containments"]}
    assert rules == {"watch.canary"}


def test_what_was_opened_before_it_was_armed_is_held_against_nobody(decoys):
    decoys.ok("data", "read", "archive")
    armed(decoys)
    next(decoys.state.rglob("watch.bin")).unlink()  # all is counted anew from the log
    decoys.ok("data", "read", "customers")
    assert decoys.ok("contain", "list")["containments"] == []
    decoys.ok("data", "canary", "disarm", "archive", "--reason", "done")
    decoys.ok("data", "read", "archive")


def test_the_log_does_not_say_what_is_armed(decoys):
    armed(decoys)
    (entry,) = [
        each
        for each in decoys.ok("log", "show", "--all")["entries"]
        if each["predicate_type"].endswith("canary/v1")
    ]
    assert "archive" not in str(entry)


def test_a_dump_with_decoys_is_known_with_who_opened_them(decoys):
    armed(decoys)
    decoys.seal("data", "read", "archive")
    for one in decoys.ok("contain", "list")["containments"]:
        decoys.ok("contain", "release", one["id"], "--reason", "that was me")
    dump = decoys.root / "dump.txt"
    dump.write_text("x" * 1_048_570 + values(decoys)[3] + "\n" + values(decoys)[4])  # over a block
    code, body, _ = decoys.seal("data", "canary", "look", "dump.txt", "data/customers.csv")
    assert code == 1
    (found,) = body["found"]
    assert (found["path"], found["values"], found["of"]) == ("dump.txt", 2, 20)
    assert len(found["opened"]) == 1
    assert "view, refused" in found["opened"][0]
    assert decoys.ok("data", "canary", "look", "data/customers.csv")["found"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("make", "customers", "--name", "customers"), "dataset of their own"),
        (("make", "customers", "--name", "b", "--count", "0"), "0 decoys"),
        (("make", "customers", "--name", "archive"), "there already"),
        (("arm", "nobody", "--reason", "r"), "no dataset called"),
        (("arm", "archive", "--reason", " "), "says why"),
        (("disarm", "archive", "--reason", "r"), "not armed"),
        (("look", "data/customers.csv"), "nothing is armed"),
    ],
)
def test_what_cannot_be_done_is_said(decoys, words, said):
    code, body, _ = decoys.seal("data", "canary", *words)
    assert code == 2
    assert said in str(body["error"])


def test_a_packed_file_is_not_taken_for_one_without_decoys(decoys):
    armed(decoys)
    code, body, _ = decoys.seal("data", "canary", "look", "data/archive.parquet")
    assert code == 2
    assert "not looked into" in body["error"]["what"]
    assert decoys.seal("data", "canary", "look", "gone.txt")[0] == 2


def test_decoys_without_a_mark_are_not_looked_for_as_if_none_were_there(project):
    project.ok("data", "canary", "make", "train", "--name", "old", "--reason", "last year")
    project.ok("data", "canary", "arm", "old", "--reason", "a wire")
    code, body, _ = project.seal("data", "canary", "look", "data/train.csv")
    assert (code, body["error"]["what"]) == (2, "no value of what is armed can be recognised")
