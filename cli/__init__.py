"""The `tracemill` command: the same verbs as the API."""
