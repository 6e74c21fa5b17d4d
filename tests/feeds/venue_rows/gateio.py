"""Gate.io: the ids of one book have no holes, the snapshot is asked for."""

from __future__ import annotations

import json

from tests.feeds.conformance import Row, Told

URL = "https://api.gateio.ws/api/v4/spot/order_book?currency_pair=BTC_USDT&limit=100&with_id=true"


def encode(told: Told) -> bytes:
    """State n ends with id 100 + 2n."""
    last = 100 + 2 * told.number
    if told.whole:
        return json.dumps({"rest": URL, "body": {"id": last, "asks": told.asks, "bids": told.bids}}).encode()
    result = {
        "t": 1_619_093_532_978, "e": "depthUpdate", "E": 1_619_093_532, "s": "BTC_USDT", "U": last - 1,
        "u": last, "b": told.bids, "a": told.asks,
    }  # fmt: skip
    update = {"time": 1_619_093_532, "channel": "spot.order_book_update", "event": "update", "result": result}
    return json.dumps(update).encode()


ROW = Row("gateio", "BTC_USDT", encode, asked=True)
