"""Whether a Docker daemon answers here; asked before anything of Docker's is used."""

from __future__ import annotations

import shutil
import subprocess

ANSWER_LIMIT_S = 5.0


def why_no_docker() -> str | None:
    """None where a daemon answers `docker info` and Compose is there, else what is missing, in one line."""
    docker = shutil.which("docker")
    if docker is None:
        return "docker is not on PATH"
    for argv in ([docker, "info"], [docker, "compose", "version"]):
        try:
            asked = subprocess.run(argv, capture_output=True, text=True, timeout=ANSWER_LIMIT_S)
        except (OSError, subprocess.TimeoutExpired):
            return f"`{' '.join(['docker', *argv[1:]])}` does not answer within {ANSWER_LIMIT_S:g} s"
        if asked.returncode:
            said = asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"]
            return f"`{' '.join(['docker', *argv[1:]])}` says: {said[-1]}"
    return None
