"""The guard: what a served model is asked is admitted, charged, answered by policy and logged."""
