"""`interlayer broker` and `interlayer topics` as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import topics
from streams.broker import Broker, find_broker, local
from streams.broker.process import Handle, find
from streams.cli.main import main
from streams.errors import UserError

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """A command's exit code, what it said and what it complained of."""

    def command(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A folder of state; what runs there at the end is stopped."""
    yield tmp_path / "state"
    local.end(tmp_path / "state")


def test_without_a_broker(run: Run, state: Path) -> None:
    assert run("broker", "status", "--state", state)[:2] == (1, f"no broker runs here ({state})\n")
    assert run("broker", "stop", "--state", state)[:2] == (0, f"no broker runs here ({state})\n")
    code, out, _ = run("broker", "status", "--state", state, "--json")
    assert (code, json.loads(out)) == (1, {"running": False})


@pytest.mark.kafka
def test_an_embedded_broker_from_start_to_stop(run: Run, state: Path) -> None:
    code, out, _ = run("broker", "start", "--state", state, "--prefix", "p.", "--partitions", 3, "--json")
    started = json.loads(out)
    assert (code, started["kind"], started["capabilities"]) == (0, "embedded", [])
    assert (state / "broker.pid").read_text() == f"{started['pid']}\n"

    code, _, err = run("broker", "start", "--state", state)
    assert code == 2
    assert f"runs here already at {started['address'].removeprefix('kafka://')}" in err

    code, out, _ = run("broker", "status", "--state", state, "--json")
    described = json.loads(out)
    assert (code, described["answers"], described["pid"]) == (0, True, started["pid"])
    assert 0 <= described["uptime_s"] < 600
    assert run("broker", "status", "--state", state)[0] == 0

    # All topics are there, with their partitions; more cannot be made.
    there = ("--broker", started["address"], "--prefix", "p.")
    assert run("topics", "check", *there, "--partitions", 3)[0] == 0
    assert run("topics", "check", *there, "--partitions", 4)[0] == 1
    code, _, err = run("topics", "create", *there)
    assert (code, "create_topics" in err, "broker start --kind embedded" in err) == (2, True, True)

    found = find_broker("embedded", state=state)
    assert (found.pid, found.capabilities) == (started["pid"], frozenset())
    found.stop()  # it is not ours
    with pytest.raises(UserError, match="is embedded, not jvm"):
        find_broker("jvm", state=state)

    assert run("broker", "stop", "--state", state, "--json")[1:] == (
        '{\n  "stopped": true,\n  "killed": false\n}\n',
        "",
    )
    assert run("broker", "status", "--state", state)[0] == 1


@pytest.mark.kafka
def test_what_a_killed_broker_left_behind_is_recognised(run: Run, state: Path) -> None:
    first = json.loads(run("broker", "start", "--state", state, "--json")[1])
    running = local.running(state)
    assert running is not None
    process = find(Handle(running.pid, running.started))
    assert process is not None
    os.kill(first["pid"], signal.SIGKILL)
    process.wait(10)
    assert (state / "broker.pid").exists()
    assert run("broker", "status", "--state", state)[0] == 1
    second = json.loads(run("broker", "start", "--state", state, "--json")[1])
    assert second["pid"] != first["pid"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(["--port", "9092"], "takes a port of its own choice"), (["--data", "x"], "no data folder")],
)
def test_what_the_embedded_kind_cannot_do(run: Run, state: Path, arguments: list[str], reason: str) -> None:
    code, _, err = run("broker", "start", "--state", state, *arguments)
    assert (code, reason in err, err.count("\n")) == (2, True, 1)


@pytest.mark.needs_java
def test_a_taken_port_is_refused(run: Run, state: Path, jvm_tools: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code, _, err = run("broker", "start", "--kind", "jvm", "--port", port, "--state", state)
    assert code == 2
    assert f"port {port} on 127.0.0.1 is taken" in err
    assert local.running(state) is None


def test_topics_are_made_checked_and_compared(run: Run, kafka: Broker, topic_prefix: str) -> None:
    there = ("--broker", f"kafka://{kafka.bootstrap}", "--prefix", topic_prefix)
    names = [topic.name for topic in topics(topic_prefix, 3)]

    code, out, _ = run("topics", "diff", *there, "--partitions", 3, "--json")
    assert code == 0
    assert [(item["topic"], item["found"]) for item in json.loads(out)] == [(n, "missing") for n in names]
    code, out, _ = run("topics", "create", *there, "--partitions", 3, "--json")
    assert (code, json.loads(out)) == (0, {"made": names, "there": [], "differences": []})
    assert run("topics", "check", *there, "--partitions", 3)[0] == 0
    code, out, _ = run("topics", "create", *there, "--partitions", 3)
    assert (code, out) == (0, "made 0 topics, 8 were there\n")

    code, out, _ = run("topics", "check", *there, "--partitions", 5, "--json")
    answer: dict[str, Any] = json.loads(out)
    assert (code, answer["ok"]) == (1, False)
    assert {"topic": names[0], "what": "partitions", "wanted": "5", "found": "3"} in answer["differences"]


def test_more_replicas_than_brokers_are_refused_with_the_brokers_reason(run: Run, kafka: Broker) -> None:
    code, _, err = run(
        "topics", "create", "--broker", f"kafka://{kafka.bootstrap}", "--prefix", "r.", "--replication", 9
    )
    assert code == 2
    assert err.startswith("interlayer: topic r.book.l1 cannot be made")
    assert err.count("\n") == 1


def test_min_isr_above_replication_is_refused(run: Run, kafka: Broker) -> None:
    code, _, err = run("topics", "create", "--broker", f"kafka://{kafka.bootstrap}", "--min-isr", 2)
    assert (code, "min_isr 2 is above replication 1" in err) == (2, True)


def test_a_broker_that_is_not_there_is_a_fault_at_run_time(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLAYER_BROKER_ANSWER_MS", "500")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"kafka://127.0.0.1:{held.getsockname()[1]}"
        code, _, err = run("topics", "check", "--broker", address)
    assert (code, "no Kafka answers" in err, err.count("\n")) == (1, True, 1)
