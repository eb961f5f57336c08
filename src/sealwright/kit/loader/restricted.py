"""Loading under the policy object of the scan: what is not listed is not imported.

Runs in the worker and in the jail, never where keys are. The bytes were scanned before; this is
the same rule once more, where it counts.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from sealwright.core.errors import Refused
from sealwright.kit.modelfile import arrays, torchfile, unpack
from sealwright.kit.modelfile.limits import LIMITS
from sealwright.kit.modelfile.policy import Policy
from sealwright.kit.modelfile.source import Bytes


def resolver(policy: Policy) -> Callable[[str, str], Any]:
    """``find_class`` for ``policy``. What it returns raises: Refused (``loader.name``)."""

    def find(module: str, name: str) -> Any:
        if not policy.uses_of(module, name):
            raise Refused(
                f"the model names {module}.{name}",
                why=f"the policy of level {policy.level} does not list it",
                hint="seal supply scan PATH",
                rule="loader.name",
            )
        real, called = policy.canonical(module, name)
        return getattr(import_module(real), called)

    return find


def load(data: bytes, policy: Policy) -> Any:
    """The object in a file that was scanned clean. Raises: Refused."""
    head = data[:4096]
    kind = unpack.kind_of(head)
    if kind and not head.startswith(b"\x80"):
        most = LIMITS.stream_bytes
        return load(unpack.decompress(Bytes(data), kind, most, LIMITS.ratio), policy)
    if head.startswith(b"PK"):
        return _torch(data, policy) if b"/data.pkl" in data[:4096] else _npz(data)
    if torchfile.LEGACY.match(head):
        return _torch(data, policy)
    if head.startswith(arrays.NPY):
        return _npy(data, policy)
    if arrays.looks_safetensors(head, len(data)):
        return import_module("safetensors.numpy").load(data)
    return _pickled(data, policy)


def _reader(policy: Policy) -> type[pickle.Unpickler]:
    find = resolver(policy)

    class Reader(pickle.Unpickler):
        """The C unpickler with the policy in place of the import system."""

        def find_class(self, module: str, name: str) -> Any:
            """What the policy allows."""
            return find(module, name)

    return Reader


def _namespace(policy: Policy) -> Any:
    """A ``pickle`` module for libraries that take or hold one."""
    reader = _reader(policy)

    def load_one(stream: Any, **given: Any) -> Any:
        return reader(stream, **given).load()

    return SimpleNamespace(
        Unpickler=reader,
        load=load_one,
        loads=lambda data, **given: load_one(io.BytesIO(data), **given),
        UnpicklingError=pickle.UnpicklingError,
        HIGHEST_PROTOCOL=pickle.HIGHEST_PROTOCOL,
        __name__="pickle",
    )


def _pickled(data: bytes, policy: Policy) -> Any:
    if b"NumpyArrayWrapper" not in data:
        return _reader(policy)(io.BytesIO(data)).load()
    numpy_pickle: Any = import_module("joblib.numpy_pickle")
    # an array of objects is a pickle in the pickle, which joblib reads with this module
    theirs, numpy_pickle.pickle = numpy_pickle.pickle, _namespace(policy)
    find = resolver(policy)
    base: Any = numpy_pickle.NumpyUnpickler
    kind = type("Reader", (base,), {"find_class": lambda self, module, name: find(module, name)})
    try:
        return kind("", io.BytesIO(data), ensure_native_byte_order=True).load()
    finally:
        numpy_pickle.pickle = theirs


def _torch(data: bytes, policy: Policy) -> Any:
    torch: Any = import_module("torch")
    return torch.load(
        io.BytesIO(data), map_location="cpu", pickle_module=_namespace(policy), weights_only=False
    )


def _npy(data: bytes, policy: Policy) -> Any:
    start, objects = arrays.npy(Bytes(data))
    if objects:
        return _reader(policy)(io.BytesIO(data[start:])).load()
    return import_module("numpy").load(io.BytesIO(data), allow_pickle=False)


def _npz(data: bytes) -> Any:
    with import_module("numpy").load(io.BytesIO(data), allow_pickle=False) as held:
        return dict(held)
