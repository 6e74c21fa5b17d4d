"""Kraken's older websocket, v1, in which recordings lie: `book` (L2) and `spread` (L1).

Rules: docs.kraken.com, "spot-ws-book-v1". As v2, but prices and sizes are texts with a fixed number of
decimals, more than the tick has, and the checksum (`c`) is made of these texts; snapshots carry none. An
update of both sides comes in two objects, of which the last holds the checksum. An `r` at the end of a level
marks one that came back into the depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from streams.feeds import fields
from streams.feeds.kraken import crc, crc_id
from streams.feeds.protocol import Delta, Quote, RawLevel, RawMessage, Rung, Snapshot, Verdict


class KrakenV1:
    """One connection to Kraken's websocket v1."""

    name = "kraken_v1"
    shape = "stamped_lines"
    checksum_depth = 10
    cuts = True

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """Books and spreads; all other channels, events and REST answers are passed over."""
        return fields.read(raw, _read, exact=True)

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """There is no number to go by."""
        return Verdict.FITS

    follows = starts

    def checksum(self, bids: Sequence[Rung], asks: Sequence[Rung]) -> int:
        """CRC32 of the texts without the point and without leading zeros."""
        return crc(_digits(r.price_text) + _digits(r.size_text) for r in (*asks, *bids))


def _digits(text: str) -> str:
    return text.replace(".", "").lstrip("0")


def _read(message: Any) -> Iterable[RawMessage]:
    if not isinstance(message, list):
        return
    _, *parts, channel, symbol = message
    symbol = fields.name(symbol)
    if fields.name(channel).startswith("book"):
        yield _book(symbol, [fields.table(part) for part in parts])
    elif channel == "spread":
        bid, ask, stamp, bid_size, ask_size = map(fields.number, fields.rows(parts[0]))
        yield Quote(symbol, (bid, bid_size), (ask, ask_size), event_time_ns=_time(stamp))


def _book(symbol: str, parts: list[Any]) -> RawMessage:
    found = {key: value for part in parts for key, value in part.items()}
    if "as" in found or "bs" in found:
        sides = [found.get("bs", []), found.get("as", [])]
    elif "a" in found or "b" in found:
        sides = [found.get("b", []), found.get("a", [])]
    else:
        raise KeyError("a")
    bids, asks = (_last_of_each(fields.pairs(side)) for side in sides)
    stamps = [_time(fields.number(level[2])) for side in sides for level in side]
    time = max(stamps, default=None)
    if "as" in found or "bs" in found:
        return Snapshot(symbol, bids, asks, event_time_ns=time)
    return Delta(symbol, bids, asks, event_time_ns=time, checksum=crc_id(found["c"]))


def _last_of_each(levels: list[RawLevel]) -> list[RawLevel]:
    """A message may tell of a price several times: the last one holds."""
    return list({level[0]: level for level in levels}.values())


def _time(stamp: str) -> int:
    seconds, _, part = stamp.partition(".")
    if not (part or "0").isdecimal() or not part.isascii():
        raise ValueError(f"{stamp!r:.40} is no time")
    return fields.time(seconds, fields.S) + int(part[:9].ljust(9, "0"))
