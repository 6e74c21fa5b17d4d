"""Fixtures of brokers: `kafka` (Docker's, else the JVM's), `embedded`, and `broker` (each that is there).

A test that takes `broker` runs on every one; a marker says what it needs of it. Each test makes topics of
its own names (`topic_prefix`), as a broker lives for the whole session.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from streams.admin import TopicAdmin, Wanted
from streams.broker import Broker, Capability, start_embedded, start_jvm
from streams.broker.address import connect
from streams.broker.base import CAPABILITIES
from streams.broker.docker import why_no_docker
from streams.broker.jars import jars, java
from streams.broker.process import choose_port
from streams.errors import InterlayerError

ROOT = Path(__file__).resolve().parents[1]
TOPIC_LIMIT_S = 20.0
FIXTURES = {"broker", "kafka", "embedded", "jvm_tools", "secure_kafka"}
# What a marker asks of a broker.
NEEDS: Mapping[str, Capability] = {
    "needs_compaction": "compaction",
    "needs_transactions": "transactions",
    "needs_offsets_by_time": "offsets_by_time",
    "needs_create_topics": "create_topics",
    "needs_retention": "durable",
}


def make_topics(broker: Broker, topics: Mapping[str, int], config: Mapping[str, str] | None = None) -> None:
    """Make topics (name: partitions) on any broker; returns when their partitions have leaders."""
    if broker.kind == "embedded":
        broker.add_topics(topics)
        return
    TopicAdmin(broker, TOPIC_LIMIT_S).create(
        [Wanted(name, count, 1, dict(config or {}), None) for name, count in topics.items()]
    )


@pytest.fixture
def topic_prefix() -> str:
    """A start of topic and group names that no other test has."""
    return f"t{uuid.uuid4().hex[:10]}."


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    return str(ROOT / "docker-compose.yml")


@pytest.fixture(scope="session")
def docker_setup() -> list[str]:
    """Only Kafka is started: tests bring their own workers."""
    return ["up --wait kafka"]


@pytest.fixture(scope="session")
def embedded() -> Iterator[Broker]:
    """librdkafka's mock cluster, always there."""
    with start_embedded() as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A real Kafka: INTERLAYER_TEST_BROKER's address, else Docker's, else the JVM's; else a skip."""
    named = os.environ.get("INTERLAYER_TEST_BROKER", "auto")
    if named.startswith("kafka://"):
        yield connect(named)
        return
    if named == "embedded":
        pytest.skip("INTERLAYER_TEST_BROKER=embedded -- unset it, or set it to jvm or kafka://host:port")
    no_docker = why_no_docker() if named == "auto" else "INTERLAYER_TEST_BROKER=jvm"
    if no_docker is None:
        port = choose_port()
        os.environ["KAFKA_PORT"] = str(port)
        request.getfixturevalue("docker_services")
        yield connect(f"kafka://127.0.0.1:{port}")
        return
    try:
        broker = start_jvm()
    except InterlayerError as error:
        pytest.skip(
            f"no real Kafka: {no_docker}; {error} -- start Docker, install Java 17 and Maven, or set "
            "INTERLAYER_TEST_BROKER=kafka://host:port"
        )
    with broker:
        yield broker


@pytest.fixture(scope="session")
def jvm_tools() -> None:
    """Java is new enough and Kafka's jars are here; else a skip."""
    try:
        java()
        jars()
    except InterlayerError as error:
        pytest.skip(f"no Kafka on a JVM: {error} -- install Java 17 and Maven")


@pytest.fixture(scope="session")
def secure_kafka(jvm_tools: None) -> Iterator[Broker]:
    """The JVM's Kafka behind TLS with SASL/SCRAM-SHA-512; `config` holds what a client needs."""
    with start_jvm(secure=True) as found:
        yield found


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each broker that can do what the test's markers ask for."""
    found: Broker = request.getfixturevalue(request.param)
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of `broker` runs once for each kind that has what it needs; there is nothing to skip."""
    if "broker" in metafunc.fixturenames:
        asked = {NEEDS[mark.name] for mark in metafunc.definition.iter_markers() if mark.name in NEEDS}
        kinds = ["embedded", "kafka"] if asked <= CAPABILITIES["embedded"] else ["kafka"]
        metafunc.parametrize("broker", kinds, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever takes a broker bears the marker `kafka`, so that the quick lane leaves it out."""
    for item in items:
        if FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("kafka")
