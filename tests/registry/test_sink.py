"""A bundle appears whole, and never in the place of something else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sealwright.core.errors import BadInput
from sealwright.registry import sink as sinks
from sealwright.registry.sink import Member, sink

Put = Callable[[Path], object]
APPEARS: list[tuple[str, Put]] = [
    ("a file", lambda path: path.write_text("mine")),
    ("an empty directory", lambda path: path.mkdir()),
    ("a full directory", lambda path: (path.mkdir(), (path / "a").write_text("mine"))),
    ("a link to nothing", lambda path: path.symlink_to("nowhere")),
]


@pytest.fixture(params=["renameat2", "without it"])
def kernel(request, monkeypatch) -> None:
    if request.param == "without it":
        monkeypatch.setattr(sinks, "_renamed_to_nothing", lambda source, target: False)


@pytest.mark.parametrize("name", ["bundle", "bundle.tar"])
def test_a_bundle_is_there_when_it_is_done(kernel, tmp_path: Path, name: str) -> None:
    with sink(tmp_path / name) as target:
        target.write(Member("a", 3, (b"abc",)))
        assert not (tmp_path / name).exists()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["bundle", "bundle.tar"])
@pytest.mark.parametrize("put", [put for _, put in APPEARS], ids=[name for name, _ in APPEARS])
def test_what_appears_meanwhile_is_not_overwritten(
    kernel, tmp_path: Path, name: str, put: Put
) -> None:
    out = tmp_path / name

    def write() -> None:
        with sink(out) as target:
            target.write(Member("a", 3, (b"abc",)))
            put(out)
            before.append(out.lstat().st_ino)

    before: list[int] = []
    with pytest.raises(BadInput, match="exists already"):
        write()
    assert out.lstat().st_ino == before[0]
    assert [path.name for path in tmp_path.iterdir()] == [name]
