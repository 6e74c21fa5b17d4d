"""The way in alone: Faust on our transport against confluent-kafka's bare `consume(1000)`, in turn.

python bench/transport.py [--broker jvm] [--records 1000000] [--rounds 3]

Both read the same topic (records of 200 bytes, 8 partitions) from its start and do nothing with it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from rich.console import Console
from rich.table import Table

from streams.broker import open_broker
from streams.transport import BatchedApp, TransportSettings

PARTITIONS = 8
SIZE = 200
CONTENDERS = ("consume", "transport")


def produce(config: dict[str, Any], topic: str, count: int) -> None:
    admin = AdminClient(config)
    for future in admin.create_topics([NewTopic(topic, PARTITIONS, 1)]).values():
        future.result(20)
    producer = Producer({**config, "linger.ms": 20, "batch.size": 1 << 20})
    value = os.urandom(SIZE)
    for number in range(count):
        while True:
            try:
                producer.produce(topic, value, partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.05)
        if number % 10_000 == 0:
            producer.poll(0)
    producer.flush(60)


def measured(count: int, began: float, cpu: float) -> dict[str, float]:
    """Rate and CPU from the first record on: joining a group is not what is measured."""
    return {
        "records_per_s": count / (time.monotonic() - began),
        "cpu_us": (time.process_time() - cpu) / count * 1e6,
    }


def consume(config: dict[str, Any], topic: str, count: int) -> dict[str, float]:
    consumer = Consumer(
        {**config, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    consumer.subscribe([topic])
    seen, began, cpu = 0, 0.0, 0.0
    while seen < count:
        found = len(consumer.consume(1_000, 0.1))
        if found and not seen:
            began, cpu = time.monotonic(), time.process_time()
        seen += found
    result = measured(count, began, cpu)
    consumer.close()
    return result


def transport(config: dict[str, Any], topic: str, count: int) -> dict[str, float]:
    settings = TransportSettings(config["bootstrap.servers"], uuid.uuid4().hex)
    with tempfile.TemporaryDirectory() as folder:
        app = BatchedApp(
            "bench", transport=settings, topic_allow_declare=False, topic_disable_leader=True, datadir=folder,
            web_enabled=False, stream_recovery_delay=0.0,
        )  # fmt: skip
        done = asyncio.Event()
        seen, began, cpu, batches = 0, 0.0, 0.0, 0

        @app.agent(app.batch_topic(topic))
        async def count_them(stream: Any) -> None:
            nonlocal seen, began, cpu, batches
            async for event in stream.noack().events():
                if not seen:
                    began, cpu = time.monotonic(), time.process_time()
                seen += len(event.value)
                batches += 1
                event.ack()
                if seen >= count:
                    done.set()

        async def main() -> dict[str, float]:
            await app.start()
            await done.wait()
            result = measured(count, began, cpu) | {"records_per_batch": count / batches}
            await app.stop()
            return result

        return asyncio.run(main())


def run(contender: str, config: dict[str, Any], topic: str, count: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--contender", contender, "--topic", topic, "--records", str(count)]
    environment = {
        **os.environ,
        "BENCH_KAFKA": json.dumps(config),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, timeout=300)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(broker: str, count: int, rounds: int) -> None:
    results: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    with open_broker(broker) as found:
        config, topic = dict(found.config), f"bench.{uuid.uuid4().hex[:8]}"
        produce(config, topic, count)
        for _ in range(rounds):
            for name in CONTENDERS:
                results[name].append(run(name, config, topic, count))
    table = Table("", "records/s", "us CPU a record", "of consume(1000)")
    base = statistics.median(r["records_per_s"] for r in results["consume"])
    for name, of_one in results.items():
        rates, cpus = ([r[key] for r in of_one] for key in ("records_per_s", "cpu_us"))
        ratio = statistics.median(rates) / base
        table.add_row(
            name,
            f"{min(rates):,.0f} to {max(rates):,.0f}",
            f"{min(cpus):.2f} to {max(cpus):.2f}",
            f"{ratio:.2f}",
        )
    Console().print(table)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--broker", default="jvm")
    arguments.add_argument("--records", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments.add_argument("--topic", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.contender is None:
        compare(given.broker, given.records, given.rounds)
        return
    contender = consume if given.contender == "consume" else transport
    result = contender(json.loads(os.environ["BENCH_KAFKA"]), given.topic, given.records)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
