"""Examples that venues' documents print, and what the documents say must come of them.

For Bitget and KuCoin there is no recording: these messages are written after their documents (Bitget: depth
channel; KuCoin: level 2 increments of spot and futures), and so are the futures and grouped books of Gate.io
and the `bbo` of Hyperliquid.
"""

from __future__ import annotations

import json
import zlib
from decimal import Decimal
from typing import Any

import pytest

from strategies.markets import Instrument, Markets, Venue
from streams.feeds.bitget import Bitget
from streams.feeds.deribit import Deribit
from streams.feeds.feed import Feed
from streams.feeds.gateio import GateIo
from streams.feeds.hyperliquid import Hyperliquid
from streams.feeds.kucoin import KuCoin
from streams.feeds.lighter import Lighter
from streams.feeds.protocol import (
    Delta,
    FeedState,
    MessageError,
    Notice,
    Quote,
    RawMessage,
    Rung,
    Snapshot,
    Verdict,
)
from streams.feeds.protocol import Venue as Rules
from tests.feeds.kit import START

MS = 1_000_000


def feed(rules: Rules, symbol: str, tick: str = "0.01", lot: str = "1") -> Feed:
    one = Instrument(
        venue="v", symbol=symbol, kind="spot", base="BTC", quote="USDT", tick=Decimal(tick), lot=Decimal(lot)
    )
    return Feed(
        rules, Markets(venues={"v": Venue(layer="base", taker_fee_bps=10.0)}, instruments=(one,)), "v"
    )


def read(rules: Rules, message: Any) -> list[RawMessage]:
    return list(rules.parse(json.dumps(message).encode()))


def signed(crc: int) -> int:
    return crc - 2**32 if crc >= 2**31 else crc


def rungs(*levels: tuple[str, str]) -> list[Rung]:
    return [Rung(price, size, 0, 0) for price, size in levels]


# --- Bitget ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bids", "asks", "text"),
    [
        (
            [("43231.1", "4"), ("43231", "6")],
            [("43232.8", "9"), ("43232.9", "8")],
            b"43231.1:4:43232.8:9:43231:6:43232.9:8",
        ),
        (
            [("3366.1", "7")],
            [("3366.8", "9"), ("3368", "8"), ("3372", "8")],
            b"3366.1:7:3366.8:9:3368:8:3372:8",
        ),
        ([("0.5000", "1")], [], b"0.5000:1"),  # digits as they were sent
    ],
)
def test_bitget_checksum(bids: list[tuple[str, str]], asks: list[tuple[str, str]], text: bytes) -> None:
    assert Bitget().checksum(rungs(*bids), rungs(*asks)) == signed(zlib.crc32(text))


def bitget(channel: str, action: str = "snapshot", **more: Any) -> dict[str, Any]:
    data = {
        "asks": [["26274.9", "0.0009"], ["26275.0", "0.0500"]],
        "bids": [["26274.8", "0.0009"], ["26274.7", "0.0027"]],
        "checksum": 0, "seq": 123, "ts": "1695710946294", **more,
    }  # fmt: skip
    arg = {"instType": "SPOT", "channel": channel, "instId": "BTCUSDT"}
    return {"action": action, "arg": arg, "data": [data], "ts": 1_695_710_946_294}


def test_bitget_messages() -> None:
    bids, asks = (
        [("26274.8", "0.0009"), ("26274.7", "0.0027")],
        [("26274.9", "0.0009"), ("26275.0", "0.0500")],
    )
    time = 1_695_710_946_294 * MS
    assert read(Bitget(), bitget("books5")) == [Snapshot("BTCUSDT", bids, asks, 123, time)]
    assert read(Bitget(), bitget("books1")) == [Quote("BTCUSDT", bids[0], asks[0], 123, time)]
    assert read(Bitget(), bitget("books", "update", pseq=120, checksum=-5)) == [
        Delta("BTCUSDT", bids, asks, None, 123, 120, time, checksum=-5)
    ]
    arg = {"instType": "spot", "topic": "books", "symbol": "BTCUSDT"}
    data = {"b": [["64999.10", "1.25"]], "a": [["65000.20", "0.75"]], "seq": 100, "pseq": 0, "ts": "1"}
    assert read(Bitget(), {"arg": arg, "action": "snapshot", "data": [data]}) == [
        Snapshot("BTCUSDT", [("64999.10", "1.25")], [("65000.20", "0.75")], 100, MS)
    ]
    assert read(Bitget(), bitget("trade")) == []
    assert list(Bitget().parse(b"pong")) == []
    assert read(Bitget(), {"event": "subscribe", "arg": {"channel": "books"}}) == []


# --- KuCoin ------------------------------------------------------------------------------------------------

