"""Tries to reach a server by its abstract name, which is in no file system."""

import socket
import sys

for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
    try:
        with socket.socket(socket.AF_UNIX, kind) as client:
            client.connect("\0" + sys.argv[4])
            client.send(b"x")
            print("ESCAPED")
    except OSError as error:
        print(error)
