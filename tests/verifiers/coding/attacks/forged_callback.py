"""Asks the tests to call a function of theirs instead of answering."""

import gc

for thing in gc.get_objects():
    if type(thing).__name__ == "Server":
        thing._answer = lambda operation, arguments: (
            ["callback", 0, [], {}] if operation == "call" else ["ok", {"dict": [["add", {"theirs": 0}]]}]
        )