ASKS = [["3988.62", "8"], ["3988.61", "32"], ["3988.60", "47"], ["3988.59", "3"]]
BIDS = [["3988.51", "56"], ["3988.50", "15"], ["3988.49", "100"], ["3988.48", "10"]]
AFTER = (
    {398_851: 56, 398_850: 44, 398_849: 100, 398_848: 10},
    {398_862: 8, 398_860: 47, 398_859: 3},
)  # of both documents' tables


def test_kucoin_spot_calibration() -> None:
    told = feed(KuCoin(), "BTC-USDT")
    changes = {
        "asks": [["3988.59", "3", "16"], ["3988.61", "0", "19"], ["3988.62", "8", "15"]],
        "bids": [["3988.50", "44", "18"]],
    }
    data = {"changes": changes, "sequenceStart": 15, "sequenceEnd": 19, "symbol": "BTC-USDT"}
    update = {
        "topic": "/market/level2:BTC-USDT",
        "type": "message",
        "subject": "trade.l2update",
        "data": data,
    }
    whole = {"code": "200000", "data": {"sequence": "16", "time": 1, "asks": ASKS, "bids": BIDS}}
    asked = {
        "rest": "https://api.kucoin.com/api/v3/market/orderbook/level2?symbol=BTC-USDT",
        "body": whole,
    }
    assert told.receive(json.dumps(update).encode(), START) == []
    told.receive(json.dumps(asked).encode(), START + 1)
    depth = told.depth("v", "BTC-USDT")
    assert (depth.state, depth.last) == (FeedState.SYNCED, 19)
    assert (depth.book.bids, depth.book.asks) == AFTER


def test_kucoin_futures_change_by_change() -> None:
    told = feed(KuCoin(), "XBTUSDTM")
    levels = [[[price, int(size)] for price, size in side] for side in (ASKS, BIDS)]
    data = {"symbol": "XBTUSDTM", "sequence": 16, "asks": levels[0], "bids": levels[1], "ts": START}
    told.receive(json.dumps({"code": "200000", "data": data}).encode(), START)
    for sequence, change in ((17, "3988.50,buy,44"), (18, "3988.61,sell,0")):
        message = {
            "topic": "/contractMarket/level2:XBTUSDTM", "type": "message", "subject": "level2",
            "data": {"sequence": sequence, "change": change, "timestamp": 1_731_897_467_182},
        }  # fmt: skip
        told.receive(json.dumps(message).encode(), START + sequence)
    depth = told.depth("v", "XBTUSDTM")
    assert (depth.state, depth.last) == (FeedState.SYNCED, 18)
    assert (depth.book.bids, depth.book.asks) == AFTER


def test_kucoin_other_messages() -> None:
    data: dict[str, Any] = {
        "changes": {"asks": [["18906", "0.00331", "14103845"], ["0", "0", "14103844"]], "bids": []},
        "sequenceEnd": 14_103_847, "sequenceStart": 14_103_844, "symbol": "BTC-USDT",
        "time": 1_663_747_970_273,
    }  # fmt: skip
    update = {"topic": "/market/level2:BTC-USDT", "type": "message", "data": data}
    assert read(KuCoin(), update) == [  # a row with the price 0 only moves the sequence on
        Delta(
            "BTC-USDT",
            [],
            [("18906", "0.00331")],
            14_103_844,
            14_103_847,
            event_time_ns=1_663_747_970_273 * MS,
        )
    ]
    level1 = {
        "topic": "/spotMarket/level1:BTC-USDT", "type": "message", "subject": "level1",
        "data": {"asks": ["68145.8", "0.51987471"], "bids": [], "timestamp": 1_729_816_058_766},
    }  # fmt: skip
    quote = Quote("BTC-USDT", None, ("68145.8", "0.51987471"), event_time_ns=1_729_816_058_766 * MS)
    assert read(KuCoin(), level1) == [quote]
    for other in ({"id": "1", "type": "pong"}, {"code": "200000", "data": []}):
        assert read(KuCoin(), other) == []
    with pytest.raises(MessageError, match="the side 'x'"):
        read(
            KuCoin(),
            {
                "topic": "/contractMarket/level2:A",
                "type": "message",
                "data": {"change": "1,x,2", "sequence": 1},
            },
        )


# --- Gate.io -----------------------------------------------------------------------------------------------


