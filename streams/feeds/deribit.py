"""Deribit: `book` (L2, incremental or grouped) and `quote` (L1) of its websocket, and REST books.

Rules: docs.deribit.com, book.(instrument_name).(interval). The first notification is the whole book; each
later one names in `prev_change_id` the `change_id` of the one before it. Rows are [new|change|delete, price,
amount], amounts absolute. The grouped channel sends whole books, without a type. Numbers are JSON numbers:
they are read as the text they were written in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streams.feeds import fields
from streams.feeds.protocol import Delta, MessageError, Quote, RawLevel, RawMessage, Snapshot, Verdict


class Deribit:
    """One connection to Deribit."""

    name = "deribit"
    shape = "stamped_lines"

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """Books and quotes; trades, tickers and answers to subscriptions are passed over."""
        return fields.read(raw, _read, exact=True)

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """prev_change_id <= last < change_id: a REST book may be taken within an interval of the channel."""
        return fields.chain_starts(last, delta)

    def follows(self, last: int | None, delta: Delta) -> Verdict:
        """prev_change_id == last; change_id <= last: ignore; else a gap."""
        return fields.chained(last, delta)


def _read(message: Any) -> Iterable[RawMessage]:
    message = fields.table(message)
    if message.get("jsonrpc") != "2.0":
        raise MessageError("no message of Deribit: it has no 'jsonrpc' of 2.0")
    if message.get("method") == "subscription":
        params = fields.table(message["params"])
        channel = fields.name(params["channel"]).partition(".")[0]
        if channel == "book":
            yield _book(fields.table(params["data"]))
        elif channel == "quote":
            yield _quote(fields.table(params["data"]))
    elif isinstance(message.get("result"), dict) and "change_id" in message["result"]:
        yield _whole(message["result"], fields.pairs)


def _book(data: Any) -> RawMessage:
    if "type" not in data:
        return _whole(data, fields.pairs)
    if data["type"] == "snapshot":
        return _whole(data, _rows)
    if data["type"] != "change":
        raise MessageError(f"a book of the type {data['type']!r:.40}")
    return Delta(
        symbol=fields.name(data["instrument_name"]),
        bids=_rows(data["bids"]),
        asks=_rows(data["asks"]),
        last_update_id=fields.whole(data["change_id"]),
        previous_update_id=fields.whole(data["prev_change_id"]),
        event_time_ns=fields.time(data["timestamp"], fields.MS),
    )


def _whole(data: Any, levels: Any) -> Snapshot:
    return Snapshot(
        symbol=fields.name(data["instrument_name"]),
        bids=levels(data["bids"]),
        asks=levels(data["asks"]),
        last_update_id=fields.whole(data["change_id"]),
        event_time_ns=fields.time(data["timestamp"], fields.MS),
    )


def _rows(raw: Any) -> list[RawLevel]:
    found: list[RawLevel] = []
    for row in fields.rows(raw):
        action, price, amount = fields.rows(row)
        if action not in ("new", "change", "delete"):
            raise MessageError(f"a row with the action {action!r:.40}")
        found.append((fields.number(price), "0" if action == "delete" else fields.number(amount)))
    return found


def _quote(data: Any) -> Quote:
    """A side that is empty has no price, or 0, and an amount of 0."""
    return Quote(
        symbol=fields.name(data["instrument_name"]),
        bid=_top(data, "bid"),
        ask=_top(data, "ask"),
        event_time_ns=fields.time(data["timestamp"], fields.MS),
    )


def _top(data: Any, side: str) -> RawLevel | None:
    price, amount = data[f"best_{side}_price"], data[f"best_{side}_amount"]
    return None if price is None or amount is None else (fields.number(price), fields.number(amount))
