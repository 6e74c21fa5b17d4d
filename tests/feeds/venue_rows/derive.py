"""Derive: every message is the whole book, and publish_id rises."""

from __future__ import annotations

import json

from tests.feeds.conformance import Answer, Row, Sample, Told

WIRE = "wire_samples/derive/"


def encode(told: Told) -> bytes:
    """State n has the publish_id 100 + 3n."""
    data = {
        "instrument_name": "ETH-PERP", "timestamp": 1_779_607_319_268, "publish_id": 100 + 3 * told.number,
        "bids": told.bids, "asks": told.asks,
    }  # fmt: skip
    params = {"channel": "orderbook.ETH-PERP.1.10", "data": data}
    return json.dumps({"method": "subscription", "params": params}).encode()


ROW = Row(
    "derive",
    "ETH-PERP",
    encode,
    samples=(
        Sample((WIRE + "perps/ws_orderbook_eth.json",), (("3500", "1"),), (("3501", "2"),)),
        Sample(
            (WIRE + "spot/ws_orderbook_eth_mainnet.json",),
            (("0.2", "45"), ("0.1", "32.9")),
            symbol="ETH-USDC",
        ),
        Sample((WIRE + "spot/instrument_eth.json",), refused="no notification, book or answer"),
    ),
    wholes=True,
    drop=Answer.TAKEN,
    repeat=Answer.IGNORED,
    swap=Answer.IGNORED,
    mutate=Answer.UNSEEN,
)
