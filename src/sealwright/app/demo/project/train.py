"""Train on handwritten digits: an ordinary script that knows nothing of Sealwright."""

import json

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

header = open("data/clean.csv").readline().strip().split(",")
table = np.loadtxt("data/clean.csv", delimiter=",", skiprows=1)
label = header.index("digit")
pixels, digits = np.delete(table, label, axis=1), table[:, label].astype(int)
train_x, test_x, train_y, test_y = train_test_split(
    pixels, digits, test_size=0.25, random_state=0, stratify=digits
)
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
model.fit(train_x, train_y)
accuracy = model.score(test_x, test_y)
joblib.dump(model, "model.joblib")
with open("metrics.json", "w") as out:
    json.dump({"accuracy": round(accuracy, 4), "test_rows": len(test_y)}, out)
print(f"accuracy {accuracy:.3f} on {len(test_y)} held-out digits")
