"""Bitget: `seq` only rises; what is lost is seen by the checksum, or by `pseq`, or not at all."""

from __future__ import annotations

import json
import zlib
from typing import Any

from tests.feeds.conformance import Answer, Row, Sides, Told


def encode(told: Told, **more: Any) -> bytes:
    """State n has the seq 100 + 3n."""
    data = {
        "asks": told.asks, "bids": told.bids, "seq": 100 + 3 * told.number, "ts": "1695710946294", **more,
    }  # fmt: skip
    arg = {"instType": "SPOT", "channel": "books", "instId": "BTCUSDT"}
    action = "snapshot" if told.whole else "update"
    return json.dumps({"action": action, "arg": arg, "data": [data], "ts": 1_695_710_946_294}).encode()


def checked(told: Told) -> bytes:
    return encode(told, checksum=checksum(told.book))


def chained(told: Told) -> bytes:
    return encode(told, checksum=0, pseq=0 if told.whole else 97 + 3 * told.number)


def checksum(book: Sides) -> int:
    """As the documents say, spelt out: bid and ask in turn, then what is left of the longer side."""
    bids, asks = book
    text = []
    for place in range(25):
        text += [f"{price}:{size}" for side in (bids, asks) for price, size in side[place : place + 1]]
    crc = zlib.crc32(":".join(text).encode())
    return int.from_bytes(crc.to_bytes(4, "big"), "big", signed=True)


ROWS = [
    Row("bitget", "BTCUSDT", checked, mutate=Answer.GAP),
    Row("bitget", "BTCUSDT", chained),
    Row("bitget", "BTCUSDT", encode, drop=Answer.UNSEEN),
]
