"""A partition worker on a bench: a publisher, places and a clock that tests set."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from schemas.batch import Batch
from strategies.engine import Engine
from strategies.risk import Standing
from streams.errors import RunError
from streams.partition import PartitionWorker
from tests.strategies.desk import markets
from tests.wire import MS, Wire

WAIT_MS = 200
TICK_MS = 250
L1, L2 = "book.l1", "book.l2"
BIDS_A, ASKS_A = [(10_100, 1_000)], [(10_300, 1_000)]
BIDS_B, ASKS_B = [(9_900, 1_000)], [(10_000, 2_000)]


@dataclass
class Receipt:
    """Delivered, or failed, when the test says so."""

    done: bool = False
    failure: RunError | None = None

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure


@dataclass
class Publisher:
    """Keeps what it is given; `hold` keeps whoever publishes waiting, as a full queue does."""

    published: list[tuple[list[Any], list[Any], list[Any]]] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    instantly: bool = True
    hold: asyncio.Event | None = None

    async def publish(self, signals: Any = (), events: Any = (), rejects: Any = ()) -> Any:
        if self.hold is not None:
            await self.hold.wait()
        self.published.append((list(signals), list(events), list(rejects)))
        self.receipts.append(Receipt(done=self.instantly))
        return self.receipts[-1]

    @property
    def signals(self) -> list[Any]:
        return [approved.signal for signals, _, _ in self.published for approved in signals]

    @property
    def events(self) -> list[Any]:
        return [event for _, events, _ in self.published for event in events]

    @property
    def reasons(self) -> list[str]:
        return [str(event.reason) for event in self.events]


@dataclass
class Event:
    """A batch of Faust's; `acks` is shared by all, so that their order shows."""

    name: str
    acks: list[str]

    def ack(self) -> bool:
        self.acks.append(self.name)
        return True


class Bench:
    """A partition worker with everything around it in the test's hand."""

    def __init__(self, *, instantly: bool = True) -> None:
        self.now_ns = 0
        self.places: dict[str, tuple[int, int]] = {L1: (0, 0), L2: (0, 0)}
        self.acks: list[str] = []
        self.publisher = Publisher(instantly=instantly)
        self.engine = Engine(markets(update_size_pct=1e-9), ["BTC"], 0, 1)
        self.wire = Wire()
        self.worker = PartitionWorker(
            self.engine,
            self.publisher,
            lambda topic, partition: self.places[topic],
            WAIT_MS,
            TICK_MS,
            lambda: self.now_ns,
        )
        self.worker.stand(Standing(closed=None))

    def wait(self, ms: int) -> None:
        """Let the clock go on."""
        self.now_ns += ms * MS

    def behind(self, topic: str, records: int) -> None:
        """`topic` has records that were not handed over."""
        self.places[topic] = (0, records)

    def unknown(self, topic: str) -> None:
        """Nothing is known of where `topic` ends."""
        self.places[topic] = (-1, -1)

    def offer(self, batch: Batch, name: str = "") -> None:
        self.worker.offer(batch, Event(name, self.acks))

    def snapshots(self) -> tuple[Any, Any]:
        """Two books between which something can be earned, 1 ms apart."""
        first = self.wire.snapshot("a", "BTCUSDT", BIDS_A, ASKS_A)
        self.wire.now_ns += MS
        return first, self.wire.snapshot("b", "BTCUSDT", BIDS_B, ASKS_B)

    def larger(self, size: int) -> Any:
        """A delta that moves the size, 1 ms later."""
        self.wire.now_ns += MS
        return self.wire.delta("a", "BTCUSDT", bids=[(10_100, size)])

    def quote(self, venue: str = "c") -> Any:
        """A quote of a venue that takes no part, 1 ms later."""
        self.wire.now_ns += MS
        return self.wire.quote(venue, "BTCUSDT", [(9_000, 1)], [(11_000, 1)])


def run(test: Callable[[Bench], Awaitable[None]], *, instantly: bool = True) -> None:
    """Run a test within an event loop."""

    async def inside() -> None:
        await test(Bench(instantly=instantly))

    asyncio.run(inside())


# ---- merge
