"""A topic that refuses, and a log whose start went past us: the worker ends, or goes on, and says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from streams.broker import Broker
from streams.broker.client import client_config, producer_config
from tests.end_to_end.kit import all_topics, committed, records, running, until
from tests.end_to_end.load import Feed, markets_file

GROUP = "BTC"


def limit(broker: Broker, topic: str, max_bytes: int) -> None:
    """Largest record that `topic` takes."""
    entry = ConfigEntry("max.message.bytes", str(max_bytes), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    client = AdminClient(client_config(broker))
    client.incremental_alter_configs([resource])[resource].result(10)


def send(broker: Broker, prefix: str, values: list[bytes]) -> None:
    producer = Producer(producer_config(broker))
    for value in values:
        producer.produce(f"{prefix}book.l2", value, GROUP.encode())
    assert producer.flush(30) == 0


@dataclass
class Refused:
    """What became of a worker whose signals were refused, and of the next one."""

    code: int
    said: str
    signals_before: int
    committed_before: dict[int, int]
    signals: list[dict[str, Any]]


@pytest.fixture(scope="module")
def refused(kafka: Broker, prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Refused:
    folder = tmp_path_factory.mktemp("refused")
    (folder / "markets.toml").write_text(markets_file((GROUP,)))
    flags = ["--markets", str(folder / "markets.toml")]
    all_topics(kafka, prefix, 1)
    feed = Feed(GROUP)
    send(kafka, prefix, [*feed.opening(), *(feed.next() for _ in range(9))])
    limit(kafka, f"{prefix}signal", 1)
    with running(kafka, prefix, folder, *flags) as worker:
        until(lambda: worker.process.poll() is not None, "the worker ends", 120)
        code, said = worker.process.returncode, worker.said()
    before = len(records(kafka, prefix, "signal")), committed(kafka, prefix, "book.l2")
    limit(kafka, f"{prefix}signal", 1_000_000)
    with running(kafka, prefix, folder, *flags) as worker:
        worker.wait_records(11, 120)
        until(lambda: committed(kafka, prefix, "book.l2") == {0: 11}, "everything is committed")
        assert worker.end() == 0
    return Refused(code, said, *before, records(kafka, prefix, "signal"))


def test_a_failed_delivery_ends_the_worker_with_one_line(refused: Refused, prefix: str) -> None:
    assert refused.code == 1
    last = refused.said.strip().splitlines()[-1]
    assert last.startswith(f"interlayer: the worker ended: {prefix}signal[0]: not delivered: ")
    assert "Traceback" not in refused.said
    assert (refused.signals_before, refused.committed_before) == (0, {})


def test_a_restart_publishes_what_was_missing(refused: Refused) -> None:
    by_record = [s for s in refused.signals if s["trigger"]["topic"]]
    assert [s["action"] for s in by_record] == ["open", *["update"] * 9]
    assert [s["trigger"]["offset"] for s in by_record] == list(range(1, 11))


@pytest.fixture(scope="module")
def jumped(
    refused: Refused, kafka: Broker, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """Risk events of a worker whose place was deleted while it was away, and what it still found."""
    folder = tmp_path_factory.mktemp("jumped")
    (folder / "markets.toml").write_text(markets_file((GROUP,)))
    feed = Feed(GROUP)
    lost = [*feed.opening(), *(feed.next() for _ in range(8))]
    send(kafka, prefix, [*lost, *(feed.next() for _ in range(110))])
    client = AdminClient(client_config(kafka))
    place = TopicPartition(f"{prefix}book.l2", 0, 11 + len(lost))
    client.delete_records([place])[place].result(10)
    with running(kafka, prefix, folder, "--markets", str(folder / "markets.toml")) as worker:
        worker.wait_records(110, 120)
        until(lambda: committed(kafka, prefix, "book.l2") == {0: 11 + len(lost) + 110}, "all is committed")
        assert [book["state"] for book in worker.stats()["books"]] == ["synced", "synced"]
        assert worker.end() == 0
    return records(kafka, prefix, "risk.event")


def test_a_log_start_that_jumped_is_a_risk_event_and_work_goes_on(
    jumped: list[dict[str, Any]], kafka: Broker, prefix: str
) -> None:
    (event,) = [e for e in jumped if e["reason"] == "log_start_jumped"]
    assert event["detail"] == f"{prefix}book.l2 [0] begins at 21, 11 was to come next"
    assert event["value"] == 10
    # Deltas without a book are passed over; from the second venue's key frame on there is a signal again.
    after = [s for s in records(kafka, prefix, "signal") if s["trigger"]["offset"] >= 21]
    assert after[0]["action"] == "open"
    assert sum(s["action"] == "update" for s in after) > 5
