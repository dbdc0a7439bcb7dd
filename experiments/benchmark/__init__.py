"""Benchmarks, each a module with `run(runs) -> dict` and `table(result) -> str`; `python -m experiments.benchmark` runs
one.
"""
