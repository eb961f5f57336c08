"""The walk: what to run (spec), in which order and on what (plan), and the loop (engine)."""
