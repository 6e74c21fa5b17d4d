"""Gate.io: `order_book_update` and `obu` (L2), `book_ticker` (L1), of spot and futures, and REST books.

Rules: the API's documents, "local order book", and the announcement of `obu` (2025-05-30). Ids of one symbol
have no holes, `U` is the first and `u` the last of an update; take a REST book (`with_id=true`, its `id`),
drop updates with u <= id, the first one kept has U <= id + 1 <= u, and each later one begins after the last.
An update that is `full` is the whole book: `obu` begins with one, and both channels may send more of them.
Sizes are absolute, 0 removes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from streams.feeds import fields
from streams.feeds.protocol import Delta, MessageError, Quote, RawLevel, RawMessage, Snapshot, Verdict


class GateIo:
    """One connection to Gate.io, REST books among its messages as {"rest": URL, "body": ANSWER}."""

    name = "gateio"
    shape = "stamped_lines"

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """Books and quotes; trades, candles and answers to subscriptions are passed over."""
        return fields.read(raw, _read, exact=True)

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """As `follows`."""
        return fields.in_range(last, delta)

    def follows(self, last: int | None, delta: Delta) -> Verdict:
        """u <= last: ignore. U > last + 1: a gap."""
        return fields.in_range(last, delta)


def _read(message: Any) -> Iterable[RawMessage]:
    message = fields.table(message)
    if "rest" in message:
        url = urlsplit(fields.name(message["rest"]))
        if url.path.endswith("/order_book"):
            asked = dict(parse_qsl(url.query))
            yield _rest(fields.table(message["body"]), asked.get("currency_pair", asked.get("contract")))
        return
    if "channel" not in message:
        if "id" in message and "bids" in message:
            yield _rest(message, None)
            return
        raise MessageError("no message of Gate.io's websocket, and no book: it has no 'channel'")
    channel = fields.name(message["channel"]).rpartition(".")[2]
    if message.get("event", "update") != "update":  # obu sends none
        return
    if channel == "order_book_update" or channel == "obu":
        yield _update(fields.table(message["result"]), grouped=channel == "obu")
    elif channel == "book_ticker":
        yield _quote(fields.table(message["result"]))


def _update(data: Any, grouped: bool) -> RawMessage:
    symbol = fields.name(data["s"])
    if grouped:  # ob.BTC_USDT.50
        symbol = fields.name(symbol.partition(".")[2].rpartition(".")[0])
    bids, asks = _levels(data.get("b", [])), _levels(data.get("a", []))
    last, time = fields.whole(data["u"]), fields.time(data["t"], fields.MS)
    if data.get("full") is True:
        return Snapshot(symbol, bids, asks, last, time)
    return Delta(symbol, bids, asks, fields.whole(data["U"]), last, event_time_ns=time)


def _rest(body: Any, symbol: str | None) -> Snapshot:
    """The book; futures write `update` as seconds with a fraction, spot as ms."""
    time = body.get("update")
    return Snapshot(
        symbol=symbol,
        bids=_levels(body["bids"]),
        asks=_levels(body["asks"]),
        last_update_id=fields.whole(body["id"]),
        event_time_ns=fields.time(time, fields.MS) if type(time) is int else None,
    )


def _quote(data: Any) -> Quote:
    return Quote(
        symbol=fields.name(data["s"]),
        bid=_top(data["b"], data["B"]),
        ask=_top(data["a"], data["A"]),
        update_id=fields.whole(data["u"]),
        event_time_ns=fields.time(data["t"], fields.MS),
    )


def _top(price: Any, size: Any) -> RawLevel | None:
    """A side that is empty has an empty price."""
    price, size = fields.number(price), fields.number(size)
    return (price, size) if price else None


def _levels(raw: Any) -> list[RawLevel]:
    """Lists of spot, objects of futures."""
    objects = bool(fields.rows(raw)) and isinstance(raw[0], dict)
    return fields.pairs(raw, "p", "s") if objects else fields.pairs(raw)
