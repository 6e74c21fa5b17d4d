#!/bin/sh
# Writes requirements.lock: one lock for every supported Python and system, with hashes and without addresses.
# What is already locked stays as it is; `make lock UPGRADE=1` takes the newest.
set -eu
cd "$(dirname "$0")/.."
if ! command -v uv >/dev/null 2>&1; then
    echo "make lock: uv is not on PATH; it resolves for all systems at once, which pip cannot." >&2
    echo "  Install it with: python3 -m pip install uv (into an environment of its own), then run make lock again." >&2
    exit 2
fi
if [ "${UPGRADE:-}" ]; then set -- --upgrade; fi
exec uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header \
    --group dev --output-file requirements.lock "$@" pyproject.toml
