"""Benchmarks: one module per flow, each with a raw baseline in the same run. `python -m benchmarks [FLOW …]`."""
