"""Whatever comes over the wire: a feed reads it or says why not, and never anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.feeds.feed import Feed
from streams.feeds.protocol import MessageError, UpdateKind
from streams.feeds.registry import FEEDS
from tests.feeds.kit import START, markets

NAMES = {"binance_spot": "binance_spot", "binance_usdm": "binance_usdm", "plain_quotes": "quotes"}
NASTY = st.sampled_from(
    [
        [], {}, [[]], [["1"]], [[1, 2]], [["1", "2", "3"]], [["1", "2"]] * 3, [None], None, True, 1.5, 0, -1,
        [{"price": "1", "qty": "2"}], {"numerator": 1, "denominator": 0}, {"data": {}}, 2**53, 2**63,
        2**70, 2**53 - 1, "", "x", "nan", "1e9999", "-0", "0.001", "BTCUSDT", "depthUpdate", "bookTicker",
        "trade", "\u0663", "\ud800",
    ]
)  # fmt: skip
SEEDS: list[dict[str, Any]] = [
    {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": 1, "u": 2, "pu": 0, "b": [["1", "2"]], "a": []},
    {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": 1, "u": 2, "b": [["1", "2"]], "a": []},
    {"u": 3, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1"},
    {"e": "bookTicker", "u": 3, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1", "T": 1},
    {"lastUpdateId": 1, "bids": [["1", "2"]], "asks": [["3", "4"]], "T": 5, "symbol": "BTCUSDT"},
    {"base": "BTC", "quote": "USD", "venue": "v", "asks": [],
     "bids": [{"price": {"numerator": 1, "denominator": 2}, "qty": {"numerator": 1, "denominator": 1}}]},
]  # fmt: skip


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A right message with some fields replaced, left out or added; or anything at all."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.one_of(st.binary(max_size=60), NASTY.map(lambda v: json.dumps(v).encode())))
    message = dict(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 2))):
        if not message:
            break
        name = draw(st.sampled_from(sorted(message)))
        if draw(st.booleans()):
            message[name] = draw(NASTY)
        else:
            del message[name]
    raw = bytearray(json.dumps({"data": message} if draw(st.booleans()) else message).encode())
    if draw(st.integers(0, 3)) == 0:
        raw[draw(st.integers(0, len(raw) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(raw)


@pytest.mark.parametrize("name", sorted(FEEDS))
@settings(max_examples=500)
@given(raw=spoilt())
def test_a_feed_reads_it_or_says_why_not(name: str, raw: bytes) -> None:
    symbol = "Q" if name == "plain_quotes" else None
    feed = Feed(FEEDS[name](), markets(), NAMES.get(name, "v"), symbol=symbol)
    try:
        told = feed.receive(raw, START)
    except MessageError:
        return
    for update in told:
        assert update.kind in (UpdateKind.QUOTE, UpdateKind.SNAPSHOT, UpdateKind.DELTA)
        for price, size in (*update.bids, *update.asks):
            assert type(price) is type(size) is int
            assert 0 < price <= 2**53
            assert 0 <= size <= 2**53
        for number in (update.first_update_id, update.last_update_id, update.previous_update_id):
            assert number is None or 0 <= number < 2**53
        assert update.event_time_ns is None or 0 <= update.event_time_ns < 2**63
