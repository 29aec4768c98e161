#!/bin/sh
# Tries to kill every process that it may.
kill -9 "$2" && kill -0 "$2" && echo sent
kill -9 -1
