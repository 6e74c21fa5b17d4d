"""Derive (a rollup): `orderbook` (L2) of its websocket, each message the whole book to the subscribed depth.

Rules: docs.derive.xyz, orderbook channel. `publish_id` rises with each message of one book (it need not rise
by one), so that an older one is known as such; a lost one cannot be seen, and the next one heals it. Older
recordings have no `publish_id`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streams.feeds import fields
from streams.feeds.protocol import Delta, MessageError, RawMessage, Snapshot, Verdict


class Derive:
    """One connection to Derive, or the `data` of its notifications alone."""

    name = "derive"
    shape = "stamped_lines"

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """Books; trades, tickers and answers to calls are passed over."""
        return fields.read(raw, _read)

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """There are no deltas."""
        return Verdict.BREAK

    follows = starts


def _read(message: Any) -> Iterable[RawMessage]:
    message = fields.table(message)
    if message.get("method") == "subscription":
        params = fields.table(message["params"])
        if fields.name(params["channel"]).partition(".")[0] == "orderbook":
            yield _book(fields.table(params["data"]))
    elif message.keys() >= {"instrument_name", "timestamp", "bids", "asks"}:
        yield _book(message)
    elif "result" not in message and "error" not in message:
        raise MessageError("no message of Derive's websocket: no notification, book or answer")


def _book(data: Any) -> Snapshot:
    return Snapshot(
        symbol=fields.name(data["instrument_name"]),
        bids=fields.pairs(data["bids"]),
        asks=fields.pairs(data["asks"]),
        last_update_id=fields.whole(data["publish_id"]) if "publish_id" in data else None,
        event_time_ns=fields.time(data["timestamp"], fields.MS),
    )
