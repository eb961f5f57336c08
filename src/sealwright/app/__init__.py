"""What people and programs touch: the command line, the demo, the benchmarks, the wiring."""
