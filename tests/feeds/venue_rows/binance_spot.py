"""Binance spot and Binance US: the ids of one book have no holes."""

from __future__ import annotations

import json
from decimal import Decimal

from tests.feeds.conformance import Row, Sample, Told


def encode(told: Told) -> bytes:
    """State n ends with id 100 + 2n."""
    last = 100 + 2 * told.number
    if told.whole:
        return json.dumps({"lastUpdateId": last, "bids": told.bids, "asks": told.asks}).encode()
    data = {
        "e": "depthUpdate", "E": 1_633_998_274_793, "s": "BTCUSDT", "U": last - 1, "u": last,
        "b": told.bids, "a": told.asks,
    }  # fmt: skip
    return json.dumps({"stream": "btcusdt@depth@100ms", "data": data}).encode()


SAMPLES = (
    Sample(
        ("wire_samples/binance/spot/http_json/depth_response.json",),
        bids=(("4", "431"),),
        asks=(("4.000002", "12"),),
        instrument={"tick": Decimal("0.000001")},
    ),
)
ROWS = [Row(feed, "BTCUSDT", encode, SAMPLES, asked=True) for feed in ("binance_spot", "binance_us")]
