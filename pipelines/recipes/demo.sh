#!/usr/bin/env bash
# The demonstration: every line that it runs is printed first. `make demo` calls it.
set -euo pipefail
export PATH="$(cd "${BIN:-.venv/bin}" && pwd):$PATH"

trap 'echo "to go on with the demonstration: make demo" >&2; exit 130' INT
step() { printf '\n$ %s\n' "$1"; bash -c "$1"; }

step "tracemill model fetch smollm2-135m"
step "tracemill run recipes/demo.yaml"
step "tracemill show demo --kept 1"
step "tracemill sql \"SELECT domain, count(*) AS traces, avg(well_formed::int) AS well_formed, avg(correct::int) AS correct, count(DISTINCT prompt_id) FILTER (correct) AS solved FROM metrics GROUP BY domain ORDER BY correct DESC\""
step "tracemill export demo"
