"""Judges traces by rules, one file a plugin; the boundary `judging.judge` turns failures into UNDECIDED."""
