"""Benchmarks: modules with `run(runs) -> dict` and `table(result) -> str`, for `python -m experiments.benchmark`."""
