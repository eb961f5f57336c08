"""Other tools on the same poisoned sets, in the same process, where they are installed.

cleanlab ranks rows by how well their label agrees with cross-validated probabilities; the
Adversarial Robustness Toolbox (ART) flags rows in a trained network's activations.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sealwright.app.bench.poison.score import auroc, found_at
from sealwright.app.bench.poison.sets import Set
from sealwright.app.bench.poison.victims import matrix, tensor

Mask: TypeAlias = npt.NDArray[np.bool_]


def cleanlab_scores(rows: Set, seed: int, network: Any = None) -> npt.NDArray[np.float64] | None:
    """(rows,) one minus cleanlab's label quality; None where it is not installed."""
    try:
        quality = import_module("cleanlab.rank").get_label_quality_scores
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
    except ImportError:
        return None
    features, model = _features(rows, network), _model(rows, seed)
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        odds = cross_val_predict(
            model, features, rows.whole.labels, cv=folds, method="predict_proba"
        )
    good = quality(rows.whole.labels.astype(np.int64), odds)
    return 1 - np.asarray(good, float)


def cleanlab_figures(rows: Set, planted: Mask, seed: int, network: Any = None) -> dict[str, float]:
    """cleanlab's AUROC and its share found at 1 % false alarms."""
    scores = cleanlab_scores(rows, seed, network)
    if scores is None:
        return {}
    found = found_at(scores, planted, 0.01) / max(1, int(planted.sum()))
    return {"cleanlab AUROC": auroc(scores, planted), "cleanlab found": 100 * found}


def art_figures(rows: Set, planted: Mask, network: Any) -> dict[str, float]:
    """Share found and share of clean rows flagged, in percent, by ART's two poison detectors."""
    os.environ["HOME"], home = tempfile.mkdtemp(), os.environ["HOME"]  # its import writes there
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            detectors = import_module("art.defences.detector.poison")
            estimators = import_module("art.estimators.classification")
    except ImportError:
        return {}
    finally:
        os.environ["HOME"] = home
    import torch

    logging.getLogger("art").setLevel(logging.ERROR)
    images, labels = rows.whole.images, rows.whole.labels.astype(np.int64)
    if images is None:
        return {}
    x = tensor(images).numpy()
    classes = len(rows.frame.labels)
    wrapped = estimators.PyTorchClassifier(
        network, torch.nn.CrossEntropyLoss(), x.shape[1:], classes, clip_values=(-1, 1)
    )
    y = np.eye(classes)[labels]
    figures = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, kind in (
            ("clusters", "ActivationDefence"),
            ("spectral", "SpectralSignatureDefense"),
        ):
            _, clean = getattr(detectors, kind)(wrapped, x, y).detect_poison()
            flagged = np.asarray(clean) == 0
            figures[f"ART {name} found"] = 100 * float(flagged[planted].mean())
            figures[f"ART {name} flagged"] = 100 * float(flagged[~planted].mean())
    return figures


def _features(rows: Set, network: Any) -> Any:
    if rows.whole.images is not None:
        import torch

        with torch.no_grad():
            parts = [
                network[:-1](tensor(rows.whole.images[at : at + 500]))
                for at in range(0, rows.frame.rows, 500)
            ]
        return torch.cat(parts).numpy()
    if "text" in rows.whole.values:
        from sklearn.feature_extraction.text import TfidfVectorizer

        return TfidfVectorizer(min_df=2, sublinear_tf=True).fit_transform(
            list(rows.whole.values["text"])
        )
    codes = {
        name: {value: code for code, value in enumerate(sorted(set(values)))}
        for name, values in rows.whole.values.items()
        if values.dtype == object
    }
    return matrix(rows.whole.values, codes)


def _model(rows: Set, seed: int) -> Any:
    if rows.whole.values and "text" not in rows.whole.values:
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(random_state=seed)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=200, random_state=seed)
