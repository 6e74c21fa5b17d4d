"""What comes out of the topics, followed by a consumer of its own, outside any group."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaException, TopicPartition
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from streams.broker import Broker
from streams.broker.client import consumer_config
from streams.config import Settings
from streams.errors import RunError
from streams.logs import logger
from streams.wire import Wire

log = logger(__name__)

FOLLOWED = ("signal", "risk.event", "book.reject")
RECENT = 12  # how many of each the view shows at most
POLL_S = 0.05
MS = 1_000_000


class Watch:
    """Reads the signals, risk events and rejects that come from now on, in a thread."""

    def __init__(self, broker: Broker, settings: Settings) -> None:
        self.signals: list[dict[str, Any]] = []
        self.risk_events: deque[dict[str, Any]] = deque(maxlen=RECENT)
        self.open: dict[str, dict[str, Any]] = {}
        self.latencies_ms: list[float] = []
        self.counts = dict.fromkeys(FOLLOWED, 0)
        self.reasons: dict[str, int] = {}
        self._wire = Wire(settings)
        self._names = {settings.named(name): name for name in FOLLOWED}
        self._ending = threading.Event()
        self._consumer = Consumer(consumer_config(broker, settings.named("demo.watch")))
        self._assign()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ending.set()
        self._thread.join()

    def _assign(self) -> None:
        places = []
        for topic in self._names:
            try:
                found = self._consumer.list_topics(topic, timeout=5.0).topics[topic].partitions
                places += [self._end_of(TopicPartition(topic, partition)) for partition in found]
            except KafkaException as error:
                raise RunError(f"topic {topic}: {error.args[0].str()}") from None
        self._consumer.assign(places)

    def _end_of(self, place: TopicPartition) -> TopicPartition:
        """Where the partition ends now: what an earlier demonstration left there is not ours."""
        _, end = self._consumer.get_watermark_offsets(place, timeout=5.0)
        return TopicPartition(place.topic, place.partition, end)

    def _run(self) -> None:
        while not self._ending.is_set():
            # consume(n, timeout) would wait for all n or for the whole timeout
            first = self._consumer.poll(POLL_S)
            for message in [first, *self._consumer.consume(1_000, 0)] if first is not None else []:
                error = message.error()
                value = message.value()
                if error is not None or value is None:
                    log.warning("watching", topic=message.topic(), reason=str(error))
                    continue
                name = self._names[message.topic() or ""]
                self.counts[name] += 1
                self._take(name, self._wire.decode(name, value))
        self._consumer.close()

    def _take(self, name: str, record: dict[str, Any]) -> None:
        if name == "signal":
            self._take_signal(record)
        elif name == "risk.event":
            self.risk_events.append(record)
            self.reasons[record["reason"]] = self.reasons.get(record["reason"], 0) + 1

    def _take_signal(self, signal: dict[str, Any]) -> None:
        self.signals.append(signal)
        if signal["trigger"]["topic"] and not signal["recorded"]:
            self.latencies_ms.append((time.time_ns() - signal["time_ns"]) / MS)
        if signal["action"] == "close":
            self.open.pop(signal["episode_id"], None)
        else:
            self.open[signal["episode_id"]] = signal


class WorkerPort:
    """A worker's web port, asked without ever raising: what does not answer is not there yet."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._pool = PoolManager(timeout=1.0, retries=False)

    def ready(self) -> bool:
        """Whether the worker is ready."""
        return self._ask("/ready") is not None

    def stats(self) -> Mapping[str, Any]:
        """What it holds and has done; empty where it does not answer."""
        return self._ask("/stats") or {}

    def _ask(self, path: str) -> Mapping[str, Any] | None:
        try:
            answer = self._pool.request("GET", self._base + path)
        except HTTPError:
            return None
        if answer.status != 200:
            return None
        found: Mapping[str, Any] = orjson.loads(answer.data)
        return found
