#!/bin/sh
# Tries to leave processes behind that ignore signals and have a session of their own.
for _ in 1 2 3; do
    (trap "" HUP TERM INT; setsid sleep 1000 || sleep 1000) >/dev/null 2>&1 &
    nohup sleep 1000 >/dev/null 2>&1 &
done
echo started
