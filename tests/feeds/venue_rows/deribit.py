"""Deribit: each change names the one before it; numbers are JSON numbers."""

from __future__ import annotations

import json
from decimal import Decimal

from tests.feeds.conformance import Row, Sample, Told

WIRE = "wire_samples/deribit/"
PERPETUAL = {"tick": Decimal("0.5"), "lot": Decimal(10)}


def encode(told: Told) -> bytes:
    """State n has the change_id 100 + 7n."""
    last = 100 + 7 * told.number
    bids, asks = (
        [["change" if float(size) else "delete", float(price), float(size)] for price, size in side]
        for side in (told.bids, told.asks)
    )
    data = {
        "type": "snapshot" if told.whole else "change", "instrument_name": "BTC-PERPETUAL",
        "timestamp": 1_699_999_999_500, "change_id": last, "bids": bids, "asks": asks,
        "prev_change_id": None if told.whole else last - 7,
    }  # fmt: skip
    params = {"channel": "book.BTC-PERPETUAL.100ms", "data": data}
    return json.dumps({"jsonrpc": "2.0", "method": "subscription", "params": params}).encode()


ROW = Row(
    "deribit",
    "BTC-PERPETUAL",
    encode,
    samples=(
        Sample(
            (WIRE + "ws_book_snapshot.json", WIRE + "ws_book_delta.json"),
            (("42500", "950"), ("42499.5", "500"), ("42499", "750"), ("42498.5", "300"), ("42498", "800")),
            (("42501.5", "700"), ("42502", "400"), ("42502.5", "900"), ("42503", "550")),
            instrument=PERPETUAL,
        ),
        Sample(
            (WIRE + "ws_quote.json",),
            quote=(("92288.0", "133440"), ("92288.5", "99470")),
            instrument=PERPETUAL,
        ),
    ),
)
