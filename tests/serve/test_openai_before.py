"""OpenAI's protocol before a server that may lie, hang, die or talk nonsense."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from text_house import END, STREAM, House, Script, chunk, delta, event, house, whole

from sealwright.serve.canaries import Canaries
from sealwright.serve.egress import Egress, Policy

pytest.importorskip("httptools", reason="the extra 'serve' is not installed")

HELLO = {"model": "toy", "messages": [{"role": "user", "content": "hello"}]}
STREAMED = {**HELLO, "stream": True}
CANARY = "Zephyr-Quokka-7719-marble"


def answer(text: str, tokens: int | None = 3, **more: Any) -> bytes:
    usage = {} if tokens is None else {"usage": {"prompt_tokens": 2, "completion_tokens": tokens}}
    said = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return whole({"choices": [{**said, **more}], **usage, "system_fingerprint": "fp", "x": 1})


def told(body: bytes) -> list[Any]:
    """The events of a stream."""
    lines = [line for line in body.decode().split("\n\n") if line]
    return [json.loads(each[6:]) for each in lines if each != "data: [DONE]"]


def text_of(body: bytes) -> str:
    return "".join(
        choice["delta"].get("content", "")
        for each in told(body)
        for choice in each.get("choices", [])
    )


def run(work: Any) -> Any:
    return asyncio.run(work)


def test_an_answer_is_made_anew_and_charged_by_its_tokens(tmp_path: Path) -> None:
    async def main() -> None:
        script = Script(answer("a b c", 3))
        async with house(tmp_path, script) as it:
            status, headers, body = await it.ask(HELLO)
            read = json.loads(body)
            assert status == 200
            assert set(read) == {"id", "object", "created", "model", "choices", "usage"}
            assert read["model"] == "toy"
            assert read["usage"]["completion_tokens"] == 3
            assert await it.spent_bits() == 3 * 17
            assert headers["seal-profile"] == "text/top1"
            assert it.kept.records[0].mbits == 3 * 17_000
        head, sent = script.seen[0]
        assert sent["model"] == "org/toy"
        assert sent["max_tokens"] == 200
        assert b"authorization: Bearer own" in head
        assert it.keys["acme"].encode() not in head

    run(main())


@pytest.mark.parametrize(
    ("said", "tokens", "charged"),
    [("word " * 40, 1, 25), ("word " * 40, None, 50), ("ab", 150, 150), ("x" * 1600, 0, 200)],
)
def test_a_server_that_counts_too_few_tokens_changes_nothing(
    tmp_path: Path, said: str, tokens: int | None, charged: int
) -> None:
    async def main() -> None:
        async with house(tmp_path, Script(answer(said, tokens))) as it:
            assert (await it.ask(HELLO))[0] == 200
            assert await it.spent_bits() == charged * 17

    run(main())


def test_more_than_was_asked_for_is_no_answer(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path, Script(answer("word " * 2_000, 3))) as it:
            status, _, body = await it.ask(HELLO)
            assert status == 502
            assert b"word" not in body
            assert await it.spent_bits() == 0

    run(main())


BAD: dict[str, bytes] = {
    "no JSON": whole(b"<html>"),
    "another kind": whole({"choices": []}, media="text/html"),
    "no choices": whole({}),
    "no choice": whole({"choices": []}),
    "two choices": whole({"choices": [{"index": 0}, {"index": 1}]}),
    "a choice of another number": whole({"choices": [{"index": 3}]}),
    "content that is no text": whole({"choices": [{"index": 0, "message": {"content": 5}}]}),
    "deep": whole(b'{"choices":' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
    "a function nobody offered": whole(
        {"choices": [{"index": 0, "message": {"tool_calls": [{"function": {"name": "rm"}}]}}]}
    ),
    "an error": whole({"error": "secret words of the server"}, 500),
    "a redirect": whole({}, 302),
    "nothing": b"",
    "half an answer": answer("hello")[:-9],
    "another protocol": b"SSH-2.0-x\r\n",
}


@pytest.mark.parametrize("how", BAD)
@pytest.mark.parametrize("streamed", [False, True])
def test_nonsense_is_no_answer_and_costs_nothing(tmp_path: Path, how: str, streamed: bool) -> None:
    async def main() -> None:
        async with house(tmp_path, Script(BAD[how])) as it:
            status, _, body = await it.ask(STREAMED if streamed else HELLO)
            assert status == 502
            error = json.loads(body)["error"]
            assert set(error) == {"message", "type", "param", "code"}
            assert "secret words" not in error["message"]
            assert await it.spent_bits() == 0
            assert [one.verdict for one in it.kept.records] == ["failed"]

    run(main())


def test_a_server_that_hangs_is_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path, Script(ends=False)) as it:
            status, _, _ = await it.ask(HELLO)
            assert status == 502
            assert await it.spent_bits() == 0

    run(main())


def pieces(*texts: str, ended: str | None = "stop") -> list[bytes]:
    return [STREAM, *(delta(each) for each in texts), delta("", ended), event(b"[DONE]"), END]


def test_a_stream_leaves_in_pieces_and_is_charged_at_its_end(tmp_path: Path) -> None:
    async def main() -> None:
        text = [f"word{at} " for at in range(90)]
        script = Script(*pieces(*text), after_s=0.001)
        async with house(tmp_path, script) as it:
            status, headers, body = await it.ask(STREAMED)
            assert (status, headers["content-type"]) == (200, "text/event-stream")
            assert text_of(body) == "".join(text)
            assert body.endswith(b"data: [DONE]\n\n")
            assert len(told(body)) > 3
            assert it.kept.records[0].verdict == "answered"
            # no usage came: a token is taken to be four bytes
            assert await it.spent_bits() == 17 * -(-len("".join(text)) // 4)

    run(main())


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_stream_may_be_split_anywhere(tmp_path: Path, size: int) -> None:
    async def main() -> None:
        texts = ("é日", "本 ", "four", " five")
        said = [{"choices": [{"index": 0, "delta": {"content": each}}]} for each in texts]
        body = b"".join(f"data: {json.dumps(each)}\r\n\r\n".encode() for each in said)
        body = b"\xef\xbb\xbf: comment\r\nretry: 5\r\n" + body
        body += b'data: {"choices": [{"index": 0, \r\ndata: "finish_reason": "stop"}]}\r\n\r\n'
        body += b"data: [DONE]\r\n\r\n"
        cut = [chunk(body[at : at + size]) for at in range(0, len(body), size)]
        async with house(tmp_path, Script(STREAM + b"".join(cut) + END)) as it:
            _, _, said = await it.ask(STREAMED)
            assert text_of(said) == "é日本 four five"

    run(main())


def test_a_client_that_hangs_up_has_been_told_all_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        text = [f"word{at} " for at in range(150)]
        script = Script(*pieces(*text), after_s=0.005)
        async with house(tmp_path, script) as it:
            await it.ask(STREAMED, hang_up_after=3)
            await asyncio.wait_for(script.hung_up.wait(), 5)
            spent = await it.spent_bits()
            assert 17 * 40 < spent < 17 * 200
            assert [one.verdict for one in it.kept.records] == ["answered"]
            assert it.kept.records[0].mbits == spent * 1000

    run(main())


def test_a_client_that_left_before_the_first_piece_is_recorded_and_the_server_let_go(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        script = Script(*pieces(*[f"word{at} " for at in range(150)]), after_s=0.005)
        async with house(tmp_path, script) as it:
            await it.ask(STREAMED, hang_up_after=0)
            await asyncio.wait_for(script.hung_up.wait(), 5)
            assert [one.verdict for one in it.kept.records] == ["answered"]
            assert await it.spent_bits() == it.kept.records[0].mbits / 1000

    run(main())


WORDS = [delta(f"w{at} ") for at in range(99)]
HALF: dict[str, list[bytes]] = {
    "dies": [STREAM, *WORDS],
    "ends without an end": [STREAM, *WORDS, END],
    "ends inside an event": [STREAM, *WORDS, chunk(b"data: {"), END],
    "talks nonsense": [STREAM, *WORDS, event(b"{nonsense"), END],
    "says an error": [STREAM, *WORDS, event({"error": "x"}), END],
    "says a huge line": [
        STREAM, *WORDS, chunk(b"data: " + b"x" * 400_000), END,
    ],
    "breaks its framing": [STREAM, *WORDS, b"zz\r\n"],
    "speaks of another choice": [STREAM, *WORDS, delta("x", None, 5)],
}  # fmt: skip


@pytest.mark.parametrize("how", HALF)
def test_half_an_answer_says_so_and_what_came_is_charged(tmp_path: Path, how: str) -> None:
    async def main() -> None:
        async with house(tmp_path, Script(*HALF[how])) as it:
            status, _, body = await it.ask(STREAMED)
            assert status == 200
            assert "error" in told(body)[-1]
            assert b"[DONE]" not in body
            assert await it.spent_bits() >= 99 * 17
            (record,) = it.kept.records
            assert (record.verdict, record.rule) == ("broken", "guard.upstream")
            assert record.mbits == 1000 * await it.spent_bits(), "what left is settled"
            assert record.answer != ""

    run(main())


def test_a_stream_that_stops_is_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        script = Script(STREAM, *WORDS, ends=False)
        async with house(tmp_path, script) as it:
            _, _, body = await it.ask(STREAMED)
            assert told(body)[-1]["error"]["code"] == "guard.upstream"
            assert await it.spent_bits() >= 99 * 17

    run(main())


def test_a_stream_without_end_is_cut_at_what_was_reserved(tmp_path: Path) -> None:
    async def main() -> None:
        script = Script(*pieces(*[f"w{at} " for at in range(5_000)]))
        async with house(tmp_path, script) as it:
            _, _, body = await it.ask({**STREAMED, "max_tokens": 150})
            ends = [
                c["finish_reason"] for e in told(body) for c in e["choices"] if c["finish_reason"]
            ]
            assert ends == ["length"]
            assert await it.spent_bits() == 150 * 17

    run(main())


def test_a_canary_cuts_the_stream_and_is_counted(tmp_path: Path) -> None:
    async def main() -> None:
        egress = Egress(canaries=Canaries([CANARY]))
        words = ["so it goes "] * 10 + [CANARY[:7], CANARY[7:12], CANARY[12:]] + ["and on "] * 60
        async with house(tmp_path, Script(*pieces(*words)), egress) as it:
            _, _, body = await it.ask(STREAMED)
            assert text_of(body) == "so it goes " * 10 + "[redacted:canary]"
            assert b"content_filter" in body
            assert it.kept.counts["egress.canary"] == 1
            (event,) = it.kept.events
            assert (event.what, event.rule, event.principal) == (
                "canary",
                "egress.canary",
                "key:acme",
            )
            assert event.record == it.kept.records[0].id
            assert it.kept.records[0].verdict == "answered"
            assert CANARY not in str(it.kept.records) + str(it.kept.counts) + str(it.kept.events)

    run(main())


@pytest.mark.parametrize("action", ["cut", "redact", "report"])
def test_a_canary_is_an_event_of_its_own_whatever_becomes_of_the_text(
    tmp_path: Path, action: Any
) -> None:
    async def main() -> None:
        egress = Egress(Policy(canary=action), Canaries([CANARY]))
        async with house(tmp_path, Script(answer(f"it is {CANARY} here")), egress) as it:
            status, headers, body = await it.ask(HELLO)
            assert status == 200
            assert (CANARY in body.decode()) is (action == "report")
            (event,) = it.kept.events
            assert (event.what, event.record) == ("canary", headers["seal-record"])
        (tmp_path / "plain").mkdir()
        async with house(tmp_path / "plain", Script(answer("nothing odd")), egress) as it:
            await it.ask(HELLO)
            assert it.kept.events == []

    run(main())


TOOL = {"type": "function", "function": {"name": "send", "parameters": {"type": "object"}}}


def call(name: str, arguments: str, index: int = 0) -> bytes:
    function = {"name": name or None, "arguments": arguments}
    said = {"index": index, "id": "theirs", "type": "function", "function": function}
    return event({"choices": [{"index": 0, "delta": {"tool_calls": [said]}}]})


def test_arguments_of_tools_are_filtered_in_a_stream_too(tmp_path: Path) -> None:
    async def main() -> None:
        arguments = json.dumps({"to": "maria.lopez@example.org", "text": "x " * 150})
        parts = [arguments[at : at + 9] for at in range(0, len(arguments), 9)]
        script = Script(
            STREAM,
            call("send", ""),
            *(call("", each) for each in parts),
            delta("", "tool_calls"),
            END,
        )
        async with house(tmp_path, script) as it:
            _, _, body = await it.ask({**STREAMED, "tools": [TOOL]})
            calls = [
                each
                for one in told(body)
                for choice in one["choices"]
                for each in choice["delta"].get("tool_calls", [])
            ]
            assert calls[0]["function"]["name"] == "send"
            assert calls[0]["id"].startswith("call_")
            read = json.loads("".join(each["function"]["arguments"] for each in calls))
            assert read["to"] == "[redacted:email]"

    run(main())


def test_a_tool_that_nobody_offered_is_not_called(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path, Script(STREAM, call("rm", "{}"), END)) as it:
            _, _, body = await it.ask({**STREAMED, "tools": [TOOL]})
            assert "error" in told(body)[-1]
            assert b'"rm"' not in body

    run(main())


LOGPROBS = {
    "content": [
        {"token": token, "logprob": -0.5, "bytes": None,
         "top_logprobs": [{"token": f"t{at}", "logprob": -1.0} for at in range(9)]}
        for token in ("a", " b")
    ]
}  # fmt: skip


def test_logprobs_are_a_grant_and_at_most_five(tmp_path: Path) -> None:
    async def main() -> None:
        asked = {**HELLO, "logprobs": True, "top_logprobs": 5}
        async with house(tmp_path, Script(answer("a b", 2, logprobs=LOGPROBS))) as it:
            status, _, body = await it.ask(asked)
            assert (status, json.loads(body)["error"]["code"]) == (403, "guard.fidelity")
            status, _, body = await it.ask(asked, key="grantee")
            shown = json.loads(body)["choices"][0]["logprobs"]["content"]
            assert [len(each["top_logprobs"]) for each in shown] == [5, 5]
            assert await it.spent_bits("key:grantee") == 2 * (17 + 32 + 5 * (17 + 32))
            status, _, body = await it.ask({**asked, "top_logprobs": 6}, key="grantee")
            assert (status, json.loads(body)["error"]["param"]) == (400, "top_logprobs")

    run(main())


def test_tokens_beside_a_text_that_was_filtered_do_not_leave(tmp_path: Path) -> None:
    async def main() -> None:
        spelled = {
            "content": [{"token": t, "logprob": -1.0} for t in ("maria.lopez", "@example.org")]
        }
        for said in ("maria.lopez@example.org", "nothing at all"):
            async with house(tmp_path, Script(answer(said, 2, logprobs=spelled))) as it:
                _, _, body = await it.ask({**HELLO, "logprobs": True}, key="grantee")
                assert json.loads(body)["choices"][0]["logprobs"] is None
                assert b"lopez" not in body

    run(main())


@pytest.mark.parametrize("key", ["acme", "grantee"])
def test_logprobs_and_logit_bias_never_go_together(tmp_path: Path, key: str) -> None:
    async def main() -> None:
        async with house(tmp_path, Script(answer("a"))) as it:
            both = {**HELLO, "logprobs": True, "logit_bias": {"5": 100}}
            status, _, body = await it.ask(both, key=key)
            assert (status, json.loads(body)["error"]["param"]) == (400, "logit_bias")

    run(main())


REFUSED: dict[str, dict[str, Any]] = {
    "seed": {"seed": 1},
    "echo": {"echo": True},
    "best_of": {"best_of": 2},
    "prompt_logprobs": {"prompt_logprobs": 1},
    "guided_regex": {"guided_regex": "x"},
    "n": {"n": 99},
    "max_tokens": {"max_tokens": 100_000},
    "max_completion_tokens": {"max_completion_tokens": 100_000},
    "store": {"store": True},
    "temperature": {"temperature": 99},
    "top_p": {"top_p": "x"},
    "messages": {"messages": []},
    "messages[0].content": {"messages": [{"role": "user", "content": 5}]},
    "messages[0].content[0].image_url": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "", "image_url": "x"}]}]
    },
    "top_logprobs": {"top_logprobs": 3},
    "stream_options": {"stream_options": {"include_usage": True}},
}


@pytest.mark.parametrize("param", REFUSED)
def test_what_is_not_taken_is_named(tmp_path: Path, param: str) -> None:
    async def main() -> None:
        script = Script(answer("a"))
        async with house(tmp_path, script) as it:
            status, headers, body = await it.ask({**HELLO, **REFUSED[param]})
            error = json.loads(body)["error"]
            assert status == 400
            assert error["param"] == param
            assert error["type"] == "invalid_request_error"
            assert headers["seal-rule"] == "guard.parameter"
            assert not script.seen
            assert await it.spent_bits() == 0

    run(main())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model": "\xff"}', b"[" * 90_000, b"null"])
def test_a_body_that_is_no_request_is_refused(tmp_path: Path, body: bytes) -> None:
    async def main() -> None:
        async with house(tmp_path, Script(answer("a"))) as it:
            status, _, said = await it.ask(body)
            assert status == 400
            assert json.loads(said)["error"]["type"] == "invalid_request_error"

    run(main())


def test_another_model_is_not_here(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path, Script(answer("a"))) as it:
            status, _, body = await it.ask({**HELLO, "model": "gpt-4"})
            assert (status, json.loads(body)["error"]["code"]) == (404, "model_not_found")
            assert (await it.ask({**HELLO, "model": "org/toy"}))[0] == 200

    run(main())


@pytest.mark.parametrize(
    "path", ["/v1/files", "/invocations", "/tokenize", "/metrics", "/v1/chat", "/v1/responses"]
)
def test_what_is_not_listed_is_refused(tmp_path: Path, path: str) -> None:
    async def main() -> None:
        script = Script(answer("a"))
        async with house(tmp_path, script) as it:
            status, _, body = await it.ask(HELLO, path)
            assert status in (403, 404)
            assert "error" in json.loads(body)
            assert not script.seen

    run(main())


def test_a_budget_is_taken_before_the_server_is_asked(tmp_path: Path) -> None:
    async def main() -> None:
        script = Script(answer("a", 1))
        async with house(tmp_path, script, budget_bits=1_000) as it:
            status, _, body = await it.ask(HELLO)  # 200 tokens of 17 bits are 3,400
            assert (status, json.loads(body)["error"]["code"]) == (403, "insufficient_quota")
            assert not script.seen
            assert (await it.ask({**HELLO, "max_tokens": 20}))[0] == 200

    run(main())


@pytest.mark.parametrize(("key", "mantissa"), [("acme", 7), ("grantee", 23)])
def test_embeddings_have_a_profile_of_their_own(tmp_path: Path, key: str, mantissa: int) -> None:
    async def main() -> None:
        data = [{"index": at, "embedding": [0.123456789, -1.5, 3e-5]} for at in (1, 0)]
        async with house(tmp_path, Script(whole({"data": data}))) as it:
            asked = {"model": "toy", "input": ["a", "b"]}
            _, _, body = await it.ask(asked, "/v1/embeddings", key)
            shown = json.loads(body)["data"]
            assert [each["index"] for each in shown] == [0, 1]
            assert (abs(shown[0]["embedding"][0] - 0.123456789) < 1e-7) == (mantissa == 23)
            assert await it.spent_bits(f"key:{key}") == 2 * 3 * (9 + mantissa)

    run(main())


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"index": 0, "embedding": [1]}] * 2,
        [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}],
        [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}],
        [{"index": 0, "embedding": [1e300]}, {"index": 1, "embedding": [1]}],
        [{"index": 0, "embedding": "x"}, {"index": 1, "embedding": [1]}],
        [{"index": at, "embedding": [0.5] * 5_000} for at in (0, 1)],
    ],
)
def test_vectors_that_are_none_are_no_answer(tmp_path: Path, data: list[Any]) -> None:
    async def main() -> None:
        async with house(tmp_path, Script(whole({"data": data}))) as it:
            status, _, _ = await it.ask({"model": "toy", "input": ["a", "b"]}, "/v1/embeddings")
            assert status in (502, 503)
            assert await it.spent_bits() == 0

    run(main())


def test_a_degraded_group_gets_short_answers(tmp_path: Path) -> None:
    async def main() -> None:
        script = Script(answer("a", 1))
        async with house(tmp_path, script) as it:
            await it.ask(HELLO)
            await it.ledger.climb("upstream:toy", "key:acme", "degrade", 1 << 42)
            await it.ask(HELLO)
        assert [sent["max_tokens"] for _, sent in script.seen] == [200, 64]

    run(main())


async def _many(it: House) -> list[int]:
    return [each[0] for each in await asyncio.gather(*(it.ask(HELLO) for _ in range(30)))]


def test_many_at_once_are_each_charged(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path, Script(answer("a", 2))) as it:
            assert set(await _many(it)) == {200}
            assert await it.spent_bits() == 30 * 2 * 17

    run(main())
