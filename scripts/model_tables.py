"""Write kit/modelfile/tables/{numpy,sklearn,torch}.json from the libraries installed here.

Types are found by looking; the few functions are named below, each read before it was listed.
``stdlib.json``, ``joblib.json`` and ``boosters.json`` are written by hand. Uses, a letter each:
``i`` may be named, ``c`` may be called, ``n`` may be made without ``__init__``, ``b`` may be
given its state, ``f`` may be filled as a list, set or mapping.
"""

import importlib
import inspect
import json
import pkgutil
import re
import sys
import warnings
from pathlib import Path

TABLES = Path(__file__).resolve().parent.parent / "src/sealwright/kit/modelfile/tables"

NUMPY_FUNCTIONS = {
    "numpy._core.multiarray": {"_reconstruct": "cb", "scalar": "c"},
    "numpy._core.numeric": {"_frombuffer": "c"},
    "numpy.random._pickle": {
        "__bit_generator_ctor": "cb",
        "__generator_ctor": "cb",
        "__randomstate_ctor": "cb",
    },
    "numpy.ma.core": {"_mareconstruct": "cb", "MaskedArray": "i"},
}
LEFT_OUT = (
    "sklearn.externals",
    "sklearn.datasets",
    "sklearn.utils.estimator_checks",
    "sklearn.utils._mocking",
    "sklearn.utils._testing",
    "sklearn.utils.parallel",
    "sklearn.utils.fixes",
    "sklearn.utils._repr_html",
    "sklearn.callback",
    "sklearn.conftest",
)
CALLS_WHAT_IT_IS_GIVEN = {"FunctionTransformer"}
PLAIN = {
    "sklearn.calibration": {"_CalibratedClassifier", "_SigmoidCalibration"},
    "sklearn.ensemble._hist_gradient_boosting.predictor": {"TreePredictor"},
    "sklearn.ensemble._hist_gradient_boosting.binning": {"_BinMapper"},
    "sklearn.metrics._scorer": {"_PassthroughScorer"},
    "sklearn.utils._bunch": {"Bunch"},
    "sklearn.neural_network._stochastic_optimizers": {"AdamOptimizer", "SGDOptimizer"},
    "sklearn.utils._metadata_requests": {"MetadataRequest", "MethodMetadataRequest"},
    "sklearn.cluster._bisect_k_means": {"_BisectingTree"},
}

EXTENSIONS = {
    "sklearn.linear_model._sgd_fast": {
        "EpsilonInsensitive": "icb",
        "Hinge": "icb",
        "ModifiedHuber": "icb",
        "SquaredEpsilonInsensitive": "icb",
        "SquaredHinge": "icb",
    },
    "sklearn.metrics._dist_metrics": {"newObj": "cb"},
    "sklearn.neighbors._ball_tree": {"BallTree": "i", "newObj": "cb"},
    "sklearn.neighbors._kd_tree": {"KDTree": "i", "newObj": "cb"},
    "sklearn.tree._tree": {"Tree": "icb"},
}


def numpy_table() -> dict:
    import numpy as np

    pairs = {module: dict(names) for module, names in NUMPY_FUNCTIONS.items()}
    plain = pairs.setdefault("numpy", {})
    for name, kind in vars(np).items():
        if inspect.isclass(kind) and issubclass(kind, np.generic) and kind.__module__ == "numpy":
            plain[name] = plain[kind.__name__] = "i"
    plain |= {"ndarray": "i", "dtype": "cb", "matrix": "i", "recarray": "i", "record": "i"}
    dtypes = pairs.setdefault("numpy.dtypes", {})
    for name, kind in vars(np.dtypes).items():
        if inspect.isclass(kind) and issubclass(kind, np.dtype):
            dtypes[name] = "i"
    for bits in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"):
        pairs[f"numpy.random._{bits.lower().replace('dxsm', '')}"] = pairs.get(
            f"numpy.random._{bits.lower().replace('dxsm', '')}", {}
        ) | {bits: "i"}
    pairs["numpy.random.bit_generator"] = {
        "SeedSequence": "i",
        "__pyx_unpickle_SeedSequence": "cb",
    }
    pairs["numpy._core._internal"] = {}
    pairs = {module: names for module, names in pairs.items() if names}
    aliases = {"numpy.core": "numpy._core"}
    return table("numpy", "framework", pairs, np.__version__, aliases)


