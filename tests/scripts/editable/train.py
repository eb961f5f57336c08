"""Train with the package of this repository, which is installed in editable mode."""

from importlib.metadata import version

import fraudkit.fit
import joblib

print(f"fraudkit {version('fraudkit')} from {fraudkit.__file__}")
joblib.dump(fraudkit.fit.fit("data/train.csv"), "model.joblib")
