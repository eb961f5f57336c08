"""Looks for what does not belong in a dataset before anything is trained on it."""
