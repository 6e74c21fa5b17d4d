"""Workers as processes, numbered records, and what their journal must show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from streams.broker import Broker
from streams.transport import TransportSettings

ROOT = Path(__file__).resolve().parents[2]
SESSION_MS = 2_000
Event = dict[str, Any]


def settings_for(broker: Broker, group: str, **changes: Any) -> dict[str, Any]:
    """TransportSettings for `broker`, as keywords."""
    extra = {k: v for k, v in broker.config.items() if k != "bootstrap.servers"}
    return {
        "servers": broker.bootstrap,
        "group_id": group,
        "session_timeout_ms": SESSION_MS,
        "extra": extra,
        **changes,
    }


def until(condition: Callable[[], bool], limit_s: float, what: str) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(0.05)


def producer_for(broker: Broker, **changes: Any) -> Producer:
    return Producer({**broker.config, "linger.ms": 5, "enable.idempotence": True, **changes})


def produce_ids(producer: Producer, topic: str, partition: int, ids: Iterable[int], pad: int = 0) -> None:
    """Values are the ids, 8 bytes each (and `pad` more)."""
    for number in ids:
        value = number.to_bytes(8, "little") + bytes(pad)
        while True:
            try:
                producer.produce(topic, value, key=b"k", partition=partition)
                break
            except BufferError:
                producer.poll(0.1)


class Feed(threading.Thread):
    """Numbered records to every partition of `topics`, at a pace, until `total` each."""

    def __init__(
        self, broker: Broker, topics: list[str], partitions: int, total: int, pause_s: float
    ) -> None:
        super().__init__(daemon=True)
        self._producer = producer_for(broker)
        self._topics, self._partitions, self._total, self._pause_s = topics, partitions, total, pause_s

    def run(self) -> None:
        for start in range(0, self._total, 50):
            for topic in self._topics:
                for partition in range(self._partitions):
                    ids = range(start, min(start + 50, self._total))
                    produce_ids(self._producer, topic, partition, ids)
            self._producer.poll(0)
            time.sleep(self._pause_s)
        assert self._producer.flush(20) == 0


class Workers:
    """Worker processes of one group, with one journal. As a context manager it ends them by their ids."""

    def __init__(self, folder: Path, settings: dict[str, Any], *, cython: bool = True, **config: Any) -> None:
        self._folder, self._config = folder, {"settings": settings, **config}
        self._env = {k: v for k, v in os.environ.items() if k != "NO_CYTHON"}
        if not cython:
            self._env["NO_CYTHON"] = "1"
        self.journal = folder / "journal"
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, **changes: Any) -> subprocess.Popen[bytes]:
        config = self._folder / f"{name}.json"
        own = {"worker": name, "journal": str(self.journal), "datadir": str(self._folder / name)}
        config.write_text(json.dumps({**self._config, **own, **changes}))
        command = [sys.executable, "-m", "tests.streams.transport_worker", str(config)]
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=self._env, stdout=log, stderr=log)
        self.running[name] = process
        return process

    def log_of(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def leave(self, name: str) -> None:
        process = self.running.pop(name)
        process.terminate()
        assert process.wait(20) == 0, self.log_of(name)

    def events(self, what: str | None = None) -> list[Event]:
        if not self.journal.exists():
            return []
        # A worker killed in the middle of a write may leave a line without an end.
        lines = [line for line in self.journal.read_text().split("\n")[:-1] if line]
        found: list[Event] = [json.loads(line) for line in lines]
        return [e for e in found if what is None or e["what"] == what]

    def assigned(self, name: str) -> int:
        """How often `name` got an assignment."""
        return sum(e["worker"] == name for e in self.events("assigned"))

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


def acked_ids(events: list[Event]) -> dict[tuple[str, int], list[tuple[int, int]]]:
    """Ranges of ids that were acked, by partition."""
    last: dict[tuple[str, str, int], Event] = {}
    ranges: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for event in events:
        if event["what"] == "batch":
            last[event["worker"], event["topic"], event["partition"]] = event
        elif event["what"] == "ack":
            batch = last[event["worker"], event["topic"], event["partition"]]
            ranges[event["topic"], event["partition"]].append(tuple(batch["ids"]))
    return ranges


def covered_to(ranges: list[tuple[int, int]]) -> int:
    """Ids 0 up to and without the result are all in `ranges`."""
    reached = 0
    for first, last in sorted(ranges):
        if first > reached:
            break
        reached = max(reached, last + 1)
    return reached


def all_acked(events: list[Event], topics: list[str], partitions: int, total: int) -> bool:
    ranges = acked_ids(events)
    return all(covered_to(ranges[t, p]) == total for t in topics for p in range(partitions))


def assert_order(events: list[Event]) -> None:
    """Within a worker and an epoch ids follow each other without a hole; no epoch starts behind a hole."""
    following: dict[tuple[Any, ...], int] = {}
    acked: dict[tuple[str, int], int] = defaultdict(int)
    last: dict[tuple[str, str, int], int] = {}
    for event in events:
        if event["what"] not in ("batch", "ack"):
            continue
        partition = event["topic"], event["partition"]
        holder = (event["worker"], *partition)
        if event["what"] == "ack":
            acked[partition] = max(acked[partition], last[holder] + 1)
            continue
        assert event["rising"], event
        first, end = event["ids"]
        expected = following.get((*holder, event["epoch"]))
        if expected is None:
            assert first <= acked[partition], f"starts behind a hole (acked to {acked[partition]}): {event}"
        else:
            assert first == expected, f"expected {expected}: {event}"
        following[(*holder, event["epoch"])] = end + 1
        last[holder] = end


def assert_together(events: list[Event], one: str, other: str) -> None:
    """The same numbers of both topics in every assignment."""
    for event in events:
        if event["what"] == "assigned":
            numbers = {name: {p for t, p in event["partitions"] if t == name} for name in (one, other)}
            assert numbers[one] == numbers[other], event


def repeats(events: list[Event]) -> int:
    """Records that were handed over more than once."""
    ranges: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for event in events:
        if event["what"] == "batch":
            ranges[event["topic"], event["partition"]].append(tuple(event["ids"]))
    given = sum(last - first + 1 for of_one in ranges.values() for first, last in of_one)
    return given - sum(covered_to(of_one) for of_one in ranges.values())


def committed(broker: Broker, group: str, topic: str, partitions: int) -> list[int]:
    consumer = Consumer({**broker.config, "group.id": group})
    try:
        found = consumer.committed([TopicPartition(topic, p) for p in range(partitions)], timeout=10)
    except KafkaException:
        return []
    finally:
        consumer.close()
    return [place.offset for place in found]


def transport_settings(broker: Broker, group: str, **changes: Any) -> TransportSettings:
    return TransportSettings(**settings_for(broker, group, **changes))
