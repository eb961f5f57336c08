"""The worker asked without blocking: batches that meet, rows that fail, a worker that dies."""

import asyncio
import os
import pickle
import signal

import numpy as np
import pytest
from serve_house import model_bytes

from sealwright.core.errors import Refused, Unavailable
from sealwright.kit import projection
from sealwright.kit.loader import served
from sealwright.kit.loader.asking import Asking
from sealwright.kit.loader.opening import open_model
from sealwright.kit.modelfile.policy import policy_of
from sealwright.kit.modelfile.source import Bytes
from sealwright.serve.refusals import OutOfService
from sealwright.serve.tending import Tended


@pytest.fixture(scope="module")
def content():
    pytest.importorskip("sklearn")
    return model_bytes()


def opened(content):
    return open_model(Bytes(content[0]), policy_of("framework"))


def test_many_ask_at_once_and_each_gets_their_own_rows(content):
    model = content[1]
    rows = np.random.default_rng(0).normal(size=(40, 4))

    async def scene():
        asking = Asking(opened(content))
        parts = [rows[at : at + 1 + at % 3] for at in range(30)]
        found = await asyncio.gather(*(asking.ask(part) for part in parts))
        asking.close()
        return parts, found

    parts, found = asyncio.run(scene())
    for part, (scores, features) in zip(parts, found, strict=True):
        assert np.allclose(scores, model.predict_proba(part))
        hidden = np.maximum(part @ model.coefs_[0] + model.intercepts_[0], 0)
        assert np.allclose(features, hidden), "features are the last hidden layer"


def test_a_row_the_model_fails_on_costs_nobody_else_an_answer(content):
    async def scene():
        asking = Asking(opened(content))
        good, bad = np.zeros((1, 4)), np.full((1, 4), np.nan)
        found = await asyncio.gather(
            *(asking.ask(one) for one in (good, good, bad, good)), return_exceptions=True
        )
        asking.close()
        return found

    found = asyncio.run(scene())
    assert [isinstance(one, Refused) for one in found] == [False, False, True, False]
    assert found[2].rule == "loader.answer"


def test_a_killed_worker_is_opened_again_and_who_asked_is_told(content):
    said = []

    async def scene():
        tended = Tended(lambda: opened(content), 30.0, said.append)
        await tended.start()
        assert len((await tended.ask(np.zeros((1, 4))))[0]) == 1
        os.kill(tended._asking.model._process.pid, signal.SIGKILL)
        with pytest.raises(OutOfService) as away:
            await tended.ask(np.zeros((1, 4)))
        assert away.value.rule == "guard.worker"
        for _ in range(3000):
            try:
                count = len((await tended.ask(np.zeros((1, 4))))[0])
                tended.shut("over")
                return count, tended.starts
            except OutOfService:
                await asyncio.sleep(0.05)
        raise AssertionError("it did not come back")

    assert asyncio.run(scene()) == (1, 2)
    assert any("opened again" in line for line in said)


def test_a_worker_that_hangs_is_ended_within_its_time(content):
    async def scene():
        asking = Asking(opened(content), answer_s=0.3)
        os.kill(asking.model._process.pid, signal.SIGSTOP)
        with pytest.raises(Unavailable, match="gone"):
            await asking.ask(np.zeros((1, 4)))
        assert asking.model._process.poll() is not None
        with pytest.raises(Unavailable):
            await asking.ask(np.zeros((1, 4)))

    asyncio.run(scene())


def test_a_shut_model_stays_shut_until_it_is_revived(content):
    async def scene():
        tended = Tended(lambda: opened(content), 30.0)
        await tended.start()
        process = tended._asking.model._process
        tended.shut("it was revoked")
        assert process.poll() is not None
        with pytest.raises(OutOfService, match="not there"):
            await tended.ask(np.zeros((1, 4)))
        tended.revive()
        for _ in range(3000):
            if tended.starts == 2:
                break
            await asyncio.sleep(0.05)
        assert len((await tended.ask(np.zeros((1, 4))))[0]) == 1
        tended.shut("over")

    asyncio.run(scene())


def test_weights_with_steps_give_probabilities_and_their_last_hidden_layer():
    rng = np.random.default_rng(0)
    weights = {
        "0.weight": rng.normal(size=(5, 3)),
        "0.bias": rng.normal(size=5),
        "2.weight": rng.normal(size=(2, 5)),
    }
    steps = ("linear 0", "relu", "linear 2", "softmax")
    batch = rng.normal(size=(4, 3))
    scores, features = served.answered(None, weights, steps, batch)
    assert np.allclose(features, np.maximum(batch @ weights["0.weight"].T + weights["0.bias"], 0))
    assert np.allclose(scores.sum(axis=1), 1)
    assert served.facts_of(None, weights, steps)["width"] == "3"


@pytest.mark.parametrize("kind", ["pipeline", "margins", "labels", "regressor", "transformer"])
def test_every_kind_of_estimator_has_scores_and_features(kind):
    pytest.importorskip("sklearn")
    from sklearn.decomposition import PCA
    from sklearn.linear_model import (
        LinearRegression,
        LogisticRegression,
        Perceptron,
        RidgeClassifier,
    )
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)) * 5 + 2
    y = (x[:, 0] > 2).astype(int)
    model = {
        "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
        "margins": RidgeClassifier(),
        "labels": Perceptron(),
        "regressor": LinearRegression(),
        "transformer": PCA(2),
    }[kind].fit(x, y)
    scores, features = served.answered(model, {}, (), x[:7])
    assert len(scores) == len(features) == 7
    if kind in ("pipeline", "margins", "labels"):
        assert np.allclose(scores.sum(axis=1), 1)
        assert (scores.argmax(axis=1) == model.predict(x[:7])).all()
    if kind == "pipeline":
        assert np.allclose(features, StandardScaler().fit(x).transform(x[:7]))
    task = served.facts_of(pickle.loads(pickle.dumps(model)), {}, ())["task"]
    known = {"regressor": "regressor", "transformer": "embedding"}
    assert task == known.get(kind, "classifier")


def test_features_too_wide_are_projected_by_planes_that_never_change():
    wide = np.random.default_rng(0).normal(size=(3, 1000))
    once, again = projection.narrowed(wide), projection.narrowed(wide)
    assert once.shape == (3, projection.NARROW)
    assert (once == again).all()
