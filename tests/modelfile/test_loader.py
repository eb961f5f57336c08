"""The loader: one sealed copy is hashed, scanned and loaded, elsewhere and under one policy."""

import io
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from sealwright.core.digest import of_bytes
from sealwright.core.errors import Refused, VerifyError
from sealwright.kit.loader import restricted
from sealwright.kit.loader.opening import Held, open_model
from sealwright.kit.modelfile.opened import Opened
from sealwright.kit.modelfile.policy import policy_of
from sealwright.kit.modelfile.source import Bytes

POLICY = policy_of("framework")
EVIL = b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R."


def trained():
    linear = pytest.importorskip("sklearn.linear_model")
    x = np.array([[0.0], [1.0], [2.0], [3.0]])
    return x, linear.LogisticRegression().fit(x, ["a", "a", "b", "b"])


def joblib_bytes(value) -> bytes:
    out = io.BytesIO()
    pytest.importorskip("joblib").dump(value, out)
    return out.getvalue()


def test_a_classifier_answers_from_its_worker_as_it_does_here():
    x, model = trained()
    for data in (pickle.dumps(model, 4), joblib_bytes(model)):
        with open_model(Bytes(data), POLICY, sha256=of_bytes(data)) as opened:
            assert opened.kind == "estimator"
            assert "network" in opened.facts["walls"]
            assert opened.predict(x).tolist() == list(model.predict(x))
            proba = opened.ask("predict_proba", x)
            assert np.allclose(proba, model.predict_proba(x))
            with pytest.raises(Refused, match="did not answer"):
                opened.predict(np.zeros((2, 9)))
            assert opened.predict(x[:1]).tolist() == ["a"]


PRY = """
import json, os, subprocess, sys
from sealwright.kit.loader import files
held = open(sys.argv[1])
if not files.enter():
    print("null")
    raise SystemExit
def tried(what):
    try:
        what()
    except OSError as error:
        return type(error).__name__
    return "done"
import decimal, sqlite3, numpy.random, sklearn.linear_model
print(json.dumps([
    tried(lambda: open(sys.argv[1]).read()),
    tried(lambda: os.listdir(os.path.dirname(sys.argv[1]))),
    tried(lambda: open("/etc/passwd").read()),
    tried(lambda: open(sys.argv[2], "w")),
    tried(lambda: os.unlink(sys.argv[1])),
    tried(lambda: subprocess.run(["/bin/true"], close_fds=False)),
    held.read(),
]))
"""


def test_the_worker_sees_libraries_and_no_file_of_the_host(tmp_path):
    pytest.importorskip("sklearn")
    key = tmp_path / "key"
    key.write_text("secret")
    words = [sys.executable, "-I", "-c", PRY, str(key), str(tmp_path / "new")]
    said = subprocess.run(words, capture_output=True, text=True, check=True, cwd="/").stdout
    if said == "null\n":
        pytest.skip("this kernel has no Landlock")
    assert json.loads(said) == ["PermissionError"] * 6 + ["secret"]
    assert key.exists()
    _, model = trained()
    with open_model(Bytes(pickle.dumps(model, 4)), POLICY) as opened:
        assert "files" in opened.facts["walls"]


def test_weights_predict_by_the_steps_they_are_given():
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    out = io.BytesIO()
    torch.save(net.state_dict(), out)
    batch = np.ones((2, 3), np.float32)
    steps = ("linear 0", "relu", "linear 2")
    with open_model(Bytes(out.getvalue()), policy_of("weights"), steps=steps) as opened:
        assert opened.kind == "weights"
        assert opened.tensor("0.weight").shape == (4, 3)
        wanted = net(torch.from_numpy(batch)).detach().numpy()
        assert np.allclose(opened.predict(batch), wanted, atol=1e-6)


def test_what_is_not_clean_is_not_loaded():
    for data in (EVIL, b"", b"\x80\x02cnobody\nKnown\n."):
        with pytest.raises(Refused) as refused:
            open_model(Bytes(data), POLICY)
        assert refused.value.rule == "loader.not-clean"


def test_a_file_swapped_between_scan_and_load_is_refused(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"a": np.zeros(2)}, 4))
    scanned = of_bytes(path.read_bytes())
    other = tmp_path / "other"
    other.write_bytes(EVIL)
    os.replace(other, path)
    with Opened(path) as opened, pytest.raises(VerifyError) as refused:
        open_model(opened, POLICY, sha256=scanned)
    assert refused.value.rule == "loader.changed"


def test_the_copy_that_is_loaded_cannot_be_written_to():
    held = Held(Bytes(b"abc"))
    try:
        with pytest.raises(PermissionError):
            os.pwrite(held.fd, b"x", 0)
    finally:
        held.close()


def test_the_loader_obeys_the_policy_by_itself_too():
    with pytest.raises(Refused) as refused:
        restricted.load(EVIL, POLICY)
    assert refused.value.rule == "loader.name"
    with pytest.raises(Refused):
        restricted.load(pickle.dumps(np.zeros(2), 4), policy_of("weights"))


def test_an_object_array_inside_joblib_is_held_to_the_policy():
    pytest.importorskip("joblib")
    from sealwright.app.bench.supply.malicious import joblib_array

    with pytest.raises(Refused):
        restricted.load(joblib_array(EVIL), POLICY)
    assert restricted.load(joblib_bytes({"x": np.array([1, None], dtype=object)}), POLICY)
