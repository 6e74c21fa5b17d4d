"""Kraken v2: `book` (L2) and `ticker` (L1) of its websocket.

Rules: docs.kraken.com, guides "book-checksum-v2". Nothing is numbered; every message carries a CRC32 of the
best ten levels of each side, asks first: price and size at the instrument's precision, without the point and
without leading zeros. The whole message is applied, then the book is cut at the subscribed depth, because the
venue sends no removal of what falls out. So `tick` and `lot` of the markets file must have the decimals that
the venue's `instrument` channel calls price_precision and qty_precision.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from streams.feeds import fields
from streams.feeds.protocol import Delta, MessageError, Quote, RawMessage, Rung, Snapshot, Verdict

CRC_BITS = 2**32


class Kraken:
    """One connection to Kraken's websocket v2."""

    name = "kraken"
    shape = "stamped_lines"
    checksum_depth = 10
    cuts = True

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """Books and tickers; heartbeats, trades and answers to subscriptions are passed over."""
        return fields.read(raw, _read, exact=True)

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """There is no number to go by."""
        return Verdict.FITS

    follows = starts

    def checksum(self, bids: Sequence[Rung], asks: Sequence[Rung]) -> int:
        """CRC32 of the digits; units of the tick and lot are just these digits."""
        return crc(f"{r.price_ticks}{r.size_lots}" for r in (*asks, *bids))


def crc(parts: Iterable[str]) -> int:
    """CRC32, unsigned."""
    return zlib.crc32("".join(parts).encode())


def crc_id(value: Any) -> int:
    """A CRC32 as it is written in a message."""
    found = fields.whole(value)
    if found >= CRC_BITS:
        raise ValueError(f"{value!r:.40} is no CRC32")
    return found


def _read(message: Any) -> Iterable[RawMessage]:
    if isinstance(message, list):
        raise MessageError("this is a message of Kraken's websocket v1: choose --venue kraken_v1")
    message = fields.table(message)
    if "feed" in message:
        raise MessageError("this is a message of Kraken Futures, which has a protocol of its own")
    channel = message.get("channel")
    if channel not in ("book", "ticker"):
        return
    whole = {"snapshot": True, "update": False}.get(message["type"])
    if whole is None:
        raise ValueError(f"type {message['type']!r:.40}")
    for item in map(fields.table, fields.rows(message["data"])):
        yield _book(item, whole) if channel == "book" else _ticker(item)


def _book(item: Any, whole: bool) -> RawMessage:
    kind = Snapshot if whole else Delta
    return kind(
        symbol=fields.name(item["symbol"]),
        bids=fields.pairs(item["bids"], "price", "qty"),
        asks=fields.pairs(item["asks"], "price", "qty"),
        event_time_ns=fields.iso(item["timestamp"]) if "timestamp" in item else None,
        checksum=crc_id(item["checksum"]),
    )


def _ticker(item: Any) -> RawMessage:
    return Quote(
        symbol=fields.name(item["symbol"]),
        bid=(fields.number(item["bid"]), fields.number(item["bid_qty"])),
        ask=(fields.number(item["ask"]), fields.number(item["ask_qty"])),
        event_time_ns=fields.iso(item["timestamp"]) if "timestamp" in item else None,
    )
