"""OKX v5: `books` and its faster variants (L2), `bbo-tbt` or `tickers` (L1), REST books as snapshots.

Rules: OKX API v5, "Order book channel". `prevSeqId` of an update is the `seqId` of the one before it; ids
have holes, so the size of a gap is not known. Without a change both are the same (a heartbeat); the numbers
may begin anew within a connection, then seqId is below prevSeqId, and the chain holds all the same. Therefore
a lower seqId alone is not "old": a chain that began anew unseen would be passed over for hours.

`checksum` is the CRC32 of the best 25 levels, signed, and since 2026-06-23 always 0: not given. The snapshot
at the start of `books` is being withdrawn too: an empty one is none, and GET /market/books?source=0 is asked,
whose answer holds a seqId. `books5` is passed over: five levels are no depth to put in place of the whole.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from streams.feeds import fields
from streams.feeds.protocol import Delta, MessageError, Quote, RawLevel, RawMessage, Rung, Snapshot, Verdict

DEPTHS = ("books", "books-l2-tbt", "books50-l2-tbt", "books-elp")
QUOTES = ("bbo-tbt", "tickers")
INT32 = 2**31


class Okx:
    """One connection to OKX's public websocket, REST books among its messages."""

    name = "okx"
    shape = "stamped_lines"
    checksum_depth = 25

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """Books and quotes; trades, answers to subscriptions and pongs are passed over."""
        return [] if raw in (b"ping", b"pong") else fields.read(raw, _read)

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """prevSeqId <= seqId of the snapshot < seqId; what ends no later is old."""
        previous, final = delta.previous_update_id, delta.last_update_id
        if last is None or final is None or previous is None or previous == last:
            return self.follows(last, delta)
        if final <= last:
            return Verdict.OLD
        return Verdict.FITS if previous <= last else Verdict.BREAK

    def follows(self, last: int | None, delta: Delta) -> Verdict:
        """prevSeqId == last seqId, or no ids at all (before 2023). The same seqId once more: ignore."""
        previous, final = delta.previous_update_id, delta.last_update_id
        if last is None and previous is None and final is None:
            return Verdict.FITS
        if last is None or final is None:
            return Verdict.BREAK
        if previous == last:
            return Verdict.FITS
        return Verdict.OLD if final == last else Verdict.BREAK

    def checksum(self, bids: Sequence[Rung], asks: Sequence[Rung]) -> int:
        """Signed CRC32 of `price:size` of the best bid, the best ask, the next bid and so on."""
        rungs = (rung for pair in zip_longest(bids, asks) for rung in pair if rung is not None)
        found = zlib.crc32(":".join(f"{r.price_text}:{r.size_text}" for r in rungs).encode())
        return found - 2 * INT32 if found >= INT32 else found


def _read(message: Any) -> Iterable[RawMessage]:
    body, query = fields.answer(message)
    body = fields.table(body)
    if "arg" not in body:
        if "data" in body and "code" in body:
            yield from _asked(fields.rows(body["data"]), query)
        return
    if "data" not in body:
        return
    arg = fields.table(body["arg"])
    channel = arg.get("channel")
    if channel not in DEPTHS and channel not in QUOTES:
        return
    symbol = fields.name(arg["instId"])
    for item in map(fields.table, fields.rows(body["data"])):
        if channel == "tickers":
            yield _ticker(symbol, item)
        elif channel == "bbo-tbt":
            yield _best(symbol, item)
        elif book := _book(symbol, body["action"], item):
            yield book


def _book(symbol: str, action: Any, item: Mapping[str, Any]) -> RawMessage | None:
    bids, asks = fields.pairs(item["bids"]), fields.pairs(item["asks"])
    final, time = _id(item, "seqId"), fields.time(item["ts"], fields.MS)
    if action == "snapshot":
        if not bids and not asks:
            return None
        return Snapshot(symbol, bids, asks, final, time, checksum=_crc(item), restarts=True)
    if action != "update":
        raise ValueError(f"action {action!r:.40}")
    previous = _id(item, "prevSeqId")
    return Delta(symbol, bids, asks, None, final, previous, time, checksum=_crc(item))


def _asked(data: Sequence[Any], query: Mapping[str, str]) -> Iterable[RawMessage]:
    for item in data:
        if not isinstance(item, dict) or "bids" not in item:
            continue
        if "seqId" not in item:
            raise MessageError("a REST book without seqId fits no stream: ask for it with source=0")
        bids, asks = fields.pairs(item["bids"]), fields.pairs(item["asks"])
        time = fields.time(item["ts"], fields.MS)
        yield Snapshot(query.get("instId"), bids, asks, fields.whole(item["seqId"]), time)


def _best(symbol: str, item: Mapping[str, Any]) -> RawMessage:
    bids, asks = fields.pairs(item["bids"]), fields.pairs(item["asks"])
    bid, ask = (side[0] if side else None for side in (bids, asks))
    return Quote(symbol, bid, ask, _id(item, "seqId"), fields.time(item["ts"], fields.MS))


def _ticker(symbol: str, item: Mapping[str, Any]) -> RawMessage:
    bid, ask = _side(item["bidPx"], item["bidSz"]), _side(item["askPx"], item["askSz"])
    return Quote(symbol, bid, ask, event_time_ns=fields.time(item["ts"], fields.MS))


def _side(price: Any, size: Any) -> RawLevel | None:
    """An empty price is a side where nobody stands."""
    price = fields.number(price)
    return (price, fields.number(size)) if price else None


def _id(item: Mapping[str, Any], key: str) -> int | None:
    found = item.get(key)
    return None if found is None or (type(found) is int and found == -1) else fields.whole(found)


def _crc(item: Mapping[str, Any]) -> int | None:
    found = item.get("checksum")
    if found is None or (type(found) is int and found == 0):
        return None
    if type(found) is not int or not -INT32 <= found < INT32:
        raise ValueError(f"{found!r:.40} is no signed CRC32")
    return found
