"""Data comes in: sources, records, record trees, immutable versions."""
