"""KuCoin: `level2` (L2) of spot and futures, `level1` and `tickerV2` (L1), and REST books.

Rules: the documents' "calibration procedure". Spot: `sequenceStart` <= last + 1 and `sequenceEnd` > last;
futures: one change a message, `sequence` rises by one. REST gives the whole book with its `sequence`. Sizes
are absolute, 0 removes; a row with the price 0 only moves the sequence on. The sequence of a single row tells
when its price last changed, and nothing of continuity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from streams.feeds import fields
from streams.feeds.protocol import Delta, MessageError, Quote, RawLevel, RawMessage, Snapshot, Verdict


class KuCoin:
    """One connection to KuCoin, REST books among its messages, bare or as {"rest": URL, "body": ANSWER}."""

    name = "kucoin"
    shape = "stamped_lines"

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """Books and quotes; trades, pongs and answers to subscriptions are passed over."""
        return fields.read(raw, _read, exact=True)

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """As `follows`."""
        return fields.in_range(last, delta)

    def follows(self, last: int | None, delta: Delta) -> Verdict:
        """sequenceEnd <= last: ignore. sequenceStart > last + 1: a gap."""
        return fields.in_range(last, delta)


def _read(message: Any) -> Iterable[RawMessage]:
    message = fields.table(message)
    symbol = None
    if "rest" in message:
        symbol = dict(parse_qsl(urlsplit(fields.name(message["rest"])).query)).get("symbol")
        message = fields.table(message["body"])
    if "code" in message:
        data = message.get("data")
        if isinstance(data, dict) and "bids" in data:
            yield _rest(data, symbol)
        return
    if "type" not in message:
        raise MessageError("no message of KuCoin: it has no 'type', and no 'code'")
    if message["type"] != "message":
        return
    topic, _, named = fields.name(message["topic"]).partition(":")
    if topic in TOPICS:
        yield TOPICS[topic](named, fields.table(message["data"]))


def _spot(_named: str, data: Any) -> Delta:
    changes = fields.table(data["changes"])
    return Delta(
        symbol=fields.name(data["symbol"]),
        bids=_priced(fields.pairs(changes["bids"])),
        asks=_priced(fields.pairs(changes["asks"])),
        first_update_id=fields.whole(data["sequenceStart"]),
        last_update_id=fields.whole(data["sequenceEnd"]),
        event_time_ns=fields.time(data["time"], fields.MS) if "time" in data else None,
    )


def _futures(symbol: str, data: Any) -> Delta:
    price, side, size = fields.name(data["change"]).split(",")
    if side not in ("buy", "sell"):
        raise MessageError(f"a change of the side {side!r:.40}")
    level = _priced([(price, size)])
    sequence = fields.whole(data["sequence"])
    return Delta(
        symbol=fields.name(symbol),
        bids=level if side == "buy" else [],
        asks=level if side == "sell" else [],
        first_update_id=sequence,
        last_update_id=sequence,
        event_time_ns=fields.time(data["timestamp"], fields.MS),
    )


def _rest(data: Any, symbol: str | None) -> Snapshot:
    """Spot gives `time` in ms, futures `ts` in ns."""
    time = fields.time(data["time"], fields.MS) if "time" in data else None
    return Snapshot(
        symbol=fields.name(data["symbol"]) if "symbol" in data else symbol,
        bids=fields.pairs(data["bids"]),
        asks=fields.pairs(data["asks"]),
        last_update_id=fields.whole(data["sequence"]),
        event_time_ns=_ns(data["ts"]) if "ts" in data else time,
    )


def _ticker(_named: str, data: Any) -> Quote:
    return Quote(
        symbol=fields.name(data["symbol"]),
        bid=(fields.number(data["bestBidPrice"]), fields.number(data["bestBidSize"])),
        ask=(fields.number(data["bestAskPrice"]), fields.number(data["bestAskSize"])),
        update_id=fields.whole(data["sequence"]),
        event_time_ns=_ns(data["ts"]),
    )


def _level1(symbol: str, data: Any) -> Quote:
    time = fields.time(data["timestamp"], fields.MS)
    return Quote(fields.name(symbol), _top(data["bids"]), _top(data["asks"]), event_time_ns=time)


def _ns(value: Any) -> int:
    if type(value) is not int or not 0 <= value < fields.LAST_NS:
        raise ValueError(f"{value!r:.40} is no time")
    return value


def _priced(levels: list[RawLevel]) -> list[RawLevel]:
    return [level for level in levels if str(level[0]).strip("0.") or not level[0]]


def _top(level: Any) -> RawLevel | None:
    """One [price, size], empty where the side is."""
    return fields.pairs([level])[0] if fields.rows(level) else None


TOPICS: Mapping[str, Callable[[str, Any], RawMessage]] = {
    "/market/level2": _spot,
    "/contractMarket/level2": _futures,
    "/spotMarket/level1": _level1,
    "/contractMarket/tickerV2": _ticker,
}
