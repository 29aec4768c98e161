"""Tries to run for ever in the regular expression engine."""
# ends: cpu

import re

print(re.match(r"(a|aa)+$", "a" * 200 + "b"))
