"""Recorded completions, from which the benches of the strategies draw."""
