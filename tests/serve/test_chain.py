"""The chain alone: what is charged, what leaves, what is recorded, in which order."""

import asyncio
import json

import pytest
from serve_house import LOOPBACK, MODEL, Chain, body_of

from sealwright.core.errors import Unavailable
from sealwright.serve import callers, outputs
from sealwright.serve.callers import known_of, made
from sealwright.serve.interface import Caller
from sealwright.serve.messages import Peer


def rule_of(reply):
    said = json.loads(reply.body)
    assert set(said) == {"error"}, "the protocol's error form has one member"
    rule = dict(reply.headers)[b"seal-rule"].decode()
    assert f"rule: {rule}" in said["error"]
    return reply.status, rule


def with_key(chain, name="acme", **more):
    key = callers.new_key()
    given = {
        "organisation": "",
        "internal": False,
        "fidelity": "top1",
        "budget_bits": 0,
        "until": "",
        "honey": False,
        "actor": "ada",
        "reason": "",
    }
    from datetime import UTC, datetime

    record = made(name, key, now=datetime.now(UTC), **(given | more))
    chain.callers.replace(known_of({name: record}))
    return {b"authorization": f"Bearer {key}".encode()}


def test_the_owner_on_loopback_gets_everything_and_it_is_counted():
    chain = Chain()
    reply = chain.infer(body_of(2))
    names = [one["name"] for one in json.loads(reply.body)["outputs"]]
    assert names == ["label", "probability", "probabilities"]
    assert chain.ledger.settled == [outputs.ceiling_mbits(chain.mount.served.shape, "full", 2)]
    (record,) = chain.journal.records
    assert (record.verdict, record.principal, record.rows) == ("answered", "ada", 2)
    assert record.mbits == chain.ledger.settled[0]
    import hashlib

    assert record.answer == hashlib.sha256(reply.body).hexdigest()


def test_somebody_outside_gets_label_and_top_one_and_no_more():
    chain = Chain()
    headers = with_key(chain)
    reply = chain.infer(body_of(), headers)
    shown = {one["name"]: one["data"] for one in json.loads(reply.body)["outputs"]}
    assert shown == {"label": ["c"], "probability": [0.5]}
    told = dict(reply.headers)
    assert told[b"seal-profile"] == b"multiclass/top1"
    assert told[b"seal-record"].decode() == chain.journal.records[0].id
    asked = body_of(outputs=[{"name": "probabilities"}])
    assert rule_of(chain.infer(asked, headers)) == (403, "guard.fidelity")


def test_nothing_is_answered_beyond_the_budget_and_the_denial_is_an_event_at_once():
    chain = Chain(external=20_000)
    headers = with_key(chain)
    assert chain.infer(body_of(), headers).status == 200
    assert chain.infer(body_of(), headers).status == 200
    assert rule_of(chain.infer(body_of(), headers)) == (403, "guard.budget")
    (event,) = chain.journal.events
    assert (event.what, event.principal, event.rule) == ("denial", "key:acme", "guard.budget")
    assert event.record == chain.journal.records[-1].id
    assert chain.journal.records[-1].verdict == "refused"


def test_a_model_that_fails_costs_nothing():
    chain = Chain()
    reply = chain.infer(body_of(data=[1e9, 0.0]))
    assert rule_of(reply) == (400, "guard.answer")
    assert chain.ledger.settled == [0]
    assert chain.journal.records[0].mbits == 0


@pytest.mark.parametrize(
    "answer",
    [
        [[0.2, 0.3]],
        [[0.9, 0.9, 0.9]],
        [[-1.0, 1.0, 1.0]],
    ],
)
def test_a_worker_that_answers_nonsense_is_out_of_service_and_nothing_leaves(answer):
    import numpy as np

    async def nonsense(batch):
        return np.array(answer), np.zeros((1, 1))

    chain = Chain(nonsense)
    assert rule_of(chain.infer(body_of())) == (503, "guard.worker")
    assert chain.ledger.settled == [0]
    assert chain.journal.records[0].verdict == "failed"


def test_a_worker_that_is_gone_is_out_of_service():
    async def gone(batch):
        raise Unavailable("the model's worker is gone")

    chain = Chain(gone)
    assert rule_of(chain.infer(body_of())) == (503, "guard.worker")
    assert chain.ledger.settled == [0]


def test_no_ledger_no_answer():
    chain = Chain()
    chain.ledger.lost = True
    assert rule_of(chain.infer(body_of())) == (503, "guard.ledger")


def test_no_evidence_no_answer_though_it_stays_charged():
    chain = Chain()
    chain.journal.full = True
    reply = chain.infer(body_of())
    assert rule_of(reply) == (503, "guard.evidence")
    assert b"outputs" not in reply.body
    assert chain.ledger.settled == [outputs.ceiling_mbits(chain.mount.served.shape, "full", 1)]


def test_a_degraded_group_gets_labels_and_pays_for_labels():
    chain = Chain()
    headers = with_key(chain)
    chain.ledger.rung = "degrade"
    reply = chain.infer(body_of(), headers)
    assert [one["name"] for one in json.loads(reply.body)["outputs"]] == ["label"]
    assert dict(reply.headers)[b"seal-profile"] == b"multiclass/label"
    assert chain.ledger.settled == [outputs.ceiling_mbits(chain.mount.served.shape, "label", 1)]


