"""Topics on a broker: made, checked and compared with what `schemas.topics` says."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not exported in its types
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from schemas.topics import topics
from streams.broker.base import Broker
from streams.broker.client import client_config
from streams.errors import RunError, UserError

ANSWER_LIMIT_S = 10.0
# Kafka's own default, said openly: 1 MiB and a batch's overhead. A book of 5,000 levels takes 100 kB.
MAX_MESSAGE_BYTES = 1_048_588

T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """One topic as it should be; `same_partitions_as` names the topic whose count it must share."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]
    same_partitions_as: str | None


@dataclass(frozen=True)
class Found:
    """One topic as the broker has it; `config` is None where the broker does not tell."""

    partitions: int
    replication: int
    config: Mapping[str, str] | None


@dataclass(frozen=True)
class Difference:
    """Something that is not as it should be."""

    topic: str
    what: str
    wanted: str
    found: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.what} is {self.found}, wanted {self.wanted}"


def wanted(prefix: str, partitions: int, replication: int, min_isr: int) -> list[Wanted]:
    """All topics as they should be. Raises UserError where no write could be acknowledged."""
    if min_isr > replication:
        raise UserError(
            f"min_isr {min_isr} is above replication {replication}: no write with acks=all could succeed"
        )
    return [
        Wanted(
            name=topic.name,
            partitions=topic.partitions,
            replication=replication,
            config={
                "cleanup.policy": topic.cleanup,
                "retention.ms": str(topic.retention_ms),
                "message.timestamp.type": topic.timestamp_type,
                "min.insync.replicas": str(min_isr),
                "max.message.bytes": str(MAX_MESSAGE_BYTES),
            },
            same_partitions_as=topic.same_partitions_as,
        )
        for topic in topics(prefix, partitions)
    ]


class _AlreadyThereError(Exception):
    """A topic that was to be made exists."""


class TopicAdmin:
    """The topics of one broker. Every call is given up after `limit_s`."""

    def __init__(self, broker: Broker, limit_s: float = ANSWER_LIMIT_S) -> None:
        self._broker = broker
        self._limit_s = limit_s
        self._client = AdminClient({**client_config(broker), "log_level": 0})

    def create(self, topics: Sequence[Wanted]) -> list[str]:
        """Make what is missing and return its names; what is there is left as it is (see `diff`).

        Raises UserError where the broker cannot make topics, where counts of partitions that must be equal
        would not be, or where it refuses a topic; RunError where it does not answer.
        """
        if self._broker.kind == "embedded":
            raise UserError(
                f"topics create: the embedded broker at {self._broker.bootstrap} has no create_topics; its "
                "starter makes them: `interlayer broker start --kind embedded --prefix P --partitions N`"
            )
        there = self.found(topics)
        counts = {topic.name: topic.partitions for topic in topics}
        counts |= {name: found.partitions for name, found in there.items()}
        if unequal := _unequal(topics, counts):
            raise UserError(f"topics create: {unequal[0]}; make it anew or choose --partitions to match")
        missing = [topic for topic in topics if topic.name not in there]
        made = [topic.name for topic in missing if self._make(topic)]
        self._wait_for([topic.name for topic in missing])
        return made

    def _make(self, topic: Wanted) -> bool:
        """Whether it was made now: another may have been faster."""
        new = NewTopic(topic.name, topic.partitions, topic.replication, config=dict(topic.config))
        future = self._client.create_topics([new])[topic.name]
        try:
            self._result(future, f"topic {topic.name} cannot be made")
        except _AlreadyThereError:
            return False
        return True

    def _wait_for(self, names: Sequence[str]) -> None:
        """A broker answers that a topic is made before its own metadata shows it, even where it is alone."""
        deadline = time.monotonic() + self._limit_s
        missing = set(names)
        while missing:
            found = self._ask(lambda: self._client.list_topics(timeout=self._limit_s)).topics
            missing -= {name for name in missing if name in found and _is_led(found[name])}
            if missing and time.monotonic() > deadline:
                late = ", ".join(sorted(missing))
                raise RunError(f"topics {late} have no leader after {self._limit_s:g} s")
            if missing:
                time.sleep(0.05)

    def found(self, topics: Sequence[Wanted]) -> dict[str, Found]:
        """Those of `topics` that the broker has, by name."""
        metadata = self._ask(lambda: self._client.list_topics(timeout=self._limit_s)).topics
        names = [topic.name for topic in topics if topic.name in metadata]
        configs = self._configs(names)
        return {
            name: Found(
                partitions=len(metadata[name].partitions),
                replication=min((len(p.replicas) for p in metadata[name].partitions.values()), default=0),
                config=configs.get(name),
            )
            for name in names
        }

    def diff(self, topics: Sequence[Wanted]) -> list[Difference]:
        """All that is not as it should be: missing topics, counts, settings. Empty where all is well.

        An embedded broker tells partitions alone, and is compared by them alone.
        """
        there = self.found(topics)
        differences: list[Difference] = []
        for topic in topics:
            if topic.name not in there:
                differences.append(Difference(topic.name, "topic", "there", "missing"))
                continue
            differences += _compare(topic, there[topic.name])
        return differences + _unequal(topics, {name: found.partitions for name, found in there.items()})

    def _configs(self, names: Sequence[str]) -> dict[str, Mapping[str, str]]:
        if self._broker.kind == "embedded" or not names:
            return {}
        asked = self._client.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
        found: dict[str, Mapping[str, str]] = {}
        for resource, future in asked.items():
            entries = self._result(future, f"topic {resource.name} cannot be described")
            found[resource.name] = {name: str(entry.value) for name, entry in entries.items()}
        return found

    def _result(self, future: Any, what: str) -> Any:
        try:
            return future.result(self._limit_s)
        except TimeoutError:
            raise RunError(f"{what}: {self._silent()}") from None
        except KafkaException as error:
            fault = error.args[0]
            if fault.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                raise _AlreadyThereError from None
            kind = RunError if fault.retriable() else UserError
            raise kind(f"{what} at {self._broker.bootstrap}: {fault.str()}") from None

    def _ask(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except KafkaException as error:
            raise RunError(f"{self._silent()}: {error.args[0].str()}") from None

    def _silent(self) -> str:
        return f"the broker at {self._broker.bootstrap} does not answer within {self._limit_s:g} s"


def _is_led(topic: Any) -> bool:
    return bool(topic.partitions) and all(part.leader >= 0 for part in topic.partitions.values())


def _compare(topic: Wanted, found: Found) -> list[Difference]:
    pairs = [("partitions", str(topic.partitions), str(found.partitions))]
    if found.config is not None:
        pairs.append(("replication", str(topic.replication), str(found.replication)))
        pairs += [(key, value, found.config.get(key, "not set")) for key, value in topic.config.items()]
    return [Difference(topic.name, what, want, have) for what, want, have in pairs if want != have]


def _unequal(topics: Sequence[Wanted], counts: Mapping[str, int]) -> list[Difference]:
    """Topics whose counts of partitions must be equal and are not: a group's records would be torn apart."""
    found = []
    for topic in topics:
        mine, model = counts.get(topic.name), topic.same_partitions_as
        if mine is not None and model is not None and counts.get(model, mine) != mine:
            found.append(Difference(topic.name, "partitions", f"{counts[model]} as {model} has", str(mine)))
    return found
