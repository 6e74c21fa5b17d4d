"""Bybit v5: `orderbook.<depth>` (L2), of which depth 1 is L1, and REST books.

Rules: bybit-exchange.github.io, v5, "Orderbook". The first message is a snapshot, and any later snapshot
overwrites; `u` of an update is one more than the last; u = 1 is a snapshot of a service that began anew,
whatever its type says. A lower `u` alone is not "old": updates after a restart that was lost would be passed
over for hours. Each depth counts `u` for itself: one depth of a symbol in a connection, and REST books go
with depth 1000. Depth 1 holds snapshots only and comes again after 3 s without a change, with the same `u`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from streams.feeds import fields
from streams.feeds.protocol import Delta, MessageError, Quote, RawMessage, Snapshot, Verdict

RESTART = 1


class Bybit:
    """One connection to Bybit's public websocket v5, REST books among its messages."""

    name = "bybit"
    shape = "stamped_lines"

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """Books; tickers, trades and answers to subscriptions are passed over."""
        return fields.read(raw, _read)

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """u == last + 1; what ends no later is old."""
        if last is not None and delta.last_update_id is not None and delta.last_update_id <= last:
            return Verdict.OLD
        return self.follows(last, delta)

    def follows(self, last: int | None, delta: Delta) -> Verdict:
        """u == last + 1. The same u once more: ignore."""
        final = delta.last_update_id
        if last is None or final is None:
            return Verdict.BREAK
        if final == last:
            return Verdict.OLD
        return Verdict.FITS if final == last + 1 else Verdict.BREAK


def _read(message: Any) -> Iterable[RawMessage]:
    body, _ = fields.answer(message)
    body = fields.table(body)
    topic = body.get("topic")
    if topic is None:
        result = body.get("result")
        if isinstance(result, dict) and "b" in result and "u" in result:
            yield _book(result, _time(result, result), restarts=False)
        return
    channel, _, rest = fields.name(topic).partition(".")
    if channel.startswith("orderBook"):
        raise MessageError("this is a message of Bybit's API v2, which is no longer there; v5 is read")
    if channel != "orderbook":
        return
    data = fields.table(body["data"])
    final, time = fields.whole(data["u"]), _time(data, body)
    whole = body["type"] == "snapshot" or final == RESTART
    if not whole and body["type"] != "delta":
        raise ValueError(f"type {body['type']!r:.40}")
    if rest.partition(".")[0] == "1":
        if not whole:
            raise MessageError("an update of depth 1, of which there are snapshots only")
        bids, asks = fields.pairs(data["b"]), fields.pairs(data["a"])
        bid, ask = (side[0] if side else None for side in (bids, asks))
        yield Quote(fields.name(data["s"]), bid, ask, final, time, restarts=final == RESTART)
    elif whole:
        yield _book(data, time, restarts=True)
    else:
        bids, asks = fields.pairs(data["b"]), fields.pairs(data["a"])
        yield Delta(fields.name(data["s"]), bids, asks, final, final, event_time_ns=time)


def _book(data: Mapping[str, Any], time: int | None, *, restarts: bool) -> Snapshot:
    bids, asks = fields.pairs(data["b"]), fields.pairs(data["a"])
    return Snapshot(fields.name(data["s"]), bids, asks, fields.whole(data["u"]), time, restarts=restarts)


def _time(data: Mapping[str, Any], body: Mapping[str, Any]) -> int | None:
    """Of the matching engine where it is given, else of the system."""
    found = data.get("cts", body.get("cts", body.get("ts")))
    return None if found is None else fields.time(found, fields.MS)
