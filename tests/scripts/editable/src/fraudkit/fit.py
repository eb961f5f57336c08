"""Fit a model from a CSV file."""

import pandas as pd
from sklearn.tree import DecisionTreeClassifier


def fit(path: str) -> DecisionTreeClassifier:
    table = pd.read_csv(path)
    return DecisionTreeClassifier(random_state=0).fit(table.drop(columns="label"), table["label"])
