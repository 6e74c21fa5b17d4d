"""How settings become librdkafka's."""

from __future__ import annotations

from streams.config import Settings
from streams.transport import TransportSettings


def test_a_users_settings_reach_librdkafka_and_ours_cannot_be_unset() -> None:
    user = Settings(
        prefix="p.", group_id="g", group_instance_id="me", session_timeout_ms=6_000, fetch_wait_ms=50,
        batch_max_records=7, kafka={"metadata.max.age.ms": "1000", "check.crcs": "false"},
    )  # fmt: skip
    found = TransportSettings.of(user, "a:1,b:2")
    assert (found.batch_max_records, found.start) == (7, "earliest")
    config = found.librdkafka()
    expected = {
        "bootstrap.servers": "a:1,b:2",
        "group.id": "p.g",
        "group.instance.id": "me",
        "session.timeout.ms": 6_000,
        "fetch.wait.max.ms": 50,
        "metadata.max.age.ms": "1000",
        "partition.assignment.strategy": "range",
        "auto.offset.reset": "error",
        "enable.auto.commit": False,
        "check.crcs": True,
        "fetch.queue.backoff.ms": 5,
        "queued.min.messages": 100_000,
    }
    assert {key: config[key] for key in expected} == expected


def test_the_consumer_protocol_gets_no_session_settings_which_it_refuses() -> None:
    config = TransportSettings("a:1", "g", protocol="consumer").librdkafka()
    assert config["group.protocol"] == "consumer"
    assert config["group.remote.assignor"] == "range"
    assert not {"session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"} & set(config)
