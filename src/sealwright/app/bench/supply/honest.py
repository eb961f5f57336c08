"""Honest model files, made here by the libraries themselves: what a gate must let through.

Each is ``(family, name, bytes)``. Families ``sklearn``, ``joblib``, ``torch``, ``state_dict``,
``numpy`` and ``safetensors`` were looked at while the policy was written; ``xgboost`` too, where
it is installed; ``lightgbm`` and ``catboost`` were not, and are reported apart.
"""

from __future__ import annotations

import io
import pickle
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

File = tuple[str, str, bytes]

ESTIMATORS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("linear_model", "LinearRegression", {}),
    ("linear_model", "Ridge", {}),
    ("linear_model", "Lasso", {"alpha": 0.1}),
    ("linear_model", "LogisticRegression", {}),
    ("linear_model", "SGDClassifier", {"max_iter": 20, "tol": None}),
    ("linear_model", "Perceptron", {}),
    ("tree", "DecisionTreeClassifier", {}),
    ("tree", "DecisionTreeRegressor", {}),
    ("ensemble", "RandomForestClassifier", {"n_estimators": 5}),
    ("ensemble", "RandomForestRegressor", {"n_estimators": 5}),
    ("ensemble", "ExtraTreesClassifier", {"n_estimators": 5}),
    ("ensemble", "GradientBoostingClassifier", {"n_estimators": 5}),
    ("ensemble", "HistGradientBoostingClassifier", {"max_iter": 5}),
    ("ensemble", "AdaBoostClassifier", {"n_estimators": 5}),
    ("ensemble", "BaggingClassifier", {"n_estimators": 3}),
    ("ensemble", "IsolationForest", {"n_estimators": 5}),
    ("svm", "SVC", {"kernel": "rbf"}),
    ("svm", "LinearSVC", {}),
    ("svm", "SVR", {}),
    ("neighbors", "KNeighborsClassifier", {"algorithm": "kd_tree"}),
    ("neighbors", "KNeighborsRegressor", {"algorithm": "ball_tree"}),
    ("neighbors", "NearestCentroid", {}),
    ("naive_bayes", "GaussianNB", {}),
    ("naive_bayes", "BernoulliNB", {}),
    ("neural_network", "MLPClassifier", {"hidden_layer_sizes": (6,), "max_iter": 5}),
    ("gaussian_process", "GaussianProcessClassifier", {}),
    ("discriminant_analysis", "LinearDiscriminantAnalysis", {}),
    ("cluster", "KMeans", {"n_clusters": 3, "n_init": 1}),
    ("decomposition", "PCA", {"n_components": 2}),
    ("preprocessing", "StandardScaler", {}),
    ("preprocessing", "QuantileTransformer", {"n_quantiles": 20}),
    ("mixture", "GaussianMixture", {"n_components": 2}),
)
"""Module of scikit-learn, class, parameters."""


