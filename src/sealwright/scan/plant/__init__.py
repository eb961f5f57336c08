"""Plants one trigger family in a copy of some records: for canaries, tests and benches."""
