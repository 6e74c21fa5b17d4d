"""dYdX v4: the book that leaves the feed is never crossed, and is what the published rule leads to."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.markets import Instrument, Markets, Venue
from streams.feeds import dydx
from streams.feeds.dydx import DydxV4
from streams.feeds.feed import Feed
from streams.feeds.protocol import FeedState, MessageError, Update, UpdateKind
from tests.feeds.kit import START, Reader

Levels = list[tuple[int, int]]
SYMBOLS = ("BTC-USD", "ETH-USD")


def feed() -> Feed:
    instruments = tuple(
        Instrument(
            venue="v", symbol=symbol, kind="perpetual", base=symbol[:3], quote="USD", tick="1", lot="0.1",
            depth=50,
        )
        for symbol in SYMBOLS
    )  # fmt: skip
    markets = Markets(venues={"v": Venue(layer="rollup", taker_fee_bps=5.0)}, instruments=instruments)
    return Feed(DydxV4(), markets, "v")


def wire(
    number: int,
    bids: Levels,
    asks: Levels,
    *,
    whole: bool = False,
    symbol: str = "BTC-USD",
    batch: bool = False,
) -> bytes:
    contents = {
        side: [
            {"price": str(p), "size": str(s)} if whole else [str(p), str(s)] for p, s in levels
        ]
        for side, levels in (("bids", bids), ("asks", asks))
    }  # fmt: skip
    kind = "subscribed" if whole else "channel_batch_data" if batch else "channel_data"
    message = {
        "type": kind, "connection_id": "c", "message_id": number, "id": symbol, "channel": "v4_orderbook",
        "contents": [contents] if batch else contents,
    }  # fmt: skip
    return json.dumps(message).encode()


def other(number: int) -> bytes:
    """A message of another channel: it counts."""
    return json.dumps({"type": "channel_data", "connection_id": "c", "message_id": number}).encode()


class Twin:
    """The rule of the documents, step by step: lists, sorted anew each time, exact numbers."""

    def __init__(self) -> None:
        self.sides: dict[str, list[tuple[Fraction, Fraction, int]]] = {"bids": [], "asks": []}

    def take(self, number: int, bids: Levels, asks: Levels) -> None:
        for name, levels in (("bids", bids), ("asks", asks)):
            for price, size in levels:
                kept = [level for level in self.sides[name] if level[0] != price]
                self.sides[name] = kept + [(Fraction(price), Fraction(size), number)] * (size > 0)
        while True:
            found_bids, found_asks = sorted(self.sides["bids"])[::-1], sorted(self.sides["asks"])
            if not found_bids or not found_asks or found_bids[0][0] < found_asks[0][0]:
                return
            (bid, bid_size, bid_time), (ask, ask_size, ask_time) = found_bids[0], found_asks[0]
            if bid_time < ask_time:
                found_bids.pop(0)
            elif bid_time > ask_time:
                found_asks.pop(0)
            elif bid_size > ask_size:
                found_asks.pop(0)
                found_bids[0] = (bid, bid_size - ask_size, bid_time)
            elif bid_size < ask_size:
                found_bids.pop(0)
                found_asks[0] = (ask, ask_size - bid_size, ask_time)
            else:
                found_bids.pop(0)
                found_asks.pop(0)
            self.sides = {"bids": found_bids, "asks": found_asks}

    def book(self) -> tuple[dict[int, int], dict[int, int]]:
        bids, asks = (
            {int(price): int(size * 10) for price, size, _ in self.sides[name]} for name in ("bids", "asks")
        )
        return bids, asks


LEVELS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), max_size=4)


@settings(max_examples=300)
@given(st.lists(st.tuples(LEVELS, LEVELS, st.booleans()), min_size=1, max_size=12))
def test_the_rule_of_the_documents(told: list[tuple[Levels, Levels, bool]]) -> None:
    fed, twin, reader = feed(), Twin(), Reader()
    for number, (bids, asks, batch) in enumerate(told):
        for update in fed.receive(
            wire(number, bids, asks, whole=number == 0, batch=batch and number > 0), START + number
        ):
            reader.take(update)
        twin.take(number, bids, asks)
        book = fed.depth("v", "BTC-USD").book
        assert (book.bids, book.asks) == twin.book()
        assert (reader.book.bids, reader.book.asks) == twin.book()
        assert reader.synced
        assert not book.crossed()


def kinds(told: list[Update]) -> list[tuple[str, str, int]]:
    return [(u.kind.name, u.state.name, u.instrument) for u in told]


def test_the_older_level_goes_and_sizes_of_one_time_are_set_off() -> None:
    fed = feed()
    book = fed.depth("v", "BTC-USD").book
    fed.receive(wire(0, [(10, 2)], [(12, 1), (13, 4)], whole=True), START)
    (update,) = fed.receive(wire(1, [(12, 5)], []), START + 1)  # the ask at 12 is older
    assert (update.bids, update.asks) == ([(12, 50)], [(12, 0)])
    (update,) = fed.receive(wire(2, [(14, 3)], [(14, 1)]), START + 2)  # 13 is older; at 14 both are new
    assert sorted(update.asks) == [(13, 0), (14, 0)]
    assert update.bids == [(14, 20)]
    book = fed.depth("v", "BTC-USD").book
    assert (book.bids, book.asks) == ({10: 20, 12: 50, 14: 20}, {})


def test_a_lost_message_of_any_channel_loses_all_books_of_the_connection() -> None:
    fed = feed()
    for number, symbol in enumerate(SYMBOLS):
        fed.receive(wire(number, [(10, 2)], [(12, 1)], whole=True, symbol=symbol), START + number)
    assert fed.receive(other(2), START + 2) == []
    told = fed.receive(other(4), START + 4)
    assert kinds(told) == [("CLEAR", "GAP", 0), ("CLEAR", "GAP", 1)]
    assert fed.receive(wire(5, [(10, 1)], []), START + 5) == []
    told = fed.receive(wire(6, [(9, 1)], [], whole=True), START + 6)
    assert kinds(told) == [("SNAPSHOT", "SYNCED", 0)]
    assert fed.depth("v", "ETH-USD").state is FeedState.GAP


def test_one_that_cannot_be_read_is_one_that_is_missing() -> None:
    fed = feed()
    fed.receive(wire(0, [(10, 2)], [(12, 1)], whole=True), START)
    with pytest.raises(MessageError, match="no decimal number"):
        fed.receive(wire(1, [(11, 1)], []).replace(b'"11"', b'"x"'), START + 1)
    with pytest.raises(MessageError, match="does not fit the tick"):
        fed.receive(wire(1, [(11, 1)], []).replace(b'"11"', b'"11.5"'), START + 1)
    # The second was read before it was refused: its book has moved on, and no update follows it.
    told = fed.receive(wire(2, [(11, 1)], []), START + 2)
    assert kinds(told) == [("CLEAR", "GAP", 0)]


def test_another_connection_knows_no_book() -> None:
    fed = feed()
    fed.receive(wire(0, [(10, 2)], [(12, 1)], whole=True), START)
    told = fed.receive(wire(1, [(11, 1)], []).replace(b'"c"', b'"d"'), START + 1)
    assert kinds(told) == [("CLEAR", "GAP", 0)]
    fed.connected(START + 2)
    told = fed.receive(wire(7, [(10, 2)], [(12, 1)], whole=True), START + 3)
    assert [u.kind for u in told] == [UpdateKind.SNAPSHOT]


def test_limits_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dydx, "MAX_MARKETS", 1)
    monkeypatch.setattr(dydx, "MAX_LEVELS", 2)
    fed = feed()
    fed.receive(wire(0, [(10, 2)], [], whole=True), START)
    with pytest.raises(MessageError, match="more than 1 books"):
        fed.receive(wire(1, [], [], whole=True, symbol="ETH-USD"), START)
    with pytest.raises(MessageError, match="more than 2 levels"):
        fed.receive(wire(1, [(1, 1), (2, 1)], []), START)


@pytest.mark.parametrize("text", ["", ".", "-1", "1e40", "1_0", "nan", "9" * 28, "\u0663"])
def test_what_is_no_number_is_refused(text: str) -> None:
    raw = json.loads(wire(0, [(10, 2)], [], whole=True))
    raw["contents"]["bids"][0]["price"] = text
    with pytest.raises(MessageError, match="price"):
        list(DydxV4().parse(json.dumps(raw).encode()))


def test_a_book_that_is_crossed_all_through_is_uncrossed_in_one_go() -> None:
    """20,000 levels a side: searching for the best one anew each time would take minutes."""
    count = 20_000
    bids, asks = [(count + p, 1) for p in range(count)], [(1 + p, 1) for p in range(count)]
    fed = feed()
    fed.receive(wire(0, [*bids, (1, 5)], asks, whole=True), START)
    book = fed.depth("v", "BTC-USD").book
    # Each sets off one of the other side; the last ask meets the bid at 20,000.
    assert (book.bids, book.asks) == ({1: 50}, {})
