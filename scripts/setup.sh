#!/bin/sh
# Makes the virtual environment from requirements.lock: finds a Python, the rest is scripts/setup_env.py.
# usage: [PYTHON=python3.12] setup.sh FOLDER        exit: 0 done, 1 a fault (no network), 2 something is missing
set -u
cd "$(dirname "$0")/.."
env_dir=${1:-.venv}
script=scripts/setup_env.py

if [ -n "${PYTHON:-}" ]; then
    if ! command -v "$PYTHON" >/dev/null 2>&1; then
        echo "make setup: there is no $PYTHON on PATH; give another with PYTHON=, or leave it out." >&2
        exit 2
    fi
    # Older ones cannot even read the script that would refuse them.
    if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "make setup: $PYTHON is older than Python 3.11 or does not run; Interlayer needs Python 3.11 to 3.14." >&2
        exit 2
    fi
    exec "$PYTHON" $script make "$env_dir"
fi

# An environment that is whole keeps its interpreter, also where a newer one has been installed since.
"$env_dir/bin/python" $script whole "$env_dir" 2>/dev/null && exit 0

# A name on PATH is not yet a Python that runs (pyenv leaves such names), nor one that can make an environment.
for python in python3.14 python3.13 python3.12 python3.11 python3 python; do
    if [ "$("$python" $script can 2>/dev/null)" = yes ]; then
        exec "$python" $script make "$env_dir"
    fi
done

# None can: the newest that runs at all says in one line what is missing.
for python in python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c '' 2>/dev/null; then
        exec "$python" $script make "$env_dir"
    fi
done
echo "make setup: found no Python 3.11 to 3.14 on PATH; install one (Debian: apt install python3 python3-venv; macOS: brew install python), or name it: make setup PYTHON=/path/to/python3" >&2
exit 2
