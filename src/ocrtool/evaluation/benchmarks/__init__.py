"""Public benchmarks, each scored by its own rules."""
