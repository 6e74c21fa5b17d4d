"""A steady load of book updates whose edge moves with every record, sent from a thread of the test."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Producer

from schemas import codec
from streams.broker import Broker
from streams.broker.client import producer_config
from tests.wire import Wire

MARKETS = """
[limits]
max_notional = 1e9
min_net_edge_bps = 0.0
min_net_edge_quote = 0.0
close_edge_bps = 0.0
update_size_pct = 1e-9
update_edge_bps = 1e-9
episode_ttl_ms = 3600000
[venues.a]
layer = "base"
taker_fee_bps = 0.0
[venues.b]
layer = "rollup"
taker_fee_bps = 0.0
"""
VENUES = ("a", "b")
RECORD = Wire().record


def markets_file(groups: tuple[str, ...]) -> str:
    """Two venues for each group, depth alone."""
    text = MARKETS
    for group in groups:
        for venue in VENUES:
            text += (
                f'[[instruments]]\nvenue = "{venue}"\nsymbol = "{group}USDT"\nkind = "spot"\n'
                f'base = "{group}"\n'
                'quote = "USDT"\ntick = "0.01"\nlot = "0.0001"\ndepth = 50\nchannels = ["l2"]\n'
            )
    return text


class Feed:
    """One group on two venues. Venue a bids above what b asks, so that there is always something to earn."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.session = time.time_ns()
        self.sequences = dict.fromkeys(VENUES, 0)
        self.made = 0
        self.size = 10_000

    def record(self, venue: str, kind: str, **more: Any) -> bytes:
        """The next record of a venue, received now."""
        self.sequences[venue] += 1
        fixed = {
            "sequence": self.sequences[venue],
            "session": self.session,
            "receive_time_ns": time.time_ns(),
        }
        symbol = f"{self.group}USDT"
        return codec.encode(
            "BookUpdate", RECORD(venue, symbol, "l2", kind, event_time_ns=None, **fixed, **more)
        )

    def opening(self) -> list[bytes]:
        """Snapshots of both: buy at b for 100.00, sell at a for 101.00."""
        return [
            self.record("b", "snapshot", bids=[(9_900, 10_000)], asks=[(10_000, 20_000)]),
            self.record("a", "snapshot", bids=[(10_100, 10_000)], asks=[(10_300, 10_000)]),
        ]

    def next(self) -> bytes:
        """What can be earned changes by its size with every delta; key frames let a newcomer in."""
        self.made += 1
        if self.made % 100 == 0:
            return self.record(
                "b", "snapshot", bids=[(9_900, 10_000)], asks=[(10_000, 20_000)], key_frame=True
            )
        if self.made % 100 == 50:
            return self.record(
                "a", "snapshot", bids=[(10_100, self.size)], asks=[(10_300, 10_000)], key_frame=True
            )
        self.size = 10_000 + self.made % 1_000
        return self.record("a", "delta", bids=[(10_100, self.size)])


class Load:
    """Sends `rate` records a second, group after group, until it is left."""

    def __init__(self, broker: Broker, prefix: str, groups: tuple[str, ...], rate: float) -> None:
        self.sent = 0
        self._topic = f"{prefix}book.l2"
        self._feeds = [Feed(group) for group in groups]
        self._rate = rate
        self._producer = Producer(producer_config(broker, linger_ms=2))
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")

    def __enter__(self) -> Self:
        for feed in self._feeds:
            for value in feed.opening():
                self._send(feed, value)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End, and return when all is delivered."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()
        assert self._producer.flush(30) == 0

    def _send(self, feed: Feed, value: bytes) -> None:
        self._producer.produce(self._topic, value, feed.group.encode())
        self.sent += 1

    def _run(self) -> None:
        begun, n = time.monotonic(), 0
        while not self._ending.is_set():
            feed = self._feeds[n % len(self._feeds)]
            self._send(feed, feed.next())
            n += 1
            self._producer.poll(0)
            early = begun + n / self._rate - time.monotonic()
            if early > 0.002:
                time.sleep(early)
