"""A server of the Open Inference Protocol behind the guard: what it may answer, and what not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from text_house import Script, whole

from sealwright.adapters.upstream_http import HttpUpstream, parse_address
from sealwright.adapters.upstream_wire import Limits
from sealwright.core.errors import Refused
from sealwright.serve.oip import InputSpec
from sealwright.serve.proxy import Behind, OipBehind, metadata
from sealwright.serve.refusals import OutOfService

pytest.importorskip("httptools", reason="the extra 'serve' is not installed")

ROWS = np.array([[0.5, 1.0], [2.0, -1.0]])
LABELS = ("cat", "dog")


def ask(folder: Path, answer: bytes, labels: tuple[str, ...] = (), rows: Any = ROWS) -> Any:
    async def main() -> Any:
        script, path = Script(answer), str(folder / "s")
        listening = await asyncio.start_unix_server(script, path)
        upstream = HttpUpstream(parse_address(f"unix:{path}"), Limits(head_s=1))
        text = rows.dtype.kind == "U"
        spec = InputSpec("input", "BYTES" if text else "FP32", 2, 10)
        try:
            asking = OipBehind(upstream, Behind("toy", "out", labels), spec)
            scores, features = await asking.ask(rows)
            return scores, features, script.seen[0][1]
        finally:
            await upstream.close()
            listening.close()
            await asyncio.sleep(0.01)

    return asyncio.run(main())


def out(data: Any, shape: list[int], datatype: str = "FP32", name: str = "out") -> bytes:
    tensor = {"name": name, "datatype": datatype, "shape": shape, "data": data}
    return whole({"model_name": "x", "outputs": [tensor], "parameters": {"a": 1}})


@pytest.mark.parametrize("data", [[0.1, 0.9, 0.7, 0.3], [[0.1, 0.9], [0.7, 0.3]]])
def test_scores_come_flat_or_in_rows(tmp_path: Path, data: Any) -> None:
    scores, features, asked = ask(tmp_path, out(data, [2, 2]))
    assert scores.tolist() == [[0.1, 0.9], [0.7, 0.3]]
    assert (features == ROWS).all()
    assert asked["inputs"][0]["data"] == [0.5, 1.0, 2.0, -1.0]
    assert asked["outputs"] == [{"name": "out"}]


@pytest.mark.parametrize(
    ("data", "shape", "datatype", "labels"),
    [
        (["dog", "cat"], [2], "BYTES", LABELS),
        (["dog", "cat"], [2, 1], "BYTES", LABELS),
        ([1, 0], [2], "INT64", ("0", "1")),
    ],
)
def test_a_label_alone_becomes_a_row(
    tmp_path: Path, data: Any, shape: list[int], datatype: str, labels: tuple[str, ...]
) -> None:
    scores, _, _ = ask(tmp_path, out(data, shape, datatype), labels)
    assert scores.tolist() == [[0, 1], [1, 0]]


def test_names_of_classes_beside_probabilities_change_nothing(tmp_path: Path) -> None:
    scores, _, _ = ask(tmp_path, out([0.1, 0.9, 0.7, 0.3], [2, 2], "FP64"), LABELS)
    assert scores.tolist() == [[0.1, 0.9], [0.7, 0.3]]


def test_texts_are_asked_as_texts(tmp_path: Path) -> None:
    _, features, asked = ask(tmp_path, out([0.1, 0.9], [2, 1]), rows=np.array(["a", "b"]))
    assert features.shape == (2, 1)
    assert asked["inputs"][0]["data"] == ["a", "b"]
    assert asked["inputs"][0]["datatype"] == "BYTES"


ONE = {"name": "out", "datatype": "FP32", "shape": [2, 1], "data": [0.5, 1]}
BAD = {
    "no JSON": whole(b"{"),
    "no outputs": whole({}),
    "another output": out([0.1, 0.9], [2, 1], name="other"),
    "twice": whole({"outputs": [ONE, ONE]}),
    "too few rows": out([0.1, 0.9], [1, 2]),
    "too few numbers": out([0.1, 0.9], [2, 2]),
    "too many numbers": out([0.1] * 9, [2, 2]),
    "no width": out([], [2, 0]),
    "a shape without end": out([0.1, 0.9], [2] * 9),
    "a shape below nothing": out([0.1, 0.9], [2, -1]),
    "a shape of billions": out([0.1, 0.9], [2, 1 << 31, 1 << 31]),
    "not a number": whole(json.dumps({"outputs": [ONE]}).replace("0.5", "NaN").encode()),
    "beyond every number": whole(json.dumps({"outputs": [ONE]}).replace("0.5", "1e999").encode()),
    "texts": out(["a", "b"], [2, 1], "BYTES"),
    "nothing": out(None, [2, 1]),
    "deep": whole(b'{"outputs":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "HTML": whole(b"<html>", media="text/html"),
    "its own fault": whole({"error": "traceback"}, 500),
}  # fmt: skip


@pytest.mark.parametrize("how", BAD)
def test_nonsense_is_no_answer(tmp_path: Path, how: str) -> None:
    with pytest.raises(OutOfService) as caught:
        ask(tmp_path, BAD[how])
    assert caught.value.rule == "guard.upstream"
    assert "traceback" not in caught.value.why


def test_a_label_that_is_none_of_the_models_is_nonsense(tmp_path: Path) -> None:
    with pytest.raises(OutOfService):
        ask(tmp_path, out(["dog", "cow"], [2], "BYTES"), LABELS)


@pytest.mark.parametrize("status", [400, 404, 422])
def test_what_the_server_does_not_take_is_the_callers_affair(tmp_path: Path, status: int) -> None:
    with pytest.raises(Refused) as caught:
        ask(tmp_path, whole({"error": "secret"}, status))
    assert caught.value.rule == "guard.answer"
    assert "secret" not in caught.value.why


def test_metadata_that_is_none_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "s")

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(whole({"inputs": 5}))
            writer.close()

        listening = await asyncio.start_unix_server(answer, path)
        upstream = HttpUpstream(parse_address(f"unix:{path}"), Limits(head_s=1))
        with pytest.raises(OutOfService):
            await metadata(upstream, "toy")
        await upstream.close()
        listening.close()
        await asyncio.sleep(0.01)

    asyncio.run(main())
