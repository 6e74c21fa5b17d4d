"""KuCoin: spot updates span sequences, futures tell one change a message; the snapshot is asked for."""

from __future__ import annotations

import json
from typing import Any

from tests.feeds.conformance import Row, Told


def encode(told: Told) -> bytes:
    """State n ends with the sequence 100 + 2n."""
    last = 100 + 2 * told.number
    if told.whole:
        body = {"sequence": str(last), "time": 1_729_816_425_625, "bids": told.bids, "asks": told.asks}
        return json.dumps({"code": "200000", "data": body}).encode()
    changes: dict[str, Any] = {
        "asks": [[price, size, str(last)] for price, size in told.asks],
        "bids": [[price, size, str(last)] for price, size in told.bids],
    }
    data = {
        "changes": changes, "sequenceEnd": last, "sequenceStart": last - 1, "symbol": "BTC-USDT",
        "time": 1_729_816_425_625,
    }  # fmt: skip
    update = {
        "topic": "/market/level2:BTC-USDT",
        "type": "message",
        "subject": "trade.l2update",
        "data": data,
    }
    return json.dumps(update).encode()


ROW = Row("kucoin", "BTC-USDT", encode, asked=True)
