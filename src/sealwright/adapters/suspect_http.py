"""A suspect at a URL that speaks the Open Inference Protocol v2 (REST). Query access only.

Nothing of its answer is believed but numbers and labels; no redirect is followed.
"""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from sealwright.core.errors import BadInput, Unavailable

TIMEOUT_S = 30.0
_MOST_BYTES = 16 << 20
_FLOATS = {"FP64": "<f8", "FP32": "<f4", "FP16": "<f2"}
_LABELS = ("label", "labels", "predict", "class", "output_label")


class HttpSuspect:
    """``http://host:port/v2/models/NAME``; ``token`` goes along as a bearer token."""

    def __init__(self, url: str, token: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(
                f"{url} is no address of a model", hint="http://HOST:PORT/v2/models/NAME"
            )
        if "/v2/models/" not in parts.path:
            raise BadInput(
                f"{url} names no model",
                why="the Open Inference Protocol asks a model at /v2/models/NAME",
                hint=f"{url.rstrip('/')}/v2/models/NAME",
            )
        self.url, self._parts, self._token = url, parts, token
        self._path = parts.path.rstrip("/")
        self._input = ("input", "FP64")
        self._opened: http.client.HTTPConnection | None = None

    def open(self) -> None:
        """Read the model's metadata for the name and type of its input. Raises: Unavailable."""
        told = self._json("GET", self._path, None)
        try:
            first = told["inputs"][0]
            self._input = (str(first["name"]), str(first["datatype"]))
        except (KeyError, IndexError, TypeError) as error:
            raise Unavailable(
                f"{self.url} does not say what it takes", why="its metadata names no input"
            ) from error
        if self._input[1] not in _FLOATS:
            raise BadInput(
                f"{self.url} takes {self._input[1]}", why=f"questions are {', '.join(_FLOATS)}"
            )

    def __call__(self, batch: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        """(n, d) → labels (n,) or scores (n, K). Raises: Unavailable, ValueError (nonsense)."""
        name, kind = self._input
        data = batch.astype(_FLOATS[kind]).astype(float).reshape(-1).tolist()
        tensor = {"name": name, "shape": list(batch.shape), "datatype": kind, "data": data}
        told = self._json("POST", f"{self._path}/infer", {"inputs": [tensor]})
        outputs = told.get("outputs")
        if not isinstance(outputs, list) or not outputs:
            raise ValueError("it answered without outputs")
        named = [one for one in outputs if isinstance(one, dict) and one.get("name") in _LABELS]
        return _array((named or outputs)[0])

    def close(self) -> None:
        """Hang up."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _json(self, method: str, path: str, body: Any) -> dict[str, Any]:
        try:
            status, data = self._exchange(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unavailable(f"{self.url} does not answer", why=str(error)) from error
        if status != http.client.OK:
            raise Unavailable(f"{self.url} refused", why=f"status {status}")
        try:
            told = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ValueError("it answered with what is no JSON") from error
        if not isinstance(told, dict):
            raise ValueError("it answered with no object")
        return told

    def _exchange(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        connection = self._connection()
        head = {"Content-Type": "application/json"} if body is not None else {}
        if self._token:
            head["Authorization"] = f"Bearer {self._token}"
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, head)
        response = connection.getresponse()
        data = response.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            self.close()
            raise Unavailable(f"{self.url} answers too much", why=f"over {_MOST_BYTES:,} bytes")
        return response.status, data

    def _connection(self) -> http.client.HTTPConnection:
        if self._opened is None:
            host = self._parts.hostname or ""
            if self._parts.scheme == "https":
                context = ssl.create_default_context()
                self._opened = http.client.HTTPSConnection(
                    host, self._parts.port, timeout=TIMEOUT_S, context=context
                )
            else:
                self._opened = http.client.HTTPConnection(host, self._parts.port, timeout=TIMEOUT_S)
        return self._opened


def _array(output: Any) -> npt.NDArray[Any]:
    """One output tensor. Raises: ValueError."""
    try:
        shape = [int(size) for size in output["shape"]]
        found = np.asarray(output["data"])
        if found.dtype == object:
            found = found.astype(str)
        return found.reshape(shape)
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError("its output is no tensor") from error
