"""The other ways to start a worker: by Faust's own command, with a wrong configuration, behind TLS."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest

from schemas.topics import topics
from streams.broker import Broker
from streams.broker.process import choose_port
from tests.brokers import make_topics
from tests.end_to_end.kit import QUICK, all_topics, interlayer, records, running, started, until
from tests.end_to_end.load import Load, markets_file

GROUPS = ("BTC",)


def test_fausts_own_command_runs_a_worker(embedded: Broker, prefix: str, tmp_path: Path) -> None:
    """From a folder of the user's, with everything in the environment, on the embedded broker."""
    (tmp_path / "markets.toml").write_text(markets_file(GROUPS))
    for topic in topics(prefix, 2):
        make_topics(embedded, {topic.name: topic.partitions})
    port = choose_port()
    env = {
        **QUICK,
        "INTERLAYER_BROKER": f"kafka://{embedded.bootstrap}",
        "INTERLAYER_PREFIX": prefix,
        "INTERLAYER_MARKETS": "markets.toml",
        "INTERLAYER_WEB_PORT": str(port),
    }
    faust = [sys.executable, "-m", "faust", "-A", "streams.app", "worker"]
    with started(faust, tmp_path, port, env) as worker, Load(embedded, prefix, GROUPS, 200.0):
        worker.wait_ready()
        until(lambda: worker.stats().get("signals", 0) > 20, "there are signals")
        assert worker.ask("/live") == (200, {"ok": True, "reason": ""})
        assert worker.end() == 0
    said = worker.said()
    assert "Traceback" not in said
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert {"kernels are ready", "the gate is open", "partition taken over", "drained"} <= {
        line["event"] for line in lines
    }
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)


@pytest.mark.parametrize(
    ("flags", "env", "reason"),
    [
        (["--markets", "none.toml"], {}, "none.toml: there is no such file"),
        ([], {"INTERLAYER_PARTITIONS": "none"}, "INTERLAYER_PARTITIONS: "),
        (["--broker", "rabbit://x"], {}, "rabbit://x"),
        (["--web-port", "70000"], {}, "INTERLAYER_WEB_PORT: "),
    ],
)
def test_a_wrong_configuration_is_one_line_and_exit_code_2(
    flags: list[str], env: dict[str, str], reason: str
) -> None:
    said = interlayer("worker", *flags, **env)
    assert said.returncode == 2
    assert said.stdout == ""
    assert len(said.stderr.splitlines()) == 1
    assert said.stderr.startswith("interlayer: ")
    assert reason in said.stderr


def test_a_broker_that_is_not_there_is_one_line_and_exit_code_1() -> None:
    said = interlayer("worker", "--broker", f"kafka://127.0.0.1:{choose_port()}")
    assert said.returncode == 1
    assert len(said.stderr.splitlines()) == 1
    assert "no Kafka answers" in said.stderr


def test_a_taken_web_port_is_one_line_and_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = interlayer("worker", "--broker", f"kafka://127.0.0.1:{choose_port()}", "--web-port", str(port))
    assert said.returncode == 2
    assert said.stderr.splitlines() == [
        f"interlayer: web port {port} is taken: --web-port (or INTERLAYER_WEB_PORT) sets another, 0 none"
    ]


def test_topics_that_are_not_there_are_named(embedded: Broker, prefix: str, tmp_path: Path) -> None:
    with running(embedded, f"{prefix}none.", tmp_path) as worker:
        until(lambda: worker.process.poll() is not None, "the worker ends", 120)
    assert worker.process.returncode == 1
    assert "Traceback" not in worker.said()
    last = worker.said().strip().splitlines()[-1]
    assert f"topic {prefix}none.book.l1 does not exist; `interlayer topics create` makes it" in last


@pytest.mark.needs_security
def test_a_signal_through_tls_and_scram(secure_kafka: Broker, prefix: str, tmp_path: Path) -> None:
    (tmp_path / "markets.toml").write_text(markets_file(GROUPS))
    all_topics(secure_kafka, prefix, 1)
    kafka = {name: value for name, value in secure_kafka.config.items() if name != "bootstrap.servers"}
    secret = kafka.pop("sasl.password")
    env = {"INTERLAYER_KAFKA": json.dumps(kafka), "INTERLAYER_SASL_PASSWORD": secret}
    with (
        running(secure_kafka, prefix, tmp_path, "--markets", str(tmp_path / "markets.toml"), **env) as worker,
        Load(secure_kafka, prefix, GROUPS, 100.0),
    ):
        worker.wait_ready()
        until(lambda: worker.stats().get("signals", 0) > 0, "there is a signal")
        assert worker.end() == 0
    assert records(secure_kafka, prefix, "signal")[0]["action"] == "open"
    assert secret not in worker.said()
