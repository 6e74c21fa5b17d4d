"""Topics made as `schemas.topics` says, and every way in which one may differ."""

from __future__ import annotations

import pytest

from schemas.topics import topics
from streams.admin import Difference, TopicAdmin, wanted
from streams.broker import Broker
from streams.errors import UserError
from tests.brokers import make_topics


def test_every_topic_is_wanted_with_its_settings() -> None:
    found = {topic.name: topic for topic in wanted("p.", 5, 3, 2)}
    assert list(found) == [topic.name for topic in topics("p.", 5)]
    assert found["p.book.l2"].same_partitions_as == "p.book.l1"
    assert (found["p.book.l1"].partitions, found["p.risk.command"].partitions) == (5, 1)
    assert found["p.book.l1"].config == {
        "cleanup.policy": "delete",
        "retention.ms": "604800000",
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": "2",
        "max.message.bytes": "1048588",
    }
    assert found["p.risk.command"].config["cleanup.policy"] == "compact"
    assert found["p.risk.command"].config["retention.ms"] == "-1"


def test_no_write_could_be_acknowledged() -> None:
    with pytest.raises(UserError, match="min_isr 2 is above replication 1"):
        wanted("", 4, 1, 2)


def test_what_was_made_differs_in_nothing(kafka: Broker, topic_prefix: str) -> None:
    admin, asked = TopicAdmin(kafka), wanted(topic_prefix, 3, 1, 1)
    assert {item.found for item in admin.diff(asked)} == {"missing"}
    assert admin.create(asked) == [topic.name for topic in asked]
    assert admin.diff(asked) == []
    assert admin.create(asked) == []


def test_each_difference_is_seen(kafka: Broker, topic_prefix: str) -> None:
    admin, asked = TopicAdmin(kafka), wanted(topic_prefix, 2, 1, 1)
    wrong = {
        "cleanup.policy": "compact",
        "retention.ms": "1000",
        "message.timestamp.type": "CreateTime",
        "max.message.bytes": "99999",
    }
    make_topics(kafka, {asked[0].name: 2}, wrong)
    admin.create(asked)  # the others; what is there is left as it is
    assert admin.diff(asked) == [
        Difference(asked[0].name, name, asked[0].config[name], value)
        for name, value in sorted(wrong.items(), key=lambda item: list(asked[0].config).index(item[0]))
    ]


def test_unequal_counts_of_partitions_are_refused(kafka: Broker, topic_prefix: str) -> None:
    admin, asked = TopicAdmin(kafka), wanted(topic_prefix, 2, 1, 1)
    make_topics(kafka, {f"{topic_prefix}book.l1": 3})
    with pytest.raises(UserError, match=r"book\.l2: partitions is 2, wanted 3 as .*book\.l1 has"):
        admin.create(asked)
    assert list(admin.found(asked)) == [f"{topic_prefix}book.l1"], "nothing was made"
    make_topics(kafka, {f"{topic_prefix}book.l2": 2})
    told = [str(item) for item in admin.diff(asked)]
    assert f"{topic_prefix}book.l2: partitions is 2, wanted 3 as {topic_prefix}book.l1 has" in told


def test_the_embedded_broker_is_compared_by_partitions_alone(embedded: Broker, topic_prefix: str) -> None:
    admin, asked = TopicAdmin(embedded), wanted(topic_prefix, 2, 1, 1)
    embedded.add_topics({topic.name: topic.partitions for topic in asked})
    assert admin.diff(asked) == []
    assert admin.diff(wanted(topic_prefix, 3, 1, 1)) != []
    with pytest.raises(UserError, match="has no create_topics; its starter makes them"):
        admin.create(asked)
