"""Coinbase Advanced Trade: a number for each message of the connection. Coinbase Exchange: none at all."""

from __future__ import annotations

import json
from decimal import Decimal

from tests.feeds.conformance import Answer, Row, Sample, Told

TIME = "2026-04-07T14:30:00.123456Z"


def encode(told: Told) -> bytes:
    """All is numbered by its order."""
    updates = [
        {"side": side, "event_time": TIME, "price_level": price, "new_quantity": size}
        for side, levels in (("bid", told.bids), ("offer", told.asks))
        for price, size in levels
    ]
    event = {"type": "snapshot" if told.whole else "update", "product_id": "BTC-USD", "updates": updates}
    message = {"channel": "l2_data", "timestamp": TIME, "sequence_num": told.order, "events": [event]}
    return json.dumps(message).encode()


def encode_exchange(told: Told) -> bytes:
    if told.whole:
        message = {"type": "snapshot", "product_id": "BTC-USD", "bids": told.bids, "asks": told.asks}
        return json.dumps(message).encode()
    changes = [
        [side, price, size]
        for side, levels in (("buy", told.bids), ("sell", told.asks))
        for price, size in levels
    ]
    return json.dumps(
        {"type": "l2update", "product_id": "BTC-USD", "changes": changes, "time": TIME}
    ).encode()


FOLDER = "wire_samples/coinbase"
FINE = {"tick": Decimal("0.01"), "lot": Decimal("0.00000001")}
UNSEEN = Answer.UNSEEN
ROWS = [
    Row(
        "coinbase",
        "BTC-USD",
        encode,
        (
            Sample(
                (f"{FOLDER}/ws_l2_data_snapshot.json", f"{FOLDER}/ws_l2_data_update.json"),
                bids=(("68900.00", "2"), ("68899.50", "0.75"), ("68899.00", "2.3")),
                asks=(("68901.50", "1.2"), ("68902.00", "0.8")),
                instrument=FINE,
            ),
            Sample(
                (f"{FOLDER}/ws_ticker.json",), quote=(("68900", "1.5"), ("68901", "0.5")), instrument=FINE
            ),
            Sample((f"{FOLDER}/http_product_book.json",), refused="without sequence_num"),
        ),
    ),
    Row("coinbase_exchange", "BTC-USD", encode_exchange, drop=UNSEEN, repeat=Answer.TAKEN, swap=UNSEEN),
]
