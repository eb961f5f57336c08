"""The red team: attacks on a model before somebody else makes them."""
