"""Messages between this process and the box: a JSON header and blobs, each with its length. Data only, nothing that
could run when it is read. Not the conversation with a program, whose payloads are its own (conversation.py)."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterable, Mapping
from typing import Any

LONGEST_HEADER = 1 << 20


def send(channel: socket.socket, header: Mapping[str, Any], blobs: Iterable[bytes] = ()) -> None:
    """Raises OSError."""
    kept = list(blobs)
    text = json.dumps({**header, "sizes": [len(blob) for blob in kept]}).encode()
    channel.sendall(b"".join((struct.pack("<I", len(text)), text, *kept)))


def receive(channel: socket.socket, most: int = 1 << 32) -> tuple[dict[str, Any], list[bytes]]:
    """Raises EOFError where the other side is gone, ValueError where blobs are longer than `most` together."""
    (length,) = struct.unpack("<I", exactly(channel, 4))
    if length > LONGEST_HEADER:
        raise ValueError("header too long")
    header = json.loads(exactly(channel, length))
    sizes: list[int] = header.pop("sizes")
    if sum(sizes) > most or min(sizes, default=0) < 0:
        raise ValueError("message too long")
    return header, [exactly(channel, size) for size in sizes]


def exactly(channel: socket.socket, size: int) -> bytes:
    """So many bytes; raises EOFError at the end."""
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = channel.recv_into(view)
        if not count:
            raise EOFError("the other side is gone")
        view = view[count:]
    return bytes(data)
