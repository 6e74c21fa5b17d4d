"""Bitget v2 and v3: `books` (L2, the whole book, then changes), `books1` (L1), `books5` and `books15` (L2).

Rules: the documents of the depth channel. `seq` rises with each update, except through maintenance of the
symbol, and tells what is out of order; that it rises by one is not said, so that a lost message is seen only
where the update also names, in `pseq`, the one before it (v3), or where the checksum differs (v2).
`checksum` is the CRC32, signed, of the best 25 levels `bid:size:ask:size:...` in the venue's own digits, 0
where none is given. `books5` and `books15` are whole books each time.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

from streams.feeds import fields
from streams.feeds.protocol import (
    Delta,
    MessageError,
    Quote,
    RawLevel,
    RawMessage,
    Rung,
    Snapshot,
    Verdict,
)

BOOKS = ("books", "books5", "books15", "books50")


class Bitget:
    """One connection to Bitget; symbols are `instId`s of one product line."""

    name = "bitget"
    shape = "stamped_lines"
    checksum_depth = 25

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """Books and quotes; trades, tickers, pongs and answers to subscriptions are passed over."""
        return [] if raw == b"pong" else fields.read(raw, _read)

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """As `follows`, but what is older than the snapshot is in it."""
        old = last is not None and delta.last_update_id is not None and delta.last_update_id <= last
        return Verdict.OLD if old else self.follows(last, delta)

    def follows(self, last: int | None, delta: Delta) -> Verdict:
        """seq == last: ignore; seq < last, or a pseq other than last: a gap.

        A lower seq in the stream is no repeat of one connection: it counts anew, after a maintenance.
        """
        final, previous = delta.last_update_id, delta.previous_update_id
        if last is None or final is None or final < last:
            return Verdict.BREAK
        if final == last:
            return Verdict.OLD
        return Verdict.FITS if previous is None or previous == last else Verdict.BREAK

    def checksum(self, bids: Sequence[Rung], asks: Sequence[Rung]) -> int:
        """CRC32, signed, of bid and ask in turn; what a side lacks is left out."""
        parts = [
            f"{rung.price_text}:{rung.size_text}"
            for pair in zip_longest(bids, asks)
            for rung in pair
            if rung is not None
        ]
        found = zlib.crc32(":".join(parts).encode())
        return found - (1 << 32) if found >> 31 else found


def _read(message: Any) -> Iterable[RawMessage]:
    message = fields.table(message)
    if "event" in message:
        return
    if "arg" not in message:
        raise MessageError("no message of Bitget's websocket: it has no 'arg'")
    arg = fields.table(message["arg"])
    unified = "topic" in arg  # V3, of the unified account
    channel = fields.name(arg["topic" if unified else "channel"])
    if channel != "books1" and channel not in BOOKS:
        return
    symbol = fields.name(arg["symbol" if unified else "instId"])
    sides = ("b", "a") if unified else ("bids", "asks")
    for data in fields.rows(message["data"]):
        if channel == "books1":
            yield _quote(symbol, fields.table(data), sides)
        else:
            yield _book(symbol, fields.table(data), sides, message["action"])


def _book(symbol: str, data: Any, sides: tuple[str, str], action: Any) -> RawMessage:
    bids, asks = (fields.pairs(data[side]) for side in sides)
    seq, time, checksum = fields.whole(data["seq"]), fields.time(data["ts"], fields.MS), _checksum(data)
    if action == "snapshot":
        return Snapshot(symbol, bids, asks, seq, time, checksum=checksum)
    if action != "update":
        raise MessageError(f"a book with the action {action!r:.40}")
    previous = fields.whole(data["pseq"]) if data.get("pseq") else None
    return Delta(symbol, bids, asks, None, seq, previous, time, checksum=checksum)


def _quote(symbol: str, data: Any, sides: tuple[str, str]) -> Quote:
    bid, ask = (_top(data[side]) for side in sides)
    return Quote(symbol, bid, ask, fields.whole(data["seq"]), fields.time(data["ts"], fields.MS))


def _top(levels: Any) -> RawLevel | None:
    found = fields.pairs(levels)
    return found[0] if found else None


def _checksum(data: Any) -> int | None:
    """None where it is 0 or left out: the documents' newer examples have none."""
    found = data.get("checksum", 0)
    if type(found) is not int or not -(2**31) <= found < 2**31:
        raise ValueError(f"{found!r:.40} is no checksum")
    return found or None
