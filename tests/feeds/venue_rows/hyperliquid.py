"""Hyperliquid: every message is the whole book of a block, and nothing numbers them."""

from __future__ import annotations

import json
from decimal import Decimal

from tests.feeds.conformance import Answer, Row, Sample, Told

WIRE = "wire_samples/hyperliquid/"
BOOK = Sample(
    (WIRE + "ws_book_data.json",),
    (
        ("98450.50", "2.5"),
        ("98449.75", "1.8"),
        ("98449.00", "0.75"),
        ("98448.25", "3.2"),
        ("98447.50", "1.1"),
    ),
    (("98451.00", "1.5"), ("98451.75", "2.1"), ("98452.50", "0.9"), ("98453.25", "1.7"), ("98454.00", "2.8")),
    instrument={"tick": Decimal("0.01")},
)


def encode(told: Told) -> bytes:
    """State n is that of a block 100 n ms after the first."""
    levels = [[{"px": p, "sz": s, "n": 1} for p, s in side] for side in (told.bids, told.asks)]
    data = {"coin": "BTC", "time": 1_761_786_491_067 + 100 * told.number, "levels": levels}
    return json.dumps({"channel": "l2Book", "data": data}).encode()


ROW = Row(
    "hyperliquid",
    "BTC",
    encode,
    samples=(
        BOOK,
        Sample((WIRE + "http_l2_book_snapshot.json",), BOOK.bids, BOOK.asks, instrument=BOOK.instrument),
        Sample((WIRE + "http_funding_history.json",), refused="no JSON object"),
    ),
    wholes=True,
    drop=Answer.TAKEN,
    repeat=Answer.TAKEN,
    swap=Answer.IGNORED,
    mutate=Answer.UNSEEN,
)
