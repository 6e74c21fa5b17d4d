"""Kraken, v2 and v1: no numbers, a CRC32 in each message; whatever is harmed shows in the next one."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import replace

from tests.feeds.conformance import Answer, Row, Sample, TextLevel, Told

TIME = "2023-10-06T17:35:55.440295Z"


def crc(told: Told) -> int:
    """Of the whole book, which has fewer than ten levels a side, at one and three decimals."""
    bids, asks = told.book
    digits = [f"{float(p) * 10:.0f}{float(s) * 1000:.0f}" for p, s in (*asks, *bids)]
    return zlib.crc32("".join(digits).encode())


def numbers(levels: Sequence[TextLevel]) -> str:
    """As numbers without their last zeros: the precision is the instrument's, not the text's."""
    return ",".join(f'{{"price":{float(p)!r},"qty":{float(s)!r}}}' for p, s in levels)


def encode(told: Told) -> bytes:
    kind = "snapshot" if told.whole else "update"
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{numbers(told.bids)}],'
        f'"asks":[{numbers(told.asks)}],"checksum":{crc(told)},"timestamp":"{TIME}"}}]}}'
    ).encode()


def stamped(levels: Sequence[TextLevel]) -> list[list[str]]:
    return [[price, size, "1618678133.365913"] for price, size in levels]


def encode_v1(told: Told) -> bytes:
    """Both sides of an update in objects of their own."""
    if told.whole:
        parts: list[dict[str, object]] = [{"as": stamped(told.asks), "bs": stamped(told.bids)}]
    else:
        parts = [{k: stamped(side)} for k, side in (("a", told.asks), ("b", told.bids)) if side]
        parts[-1]["c"] = str(crc(told))
    return json.dumps([992, *parts, "book-1000", "BTC/USD"]).encode()


CUT = {"venue_cuts": True, "depth": 100}
FOLDER = "wire_samples/kraken"
SAMPLES = (
    Sample(
        (f"{FOLDER}/ws_ticker_snapshot.json",),
        quote=(("105944.2", "2.5"), ("105944.3", "3.2")),
    ),
    # Three levels with the checksum of ten: cut by whoever wrote them down.
    Sample((f"{FOLDER}/ws_book_snapshot.json",), wrong=True),
    Sample((f"{FOLDER}/ws_futures_book_snapshot.json",), refused="Kraken Futures"),
)
ROW = Row(
    "kraken", "BTC/USD", encode, SAMPLES, repeat=Answer.TAKEN, mutate=Answer.GAP, instrument=CUT
)  # fmt: skip
ROWS = [ROW, replace(ROW, feed="kraken_v1", encode=encode_v1, samples=())]