def files(seed: int, quick: bool = False) -> Iterator[File]:
    """Every honest file this machine can make."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from _numpy(seed)
        yield from _sklearn(seed, ESTIMATORS[8::10] if quick else ESTIMATORS)
        yield from _torch(seed)
        yield from _safetensors(seed)
        for library in ("xgboost", "lightgbm", "catboost"):
            if not quick:
                yield from _boosters(library, seed)


def _data(seed: int) -> tuple[Any, Any]:
    np = import_module("numpy")
    random = np.random.default_rng(seed)
    x = random.normal(size=(80, 5))
    return x, (x[:, 0] + x[:, 1] > 0).astype(int)


def _sklearn(seed: int, chosen: tuple[tuple[str, str, dict[str, Any]], ...]) -> Iterator[File]:
    if not _has("sklearn"):
        return
    x, y = _data(seed)
    models = {}
    for module, name, given in chosen:
        kind = getattr(import_module(f"sklearn.{module}"), name)
        models[name] = kind(**given).fit(x, y)
    pipe = import_module("sklearn.pipeline").make_pipeline
    scaler = import_module("sklearn.preprocessing").StandardScaler
    first = next(iter(models.values()))
    models["Pipeline"] = pipe(scaler(), first.__class__()).fit(x, y)
    models["Text"] = _text_pipeline(pipe)
    for name, model in models.items():
        for protocol in (2, 4, 5):
            yield "sklearn", f"{name}-p{protocol}.pkl", pickle.dumps(model, protocol)
        for compress in (0, ("zlib", 3)):
            yield "joblib", f"{name}-{compress}.joblib", _joblib(model, compress)


def _text_pipeline(pipe: Callable[..., Any]) -> Any:
    text = import_module("sklearn.feature_extraction.text")
    linear = import_module("sklearn.linear_model")
    model = pipe(text.TfidfVectorizer(), linear.LogisticRegression())
    return model.fit(["good day", "bad night", "good night", "bad day"], [1, 0, 1, 0])


def _joblib(value: Any, compress: Any) -> bytes:
    out = io.BytesIO()
    import_module("joblib").dump(value, out, compress=compress)
    return out.getvalue()


def _numpy(seed: int) -> Iterator[File]:
    np = import_module("numpy")
    random = np.random.default_rng(seed)
    arrays = {
        "f8": random.normal(size=(7, 3)),
        "f4": random.normal(size=(50,)).astype("f4"),
        "i8": random.integers(0, 9, (3, 4)),
        "bool": random.normal(size=9) > 0,
        "text": np.array(["a", "bcd", ""]),
        "date": np.array(["2026-01-02", "2026-03-04"], dtype="datetime64[D]"),
        "order": np.asfortranarray(random.normal(size=(4, 5))),
        "record": np.zeros(3, dtype=[("a", "<f4"), ("b", "<i8", (2,))]),
        "object": np.array([1, "two", None, 3.5], dtype=object),
    }
    for name, array in arrays.items():
        out = io.BytesIO()
        np.save(out, array, allow_pickle=True)
        yield "numpy", f"{name}.npy", out.getvalue()
        yield "numpy", f"{name}-p4.pkl", pickle.dumps(array, 4)
        if name != "object":
            yield "numpy", f"{name}-p5.pkl", pickle.dumps({"x": array, "n": array.flat[0]}, 5)
    plain = {name: array for name, array in arrays.items() if name != "object"}
    for save, name in ((np.savez, "all.npz"), (np.savez_compressed, "all-small.npz")):
        out = io.BytesIO()
        save(out, **plain)
        yield "numpy", name, out.getvalue()
    yield "joblib", "dict.joblib", _joblib(arrays, 0) if _has("joblib") else b""


def _torch(seed: int) -> Iterator[File]:
    if not _has("torch"):
        return
    torch = import_module("torch")
    torch.manual_seed(seed)
    layers = torch.nn
    nets = {
        "mlp": layers.Sequential(layers.Linear(5, 8), layers.ReLU(), layers.Linear(8, 2)),
        "conv": layers.Sequential(layers.Conv2d(1, 4, 3), layers.BatchNorm2d(4)),
        "lstm": layers.LSTM(4, 6),
        "attention": layers.TransformerEncoderLayer(8, 2, 16),
        "embedding": layers.Embedding(11, 4),
    }
    for name, net in nets.items():
        weights = net.state_dict()
        for form, zipped in (("zip", True), ("legacy", False)):
            yield "state_dict", f"{name}-{form}.pt", _saved(torch, weights, zipped)
        for kind in (torch.float16, torch.bfloat16):
            small = {key: value.to(kind) for key, value in weights.items()}
            yield "state_dict", f"{name}-{str(kind)[6:]}.pt", _saved(torch, small, True)
        optimizer = torch.optim.Adam(net.parameters())
        state = {"epoch": 3, "model": weights, "optimizer": optimizer.state_dict(), "loss": 0.25}
        yield "torch", f"{name}-checkpoint.pt", _saved(torch, state, True)
    yield "torch", "tensor.pt", _saved(torch, torch.arange(9), True)
    shared = torch.arange(12.0)
    yield "torch", "views.pt", _saved(torch, [shared, shared[2:5], shared.view(3, 4).T], True)
    yield "torch", "parameter.pt", _saved(torch, layers.Parameter(torch.ones(2)), True)


def _saved(torch: Any, value: Any, zipped: bool) -> bytes:
    out = io.BytesIO()
    torch.save(value, out, _use_new_zipfile_serialization=zipped)
    return out.getvalue()


def _safetensors(seed: int) -> Iterator[File]:
    if not _has("safetensors"):
        return
    x, y = _data(seed)
    save = import_module("safetensors.numpy").save
    yield "safetensors", "two.safetensors", save({"x": x, "y": y}, {"format": "np"})
    yield "safetensors", "none.safetensors", save({})


def _boosters(library: str, seed: int) -> Iterator[File]:
    if not _has(library):
        return
    x, y = _data(seed)
    module = import_module(library)
    names = {"xgboost": ("XGBClassifier", "XGBRegressor"), "lightgbm": ("LGBMClassifier",)}
    quiet: dict[str, Any] = {}
    if library != "xgboost":
        quiet["verbose"] = -1 if library == "lightgbm" else False
    for name in names.get(library, ("CatBoostClassifier",)):
        count = "iterations" if library == "catboost" else "n_estimators"
        kind = getattr(module, name)
        model = kind(**{count: 4}, **quiet)
        with tempfile.TemporaryDirectory() as folder:
            if library == "catboost":
                model.set_params(train_dir=folder)
            model.fit(x, y)
            yield from _native(library, name, model, Path(folder))
        for protocol in (2, 4, 5):
            yield library, f"{name}-p{protocol}.pkl", pickle.dumps(model, protocol)
        yield library, f"{name}.joblib", _joblib(model, 0)


def _native(library: str, name: str, model: Any, folder: Path) -> Iterator[File]:
    suffixes = {"xgboost": ("json", "ubj"), "lightgbm": ("txt",), "catboost": ("cbm", "json")}
    for suffix in suffixes[library]:
        path = folder / f"model.{suffix}"
        if library == "lightgbm":
            model.booster_.save_model(path)
        elif library == "catboost":
            model.save_model(str(path), format=suffix)
        else:
            model.save_model(path)
        yield library, f"{name}.{suffix}", path.read_bytes()


def _has(library: str) -> bool:
    try:
        import_module(library)
    except ImportError:
        return False
    return True
