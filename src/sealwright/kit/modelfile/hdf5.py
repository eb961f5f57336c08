"""HDF5 files of Keras, read by h5py in a child of their own: its C code meets hostile bytes there.

The parent gets text: the model's configuration, and whatever makes the file more than weights.
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import msgspec

from sealwright.kit.modelfile import keras
from sealwright.kit.modelfile.child import walls
from sealwright.kit.modelfile.limits import Limits
from sealwright.kit.modelfile.report import Found, Unsound

MAGIC = b"\x89HDF\r\n\x1a\n"
_OBJECTS = 200_000


class Seen(msgspec.Struct, frozen=True):
    """What the child read. ``config`` is empty where there is only weights."""

    config: str = ""
    outside: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    missing: bool = False
    objects: int = 0


def judge(data: bytes, where: str, limits: Limits) -> Iterator[Found]:
    """Raises: Unsound (``file.extra``, ``hdf5.*``, ``keras.*``)."""
    command = [sys.executable, "-I", "-m", "sealwright.kit.modelfile.hdf5"]
    try:
        done = subprocess.run(
            [*command, str(limits.child_bytes), str(limits.child_s)],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=limits.child_s,
            env={},
            cwd="/",
            check=False,
        )
        seen = msgspec.json.decode(done.stdout, type=Seen)
    except subprocess.TimeoutExpired as error:
        raise Unsound("hdf5.unknown", "reading it took too long") from error
    except msgspec.DecodeError as error:
        raise Unsound("hdf5.unknown", "its reader died or could not read it") from error
    if seen.missing:
        raise Unsound("file.extra", "HDF5 is read with h5py, which is not installed")
    for name in seen.outside:
        yield Found("hdf5.link", f"{name[:80]!r} is in another file", where)
    for name in seen.odd:
        yield Found("hdf5.unknown", f"{name[:80]!r} is no array of numbers or text", where)
    if seen.config:
        yield from keras.judge(seen.config, where)


def main() -> None:
    """The child: HDF5 on stdin, what it holds on stdout."""
    data = sys.stdin.buffer.read()
    try:
        h5py = import_module("h5py")
    except ImportError:
        sys.stdout.buffer.write(msgspec.json.encode(Seen(missing=True)))
        return
    walls(int(sys.argv[1]), int(sys.argv[2]))
    with h5py.File(io.BytesIO(data), "r") as file:
        sys.stdout.buffer.write(msgspec.json.encode(_seen(h5py, file)))


def _seen(h5py: Any, file: Any) -> Seen:
    config = file.attrs.get("model_config", "")
    if isinstance(config, bytes):
        config = config.decode("utf-8")
    outside, odd, ahead, count = list[str](), list[str](), [file], 0
    while ahead:
        group = ahead.pop()
        for name in group:
            count += 1
            if count > _OBJECTS:
                return Seen(odd=("too many objects",))
            link = group.get(name, getlink=True)
            path = f"{group.name}/{name}"
            if isinstance(link, h5py.ExternalLink):
                outside.append(path)
            elif isinstance(link, h5py.SoftLink):
                odd.append(path)
            else:
                _object(h5py, group[name], path, ahead, outside, odd)
    return Seen(str(config), tuple(outside), tuple(odd), objects=count)


def _object(
    h5py: Any, item: Any, path: str, ahead: list[Any], outside: list[str], odd: list[str]
) -> None:
    if isinstance(item, h5py.Group):
        ahead.append(item)
    elif not isinstance(item, h5py.Dataset):
        odd.append(path)
    elif item.external or item.is_virtual:
        outside.append(path)
    elif item.dtype.kind not in "biufS" and h5py.check_string_dtype(item.dtype) is None:
        odd.append(path)


if __name__ == "__main__":
    main()
