"""Benchmarks of speed, memory and stability: ``make bench``."""
