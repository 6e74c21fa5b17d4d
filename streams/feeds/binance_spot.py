"""Binance spot: bookTicker (L1), diff depth (L2) and REST snapshots.

Rules: binance-spot-api-docs, web-socket-streams.md, "How to manage a local order book correctly". The ids of
one symbol have no holes, so that `U` of an event may be at most one more than the last `u`. bookTicker
carries the same ids in `u`, and no time. Quantities are absolute, 0 removes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from streams.feeds import fields
from streams.feeds.protocol import Delta, MessageError, Quote, RawMessage, Snapshot, Verdict


class BinanceSpot:
    """One combined stream of Binance spot, REST snapshots among its lines."""

    name = "binance_spot"
    shape = "stamped_lines"

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """Quotes, deltas and snapshots; trades and answers to subscriptions are passed over."""
        return parse(raw, futures=False)

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """U <= last + 1 <= u; the documents' "within [U, u]" fails where a snapshot ends as an event does."""
        return self.follows(last, delta)

    def follows(self, last: int | None, delta: Delta) -> Verdict:
        """u <= last: ignore. U > last + 1: a gap."""
        first, final = delta.first_update_id, delta.last_update_id
        if last is None or first is None or final is None:
            return Verdict.BREAK
        if final <= last:
            return Verdict.OLD
        return Verdict.FITS if first <= last + 1 else Verdict.BREAK


def parse(raw: bytes, *, futures: bool) -> Iterable[RawMessage]:
    """Any message of the Binance family. Raises MessageError, also for one of the other branch of it."""
    return fields.read(raw, lambda message: _read(*fields.answer(message), futures))


def _read(message: Any, query: Mapping[str, str], futures: bool) -> Iterable[RawMessage]:
    if isinstance(message, dict) and isinstance(message.get("data"), dict):
        message = message["data"]
    if not isinstance(message, dict):
        raise MessageError("no JSON object")
    kind = message.get("e")
    if kind == "depthUpdate":
        if ("pu" in message) != futures:
            other = "spot" if futures else "futures"
            raise MessageError(f"this is a message of Binance {other}: choose another --venue")
        yield Delta(
            symbol=fields.name(message["s"]),
            bids=message["b"],
            asks=message["a"],
            first_update_id=_id(message["U"]),
            last_update_id=_id(message["u"]),
            previous_update_id=_id(message["pu"]) if futures else None,
            event_time_ns=_time(message),
        )
    elif kind == "bookTicker" or (kind is None and "B" in message and "A" in message):
        if (kind is not None) != futures:
            other = "spot" if futures else "futures"
            raise MessageError(f"this is a message of Binance {other}: choose another --venue")
        yield Quote(
            symbol=fields.name(message["s"]),
            bid=(message["b"], message["B"]),
            ask=(message["a"], message["A"]),
            update_id=_id(message["u"]),
            event_time_ns=_time(message),
        )
    elif "lastUpdateId" in message:
        yield Snapshot(
            symbol=fields.name(message["symbol"]) if "symbol" in message else query.get("symbol"),
            bids=message["bids"],
            asks=message["asks"],
            last_update_id=_id(message["lastUpdateId"]),
            event_time_ns=_time(message),
        )


def _time(message: dict[str, Any]) -> int | None:
    """The matching engine's time where it is given, else the time of sending; ns."""
    found = message.get("T", message.get("E"))
    return None if found is None else fields.time(_id(found), fields.MS)


def _id(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"{value!r:.40} is no id")
    return fields.whole(value)