def test_a_step_up_wants_a_person_not_a_key():
    chain = Chain()
    headers = with_key(chain)
    chain.ledger.rung = "step-up"
    assert rule_of(chain.infer(body_of(), headers)) == (401, "guard.step-up")
    assert chain.ledger.settled == [0]
    assert chain.infer(body_of()).status == 200


def test_a_honey_key_is_an_event_and_reads_like_any_unknown_key():
    chain = Chain()
    unknown = chain.infer(body_of(), {b"authorization": b"Bearer seal_" + b"x" * 43})
    honey = chain.infer(body_of(), with_key(chain, "bait", honey=True))
    assert (honey.status, honey.body) == (unknown.status, unknown.body)
    (event,) = chain.journal.events
    assert (event.what, event.principal) == ("tripwire", "key:bait")


def test_a_grant_ends_and_with_it_what_it_gave():
    chain = Chain()
    headers = with_key(chain, fidelity="full", budget_bits=1000, until="1970-01-01T00:00:01Z")
    first = chain.infer(body_of(), headers)
    assert b"probabilities" in first.body
    from sealwright.serve.messages import Request

    later = Request(
        "POST", "/v2/models/toy/infer", headers, json.dumps(body_of()).encode(), LOOPBACK, 2000
    )
    assert b"probabilities" not in chain.ask(later).body


@pytest.mark.parametrize(
    ("peer", "headers", "rule"),
    [
        (Peer("10.0.0.7"), {}, "guard.unknown-caller"),
        (Peer("127.0.0.1", loopback=True, uid=-1), {}, "guard.unknown-caller"),
        (Peer("127.0.0.1", loopback=True, uid=12345), {}, "guard.unknown-caller"),
        (LOOPBACK, {b"x-forwarded-for": b"10.0.0.7"}, "guard.unknown-caller"),
        (LOOPBACK, {b"origin": b"http://evil.example"}, "guard.origin"),
        (LOOPBACK, {b"host": b"rebound.example:8080"}, "guard.origin"),
        (LOOPBACK, {b"authorization": b"Basic YTpi"}, "guard.unknown-caller"),
        (LOOPBACK, {b"authorization": b"Seal x.y.z"}, "token.malformed"),
    ],
)
def test_who_is_not_the_owner_is_not_let_in(peer, headers, rule):
    chain = Chain()
    reply = chain.infer(body_of(), headers, peer)
    assert rule_of(reply)[1] == rule
    assert chain.ledger.settled == []


def test_strangers_are_counted_and_write_no_records():
    chain = Chain()
    chain.infer(body_of(), peer=Peer("10.0.0.7"))
    chain.infer(b"", path="/v2/repository/index")
    assert chain.journal.records == []
    assert chain.journal.counted == ["guard.unknown-caller", "guard.control-route"]


def test_a_cut_off_request_is_settled_at_nothing():
    started = asyncio.Event()

    async def slow(batch):
        started.set()
        await asyncio.sleep(60)

    async def scene():
        chain = Chain(slow)
        from sealwright.serve.messages import Request

        body = json.dumps(body_of()).encode()
        task = asyncio.create_task(
            chain.front.handle(Request("POST", "/v2/models/toy/infer", {}, body, LOOPBACK, 0))
        )
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return chain

    chain = asyncio.run(scene())
    assert chain.ledger.settled == [0]
    assert chain.journal.records[0].verdict == "failed"


def test_the_model_names_itself_in_every_record():
    chain = Chain()
    chain.infer(body_of())
    assert chain.journal.records[0].model == MODEL
    assert Caller("ada", "loopback").principal == chain.journal.records[0].principal


def test_a_failed_call_is_recorded_though_the_ledger_is_gone_by_then():
    async def dead(batch):
        chain.ledger.settle = gone
        raise Unavailable("the worker died")

    async def gone(*given):
        raise Unavailable("the ledger is gone")

    chain = Chain(dead)
    assert rule_of(chain.infer(body_of()))[1] == "guard.ledger"
    (record,) = chain.journal.records
    assert (record.verdict, record.rule) == ("failed", "guard.worker")
    assert chain.ledger.spent["ada"] > 0, "what was reserved stays charged"


def test_a_key_is_forgotten_with_the_log_s_word_also_while_it_is_looked_at():
    chain = Chain()
    headers = with_key(chain)
    assert [chain.infer(body_of(), headers).status for _ in range(2)] == [200, 200]
    chain.callers.replace({})
    assert rule_of(chain.infer(body_of(), headers)) == (401, "guard.unknown-caller")

    class Revoked(dict):
        def get(self, digest):
            chain.callers.replace({})
            return super().get(digest)

    headers = with_key(chain)
    chain.callers.replace(Revoked(chain.callers._good.known))
    assert chain.infer(body_of(), headers).status == 200
    assert chain.infer(body_of(), headers).status == 401


def test_whose_a_connection_is_is_asked_only_of_who_names_nobody():
    asked = []
    peer = Peer("127.0.0.1", loopback=True, uid=lambda: asked.append(1) or LOOPBACK.uid)
    chain = Chain()
    assert chain.infer(body_of(), with_key(chain), peer).status == 200
    assert not asked
    assert chain.infer(body_of(), {}, peer).status == 200
    assert asked == [1]
