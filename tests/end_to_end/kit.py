"""A worker as its user runs it, as a process of its own, and a look at what it leaves on the topics."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from schemas.topics import topics
from streams.broker import Broker
from streams.broker.client import consumer_config
from streams.broker.process import choose_port
from tests.brokers import make_topics
from tests.streams.shell import WIRE

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 120.0  # a first start compiles the kernels
LIMIT_S = 60.0
GROUP = "interlayer"
# A killed worker's partitions must not be waited for 10 s; the test brokers allow it.
QUICK = {"INTERLAYER_SESSION_TIMEOUT_MS": "2000"}
# Where the order must be that of receive time, a slow machine is no reason to give a topic up.
PATIENT = {"INTERLAYER_MERGE_WAIT_MS": "60000"}


def until(true: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> Any:
    """Wait until `true` answers something true, and return it."""
    deadline = time.monotonic() + limit_s
    while not (found := true()):
        assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}"
        time.sleep(0.05)
    return found


def environment(**more: str) -> dict[str, str]:
    """Ours without INTERLAYER_*, and `more`."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("INTERLAYER_")}
    cache = {name: os.environ[name] for name in ("INTERLAYER_CACHE",) if name in os.environ}
    return {**plain, **cache, "PYTHONPATH": str(ROOT), **more}


@dataclass
class Worker:
    """A worker process; `log` is all that it said."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    started: float = field(default_factory=time.monotonic)
    pool: PoolManager = field(default_factory=lambda: PoolManager(timeout=5.0, retries=False))

    def ask(self, path: str) -> tuple[int, Any]:
        """Status (0: no answer) and JSON of a page of its web port."""
        try:
            answer = self.pool.request("GET", f"http://127.0.0.1:{self.port}{path}")
        except HTTPError:
            return 0, None
        return answer.status, json.loads(answer.data) if answer.status in (200, 503) else None

    def stats(self) -> Mapping[str, Any]:
        """/stats, empty where it does not answer."""
        return self.ask("/stats")[1] or {}

    def alive(self) -> None:
        """Fail with what it said where it has ended."""
        code = self.process.poll()
        assert code is None, f"the worker ended with exit code {code}:\n{self.said()}"

    def ready(self) -> bool:
        """Whether it is ready; fails where it has ended."""
        self.alive()
        return self.ask("/ready")[0] == 200

    def said(self) -> str:
        """Everything it wrote."""
        return self.log.read_text(errors="replace")

    def wait_ready(self) -> None:
        """Wait until it is ready."""
        until(self.ready, "the worker is ready", START_LIMIT_S)

    def wait_records(self, count: int, limit_s: float = LIMIT_S) -> None:
        """Wait until it has taken `count` records, and nothing waits."""

        def taken() -> bool:
            self.alive()
            stats = self.stats()
            return bool(stats and stats["records"] >= count and stats["waiting"] == 0)

        until(taken, f"{count} records are taken, but {self.stats().get('records')}", limit_s)

    def kill(self) -> None:
        """As the kernel would, out of memory."""
        self.process.kill()
        self.process.wait(10)

    def end(self, limit_s: float = 20.0) -> int:
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(limit_s)


@contextmanager
def running(broker: Broker, prefix: str, folder: Path, *flags: str, **env: str) -> Iterator[Worker]:
    """`interlayer worker` on `broker`; ended by its process id on the way out."""
    port = choose_port()
    arguments = [sys.executable, "-m", "streams.cli", "worker", "--broker", f"kafka://{broker.bootstrap}"]
    arguments += ["--prefix", prefix, "--web-port", str(port), *flags]
    with started(arguments, folder, port, {**QUICK, **env}) as worker:
        yield worker


@contextmanager
def started(arguments: list[str], folder: Path, port: int, env: Mapping[str, str]) -> Iterator[Worker]:
    """Any command that is a worker."""
    log = folder / f"worker-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments, cwd=folder, env=environment(**env), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield Worker(process, port, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def interlayer(*arguments: str, limit_s: float = LIMIT_S, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", *arguments],
        capture_output=True, text=True, timeout=limit_s, cwd=ROOT, env=environment(**env),
    )  # fmt: skip


def all_topics(broker: Broker, prefix: str, partitions: int = 2) -> None:
    """Every topic of Interlayer, as `interlayer topics create` makes them."""
    for topic in topics(prefix, partitions):
        config = {"message.timestamp.type": topic.timestamp_type, "cleanup.policy": topic.cleanup}
        make_topics(broker, {topic.name: topic.partitions}, config)


def ends(broker: Broker, topic: str) -> dict[int, tuple[int, int]]:
    """Both watermarks of every partition."""
    consumer = Consumer(consumer_config(broker, "test.look"))
    try:
        numbers = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        return {n: consumer.get_watermark_offsets(TopicPartition(topic, n), timeout=10) for n in numbers}
    finally:
        consumer.close()


def everything(broker: Broker, topic: str) -> list[Message]:
    """All records of a topic, partition after partition."""
    there = ends(broker, topic)
    consumer = Consumer(consumer_config(broker, "test.look"))
    found: dict[int, list[Message]] = {n: [] for n in there}
    try:
        for number, (start, end) in there.items():
            if start == end:
                continue
            consumer.assign([TopicPartition(topic, number, start)])
            deadline = time.monotonic() + LIMIT_S
            while not found[number] or (found[number][-1].offset() or 0) < end - 1:
                assert time.monotonic() < deadline, f"{topic}: records do not come"
                messages = consumer.consume(10_000, 0.1)
                assert all(message.error() is None for message in messages)
                found[number] += messages
    finally:
        consumer.close()
    return [message for number in sorted(found) for message in found[number]]


def records(broker: Broker, prefix: str, name: str) -> list[dict[str, Any]]:
    """All records of the topic `name`, decoded."""
    return [WIRE.decode(name, message.value()) for message in everything(broker, prefix + name)]


def committed(broker: Broker, prefix: str, topic: str) -> dict[int, int]:
    """Committed offset of every partition, without those where none is."""
    consumer = Consumer(consumer_config(broker, prefix + GROUP))
    try:
        numbers = consumer.list_topics(prefix + topic, timeout=10).topics[prefix + topic].partitions
        places = [TopicPartition(prefix + topic, n) for n in numbers]
        return {p.partition: p.offset for p in consumer.committed(places, timeout=10) if p.offset >= 0}
    finally:
        consumer.close()


def waiting(broker: Broker, prefix: str) -> int:
    """Records of both book topics that are not committed."""
    behind = 0
    for topic in ("book.l1", "book.l2"):
        done = committed(broker, prefix, topic)
        behind += sum(end - done.get(n, start) for n, (start, end) in ends(broker, prefix + topic).items())
    return behind
