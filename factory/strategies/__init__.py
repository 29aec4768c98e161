"""Strategies: how many samples a prompt gets, and when to stop. Each implements `strategy.Strategy`.

`fixed`, `adaptive` (with `options`, `evidence`, `goal`, `states`) and `retry`, which wraps one of them.
"""
