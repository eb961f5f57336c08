"""Texts that go to another server are points by their words, and watched as numbers are."""

import asyncio
import json
from types import SimpleNamespace

import numpy as np
import pytest

from sealwright.serve import openai_ask, wording
from sealwright.serve.egress import Egress
from sealwright.serve.interface import Caller
from sealwright.serve.oip_mount import Unwatched
from sealwright.serve.openai_ask import Limits
from sealwright.serve.openai_mount import OpenAiMount, Text

TURNS = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "first question"},
    {"role": "assistant", "content": "an answer"},
    {
        "role": "user",
        "content": [{"type": "text", "text": "second"}, {"type": "text", "text": "one"}],
    },
]


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("chat", {"messages": TURNS}, ["second\none"]),
        ("chat", {"messages": TURNS[:1]}, []),
        ("completion", {"prompt": "once"}, ["once"]),
        ("completion", {"prompt": ["one", "two"]}, ["one", "two"]),
        ("completion", {"prompt": [1, 2, 3]}, []),
        ("embedding", {"input": [[1, 2], [3]]}, []),
        ("embedding", {"input": ["a", "b"]}, ["a", "b"]),
    ],
)
def test_what_a_caller_wrote_this_time_is_what_is_looked_at(kind, body, said):
    asked = openai_ask.decode(kind, json.dumps({"model": "toy", **body}).encode(), Limits())
    assert openai_ask.texts(asked) == said


def test_texts_are_near_by_their_words_and_of_one_length():
    one, same, other, none = wording.features(
        ["The film is good!", "the  FILM is good !", "buy cheap pills now", ""]
    )
    assert (one == same).all()
    assert one @ other < 0.6
    assert np.linalg.norm(one) == pytest.approx(1)
    assert not none.any()
    long = "word " * 10_000
    assert (wording.features([long]) == wording.features([long + "and more"])).all()


class Seen:
    """An observer in a list."""

    def __init__(self):
        self.rows = []

    def cells(self, features):
        return list(range(len(features)))

    def behind(self, caller, inputs, answer, fidelity):
        self.rows.append((caller.principal, inputs.tolist(), answer, fidelity))


def released(observer, body, vectors):
    mount = OpenAiMount(Text("toy", "toy", Limits()), None, Egress(), observer)
    request = SimpleNamespace(headers={}, body=json.dumps(body).encode(), at_ms=0)
    question = mount.decode(request, SimpleNamespace(name="embedding"))
    data = [{"index": at, "embedding": one} for at, one in enumerate(vectors)]
    answer = json.dumps({"data": data, "usage": {"prompt_tokens": 2}}).encode()
    return mount.release(question, answer, Caller("key:ann", "key"), "top1")


def test_what_goes_to_openais_protocol_is_put_by_and_its_cells_are_charged():
    seen, body = Seen(), {"model": "toy", "input": ["one text", "another"]}
    out = released(seen, body, [[0.1, 0.2], [0.3, 0.4]])
    assert list(out.cells) == [0, 1]
    ((who, texts, answer, fidelity),) = seen.rows
    assert (who, texts, fidelity) == ("key:ann", ["one text", "another"], "top1")
    assert answer.features.shape == (2, wording.WIDTH)
    assert answer.scores.shape == (2, 1)
    tokens = {"model": "toy", "input": [[1, 2, 3]]}
    assert not released(seen, tokens, [[0.1, 0.2]]).cells
    assert len(seen.rows) == 1
    assert not released(Unwatched(), body, [[0.1, 0.2], [0.3, 0.4]]).cells


def test_texts_of_the_open_inference_protocol_have_features_by_their_words():
    from sealwright.app.servingupstream import Worded

    async def answers(batch):
        return np.ones((len(batch), 2)) / 2, np.zeros((len(batch), 1))

    scores, features = asyncio.run(Worded(answers).ask(np.array(["one text", "another"])))
    assert scores.shape == (2, 2)
    assert (features == wording.features(["one text", "another"])).all()
