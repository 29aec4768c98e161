"""Tries to talk to a server on the same machine and beyond."""

import socket
import sys
import urllib.request

for address in (("127.0.0.1", int(sys.argv[3])), ("localhost", int(sys.argv[3])), ("1.1.1.1", 53), ("::1", int(sys.argv[3]))):
    try:
        socket.create_connection(address, timeout=0.3).sendall(b"x")
        print("ESCAPED", address)
    except OSError as error:
        print(error)
try:
    print("ESCAPED", urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[3]}/", timeout=0.3))
except OSError as error:
    print(error)
try:
    print("ESCAPED", socket.gethostbyname("localhost"))
except OSError as error:
    print(error)
