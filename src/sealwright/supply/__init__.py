"""The supply chain: what a run is made of, and whether that can be trusted."""
