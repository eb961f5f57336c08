"""A suspect at a URL: what a server may answer, and what is made of it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from sealwright.adapters.suspect_http import HttpSuspect
from sealwright.core.errors import BadInput, Unavailable

META = {"name": "m", "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]}


class Server:
    """Speaks the protocol; ``answer(body)`` is what it says to infer."""

    def __init__(self, answer, meta=META) -> None:
        seen = self.seen = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self._say(200, meta if isinstance(meta, bytes) else json.dumps(meta).encode())

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                seen.append((body, self.headers.get("Authorization")))
                self._say(*answer(body))

            def _say(self, status, data):
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/v2/models/m"

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.http.shutdown()
        self.http.server_close()


def outputs(*tensors):
    return lambda _body: (200, json.dumps({"outputs": list(tensors)}).encode())


def asked(answer, meta=META, token=""):
    with Server(answer, meta) as server:
        suspect = HttpSuspect(server.url, token)
        try:
            suspect.open()
            return suspect(np.array([[1.0, 2.0], [3.0, 4.5]])), server.seen
        finally:
            suspect.close()


def test_labels_are_preferred_to_scores_and_the_token_goes_along():
    scores = {"name": "p", "shape": [2, 2], "datatype": "FP64", "data": [0.1, 0.9, 0.8, 0.2]}
    label = {"name": "label", "shape": [2], "datatype": "BYTES", "data": ["b", "a"]}
    found, seen = asked(outputs(scores, label), token="abc")
    assert found.tolist() == ["b", "a"]
    body, authorization = seen[0]
    assert authorization == "Bearer abc"
    assert body["inputs"][0] == {
        "name": "x",
        "shape": [2, 2],
        "datatype": "FP32",
        "data": [1, 2, 3, 4.5],
    }
    assert asked(outputs(scores))[0].tolist() == [[0.1, 0.9], [0.8, 0.2]]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"outputs": []}',
        b'{"outputs": [3]}',
        b'{"outputs": [{"shape": [2]}]}',
        b'{"outputs": [{"shape": [3], "data": [1, 2]}]}',
        b'{"outputs": [{"shape": ["x"], "data": [1, 2]}]}',
        b'{"outputs": [{"shape": [2], "data": [[1], [1, 2]]}]}',
        b"[" * 5000,
    ],
)
def test_an_answer_that_is_no_tensor_is_a_fault_and_nothing_else(data):
    with pytest.raises(ValueError):
        asked(lambda _body: (200, data))


@pytest.mark.parametrize("status", [302, 401, 429, 500])
def test_a_refusal_is_not_an_answer(status):
    with pytest.raises(Unavailable, match="refused"):
        asked(lambda _body: (status, b"{}"))


def test_an_answer_without_end_is_cut_off():
    with pytest.raises(Unavailable, match="too much"):
        asked(lambda _body: (200, b" " * (17 << 20)))


@pytest.mark.parametrize("meta", [{}, {"inputs": []}, {"inputs": [{"name": "x"}]}])
def test_a_server_that_does_not_say_what_it_takes_is_not_asked(meta):
    with pytest.raises(Unavailable):
        asked(outputs(), meta)


def test_a_model_of_words_is_refused():
    with pytest.raises(BadInput, match="BYTES"):
        asked(outputs(), {"inputs": [{"name": "x", "datatype": "BYTES"}]})


@pytest.mark.parametrize("url", ["ftp://h/v2/models/m", "http://", "http://127.0.0.1:9/"])
def test_an_address_of_no_model_is_refused(url):
    with pytest.raises(BadInput):
        HttpSuspect(url)


def test_nobody_there_is_said_so():
    with pytest.raises(Unavailable, match="does not answer"):
        HttpSuspect("http://127.0.0.1:9/v2/models/m").open()
