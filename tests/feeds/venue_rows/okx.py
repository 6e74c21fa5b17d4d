"""OKX: the chain of seqId; a checksum for some time, then none."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from decimal import Decimal
from itertools import chain

from tests.feeds.conformance import Answer, Row, Sample, Told


def encode(told: Told, checksum: int = 0) -> bytes:
    """State n has seqId 100 + 10n; prevSeqId of a snapshot is -1."""
    last = 100 + 10 * told.number
    data = {
        "bids": [[p, s, "0", "1"] for p, s in told.bids],
        "asks": [[p, s, "0", "1"] for p, s in told.asks],
        "ts": "1652459225464", "checksum": checksum, "seqId": last,
        "prevSeqId": -1 if told.whole else last - 10,
    }  # fmt: skip
    action = "snapshot" if told.whole else "update"
    return json.dumps(
        {"arg": {"channel": "books", "instId": "BTC-USD"}, "action": action, "data": [data]}
    ).encode()


def with_checksum(told: Told) -> bytes:
    """As before 2026-06-23: signed CRC32 of bids and asks in turn."""
    bids, asks = told.book
    turns = [*chain.from_iterable(zip(bids, asks, strict=False))]
    longer = max(told.book, key=len)[min(len(bids), len(asks)) :]
    found = zlib.crc32(":".join(":".join(level) for level in (*turns, *longer)).encode())
    return encode(told, found - 2**32 if found >= 2**31 else found)


FINE = {"symbol": "BTC-USDT", "tick": Decimal("0.01")}
FOLDER = "wire_samples/okx"
SAMPLES = (
    # Eight levels with the checksum of the twenty-five of the documentation.
    Sample((f"{FOLDER}/ws_books_snapshot.json",), wrong=True, instrument=FINE),
    Sample((f"{FOLDER}/http_get_order_book.json",), refused="without seqId"),
)
ROW = Row("okx", "BTC-USD", encode, SAMPLES)
ROWS = [ROW, replace(ROW, encode=with_checksum, samples=(), mutate=Answer.GAP)]
