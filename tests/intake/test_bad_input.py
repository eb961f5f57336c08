"""Data that cannot be used ends in words that name the place, the rule and what mends it.

Every case leaves store and ledger as they were.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from intake_space import Space

from sealwright.core.errors import BadInput
from sealwright.intake.add import AddRequest, add

Make = Callable[[Space], str]


def csv(content: str | bytes) -> Make:
    return lambda space: space.write("bad.csv", content).name


def jsonl(content: str | bytes) -> Make:
    return lambda space: space.write("bad.jsonl", content).name


def parquet(cut: slice) -> Make:
    def make(space: Space) -> str:
        path = space.project / "bad.parquet"
        pq.write_table(pa.table({"a": list(range(100))}), path)
        path.write_bytes(path.read_bytes()[cut])
        return path.name

    return make


def no_rows(space: Space) -> str:
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), space.project / "none.parquet")
    return "none.parquet"


def damaged(space: Space) -> str:
    path = space.project / "bad.parquet"
    pq.write_table(pa.table({"a": [f"text {i}" for i in range(5000)]}), path, compression="zstd")
    data = bytearray(path.read_bytes())
    data[200:1200] = bytes(1000)
    path.write_bytes(data)
    return path.name


def twice(space: Space) -> str:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(table, space.project / "twice.parquet")
    return "twice.parquet"


def other_types(space: Space) -> str:
    (space.project / "t").mkdir()
    pq.write_table(pa.table({"a": [1]}), space.project / "t" / "0.parquet")
    pq.write_table(pa.table({"a": ["x"]}), space.project / "t" / "1.parquet")
    return "t"


def other_columns(space: Space) -> str:
    space.write("t/0.csv", "a,b\n1,2\n")
    space.write("t/1.csv", "a,c\n1,2\n")
    return "t"


def loop(space: Space) -> str:
    (space.project / "loop").symlink_to("loop")
    return "loop"


def loop_inside(space: Space) -> str:
    space.write("t/a.txt", "x")
    (space.project / "t" / "loop").symlink_to("loop")
    return "t"


def folder_loop(space: Space) -> str:
    space.write("t/a.txt", "x")
    (space.project / "t" / "up").symlink_to("..")
    return "t"


def link_inside(space: Space) -> str:
    space.write("t/a.txt", "x")
    (space.project / "t" / "b.txt").symlink_to("a.txt")
    return "t"


def outside(space: Space) -> str:
    path = space.project.parent / "outside.csv"
    path.write_text("a\n1\n")
    return str(path)


def link_outside(space: Space) -> str:
    outside(space)
    (space.project / "in.csv").symlink_to(space.project.parent / "outside.csv")
    return "in.csv"


def fifo(space: Space) -> str:
    os.mkfifo(space.project / "pipe")
    return "pipe"


def fifo_inside(space: Space) -> str:
    space.write("t/a.txt", "x")
    os.mkfifo(space.project / "t" / "pipe")
    return "t"


def a_socket(space: Space) -> str:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("sock")
    return "sock"


def empty_folder(space: Space) -> str:
    (space.project / "none" / "inner").mkdir(parents=True)
    return "none"


def only_hidden(space: Space) -> str:
    space.write("t/_SUCCESS", "")
    space.write("t/.a.csv", "a\n1\n")
    return "t"


def odd_name(space: Space) -> str:
    (space.project / "t").mkdir()
    (Path(os.fsdecode(os.fsencode(space.project / "t")) + "/" + os.fsdecode(b"\xff.txt"))).touch()
    return "t"


CASES: list[tuple[str, Make, str]] = [
    ("empty csv", csv(""), r"bad\.csv is empty"),
    ("header only", csv("a,b\n"), r"bad\.csv has 0 rows"),
    ("no header", csv("\n"), r"bad\.csv has no header line"),
    ("long row", csv('a,b\n1,2\n"x\ny",2\n1,2,3\n'), r"line 5 has 3 cells, the header has 2"),
    ("short row", csv("a,b\n1,2\n1\n"), r"line 3 has 1 cells, the header has 2"),
    ("late ragged row", csv("a,b\n" + "1,2\n" * 400_000 + "1\n"), r"line 400002 has 1 cells"),
    ("open quote", csv('a,b\n1,2\n3,"4\n5\n'), r"the record on line 3 and never closed"),
    (
        "open quote over rows",
        csv('a,b\n1,"2\n3,4\n5,6\n'),
        r"the record on line 2 and never closed",
    ),
    ("open quote in the header", csv('a,"b\n1,2\n'), r"the record on line 1 and never closed"),
    ("open quote last", csv('a\n"x\ny"\n"'), r"the record on line 4 and never closed"),
    ("open quote, ragged", csv('a,b\n1,2\n"3,4\n'), r"the record on line 3 and never closed"),
    ("open quote, long", csv('a\n"' + "x\n" * 200_000), r"line 2 .*never closed"),
    ("latin-1", csv("a,b\n1,caf\xe9\n".encode("latin-1")), r"byte 9 \(line 2\) is not UTF-8"),
    ("latin-1 header", csv("caf\xe9,b\n1,2\n".encode("latin-1")), r"byte 3 \(line 1\)"),
    ("utf-16", csv("a,b\n1,2\n".encode("utf-16")), r"byte 0 \(line 1\) is not UTF-8"),
    ("duplicate columns", csv("a,b,a\n1,2,3\n"), r"two columns are called 'a'"),
    ("json ends early", jsonl('{"a":1}\n{"a":\n'), r"line 2 is not one JSON object"),
    ("json list", jsonl("[1]\n"), r"line 1 is not a JSON object"),
    ("json duplicate", jsonl('{"a":1}\n{"a":1,"a":2}\n'), r"line 2 is not one JSON object"),
    ("json mixed", jsonl('{"a":1}\n\n{"a":"x"}\n'), r"line 3: a is text, it was a number before"),
    ("json spread", jsonl('{"a":\n1}\n'), r"line 1 is not one JSON object"),
    ("json two on a line", jsonl('{"a":1}{"a":2}\n'), r"line 1 is not one JSON object"),
    ("json latin-1", jsonl(b'{"a":"x"}\n{"a":"\xe9"}\n'), r"byte 16 \(line 2\) is not UTF-8"),
    ("json blank", jsonl("\n\n"), r"bad\.jsonl has 0 rows"),
    ("empty parquet", parquet(slice(0, 0)), r"bad\.parquet is empty"),
    ("truncated parquet", parquet(slice(0, -50)), r"bad\.parquet is a truncated Parquet file"),
    ("headless parquet", parquet(slice(10, None)), r"bad\.parquet is not a Parquet file"),
    ("damaged parquet", damaged, r"bad\.parquet is a damaged Parquet file"),
    ("parquet without rows", no_rows, r"none\.parquet has 0 rows"),
    ("parquet duplicate columns", twice, r"two columns are called 'a'"),
    ("shards of two types", other_types, r"t/1\.parquet: column 'a' is string, it is int in"),
    ("shards of two headers", other_columns, r"t/1\.csv has other columns"),
    ("symlink loop", loop, r"loop is a symbolic link that leads back to itself"),
    ("symlink loop in a folder", loop_inside, r"loop is a symbolic link that leads back"),
    ("folder that contains itself", folder_loop, r"up is a symbolic link"),
    ("link in a folder", link_inside, r"b\.txt is a symbolic link"),
    ("outside the project", outside, r"outside\.csv lies outside the project"),
    ("link to outside", link_outside, r"in\.csv lies outside the project"),
    ("named pipe", fifo, r"pipe is a named pipe"),
    ("named pipe in a folder", fifo_inside, r"pipe is a named pipe"),
    ("socket", a_socket, r"sock is a socket"),
    ("nothing there", lambda _: "data/trian.csv", r"data/trian\.csv does not exist"),
    ("empty folder", empty_folder, r"none has no files in it"),
    ("only hidden files", only_hidden, r"t has only hidden files in it"),
    ("name not UTF-8", odd_name, r"a file name is not UTF-8"),
]


@pytest.mark.parametrize(("make", "says"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_bad_input_is_named_and_changes_nothing(space: Space, make: Make, says: str) -> None:
    space.write("good.csv", "a\n1\n")
    space.add("good.csv", "bad")
    path = make(space)
    before = space.contents()
    with pytest.raises(BadInput, match=says) as caught:
        space.add(path, "bad")
    assert caught.value.hint
    assert caught.value.exit_code == 2
    assert space.contents() == before


def test_a_first_version_that_is_refused_leaves_no_trace(space: Space) -> None:
    space.write("bad.csv", "a,b\n1\n")
    before = {*space.contents(), *os.listdir(space.state / "keys")}
    with pytest.raises(BadInput):
        space.add("bad.csv")
    assert {*space.contents(), *os.listdir(space.state / "keys")} == before
    assert not (space.seal / "store").exists()


@pytest.mark.parametrize("role", ["label", "key"])
def test_a_missing_column_is_told_with_the_one_that_was_meant(space: Space, role: str) -> None:
    space.write("a.csv", "id,target\n1,2\n")
    with pytest.raises(BadInput, match=f"no column 'tarqet' to be the {role}") as caught:
        space.add("a.csv", **{role: "tarqet"})
    assert caught.value.hint == f"did you mean --{role} target?"


def test_a_path_that_does_not_exist_suggests_a_close_one(space: Space) -> None:
    space.write("data/train.csv", "a\n1\n")
    with pytest.raises(BadInput) as caught:
        space.add("data/trian.csv")
    assert caught.value.hint.endswith("data/train.csv?")


def test_an_invalid_name_is_refused_before_anything_is_read(space: Space) -> None:
    with pytest.raises(BadInput, match="cannot be a name"):
        space.add("nowhere", "Not A Name")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(space: Space) -> None:
    space.write("a.csv", "a\n1\n").chmod(0)
    with pytest.raises(BadInput, match=r"a\.csv cannot be read"):
        space.add("a.csv")


class Meddler:
    """Progress that changes the file while it is read."""

    def __init__(self, path: Path, at: int, what: Callable[[Path], None]) -> None:
        self.path, self.at, self.what = path, at, what

    def advance(self, done: int, total: int, what: str) -> None:
        if done >= self.at and self.path is not None:
            self.what(self.path)
            self.at = total + 1


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"9,9\n")


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4)
        file.write(b"7,7\n")


def swap(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes().replace(b"1,2", b"3,4"))
    other.replace(path)


@pytest.mark.parametrize("reference", [False, True], ids=["stored", "external"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("what", [append, overwrite])
def test_a_file_that_changes_while_it_is_read_is_refused(
    space: Space, what: Callable[[Path], None], share: float, reference: bool
) -> None:
    path = space.write("a.csv", "a,b\n" + "1,2\n" * 600_000)
    meddler = Meddler(path, int(path.stat().st_size * 3 * share), what)
    before = space.contents()
    request = AddRequest(str(path), "d", "ann", reference=reference)
    with pytest.raises(BadInput, match="changed while it was read"):
        add(request, space.ports, meddler)
    assert space.contents() == before


def test_a_file_that_is_swapped_between_two_readings_is_refused(space: Space) -> None:
    path = space.write("a.csv", "a,b\n" + "1,2\n" * 1000)
    meddler = Meddler(path, 1, swap)
    with pytest.raises(BadInput, match="changed while it was read"):
        add(AddRequest(str(path), "d", "ann"), space.ports, meddler)
    assert space.datasets.all() == ()
