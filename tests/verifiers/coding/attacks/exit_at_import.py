"""Leaves with success before the first test."""

import sys

sys.exit(0)
