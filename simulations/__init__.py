"""Experiments, benchmarks and generated worlds: where questions about the system are answered."""
