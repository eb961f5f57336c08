"""One file for each way to look for poisoned records."""
