"""Coinbase Exchange (Pro): `level2` (L2), in which recordings lie.

Rules: docs.cdp.coinbase.com, Exchange websocket, "Level2 channel". A snapshot, then absolute sizes, 0
removes. Neither is numbered, so nothing that is lost, repeated or out of place can be seen: the connection's
order is all there is, and a new connection begins anew. Tickers name no sizes and are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streams.feeds import fields
from streams.feeds.protocol import Delta, MessageError, RawLevel, RawMessage, Snapshot, Verdict


class CoinbaseExchange:
    """One connection to Coinbase Exchange's websocket."""

    name = "coinbase_exchange"
    shape = "stamped_lines"

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """Books; tickers, matches and answers to subscriptions are passed over."""
        return fields.read(raw, _read)

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """There is nothing to go by."""
        return Verdict.FITS

    follows = starts


def _read(message: Any) -> Iterable[RawMessage]:
    body, query = fields.answer(message)
    if query or not isinstance(body, dict):
        return
    if "sequence_num" in body and "channel" in body:
        raise MessageError("this is a message of Coinbase Advanced Trade: choose --venue coinbase")
    if body.get("type") == "snapshot":
        time = fields.iso(body["time"]) if "time" in body else None
        bids, asks = fields.pairs(body["bids"]), fields.pairs(body["asks"])
        yield Snapshot(fields.name(body["product_id"]), bids, asks, event_time_ns=time)
    elif body.get("type") == "l2update":
        sides: dict[str, list[RawLevel]] = {"buy": [], "sell": []}
        for change in map(fields.rows, fields.rows(body["changes"])):
            side, price, size = change
            sides[fields.name(side)].append((fields.number(price), fields.number(size)))
        time = fields.iso(body["time"])
        yield Delta(fields.name(body["product_id"]), sides["buy"], sides["sell"], event_time_ns=time)
