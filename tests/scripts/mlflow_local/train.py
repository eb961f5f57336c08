"""Train, and log parameters, metrics and the model file to MLflow's local store."""

import os

import joblib
import mlflow
import pandas as pd
from sklearn.linear_model import LogisticRegression

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
mlflow.set_tracking_uri("file:./mlruns")
mlflow.set_experiment("digits")
with mlflow.start_run(run_name="baseline"):
    table = pd.read_csv("data/train.csv")
    x, y = table.drop(columns="label") / 16, table["label"]
    model = LogisticRegression(max_iter=200).fit(x, y)
    mlflow.log_param("max_iter", 200)
    mlflow.log_metric("accuracy", model.score(x, y))
    joblib.dump(model, "model.joblib")
    mlflow.log_artifact("model.joblib")
print("logged")
