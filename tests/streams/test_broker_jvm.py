"""Apache Kafka on a JVM: it keeps its data, moves to another port, and speaks TLS with SASL/SCRAM."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streams.broker import Broker, start_jvm
from streams.broker.address import connect
from streams.broker.client import consumer_config, producer_config
from streams.broker.process import handle_of
from streams.errors import RunError
from tests.brokers import make_topics

pytestmark = pytest.mark.kafka


def produce(broker: Broker, topic: str, values: list[bytes]) -> None:
    faults: list[str] = []
    producer = Producer(producer_config(broker))
    for value in values:
        producer.produce(topic, value, on_delivery=lambda e, _: faults.append(e.str()) if e else None)
    assert producer.flush(20) == 0
    assert faults == []


def consume(broker: Broker, topic: str, count: int) -> list[bytes]:
    consumer = Consumer(consumer_config(broker, "reader"))
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[bytes] = []
    deadline = time.monotonic() + 20
    while len(found) < count and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is not None:
            assert message.error() is None
            found.append(message.value())
    consumer.close()
    return found


@pytest.mark.needs_security
def test_tls_with_scram(secure_kafka: Broker, topic_prefix: str) -> None:
    assert secure_kafka.config["security.protocol"] == "SASL_SSL"
    make_topics(secure_kafka, {f"{topic_prefix}a": 1})
    produce(secure_kafka, f"{topic_prefix}a", [b"one", b"two"])
    assert consume(secure_kafka, f"{topic_prefix}a", 2) == [b"one", b"two"]


@pytest.mark.needs_security
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sasl.password": "wrong"}, "SASL authentication error: Authentication failed"),
        ({"ssl.ca.location": None}, "certificate verify failed"),
    ],
)
def test_what_a_client_lacks_is_said(
    secure_kafka: Broker, change: dict[str, str | None], reason: str
) -> None:
    given = {name: value for name, value in {**secure_kafka.config, **change}.items() if value is not None}
    with pytest.raises(RunError) as refused:
        connect(f"kafka://{secure_kafka.bootstrap}", given, limit_s=3)
    assert reason in str(refused.value)
    assert secure_kafka.config["sasl.password"] not in repr(secure_kafka)


@pytest.mark.needs_java
def test_what_was_written_is_there_after_a_restart_on_another_port(jvm_tools: None, tmp_path: Path) -> None:
    with start_jvm(data_dir=tmp_path) as first:
        make_topics(first, {"a": 1})
        produce(first, "a", [b"kept"])
    assert first.pid is not None
    assert handle_of(first.pid) is None
    with start_jvm(data_dir=tmp_path) as second:
        assert second.bootstrap != first.bootstrap
        assert consume(second, "a", 1) == [b"kept"]


@pytest.mark.needs_java
def test_a_setting_that_kafka_refuses_is_said(jvm_tools: None, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"num\.io\.threads") as refused:
        start_jvm(data_dir=tmp_path, properties={"num.io.threads": "none"})
    assert "\n" not in str(refused.value)
