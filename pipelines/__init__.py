"""Recipes and the runner that walks a job through the other rooms."""
