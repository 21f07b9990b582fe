"""Benchmarks, one file per question; results are in `results/`."""
