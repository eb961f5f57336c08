"""Features and fitting, installed in editable mode."""
