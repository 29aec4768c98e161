"""Strategies: how many samples a prompt gets, and when to stop. Each implements `strategy.Strategy`."""
