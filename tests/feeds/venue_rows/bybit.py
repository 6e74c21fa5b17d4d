"""Bybit v5: u rises by one."""

from __future__ import annotations

import json
from decimal import Decimal

from tests.feeds.conformance import Row, Sample, Told


def encode(told: Told) -> bytes:
    """State n has u = 100 + n."""
    data = {"s": "BTCUSDT", "b": told.bids, "a": told.asks, "u": 100 + told.number, "seq": 7_961_638_724}
    return json.dumps(
        {
            "topic": "orderbook.50.BTCUSDT",
            "type": "snapshot" if told.whole else "delta",
            "ts": 1_672_304_484_978,
            "data": data,
            "cts": 1_672_304_484_976,
        }
    ).encode()


FOLDER = "wire_samples/bybit"
FINE = {"tick": Decimal("0.01")}
SAMPLES = (
    Sample(
        (f"{FOLDER}/http_get_orderbook.json",),
        bids=(("27450.50", "1.5"), ("27450.00", "2"), ("27449.50", "0.75")),
        asks=(("27451.00", "1.2"), ("27451.50", "3"), ("27452.00", "0.5")),
        instrument=FINE,
    ),
    Sample(
        (f"{FOLDER}/ws_orderbook_snapshot.json",),
        quote=(("27450", "0.5"), ("27451", "0.75")),
        instrument=FINE,
    ),
    Sample((f"{FOLDER}/ws_orderbook_delta.json",), refused="snapshots only"),
)
ROW = Row("bybit", "BTCUSDT", encode, SAMPLES)
