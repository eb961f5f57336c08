"""Extraction: thieves who copy a model by asking it, and what the copies are worth."""
