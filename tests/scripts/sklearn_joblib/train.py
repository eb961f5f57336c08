"""Tune a random forest with two workers and save it with joblib."""

import argparse
from pathlib import Path

import joblib
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--trees", type=int, default=20)
args = parser.parse_args()

table = pd.read_csv("data/train.csv")
x, y = table.drop(columns="label"), table["label"]
x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)

search = GridSearchCV(
    RandomForestClassifier(n_estimators=args.trees, random_state=0, n_jobs=1),
    {"max_depth": [4, 8]},
    cv=2,
    n_jobs=2,
)
search.fit(x_train, y_train)
print(f"accuracy {search.score(x_test, y_test):.3f}")

Path("models").mkdir(exist_ok=True)
joblib.dump(search.best_estimator_, "models/model.joblib")
