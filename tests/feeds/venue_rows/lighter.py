"""Lighter: offsets without holes, and since 2026 a chain of nonces."""

from __future__ import annotations

import json
from decimal import Decimal

from tests.feeds.conformance import Row, Sample, Told

WIRE = "wire_samples/lighter/"
SCALES = {"tick": Decimal("0.01"), "lot": Decimal("0.0001")}


def encode(told: Told) -> bytes:
    """State n has the offset 1000 + n."""
    return message(told, {"offset": 1_000 + told.number})


def encode_nonces(told: Told) -> bytes:
    """State n has the nonce 5000 + 10n; the offset, the server's, may be anything."""
    nonce = 5_000 + 10 * told.number
    return message(told, {"offset": 7, "nonce": nonce, "begin_nonce": 0 if told.whole else nonce - 10})


def message(told: Told, ids: dict[str, int]) -> bytes:
    bids, asks = ([{"price": p, "size": s} for p, s in side] for side in (told.bids, told.asks))
    kind = "subscribed" if told.whole else "update"
    return json.dumps(
        {
            "channel": "order_book:0", "offset": ids["offset"], "timestamp": 1_760_041_996_048,
            "order_book": {"code": 0, "asks": asks, "bids": bids, **ids}, "type": f"{kind}/order_book",
        }
    ).encode()  # fmt: skip


SAMPLES = (
    Sample(
        (WIRE + "ws_order_book_subscribed.json",),
        (("2000.00", "0.0200"),),
        (("2325.00", "99.0000"), ("2341.25", "340.1028")),
        instrument=SCALES,
    ),
    Sample((WIRE + "ws_order_book_subscribed_empty.json",), symbol="39", instrument=SCALES),
    Sample(
        (WIRE + "ws_ticker_update.json",),
        quote=(("2064.30", "1.0392"), ("2064.48", "0.4950")),
        instrument=SCALES,
    ),
    Sample((WIRE + "http_order_book_depth.json",), refused="has no 'type'", instrument=SCALES),
)

ROWS = [
    Row("lighter", "0", encode, SAMPLES),
    Row("lighter", "0", encode_nonces),
]
