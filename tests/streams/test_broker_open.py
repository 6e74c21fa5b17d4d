"""Brokers by name: what is opened, what is refused, and in which words."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient

from streams.broker import Broker, choose, find_broker, local, open_broker
from streams.broker.address import connect, parse
from streams.broker.base import CAPABILITIES
from streams.broker.client import client_config, consumer_config, producer_config
from streams.broker.process import python_env
from streams.errors import RunError, UserError


def partitions(broker: Broker, topic: str) -> int:
    client = AdminClient(dict(broker.config))
    return len(client.list_topics(timeout=10).topics[topic].partitions)


@pytest.mark.parametrize(
    ("spec", "hosts"),
    [
        ("kafka://localhost:9092", "localhost:9092"),
        ("kafka://a.b:1,c-d:65535/", "a.b:1,c-d:65535"),
        ("kafka://[::1]:9092", "[::1]:9092"),
    ],
)
def test_addresses(spec: str, hosts: str) -> None:
    assert parse(spec) == hosts


@pytest.mark.parametrize("part", ["localhost", "a:0", "a:65536", "a:b", "", "a b:1", "user@a:1"])
def test_the_wrong_part_of_an_address_is_shown(part: str) -> None:
    with pytest.raises(UserError) as refused:
        parse(f"kafka://good:1,{part}")
    assert f"`{part}` is no host:port" in str(refused.value)


@pytest.mark.parametrize("opener", [open_broker, find_broker])
def test_an_unknown_name_is_refused_with_the_known_ones(opener: object) -> None:
    assert callable(opener)
    with pytest.raises(UserError, match=r"broker 'redis' is none of embedded, jvm, auto or kafka://"):
        opener("redis")


def test_where_nothing_listens_is_said_within_the_limit() -> None:
    with socket.socket() as held:  # bound and not listening: connections are refused
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with pytest.raises(RunError, match=f"no Kafka answers at 127.0.0.1:{port} within 0.5 s: .*refused"):
            connect(f"kafka://127.0.0.1:{port}", limit_s=0.5)


def test_a_setting_that_librdkafka_does_not_know_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match=r"refuses its settings: .*no\.such\.setting"):
        connect("kafka://127.0.0.1:1", {"no.such.setting": "1"})


@pytest.mark.kafka
def test_the_starter_makes_the_embedded_brokers_topics() -> None:
    with open_broker("embedded", topics={"a": 3, "b": 1}) as broker:
        assert (partitions(broker, "a"), partitions(broker, "b")) == (3, 1)
        broker.add_topics({"c": 5, "a": 3})
        assert partitions(broker, "c") == 5
        with pytest.raises(RunError, match="made no topics"):
            broker.add_topics({"d": 0})
    broker.stop()
    with pytest.raises(UserError, match="makes its topics when it is started"):
        broker.add_topics({"e": 1})
    assert broker.log_file is not None
    assert not broker.log_file.parent.exists()


STARTER = """
import time
from streams.broker import start_embedded
broker = start_embedded()
print(broker.pid, broker.log_file, flush=True)
time.sleep(60)
"""


@pytest.mark.kafka
def test_an_embedded_broker_does_not_outlive_a_starter_that_is_killed() -> None:
    starter = subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, env=python_env())
    assert starter.stdout is not None
    with starter.stdout:
        pid, log = starter.stdout.readline().decode().split()
    broker = psutil.Process(int(pid))
    assert Path(log).exists()
    starter.kill()
    starter.wait()
    assert not psutil.wait_procs([broker], timeout=20)[1]
    assert not Path(log).parent.exists()


@pytest.mark.parametrize(
    ("asked", "word"), [({"port": 9092}, "--port"), ({"data_dir": Path("x")}, r"durable.*--data")]
)
def test_what_an_embedded_broker_cannot_do_is_refused_at_once(asked: dict[str, object], word: str) -> None:
    with pytest.raises(UserError, match=word):
        open_broker("embedded", **asked)  # type: ignore[arg-type]  # one of two keywords


@pytest.mark.parametrize("capability", sorted(CAPABILITIES["jvm"]))
def test_a_refusal_names_the_capability(embedded: Broker, capability: str) -> None:
    with pytest.raises(UserError, match=rf"^checkpoints: the embedded broker .*\({capability}\)"):
        embedded.require(capability, who="checkpoints")  # type: ignore[arg-type]  # a str of the literals


def test_a_mock_cluster_is_recognised_by_its_address(embedded: Broker, kafka: Broker) -> None:
    assert connect(f"kafka://{embedded.bootstrap}").kind == "embedded"
    found = connect(f"kafka://{kafka.bootstrap}")
    assert found.kind == "kafka"
    found.require("compaction", "transactions", "offsets_by_time", "create_topics", "durable", who="a test")


def test_auto_takes_the_address_in_the_environment(
    embedded: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INTERLAYER_BROKER", f"kafka://{embedded.bootstrap}")
    assert open_broker("auto").bootstrap == embedded.bootstrap
    assert find_broker("auto", state=tmp_path).bootstrap == embedded.bootstrap


def test_auto_falls_back_to_the_embedded_broker_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INTERLAYER_BROKER", raising=False)

    def no_java() -> Broker:
        raise UserError("java is not on PATH")

    monkeypatch.setattr(choose, "start_jvm", no_java)
    with open_broker("auto", topics={"a": 2}) as broker:
        assert broker.kind == "embedded"
        assert broker.note == "no real Kafka (java is not on PATH), so the embedded broker is used"
        assert partitions(broker, "a") == 2


def test_where_no_local_broker_runs_the_way_to_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="start one with `interlayer broker start --kind jvm`"):
        find_broker("jvm", state=tmp_path)


def test_a_damaged_state_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broker.json").write_text("{")
    with pytest.raises(UserError, match=r"broker\.json is damaged"):
        local.running(tmp_path)


def test_settings_of_clients(embedded: Broker) -> None:
    assert client_config(embedded, linger_ms=3)["linger.ms"] == 3
    producer = producer_config(embedded, acks=1, partitioner="random")
    assert (producer["acks"], producer["partitioner"], producer["enable.idempotence"]) == (
        "all",
        "murmur2_random",
        True,
    )
    consumer = consumer_config(embedded, "g")
    assert consumer["auto.offset.reset"] == "error"
    assert consumer["check.crcs"] is True
    assert consumer["enable.auto.commit"] is False
    assert consumer_config(embedded, "g", fetch_wait_max_ms=50)["fetch.wait.max.ms"] == 50
