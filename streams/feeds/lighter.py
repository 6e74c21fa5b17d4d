"""Lighter (a rollup): `order_book` (L2) and `ticker` (L1) of its websocket; markets are named by number.

Rules: apidocs.lighter.xyz, websocket-reference. The first message of a subscription is the whole book, then
come absolute sizes, 0 removes. `offset` rises by one with each message (1,500 of 1,500 in a capture of 2025).
Since 2026 each update also names, in `begin_nonce`, the `nonce` of the one before it: the nonce is the
matching engine's and survives a change of the API server, the offset is the server's; where both are given
the nonces are the chain.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streams.feeds import fields
from streams.feeds.protocol import Delta, MessageError, Quote, RawLevel, RawMessage, Snapshot, Verdict


class Lighter:
    """One connection to Lighter; a symbol is the number of a market, as in `order_book:0`."""

    name = "lighter"
    shape = "lighter_list"

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """Books and quotes; trades, statistics and answers to subscriptions are passed over."""
        return fields.read(raw, _read)

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """As `follows`: the snapshot comes in the same stream."""
        return self.follows(last, delta)

    def follows(self, last: int | None, delta: Delta) -> Verdict:
        """offset == last + 1, or begin_nonce == the last nonce; an older one: ignore; else a gap."""
        return fields.chained(last, delta)


def _read(message: Any) -> Iterable[RawMessage]:
    message = fields.table(message)
    if "type" not in message:
        raise MessageError("no message of Lighter's websocket: it has no 'type'")
    action, _, channel = fields.name(message["type"]).partition("/")
    if channel == "order_book" and action in ("subscribed", "update"):
        yield _book(message, whole=action == "subscribed")
    elif channel == "ticker" and action in ("subscribed", "update"):
        ticker = fields.table(message["ticker"])
        yield Quote(
            symbol=_market(message),
            bid=_top(ticker["b"]),
            ask=_top(ticker["a"]),
            update_id=fields.whole(message["nonce"]) if "nonce" in message else None,
            event_time_ns=_time(message),
        )


def _book(message: Any, whole: bool) -> RawMessage:
    book = fields.table(message["order_book"])
    bids, asks = (fields.pairs(book[side] or [], "price", "size") for side in ("bids", "asks"))
    last = fields.whole(book["nonce"] if "nonce" in book else book["offset"])
    if whole:
        return Snapshot(_market(message), bids, asks, last, _time(message))
    if "begin_nonce" in book:
        previous = fields.whole(book["begin_nonce"])
        return Delta(_market(message), bids, asks, None, last, previous, _time(message))
    if "nonce" in book:
        raise MessageError("field 'begin_nonce' is missing where there is a nonce")
    return Delta(_market(message), bids, asks, last, last, last - 1 if last else None, _time(message))


def _market(message: Any) -> str:
    return fields.name(fields.name(message["channel"]).partition(":")[2])


def _top(level: Any) -> RawLevel | None:
    level = fields.table(level)
    price, size = fields.number(level["price"]), fields.number(level["size"])
    return (price, size) if price else None


def _time(message: Any) -> int | None:
    """When the book changed where that is told (us), else when the message was sent (ms)."""
    if message.get("last_updated_at"):
        return fields.time(message["last_updated_at"], fields.US)
    return fields.time(message["timestamp"], fields.MS) if "timestamp" in message else None
