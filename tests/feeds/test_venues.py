"""The venues' rules against published vectors, and their messages against what they must say."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from streams.feeds.binance_spot import BinanceSpot
from streams.feeds.binance_usdm import BinanceUsdm
from streams.feeds.plain_depth import PlainDepth
from streams.feeds.plain_quotes import PlainQuotes
from streams.feeds.protocol import Delta, MessageError, Quote, Snapshot, Venue, Verdict
from streams.feeds.registry import FEEDS
from tests.data import recording

ZERO = b'{"price":{"numerator":1,"denominator":0},"qty":{"numerator":1,"denominator":1}}'


def delta(case: dict[str, int]) -> Delta:
    return Delta("BTCUSDT", (), (), case["U"], case["u"], case.get("pu"))


def vectors(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(recording("vectors/book_vectors.json").read_text())[name]
    return found


@pytest.mark.recording
@pytest.mark.parametrize(
    ("venue", "name"),
    [(BinanceSpot(), "binance_spot_sequencing"), (BinanceUsdm(), "binance_futures_sequencing")],
)
def test_published_sequencing(venue: Venue, name: str) -> None:
    found = vectors(name)
    for case in found["first"]:
        verdict = venue.starts(case["last"], delta(case))
        # The published futures rule U <= lastUpdateId takes ids for contiguous. They are not, and an event
        # with pu <= lastUpdateId <= u leaves nothing out; see binance_usdm.py.
        if name == "binance_futures_sequencing" and case["pu"] <= case["last"] <= case["u"]:
            assert verdict is Verdict.FITS
        else:
            assert (verdict is Verdict.FITS) == case["ok"], case
    for case in found["next"]:
        assert (venue.follows(case["last"], delta(case)) is Verdict.FITS) == case["ok"], case
    for case in found["apply"]:
        assert venue.follows(case["book_last"], delta(case)) is Verdict.OLD, case


@pytest.mark.parametrize(
    ("last", "first", "final", "expected"),
    [
        (100, 101, 101, Verdict.FITS),
        (100, 99, 101, Verdict.FITS),  # what it repeats is absolute
        (100, 100, 100, Verdict.OLD),
        (100, 90, 99, Verdict.OLD),
        (100, 102, 102, Verdict.BREAK),
        (None, 1, 2, Verdict.BREAK),
    ],
)
def test_binance_spot_rule(last: int | None, first: int, final: int, expected: Verdict) -> None:
    step = Delta("s", (), (), first, final)
    assert BinanceSpot().starts(last, step) is expected
    assert BinanceSpot().follows(last, step) is expected


@pytest.mark.parametrize(
    ("last", "previous", "final", "starts", "follows"),
    [
        (100, 100, 110, Verdict.FITS, Verdict.FITS),
        (100, 95, 110, Verdict.FITS, Verdict.BREAK),  # a snapshot may fall within an event's span
        (100, 95, 100, Verdict.FITS, Verdict.OLD),
        (100, 80, 95, Verdict.OLD, Verdict.OLD),
        (100, 101, 110, Verdict.BREAK, Verdict.BREAK),
    ],
)
def test_binance_usdm_rule(last: int, previous: int, final: int, starts: Verdict, follows: Verdict) -> None:
    step = Delta("s", (), (), previous + 1, final, previous)
    assert BinanceUsdm().starts(last, step) is starts
    assert BinanceUsdm().follows(last, step) is follows


def test_binance_messages() -> None:
    spot = BinanceSpot()
    ticker = (
        b'{"stream":"btcusdt@bookTicker","data":{"u":9,"s":"BTCUSDT","b":"1.5","B":"2","a":"1.6","A":"3"}}'
    )
    assert list(spot.parse(ticker)) == [Quote("BTCUSDT", ("1.5", "2"), ("1.6", "3"), 9, None)]
    diff = b'{"e":"depthUpdate","E":7,"s":"BTCUSDT","U":3,"u":4,"b":[["1.5","0"]],"a":[]}'
    assert list(spot.parse(diff)) == [Delta("BTCUSDT", [["1.5", "0"]], [], 3, 4, None, 7_000_000)]
    rest = b'{"lastUpdateId":5,"bids":[["1.5","2"]],"asks":[]}'
    assert list(spot.parse(rest)) == [Snapshot(None, [["1.5", "2"]], [], 5)]
    usdm = BinanceUsdm()
    diff = b'{"e":"depthUpdate","E":7,"T":6,"s":"BTCUSDT","U":3,"u":4,"pu":2,"b":[],"a":[]}'
    assert list(usdm.parse(diff)) == [Delta("BTCUSDT", [], [], 3, 4, 2, 6_000_000)]
    for venue in (spot, usdm):
        assert list(venue.parse(b'{"stream":"x","data":{"e":"trade","s":"BTCUSDT","p":"1"}}')) == []
        assert list(venue.parse(b'{"result":null,"id":1}')) == []


@pytest.mark.parametrize(
    ("feed", "raw", "reason"),
    [
        ("binance_spot", b"{", "no JSON"),
        ("binance_spot", b"\xff", "no JSON"),
        ("binance_spot", b"[1]", "no JSON object"),
        ("binance_spot", b'{"e":"depthUpdate","s":"X","u":4,"b":[],"a":[]}', "'U' is missing"),
        ("binance_spot", b'{"e":"depthUpdate","E":1,"s":"X","U":"1","u":4,"b":[],"a":[]}', "is no id"),
        ("binance_spot", b'{"e":"depthUpdate","E":1,"s":7,"U":1,"u":4,"b":[],"a":[]}', "is no symbol"),
        ("binance_spot", b'{"e":"depthUpdate","s":"X","U":1,"u":2,"pu":1,"b":[],"a":[]}', "Binance futures"),
        ("binance_usdm", b'{"e":"depthUpdate","s":"X","U":1,"u":2,"b":[],"a":[]}', "Binance spot"),
        ("binance_spot", b'{"e":"bookTicker","u":1,"s":"X","b":"1","B":"1","a":"1","A":"1"}', "futures"),
        ("binance_usdm", b'{"u":1,"s":"X","b":"1","B":"1","a":"1","A":"1"}', "spot"),
        ("plain_quotes", b"1,2,3", "4 cells where there should be 5"),
        ("plain_depth", b'{"base":"A","quote":"B","bids":[],"asks":[]}', "without 'venue'"),
        ("plain_depth", b'{"base":"A","quote":"B","venue":"v","bids":[1],"asks":[]}', "no book"),
        ("plain_depth", b'{"base":"A","quote":"B","venue":"v","asks":[],"bids":[' + ZERO + b"]}", "no book"),
    ],
)
def test_what_cannot_be_read_says_why(feed: str, raw: bytes, reason: str) -> None:
    with pytest.raises(MessageError, match=reason):
        list(FEEDS[feed]().parse(raw))


def test_plain_files() -> None:
    assert list(PlainQuotes().parse(b"5.799,87608.3,87608.2,4.258")) == [
        Quote(None, ("87608.2", "4.258"), ("87608.3", "5.799"))
    ]
    level = {"price": {"numerator": 25518, "denominator": 5}, "qty": {"numerator": 1, "denominator": 8}}
    book = {"base": "BTC", "quote": "USD", "venue": "x", "bids": [level, level], "asks": []}
    assert list(PlainDepth().parse(json.dumps(book).encode())) == [
        Snapshot("BTC/USD", [(Fraction(25518, 5), Fraction(1, 4))], [], venue="x")
    ]
