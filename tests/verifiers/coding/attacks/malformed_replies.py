"""Answers with what no server writes."""

import gc
import itertools

replies = itertools.cycle([b"", b"null", b"[" * 100000, b'["ok"]', b'["ok", {"object": {}}, 5]', b"\xff", b'["ok", {"set": [[1]]}, null]'])
for thing in gc.get_objects():
    if type(thing).__name__ == "Server":
        type(thing)._reply = lambda self, message: self._send(next(replies) if message[-1] is None else b'["ok", {"dict": []}]')


def add(a, b):
    return 0
