"""``seal serve --upstream`` before a server of its own process, asked by the field's clients."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from upstream_house import Guarded, Started, toy

for needed in ("uvicorn", "uvloop", "httptools"):
    pytest.importorskip(needed, reason="the extra 'serve' is not installed")
openai = pytest.importorskip("openai", reason="the openai client is not installed")

CANARY = "Zephyr-Quokka-7719-marble"
SETTINGS = '\n[serve.egress]\ncanaries = "CANARIES"\n[serve.text]\ntokens = 400\n'


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    started = toy(tmp_path_factory.mktemp("behind"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def guarded(behind: Started, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    made = Guarded(
        tmp_path_factory.mktemp("text"), behind.said, "--model", "toy", settings=SETTINGS
    )
    made.seal("secret", "set", "CANARIES", "--reason", "test", given=f"{CANARY}\n")
    made.acme = made.key("acme", "--organisation", "acme")  # type: ignore[attr-defined]
    made.start()
    yield made
    assert "stopped" in made.stop()


@pytest.fixture(scope="module")
def client(guarded: Guarded) -> Iterator[openai.OpenAI]:
    made = openai.OpenAI(base_url=f"{guarded.url}/v1", api_key=guarded.acme, max_retries=0)
    yield made
    made.close()


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_the_openai_client_chats(client: openai.OpenAI) -> None:
    got = client.chat.completions.create(model="toy", messages=said("hello"))
    assert "the" in got.choices[0].message.content
    assert got.usage.completion_tokens > 5
    assert [model.id for model in client.models.list()] == ["toy"]


def test_the_openai_client_streams(client: openai.OpenAI) -> None:
    text = "Repeat: " + " ".join(f"word{at}" for at in range(150))
    stream = client.chat.completions.create(
        model="toy", messages=said(text), stream=True, stream_options={"include_usage": True}
    )
    events = list(stream)
    heard = "".join(each.choices[0].delta.content or "" for each in events if each.choices)
    assert heard == text.removeprefix("Repeat: ")
    assert events[-1].usage.completion_tokens >= 150


def test_two_answers_stream_at_once(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="toy", messages=said("x"), stream=True, n=2)
    heard = {0: "", 1: ""}
    for each in stream:
        for choice in each.choices:
            heard[choice.index] += choice.delta.content or ""
    assert all(len(text.split()) > 5 for text in heard.values())


def test_the_openai_client_completes_and_embeds(client: openai.OpenAI) -> None:
    got = client.completions.create(model="toy", prompt="x", max_tokens=7)
    assert got.usage.completion_tokens == 7
    vectors = client.embeddings.create(model="toy", input=["a river", "a mill"], dimensions=16)
    assert [len(each.embedding) for each in vectors.data] == [16, 16]


def test_a_canary_and_an_address_do_not_leave(client: openai.OpenAI, guarded: Guarded) -> None:
    text = f"Repeat: ask maria.lopez@example.org {'now and then ' * 20} for {CANARY.upper()} "
    for stream in (False, True):
        asked = client.chat.completions.with_raw_response.create(
            model="toy", messages=said(text), stream=stream
        )
        body = asked.http_response.read().decode()
        assert "lopez" not in body
        assert "QUOKKA" not in body
        assert "content_filter" in body


def test_what_is_not_taken_is_an_error_of_the_clients_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="toy", messages=said("x"), seed=3)
    assert caught.value.param == "seed"
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=str(client.base_url), api_key="nobody", max_retries=0).models.list()
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-4", messages=said("x"))


def test_a_credential_does_not_travel_in_the_clear(guarded: Guarded) -> None:
    words = ["serve", "--upstream", "http://192.0.2.7:8000", "--model", "x", "--credential", "KEY"]
    with pytest.raises(AssertionError, match="in the clear"):
        guarded.seal(*words)


def raw(url: str, data: bytes) -> bytes:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as sock:
        sock.sendall(data)
        sock.settimeout(5)
        out = b""
        while part := sock.recv(65536):
            out += part
            if out.endswith(b"}"):
                break
        return out


BODY = b'{"model":"toy","messages":[{"role":"user","content":"x"}]}'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
SMUGGLED = {
    "both lengths": HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
    "a folded header": HEAD + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "bare line feeds": HEAD.replace(b"\r\n", b"\n") + b"Content-Length: 0\n\n",
    "a blank before the colon": HEAD + b"Content-Length : 0\r\n\r\n",
    "another coding": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an upgrade": HEAD + b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n",
    "a size that is none": HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("how", SMUGGLED)
def test_what_can_be_read_in_two_ways_is_refused_in_openais_form(
    guarded: Guarded, how: str
) -> None:
    got = raw(guarded.url, SMUGGLED[how])
    if not got:
        return  # closed without a word
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] in (b"400", b"401", b"403")
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}


def test_nothing_that_was_found_is_kept(guarded: Guarded) -> None:
    client = openai.OpenAI(base_url=f"{guarded.url}/v1", api_key=guarded.acme, max_retries=0)
    client.chat.completions.create(model="toy", messages=said("Repeat: bo.peep@example.org"))
    client.close()
    store = (guarded.root / ".seal" / "serve" / "records").glob("*")
    kept = b"".join(path.read_bytes() for path in store)
    assert b"bo.peep" not in kept
    assert b"upstream:toy" in kept


def test_tritonclient_asks_through_the_guard(behind: Started, tmp_path: Path) -> None:
    tritonclient = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")
    made = Guarded(tmp_path, behind.said, "--model", "toy", "--protocol", "oip")
    key = made.key("acme")
    made.start()
    try:
        with tritonclient.InferenceServerClient(made.url.removeprefix("http://")) as client:
            sent = {"authorization": f"Bearer {key}"}
            assert client.is_server_live()
            told = client.get_model_metadata("toy", headers=sent)
            assert [one["name"] for one in told["outputs"]] == ["label", "probability"]
            rows = np.random.default_rng(1).standard_normal((3, 64))
            given = tritonclient.InferInput("input", [3, 64], "FP64")
            given.set_data_from_numpy(rows)
            got = client.infer("toy", [given], headers=sent)
            assert got.as_numpy("label").shape == (3,)
            share = got.as_numpy("probability")
            assert ((share > 0) & (share <= 1)).all()
            assert got.as_numpy("scores") is None
    finally:
        made.stop()


def test_the_owner_on_this_machine_needs_no_key(guarded: Guarded) -> None:
    asked = urllib.request.Request(f"{guarded.url}/v1/models")
    with urllib.request.urlopen(asked, timeout=5) as got:
        assert json.load(got)["data"][0]["id"] == "toy"
