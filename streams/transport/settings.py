"""What the transport can be told; each limit says its unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from streams.config import Settings

Assignor = Literal["range", "cooperative-sticky"]


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """How the consumer reads, what it holds, and how it belongs to its group.

    `range` puts the same partition number of topics with equal counts on one member, which is what joins
    L1 with L2; under `protocol="consumer"` the broker's own range assignor does it.
    """

    servers: str
    group_id: str
    client_id: str = "interlayer"
    protocol: Literal["classic", "consumer"] = "classic"
    assignor: Assignor = "range"
    instance_id: str | None = None
    session_timeout_ms: int = 10_000
    start: Literal["earliest", "latest"] = "earliest"
    batch_max_records: int = 20_000
    batch_max_bytes: int = 8 << 20
    in_flight_max_records: int = 200_000
    in_flight_max_bytes: int = 256 << 20
    # Full for this long and nothing acked: what holds most is paused, so that the others can move on.
    stall_ms: int = 100
    fetch_wait_ms: int = 20
    queued_min_messages: int = 100_000  # below what a worker takes in a second the fetcher stands still
    answer_limit_ms: int = 10_000
    drain_limit_ms: int = 2_000  # with Faust's stream_wait_empty: for what agents have begun
    rebalance_limit_ms: int = 60_000
    close_limit_ms: int = 10_000
    extra: Mapping[str, str | int | bool] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, servers: str) -> TransportSettings:
        """What a user's settings mean for the transport; `servers` is host:port[,host:port] of the broker."""
        return cls(
            servers=servers,
            group_id=settings.named(settings.group_id),
            protocol=settings.group_protocol,
            instance_id=settings.group_instance_id,
            session_timeout_ms=settings.session_timeout_ms,
            start=settings.start,
            batch_max_records=settings.batch_max_records,
            batch_max_bytes=settings.batch_max_bytes,
            in_flight_max_records=settings.inflight_max_records,
            fetch_wait_ms=settings.fetch_wait_ms,
            # Of the time to end in, a quarter for agents, half to leave; the rest is the publisher's.
            drain_limit_ms=settings.drain_limit_ms // 4,
            close_limit_ms=settings.drain_limit_ms // 2,
            extra=settings.kafka_config(),
        )

    @property
    def incremental(self) -> bool:
        """Whether a rebalance tells what changed instead of the whole assignment."""
        return self.protocol == "consumer" or self.assignor == "cooperative-sticky"

    def librdkafka(self) -> dict[str, str | int | bool]:
        """The client's configuration; `extra` adds to it (TLS, SASL, ages), but unsets nothing of ours."""
        ours: dict[str, str | int | bool] = {
            "bootstrap.servers": self.servers,
            "group.id": self.group_id,
            "client.id": self.client_id,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": False,
            "auto.offset.reset": "error",
            "check.crcs": True,
        }
        if self.protocol == "consumer":
            ours |= {"group.protocol": "consumer", "group.remote.assignor": "range"}
        else:
            ours |= {
                "partition.assignment.strategy": self.assignor,
                "session.timeout.ms": self.session_timeout_ms,
                # Three heartbeats may be lost, as Kafka's own defaults have it.
                "heartbeat.interval.ms": max(self.session_timeout_ms // 4, 100),
            }
        if self.instance_id is not None:
            ours["group.instance.id"] = self.instance_id
        tunable: dict[str, str | int | bool] = {
            "fetch.wait.max.ms": self.fetch_wait_ms,
            "fetch.queue.backoff.ms": 5,  # 1000 by default: a full queue would stand still for a second
            "queued.min.messages": self.queued_min_messages,
        }
        return {**tunable, **self.extra, **ours}
