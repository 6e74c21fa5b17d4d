"""Binance USD-M and COIN-M futures: ids have holes, `pu` chains."""

from __future__ import annotations

import json
from decimal import Decimal

from tests.feeds.conformance import Row, Sample, Told


def encode(told: Told) -> bytes:
    """State n ends with id 100 + 10n; events begin in the middle of the hole."""
    last = 100 + 10 * told.number
    if told.whole:
        return json.dumps({"lastUpdateId": last, "bids": told.bids, "asks": told.asks, "T": 5}).encode()
    data = {
        "e": "depthUpdate", "E": 1_626_992_741_037, "T": 1_626_992_741_024, "s": "BTCUSDT", "U": last - 4,
        "u": last, "pu": last - 10, "b": told.bids, "a": told.asks,
    }  # fmt: skip
    return json.dumps({"stream": "btcusdt@depth@100ms", "data": data}).encode()


FOLDER = "wire_samples/binance/futures/market_data_json"
SAMPLES = (
    Sample(
        (f"{FOLDER}/book_ticker_stream.json",),
        symbol="BNBUSDT",
        quote=(("25.3519", "31.21"), ("25.3652", "40.66")),
        instrument={"tick": Decimal("0.0001")},
    ),
)
INVERSE = {"inverse": True, "kind": "perpetual", "multiplier": Decimal(100)}
ROWS = [
    Row("binance_usdm", "BTCUSDT", encode, SAMPLES, asked=True),
    Row("binance_coinm", "BTCUSDT", encode, SAMPLES, asked=True, instrument=INVERSE),
]
