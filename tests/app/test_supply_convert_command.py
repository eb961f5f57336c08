"""``seal supply convert``: clean models only, in the room, and a statement."""

import json
import pickle

import numpy as np
import pytest
from app_house import needs_room

pytestmark = needs_room

TRAIN = """\
import pickle
import numpy as np
rows = open("data/train.csv").read().split()[1:]
model = {"w": np.arange(6.0).reshape(2, 3), "rows": len(rows), "name": "fraud"}
pickle.dump(model, open("model.pkl", "wb"))
"""


def test_a_file_becomes_tensors_and_the_original_goes_into_quarantine(project):
    data = pickle.dumps({"w": np.arange(6.0), "b": [np.float32(1.5)], "name": "x"}, 4)
    (project.root / "downloaded.pkl").write_bytes(data)
    made = project.ok("supply", "convert", "downloaded.pkl", "--to", "safetensors")
    folder = project.root / "downloaded.pkl.converted"
    assert sorted(one.name for one in folder.iterdir()) == ["model.safetensors", "params.json"]
    assert made["model"] is None
    assert not (project.root / "downloaded.pkl").exists()
    assert (project.root / made["quarantined"]).read_bytes() == data
    params = json.loads((folder / "params.json").read_text("utf-8"))
    assert params["value"]["name"] == "x"
    assert params["value"]["w"] == {"tensor": "w"}
    load_file = pytest.importorskip("safetensors.numpy").load_file
    assert np.array_equal(load_file(folder / "model.safetensors")["w"], np.arange(6.0))
    assert project.seal("supply", "scan", str(folder))[0] == 0


def test_what_is_not_clean_is_not_converted_and_stays_where_it_is(project):
    (project.root / "bad.pkl").write_bytes(b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.")
    code, body, _ = project.seal("supply", "convert", "bad.pkl", "--to", "safetensors")
    assert (code, body["error"]["rule"]) == (1, "loader.not-clean")
    assert (project.root / "bad.pkl").exists()


def test_a_model_becomes_its_own_next_version(project):
    project.write("train.py", TRAIN)
    project.ok("run", "--model", "model.pkl", "--", "python", "train.py")
    name = project.ok("model", "list")["models"][0]["ref"]
    made = project.ok("supply", "convert", name, "--to", "safetensors", "--reason", "weights only")
    assert made["model"] == name.replace("@1", "@2")
    shown = project.ok("model", "show", made["model"])
    assert name in json.dumps(shown["inputs"])
    assert project.seal("verify", made["model"])[0] == 0
