"""Engines: what turns a request into a completion. Each implements `core.types.Engine`."""
