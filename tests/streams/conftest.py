"""Fixtures of the command line's tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from schemas.topics import topics
from streams.broker import Broker
from streams.cli import main as cli
from tests.brokers import make_topics
from tests.streams.shell import Interlayer, Said


@pytest.fixture
def interlayer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Interlayer:
    """Runs a command in a folder of its own and with no INTERLAYER_* variable set."""
    for name in list(os.environ):
        if name.startswith("INTERLAYER_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> Said:
        capsys.readouterr()
        code = cli.main(list(arguments))
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return command


@pytest.fixture
def at(broker: Broker, topic_prefix: str) -> list[str]:
    """The flags that lead to a broker with all topics under a prefix of this test's own."""
    made = topics(topic_prefix, 2)
    make_topics(broker, {topic.name: topic.partitions for topic in made})
    return ["--broker", f"kafka://{broker.bootstrap}", "--prefix", topic_prefix]
