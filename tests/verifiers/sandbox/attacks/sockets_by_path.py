"""Tries to reach services by their socket files."""

import glob
import socket

for path in ("/dev/log", "/run/systemd/notify", "/var/run/docker.sock", "/run/dbus/system_bus_socket", *glob.glob("/tmp/**", recursive=True)):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            with socket.socket(socket.AF_UNIX, kind) as client:
                client.connect(path)
                print("ESCAPED", path)
        except OSError:
            pass
