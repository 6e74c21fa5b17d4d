"""The way to Docker's Kafka without an engine: behind a stand-in for its command a JVM's Kafka starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streams.broker import docker, local

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 120
# `docker info`, `docker compose version`, `docker compose ... up --wait kafka`, `docker compose ... down -v`.
DOCKER = """#!/bin/sh
echo "$@" >> {log}
interlayer() {{ {python} -c 'from streams.cli.main import run; run()' "$@" --state {state}; }}
case "$*" in
    *" up --wait kafka") interlayer broker start --kind jvm --port "$KAFKA_PORT" ;;
    *" down -v") interlayer broker stop ;;
esac
"""
INNER = """
import os
import re
import re

def test_kafka_is_dockers(kafka, topic_prefix):
    from tests.brokers import make_topics
    assert kafka.kind == "kafka"
    assert kafka.bootstrap == f"127.0.0.1:{os.environ['KAFKA_PORT']}"
    make_topics(kafka, {topic_prefix + "a": 2})
"""


def stand_in(folder: Path, body: str) -> None:
    folder.mkdir()
    path = folder / "docker"
    path.write_text(body)
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("echo 'is the daemon running?' >&2; exit 1", "`docker info` says: is the daemon running?"),
        ("sleep 60", "`docker info` does not answer within 0.2 s"),
        ('test "$1" = info', "`docker compose version` says: exit code 1"),
        ("exit 0", None),
    ],
)
def test_why_docker_will_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, reason: str | None
) -> None:
    stand_in(tmp_path / "bin", f"#!/bin/sh\n{body}\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    if reason and "within" in reason:
        monkeypatch.setattr(docker, "ANSWER_LIMIT_S", 0.2)
    assert docker.why_no_docker() == reason


def test_no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert docker.why_no_docker() == "docker is not on PATH"


@pytest.mark.kafka
@pytest.mark.needs_java
def test_the_fixture_takes_kafka_alone_from_compose(jvm_tools: None, tmp_path: Path) -> None:
    log, state = tmp_path / "log", tmp_path / "state"
    stand_in(tmp_path / "bin", DOCKER.format(log=log, python=sys.executable, state=state))
    inner = tmp_path / "test_inner.py"
    inner.write_text(INNER)
    # As tests/conftest.py does: fixtures of a plugin that is named there come before pytest-docker's own.
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tests.brokers"]\n')
    environment = {
        **{name: value for name, value in os.environ.items() if name != "INTERLAYER_TEST_BROKER"},
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--rootdir", tmp_path, "-c", ROOT / "pyproject.toml",
             "-p", "no:cacheprovider", inner],
            capture_output=True, text=True, env=environment, timeout=LIMIT_S,
        )  # fmt: skip  # a flag a line is harder to read
        assert "1 passed" in done.stdout, done.stdout + done.stderr
    finally:
        left = local.end(state)
    assert left is None, "it was stopped with the session"
    project = re.compile(r" -p \S+")
    assert [project.sub("", call) for call in log.read_text().splitlines()] == [
        "info",
        "compose version",
        f"compose -f {ROOT / 'docker-compose.yml'} up --wait kafka",
        f"compose -f {ROOT / 'docker-compose.yml'} down -v",
    ]
