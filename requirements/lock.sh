#!/usr/bin/env bash
# Resolves the .in files and pyproject.toml into the pinned lists that `make setup` installs.
# FIND_LINKS may name a folder with torch's CPU wheel; without it PyTorch's own CPU index is asked.
set -euo pipefail
cd "$(dirname "$0")/.."
torch=(--index https://download.pytorch.org/whl/cpu --index-strategy unsafe-best-match)
[ -n "${FIND_LINKS:-}" ] && torch=(--find-links "$FIND_LINKS")
compile() { uv pip compile --quiet --python-version 3.11 --no-annotate --no-header --no-emit-index-url --no-emit-find-links "$@"; }
compile pyproject.toml requirements/cpu.in --extra ray --extra languages --extra service --extra s3 --extra postgres --extra semantic --extra train --override requirements/overrides.txt "${torch[@]}" -o requirements/cpu.txt
compile pyproject.toml requirements/gpu.in --extra ray --extra languages --extra service --extra s3 --extra postgres --extra semantic --extra train --override requirements/overrides.txt \
    --python-platform x86_64-manylinux_2_28 -o requirements/gpu.txt
compile requirements/dev.in --override requirements/overrides.txt "${torch[@]}" -o requirements/dev.txt
