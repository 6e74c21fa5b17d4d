"""`interlayer risk` as its users meet it."""

from __future__ import annotations

import pytest

from streams.broker import Broker
from tests.brokers import make_topics
from tests.streams.shell import Interlayer, put


def test_kill_status_resume(interlayer: Interlayer, at: list[str]) -> None:
    assert interlayer("risk", "status", *at, "--json").json["halted"] is False
    first = interlayer("risk", "kill", "--reason", "feed is odd", "--by", "ana", *at)
    assert first.code == 0
    (kill_id,) = first.out.split()
    second = interlayer("risk", "kill", "--scope", "group:BTC", "--reason", "b", *at, "--json").json
    assert (second["scope"], second["offset"]) == ("group:BTC", 1)
    status = interlayer("risk", "status", *at, "--json").json
    assert status["halted"] is True
    assert {each["id"]: each["scope"] for each in status["kills"]} == {
        kill_id: "all",
        second["id"]: "group:BTC",
    }
    (mine,) = [each for each in status["kills"] if each["id"] == kill_id]
    assert (mine["reason"], mine["issued_by"]) == ("feed is odd", "ana")
    plain = interlayer("risk", "status", *at)
    assert plain.out.splitlines()[0].split("\t") == ["id", "halts", "since", "by", "reason"]
    lifted = interlayer("risk", "resume", kill_id, "--reason", "mended", *at)
    assert lifted.code == 0
    assert lifted.out == f"{kill_id} (all) is lifted; still in force: {second['id']}\n"
    again = interlayer("risk", "resume", kill_id, "--reason", "again", *at)
    assert again.code == 2
    assert f"no kill {kill_id} is in force (in force: {second['id']})" in again.err
    assert interlayer("risk", "resume", second["id"], "--reason", "c", *at, "--json").json["in_force"] == []
    assert interlayer("risk", "status", *at).out.startswith("no kill is in force (4 records")


def test_an_unreadable_command_halts_all_until_it_is_resumed(
    interlayer: Interlayer, broker: Broker, at: list[str]
) -> None:
    put(broker, at[-1] + "risk.command", ("odd", b"\x00\x01garbage"))
    (found,) = interlayer("risk", "status", *at, "--json").json["kills"]
    assert (found["id"], found["scope"]) == ("odd", "all")
    assert found["unreadable"]
    assert interlayer("risk", "resume", "odd", "--reason", "looked at it", *at).code == 0
    assert interlayer("risk", "status", *at, "--json").json["halted"] is False


@pytest.mark.parametrize("scope", ["al", "all:BTC", "group", "group:", "planet:x", ""])
def test_a_wrong_scope_writes_nothing(interlayer: Interlayer, scope: str) -> None:
    said = interlayer("risk", "kill", "--scope", scope, "--reason", "x", "--broker", "kafka://127.0.0.1:1")
    assert said.code == 2
    assert "group:NAME" in said.err


def test_a_kill_needs_a_reason(interlayer: Interlayer) -> None:
    assert interlayer("risk", "kill").code == 2
    assert "--reason" in interlayer("risk", "kill", "--reason", " ").err


def test_a_name_that_is_not_configured_is_doubted_but_written(interlayer: Interlayer, at: list[str]) -> None:
    said = interlayer("risk", "kill", "--scope", "group:BTCC", "--reason", "x", *at)
    assert said.code == 0
    assert "has no group BTCC (it has " in said.err
    assert interlayer("risk", "status", *at, "--json").json["kills"][0]["scope"] == "group:BTCC"


def test_commands_need_their_topic_with_one_partition(
    interlayer: Interlayer, broker: Broker, topic_prefix: str
) -> None:
    at = ["--broker", f"kafka://{broker.bootstrap}", "--prefix", topic_prefix]
    said = interlayer("risk", "kill", "--reason", "x", *at)
    assert (said.code, said.out) == (2, "")
    assert f"no topic {topic_prefix}risk.command" in said.err
    make_topics(broker, {topic_prefix + "risk.command": 3})
    said = interlayer("risk", "kill", "--reason", "x", *at)
    assert (said.code, said.out) == (2, "")
    assert "3 partitions" in said.err


def test_a_broker_that_refuses_the_kill_ends_with_1(
    interlayer: Interlayer, kafka: Broker, topic_prefix: str
) -> None:
    """max.message.bytes = 1 makes a topic that refuses every write."""
    make_topics(kafka, {topic_prefix + "risk.command": 1}, {"max.message.bytes": "1"})
    said = interlayer(
        "risk", "kill", "--reason", "x", "--broker", f"kafka://{kafka.bootstrap}", "--prefix", topic_prefix
    )
    assert (said.code, said.out) == (1, "")
    assert "not confirmed" in said.err