def test_gateio_other_channels() -> None:
    levels = [{"p": "49525.6", "s": 7726}, {"p": "49509.3", "s": "0"}]
    result = {"t": 1_615_366_381_417, "s": "BTC_USD", "U": 5, "u": 9, "b": levels, "a": []}
    futures = {"channel": "futures.order_book_update", "event": "update", "result": result}
    expected = [("49525.6", "7726"), ("49509.3", "0")]
    time = 1_615_366_381_417 * MS
    assert read(GateIo(), futures) == [Delta("BTC_USD", expected, [], 5, 9, event_time_ns=time)]
    grouped = {"t": 1_615_366_381_417, "full": True, "s": "ob.BTC_USDT.50", "u": 9, "b": [["1", "2"]]}
    message = {"channel": "spot.obu", "result": grouped, "time_ms": 1_748_572_394_332}  # no event
    assert read(GateIo(), message) == [Snapshot("BTC_USDT", [("1", "2")], [], 9, time)]
    more = {"t": 1_615_366_381_417, "s": "ob.BTC_USDT.50", "U": 10, "u": 12, "a": [["3", "0"]]}
    message = {"channel": "spot.obu", "result": more}
    assert read(GateIo(), message) == [Delta("BTC_USDT", [], [("3", "0")], 10, 12, event_time_ns=time)]
    subscribed = {"channel": "spot.obu", "event": "subscribe", "result": {"status": "success"}}
    assert read(GateIo(), subscribed) == []
    best = {"t": 1_615_366_381_417, "u": 4, "s": "BTC_USDT", "b": "1", "B": "2", "a": "", "A": ""}
    message = {"channel": "spot.book_ticker", "event": "update", "result": best}
    assert read(GateIo(), message) == [Quote("BTC_USDT", ("1", "2"), None, 4, time)]
    assert read(GateIo(), {"rest": "https://x/spot/currency_pairs", "body": [{"id": "A_B"}]}) == []
    assert read(GateIo(), {"channel": "spot.trades", "event": "update", "result": {}}) == []


# --- Hyperliquid -------------------------------------------------------------------------------------------


def bbo(time: int) -> dict[str, Any]:
    best = [{"px": "98450.5", "sz": "2.5", "n": 3}, None]
    return {"channel": "bbo", "data": {"coin": "BTC", "time": time, "bbo": best}}


def test_hyperliquid_quotes_and_late_blocks() -> None:
    rules = Hyperliquid()
    assert read(rules, bbo(200_000)) == [Quote("BTC", ("98450.5", "2.5"), None, event_time_ns=200_000 * MS)]
    assert read(rules, bbo(199_000)) == [Notice(Verdict.OLD, "BTC")]
    assert len(read(rules, bbo(200_000))) == 1  # the same block again is no older one
    # More than a minute back is no late block: a wrong time must not hold the book for ever.
    (found,) = read(rules, bbo(139_000))
    assert isinstance(found, Quote)
    rules.connected()
    (found,) = read(rules, bbo(100_000))
    assert isinstance(found, Quote)


# --- Deribit, Lighter --------------------------------------------------------------------------------------


def deribit(rows: list[Any], kind: str = "change") -> dict[str, Any]:
    data = {
        "type": kind, "instrument_name": "BTC-PERPETUAL", "timestamp": 1_699_999_999_500, "change_id": 7,
        "prev_change_id": 6, "bids": rows, "asks": [],
    }  # fmt: skip
    return {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": "book.X.raw", "data": data}}


def test_deribit_numbers_stay_what_was_written() -> None:
    raw = json.dumps(deribit([["new", 1, 2]])).replace("1, 2", "42500.10, 0.30000000000000004e1").encode()
    (found,) = Deribit().parse(raw)
    assert isinstance(found, Delta)
    assert found.bids == [("42500.10", "0.30000000000000004e1")]
    (found,) = read(Deribit(), deribit([["delete", 42501.0, 3.0]]))
    assert isinstance(found, Delta)
    assert found.bids == [("42501.0", "0")]


@pytest.mark.parametrize(
    ("rules", "message", "reason"),
    [
        (Deribit(), deribit([["take", 1, 2]]), "the action 'take'"),
        (Deribit(), deribit([], "half"), "the type 'half'"),
        (Deribit(), {"id": 1}, "no 'jsonrpc'"),
        (Bitget(), bitget("books", "half"), "the action 'half'"),
        (Bitget(), bitget("books", checksum="5"), "no checksum"),
        (Bitget(), {"data": []}, "no 'arg'"),
        (KuCoin(), {"data": []}, "no 'type'"),
        (GateIo(), {"result": []}, "no 'channel'"),
        (Hyperliquid(), {"coin": "BTC"}, "no 'channel'"),
        (
            Lighter(),
            {"type": "update/order_book", "channel": "order_book:0",
             "order_book": {"asks": [], "bids": [], "offset": 5, "nonce": 7}},
            "'begin_nonce' is missing",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(rules: Rules, message: Any, reason: str) -> None:
    with pytest.raises(MessageError, match=reason):
        read(rules, message)


def test_lighters_empty_side() -> None:
    tickers = {"a": {"price": "", "size": ""}, "b": {"price": "2.5", "size": "1"}, "s": "ETH"}
    message = {"type": "update/ticker", "channel": "ticker:0", "nonce": 5, "ticker": tickers, "timestamp": 9}
    assert read(Lighter(), message) == [Quote("0", ("2.5", "1"), None, 5, 9 * MS)]
