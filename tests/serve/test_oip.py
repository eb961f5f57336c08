"""The protocol, strictly: what is malformed is one clear refusal, whatever it is."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serve_house import LOOPBACK, Chain, body_of
from test_chain import rule_of

from sealwright.serve import oip
from sealwright.serve.messages import Request
from sealwright.serve.oip import InputSpec

SPEC = InputSpec("input", "FP64", 2, 8)
TEXTS = InputSpec("input", "BYTES", 1, 8)


def one(**more):
    return {"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [0.5, 0.5]} | more


@pytest.mark.parametrize(
    ("body", "status", "rule"),
    [
        (b"", 400, "guard.body"),
        (b"{", 400, "guard.body"),
        (b"\xff\xfe", 400, "guard.body"),
        (b"[" * 100_000, 400, "guard.body"),
        (b'{"inputs":' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "guard.body"),
        ({}, 400, "guard.body"),
        ({"inputs": []}, 400, "guard.input"),
        ({"inputs": [one(), one()]}, 400, "guard.input"),
        ({"inputs": [one(name="other")]}, 400, "guard.input"),
        ({"inputs": [one(datatype="BYTES")]}, 400, "guard.input"),
        ({"inputs": [one(datatype="FP16")]}, 400, "guard.input"),
        ({"inputs": [one(shape=[2])]}, 400, "guard.input"),
        ({"inputs": [one(shape=[1, 3])]}, 400, "guard.input"),
        ({"inputs": [one(shape=[-1, 2])]}, 400, "guard.input"),
        ({"inputs": [one(shape=[0, 2], data=[])]}, 400, "guard.input"),
        ({"inputs": [one(shape=[10**12, 2])]}, 413, "guard.rows"),
        ({"inputs": [one(shape=[9, 2], data=[0.0] * 18)]}, 413, "guard.rows"),
        ({"inputs": [one(data=[0.5])]}, 400, "guard.input"),
        ({"inputs": [one(data=[0.5] * 3)]}, 400, "guard.input"),
        ({"inputs": [one(data=[[0.5], [0.5]])]}, 400, "guard.input"),
        ({"inputs": [one(data=["0.5", "0.5"])]}, 400, "guard.input"),
        ({"inputs": [one(data=[None, 0.5])]}, 400, "guard.input"),
        ({"inputs": [one(data=[True, False])]}, 400, "guard.input"),
        ({"inputs": [one(data={"a": 1})]}, 400, "guard.input"),
        ({"inputs": [one(datatype="INT8", data=[300, 1])]}, 400, "guard.input"),
        ({"inputs": [one(datatype="INT32", data=[0.5, 1])]}, 400, "guard.input"),
        ({"inputs": [one(parameters={"shared_memory_region": "x"})]}, 400, "guard.body"),
        ({"inputs": [one()], "parameters": {"sequence_id": 7}}, 400, "guard.body"),
        ({"inputs": [one()], "more": 1}, 400, "guard.body"),
        ({"inputs": [one(more=1)]}, 400, "guard.body"),
        ({"inputs": [one()], "id": "x" * 200}, 400, "guard.body"),
        ({"inputs": [one()], "outputs": [{"name": "logits"}]}, 400, "guard.output"),
        (
            {
                "inputs": [one()],
                "outputs": [{"name": "label", "parameters": {"classification": 3}}],
            },
            400,
            "guard.body",
        ),
        (
            b'{"inputs":[{"name":"input","shape":[1,2],"datatype":"FP64","data":[NaN,0]}]}',
            400,
            None,
        ),
        (
            b'{"inputs":[{"name":"input","shape":[1,2],"datatype":"FP64","data":[1e999,0]}]}',
            400,
            None,
        ),
    ],
)
def test_what_is_malformed_is_refused_in_one_sentence(body, status, rule):
    chain = Chain()
    found = rule_of(chain.infer(body))
    assert found[0] == status
    assert rule is None or found[1] == rule
    assert chain.ledger.settled == []
    assert "Traceback" not in chain.infer(body).body.decode()


def binary(rows, data, size=None, datatype="FP64"):
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "input",
                    "shape": [rows, 2],
                    "datatype": datatype,
                    "parameters": {"binary_data_size": len(data) if size is None else size},
                }
            ]
        }
    ).encode()
    return head, {b"inference-header-content-length": b"%d" % len(head)}, head + data


def test_binary_tensors_are_read_as_they_lie():
    for datatype, dtype in (("FP64", "<f8"), ("FP32", "<f4"), ("INT64", "<i8"), ("UINT8", "u1")):
        data = np.array([[1, 2], [3, 4]], dtype=dtype).tobytes()
        _, headers, body = binary(2, data, datatype=datatype)
        asked = oip.decode(Request("POST", "", headers, body, LOOPBACK, 0), SPEC)
        assert asked.batch.tolist() == [[1, 2], [3, 4]]
        assert asked.batch.dtype == np.float64


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf"])
def test_no_nan_and_no_infinity_in_binary(bad):
    _, headers, body = binary(1, np.array([float(bad), 0.0]).tobytes())
    assert rule_of(Chain().infer(body, headers)) == (400, "guard.input")


def test_binary_that_is_not_as_long_as_it_says_is_refused():
    good = np.zeros(2).tobytes()
    for data, size in ((good[:-1], 16), (good + b"x", 16), (good, 8), (good, -1), (good, 1 << 40)):
        _, headers, body = binary(1, data, size)
        assert rule_of(Chain().infer(body, headers)) == (400, "guard.input")
    _, headers, body = binary(1, good)
    for length in (b"-1", b"x", b"99999", b"9" * 30, b""):
        headers = {b"inference-header-content-length": length}
        assert rule_of(Chain().infer(body, headers))[0] == 400
    assert rule_of(
        Chain().infer(
            json.dumps(body_of()).encode() + b"tail",
            {b"inference-header-content-length": b"%d" % len(json.dumps(body_of()))},
        )
    ) == (400, "guard.body")


def test_texts_come_in_json_and_in_binary():
    words = ["größe", "", "a"]
    one = {"name": "input", "shape": [3], "datatype": "BYTES"}
    plain = json.dumps({"inputs": [one | {"data": words}]}).encode()
    asked = oip.decode(Request("POST", "", {}, plain, LOOPBACK, 0), TEXTS)
    assert asked.batch.tolist() == words
    data = b"".join(len(w.encode()).to_bytes(4, "little") + w.encode() for w in words)
    head = json.dumps({"inputs": [one | {"parameters": {"binary_data_size": len(data)}}]}).encode()
    headers = {b"inference-header-content-length": b"%d" % len(head)}
    asked = oip.decode(Request("POST", "", headers, head + data, LOOPBACK, 0), TEXTS)
    assert asked.batch.tolist() == words
    for broken in (data[:-1], data[:3], b"\x01\0\0\0\xff", b"\xff\xff\xff\xff"):
        head = json.dumps(
            {"inputs": [one | {"parameters": {"binary_data_size": len(broken)}}]}
        ).encode()
        headers = {b"inference-header-content-length": b"%d" % len(head)}
        with pytest.raises(Exception, match="text"):
            oip.decode(Request("POST", "", headers, head + broken, LOOPBACK, 0), TEXTS)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_no_bytes_bring_it_down(data, length):
    headers = {b"inference-header-content-length": b"%d" % length}
    for given_headers in ({}, headers):
        reply = Chain().infer(data, given_headers)
        assert reply.status in (400, 413)
        assert set(json.loads(reply.body)) == {"error"}


@given(
    st.lists(
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2),
        min_size=1,
        max_size=8,
    )
)
def test_json_flat_and_nested_and_binary_are_one_input(rows):
    flat = [value for row in rows for value in row]
    shape = {"name": "input", "shape": [len(rows), 2], "datatype": "FP64"}
    bodies = [
        ({}, json.dumps({"inputs": [shape | {"data": data}]}).encode()) for data in (flat, rows)
    ]
    _, headers, body = binary(len(rows), np.array(rows).tobytes())
    found = [
        oip.decode(Request("POST", "", head, raw, LOOPBACK, 0), SPEC).batch.tobytes()
        for head, raw in (*bodies, (headers, body))
    ]
    assert found[0] == found[1] == found[2]


def test_a_compressed_body_is_not_taken():
    reply = Chain().infer(body_of(), {b"content-encoding": b"gzip"})
    assert rule_of(reply) == (415, "guard.encoding")


@pytest.mark.parametrize(
    ("method", "path", "status", "rule"),
    [
        ("POST", "/v2/repository/models/toy/load", 403, "guard.control-route"),
        ("POST", "/v2/repository/models/toy/unload", 403, "guard.control-route"),
        ("GET", "/v2/systemsharedmemory/status", 403, "guard.control-route"),
        ("POST", "/v2/models/toy/trace/setting", 404, "guard.route"),
        ("POST", "/invocations", 403, "guard.control-route"),
        ("POST", "/update_weights", 403, "guard.control-route"),
        ("GET", "/metrics", 403, "guard.control-route"),
        ("GET", "/v2/models/toy/stats", 404, "guard.route"),
        ("GET", "/", 404, "guard.route"),
        ("GET", "/v2/models/../v2", 404, "guard.route"),
        ("GET", "/v2/models/toy%2finfer", 404, "guard.route"),
        ("POST", "//v2/models/toy/infer", 404, "guard.route"),
        ("GET", "/v2/models/toy/infer", 405, "guard.method"),
        ("DELETE", "/v2", 405, "guard.method"),
        ("POST", "/v2/models/other/infer", 404, "guard.model"),
        ("POST", "/v2/models/toy/versions/2/infer", 404, "guard.model"),
        ("GET", "/v2/models/other", 404, "guard.model"),
        ("GET", "/v2/models/" + "a" * 4000, 404, "guard.route"),
    ],
)
def test_only_what_is_listed_may_be_asked(method, path, status, rule):
    body = json.dumps(body_of()).encode()
    reply = Chain().ask(Request(method, path, {}, body, LOOPBACK, 0))
    assert rule_of(reply) == (status, rule)


def test_health_says_nothing_and_asks_nobody():
    from sealwright.serve.messages import Peer

    for path in ("/v2/health/live", "/v2/health/ready"):
        reply = Chain().ask(Request("GET", path, {}, b"", Peer("10.0.0.7"), 0))
        assert reply.status == 200
    assert Chain().ask(Request("GET", "/v2", {}, b"", Peer("10.0.0.7"), 0)).status == 401
