#!/bin/sh
# Tries to fill the machine with processes, from a shell that may start some.
bomb() { bomb | bomb & }
bomb
sleep 1000
