"""The sides that bench/engine_overhead.py compares the factory with."""
