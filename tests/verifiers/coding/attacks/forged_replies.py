"""Sends many replies before it is asked."""

import gc
import types

send = [thing for thing in gc.get_objects() if isinstance(thing, types.FunctionType) and thing.__name__ == "reply"]
for function in send:
    for reply in (b'["ok", null]', b'["ok", {"dict": [["add", {"object": [0, ["function"]]}]]}]', b'["ok", true, null]') * 20:
        function(reply)


def add(a, b):
    return 0
