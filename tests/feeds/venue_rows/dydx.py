"""dYdX v4: messages are numbered by connection, the book is uncrossed by the feed."""

from __future__ import annotations

import json

from tests.feeds.conformance import Row, Sample, Told

WIRE = "wire_samples/dydx/"
SUBSCRIBED = (
    (("43240.0", "1.5"), ("43235.0", "2.3"), ("43230.0", "0.8")),
    (("43250.0", "1.2"), ("43255.0", "2.0"), ("43260.0", "0.9")),
)


def encode(told: Told) -> bytes:
    """The message of the connection's own number."""
    data = {"connection_id": "c", "message_id": told.order, "channel": "v4_orderbook", "id": "BTC-USD"}
    if told.whole:
        bids, asks = ([{"price": p, "size": s} for p, s in side] for side in (told.bids, told.asks))
        return json.dumps({**data, "type": "subscribed", "contents": {"bids": bids, "asks": asks}}).encode()
    contents = {"bids": told.bids, "asks": told.asks}
    return json.dumps({**data, "type": "channel_data", "version": "1.0.0", "contents": contents}).encode()


ROW = Row(
    "dydx_v4",
    "BTC-USD",
    encode,
    samples=(
        Sample((WIRE + "ws_orderbook_subscribed.json",), *SUBSCRIBED),
        Sample(
            (WIRE + "ws_orderbook_subscribed.json", WIRE + "ws_orderbook_update.json"),
            (("43240.0", "2.0"), ("43238.0", "1.5"), ("43235.0", "2.3"), ("43230.0", "0.8")),
            (("43252.0", "3.0"), ("43255.0", "2.0"), ("43260.0", "0.9")),
        ),
        Sample((WIRE + "http_get_orderbook.json",), refused="has no 'message_id'"),
    ),
)
