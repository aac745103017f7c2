"""Benchmarks: what docs/benchmarks.md says, each printed by a `make bench-*` target. No test asserts a time."""
