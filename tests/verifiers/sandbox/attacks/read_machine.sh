#!/bin/sh
# Tries to read the machine's files by its tools.
cat "$1/secret" /etc/passwd /etc/shadow /proc/*/environ /root/.* 2>/dev/null && echo ESCAPED
ls -la "$1" / /root /home 2>/dev/null | grep -q secret && echo ESCAPED
cp /bin/sh "$1/sh" && echo ESCAPED
chmod 777 "$1" "$1/secret"
touch "$1/secret" "$1/new" /tmp/tracemill-attack-file /dev/shm/tracemill-attack-file
true
