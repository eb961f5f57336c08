"""Honest files of the libraries are accepted, and every one is looked at."""

import io

import pytest

from sealwright.app.bench.supply import honest


def test_a_sample_of_honest_files_is_clean(gate):
    pytest.importorskip("sklearn")
    seen = set()
    for family, name, data in honest.files(7, quick=True):
        found = gate.look(data)
        assert found.findings == (), (family, name)
        assert found.format
        seen.add(family)
    assert {"sklearn", "joblib", "numpy", "safetensors"} <= seen


def test_weights_of_torch_are_clean_at_the_strictest_level(weights):
    pytest.importorskip("torch")
    for family, name, data in honest._torch(7):
        if family == "state_dict":
            assert weights.look(data).findings == (), name


def test_a_whole_module_and_torchscript_are_refused_with_the_way_out(gate):
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Linear(2, 2))
    out = io.BytesIO()
    torch.save(net, out)
    assert gate.word(out.getvalue()) == "dangerous"
    assert "pickle.name" in gate.rules(out.getvalue())


def test_an_hdf5_file_of_weights_is_clean_and_one_with_a_lambda_is_not(gate):
    h5py = pytest.importorskip("h5py")
    import json

    def made(config):
        out = io.BytesIO()
        with h5py.File(out, "w") as file:
            file.create_dataset("dense/kernel", data=[[1.0, 2.0]])
            if config:
                file.attrs["model_config"] = json.dumps(config)
        return out.getvalue()

    layers = {"class_name": "Sequential", "config": {"layers": []}}
    assert gate.word(made(None)) == "clean"
    assert gate.word(made(layers)) == "clean"
    layers["config"]["layers"] = [{"class_name": "Lambda", "config": {"function": "x"}}]
    assert gate.rules(made(layers)) == ["keras.lambda"]


def test_an_hdf5_file_that_points_elsewhere_is_refused(gate, tmp_path):
    h5py = pytest.importorskip("h5py")
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["x"] = h5py.ExternalLink("/etc/passwd", "/y")
    assert gate.rules(out.getvalue()) == ["hdf5.link"]


def test_an_onnx_model_is_clean(gate):
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    node = helper.make_node("Relu", ["x"], ["y"])
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node], "g", [value("x", kinds.FLOAT, [2])], [value("y", kinds.FLOAT, [2])]
    )
    found = gate.look(helper.make_model(graph).SerializeToString())
    assert (found.verdict, found.format) == ("clean", "onnx")


def test_a_skops_file_is_clean(gate):
    skops = pytest.importorskip("skops.io")
    linear = pytest.importorskip("sklearn.linear_model")
    model = linear.LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    found = gate.look(skops.dumps(model))
    assert found.findings == ()
    assert found.format == "skops"


def test_gguf_metadata_is_read(gate):
    from sealwright.app.bench.supply.othermalice import gguf

    assert gate.look(gguf({"general.name": "tiny"})).format == "gguf"
