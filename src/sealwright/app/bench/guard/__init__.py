"""The guard: what it costs, what it stops, whom it troubles. Source: docs/benchmarks.md."""
