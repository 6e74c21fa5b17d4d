"""Coinbase Advanced Trade: `level2` (L2, arrives as `l2_data`) and `ticker` (L1).

Rules: docs.cdp.coinbase.com, Advanced Trade websocket. Sizes are absolute, 0 removes. `sequence_num` counts
all messages of a connection, of whatever channel and product: where it jumps, anything may be missing, and no
book of the connection is known any more. A message that could not be read counts as missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from streams.feeds import fields
from streams.feeds.protocol import (
    Delta,
    MessageError,
    Notice,
    Quote,
    RawLevel,
    RawMessage,
    Snapshot,
    Verdict,
)


class Coinbase:
    """One connection to Coinbase's Advanced Trade websocket."""

    name = "coinbase"
    shape = "stamped_lines"

    def __init__(self) -> None:
        self._next: int | None = None

    def connected(self) -> None:
        """The first message of a connection may have any number."""
        self._next = None

    def parse(self, raw: bytes) -> Iterator[RawMessage]:
        """Books and tickers, and what the number says of those of the connection."""
        number: list[int] = []
        found = fields.read(raw, lambda message: _read(message, number))
        if number:
            if self._next is not None and number[0] < self._next:
                yield Notice(Verdict.OLD)
                return
            if self._next is not None and number[0] > self._next:
                yield Notice(Verdict.BREAK)
        yield from found
        # Only reached if whoever takes the messages could use them all: else this one counts as missing.
        if number:
            self._next = number[0] + 1

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """Nothing is missing, or there had been a notice: old or not is all there is to tell."""
        if last is None or delta.last_update_id is None:
            return Verdict.BREAK
        return Verdict.OLD if delta.last_update_id < last else Verdict.FITS

    follows = starts


def _read(message: Any, number: list[int]) -> Iterable[RawMessage]:
    message = fields.table(message)
    channel = message.get("channel")
    if channel is None and ("pricebook" in message or message.get("type") in ("snapshot", "l2update")):
        raise MessageError("no message of the Advanced Trade websocket: a book without sequence_num")
    if "sequence_num" not in message:
        return
    sequence = fields.whole(message["sequence_num"])
    number.append(sequence)
    if channel not in ("l2_data", "ticker", "ticker_batch"):
        return
    time = fields.iso(message["timestamp"]) if "timestamp" in message else None
    for event in map(fields.table, fields.rows(message["events"])):
        if channel == "l2_data":
            yield _book(event, sequence, time)
            continue
        for ticker in map(fields.table, fields.rows(event["tickers"])):
            bid = _top(ticker["best_bid"], ticker["best_bid_quantity"])
            ask = _top(ticker["best_ask"], ticker["best_ask_quantity"])
            yield Quote(fields.name(ticker["product_id"]), bid, ask, sequence, time)


def _book(event: Any, sequence: int, time: int | None) -> RawMessage:
    sides: dict[str, list[RawLevel]] = {"bid": [], "offer": []}
    for update in map(fields.table, fields.rows(event["updates"])):
        level = (fields.number(update["price_level"]), fields.number(update["new_quantity"]))
        sides[fields.name(update["side"])].append(level)
    symbol = fields.name(event["product_id"])
    if event["type"] == "snapshot":
        return Snapshot(symbol, sides["bid"], sides["offer"], sequence, time)
    if event["type"] != "update":
        raise ValueError(f"type {event['type']!r:.40}")
    return Delta(symbol, sides["bid"], sides["offer"], last_update_id=sequence, event_time_ns=time)


def _top(price: Any, size: Any) -> RawLevel | None:
    price = fields.number(price)
    return (price, fields.number(size)) if price else None