def sklearn_table() -> dict:
    import sklearn
    from sklearn._loss import _loss as losses
    from sklearn._loss.link import BaseLink
    from sklearn._loss.loss import BaseLoss
    from sklearn.base import BaseEstimator
    from sklearn.gaussian_process.kernels import Hyperparameter, Kernel
    from sklearn.metrics import _dist_metrics as metrics

    pairs: dict[str, dict[str, str]] = {}
    for module in walked(sklearn):
        for name, kind in sorted(vars(module).items()):
            if not inspect.isclass(kind) or kind.__module__ != module.__name__:
                continue
            if kind.__name__ != name or name in CALLS_WHAT_IT_IS_GIVEN:
                continue
            if issubclass(kind, BaseEstimator | Kernel | BaseLoss | BaseLink):
                pairs.setdefault(module.__name__, {})[name] = "in"
            elif name in PLAIN.get(module.__name__, ()):
                uses = "incf" if issubclass(kind, dict) else "in"
                pairs.setdefault(module.__name__, {})[name] = uses
    for name, uses in EXTENSIONS.items():
        pairs[name] = pairs.get(name, {}) | uses
    pairs["sklearn.metrics._dist_metrics"] |= {
        name: "i" for name in vars(metrics) if re.fullmatch(r"[A-Z]\w+Distance(32|64)?", name)
    }
    pairs["sklearn._loss._loss"] = {
        name: "icb" for name in vars(losses) if re.fullmatch(r"Cy\w+(Loss|LossIdentity)", name)
    }
    pairs["sklearn._loss._loss"] |= {
        name: "cb" for name in vars(losses) if re.fullmatch(r"__pyx_unpickle_Cy\w+", name)
    }
    pairs.setdefault("sklearn.gaussian_process.kernels", {})[Hyperparameter.__name__] = "in"
    pairs.setdefault("sklearn._loss.link", {})["Interval"] = "in"
    return table("sklearn", "framework", pairs, sklearn.__version__, {})


def walked(package):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        name = found.name
        if ".tests" in name or any(name == out or name.startswith(out + ".") for out in LEFT_OUT):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield importlib.import_module(name)
            except ImportError:
                continue


def torch_table() -> dict:
    import torch
    from torch._weights_only_unpickler import _get_allowed_globals

    pairs: dict[str, dict[str, str]] = {}
    for full, what in _get_allowed_globals().items():
        module, _, name = full.rpartition(".")
        if not module.startswith("torch"):
            continue
        if name in ("_rebuild_wrapper_subclass", "_rebuild_device_tensor_from_numpy"):
            continue
        if isinstance(what, torch.dtype | torch.qscheme) or name.endswith(("Storage", "Tensor")):
            uses = "i"
        elif inspect.isfunction(what):
            uses = "c"
        else:
            uses = "ic"
        pairs.setdefault(module, {})[name] = uses
    return table("torch", "weights", pairs, torch.__version__.partition("+")[0], {})


def table(library, level, pairs, version, aliases) -> dict:
    ordered = {module: dict(sorted(pairs[module].items())) for module in sorted(pairs)}
    return {
        "library": library,
        "level": level,
        "version": version,
        "aliases": aliases,
        "pairs": ordered,
    }


if __name__ == "__main__":
    for make in (numpy_table, sklearn_table, torch_table):
        made = make()
        path = TABLES / f"{made['library']}.json"
        path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
        count = sum(map(len, made["pairs"].values()))
        sys.stdout.write(f"{path.name}: {count} pairs of {made['library']} {made['version']}\n")
