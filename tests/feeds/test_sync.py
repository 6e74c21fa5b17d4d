"""Whatever is lost, repeated or reordered: a book that says synced is the book of the unharmed stream."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.feeds.binance_spot import BinanceSpot
from streams.feeds.binance_usdm import BinanceUsdm
from streams.feeds.book import Book
from streams.feeds.feed import Feed
from streams.feeds.protocol import FeedState, UpdateKind
from tests.feeds.kit import START, Event, Reader, S, markets, wire, wire_snapshot

LEVELS = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3)), max_size=4).map(tuple)


@st.composite
def histories(draw: st.DrawFn, futures: bool) -> list[Event]:
    """Events of one book as the venue made them; of futures the ids have holes."""
    events, last = [], 100
    for _ in range(draw(st.integers(1, 12))):
        previous = last
        first = last + 1 + (draw(st.integers(0, 3)) if futures else 0)
        last = first + draw(st.integers(0, 3))
        asks = tuple((20 + p, s) for p, s in draw(LEVELS))
        events.append(Event(first, last, previous, draw(LEVELS), asks))
    return events


def states(events: list[Event]) -> dict[int, Book]:
    """The book after each id at which the venue's book can be seen, from the unharmed stream."""
    book = Book([(5, 7)], [(25, 7)])
    found = {100: Book(book.bids.items(), book.asks.items())}
    for event in events:
        book.apply(event.bids, event.asks)
        found[event.last] = Book(book.bids.items(), book.asks.items())
    return found


@st.composite
def harmed(draw: st.DrawFn, futures: bool) -> tuple[list[Event], list[bytes]]:
    """A history, and its messages with snapshots among them, some lost, repeated or out of place."""
    events = draw(histories(futures))
    truth = states(events)
    messages = [wire(event, futures) for event in events]
    order: list[bytes] = []
    for at, message in enumerate(messages):
        if draw(st.integers(0, 3)) == 0:
            last = draw(st.sampled_from([e.last for e in events[: at + 1]] + [100]))
            order.append(wire_snapshot(truth[last], last))
        fate = draw(st.sampled_from(["kept", "kept", "kept", "lost", "twice", "late"]))
        if fate == "lost":
            continue
        if fate == "late" and order:
            order.insert(draw(st.integers(0, len(order) - 1)), message)
            continue
        order += [message] * (2 if fate == "twice" else 1)
    order.insert(draw(st.integers(0, len(order))), wire_snapshot(truth[100], 100))
    return events, order


def follow(futures: bool, events: list[Event], order: list[bytes]) -> tuple[Feed, Reader]:
    venue, name = (BinanceUsdm(), "binance_usdm") if futures else (BinanceSpot(), "binance_spot")
    feed = Feed(venue, markets(depth=100), name, key_frame_ns=2 * S)
    truth = states(events)
    reader = Reader()
    for number, raw in enumerate(order):
        for update in feed.receive(raw, START + number * S // 3):
            reader.take(update)
        depth = feed.depth(name, "BTCUSDT")
        assert reader.synced == (depth.state is FeedState.SYNCED)
        if depth.state is FeedState.SYNCED:
            assert depth.last is not None
            expected = truth[depth.last]
            assert (depth.book.bids, depth.book.asks) == (expected.bids, expected.asks)
            assert (reader.book.bids, reader.book.asks) == (expected.bids, expected.asks)
            assert reader.last == depth.last
    return feed, reader


@settings(max_examples=400)
@given(harmed(futures=False))
def test_spot_says_synced_only_when_it_is(case: tuple[list[Event], list[bytes]]) -> None:
    follow(False, *case)


@settings(max_examples=400)
@given(harmed(futures=True))
def test_futures_say_synced_only_when_they_are(case: tuple[list[Event], list[bytes]]) -> None:
    follow(True, *case)


EVENTS = [
    Event(101, 101, 100, ((5, 1),), ()),
    Event(102, 103, 101, ((6, 2),), ((25, 1),)),
    Event(104, 104, 103, ((5, 0),), ()),
    Event(105, 105, 104, ((7, 3),), ((26, 4),)),
]


def play(order: list[bytes]) -> tuple[Feed, list[tuple[str, str]]]:
    feed = Feed(BinanceSpot(), markets(), "binance_spot")
    told = [u for number, raw in enumerate(order) for u in feed.receive(raw, START + number)]
    return feed, [(u.kind.name, u.state.name) for u in told]


SYNCED, GAP = FeedState.SYNCED.name, FeedState.GAP.name
SNAPSHOT, DELTA, CLEAR = (k.name for k in (UpdateKind.SNAPSHOT, UpdateKind.DELTA, UpdateKind.CLEAR))


@pytest.mark.parametrize(
    ("order", "told", "state"),
    [
        # Deltas before the snapshot are kept; what it holds already is dropped, the rest goes into it.
        ("1 2 s101 3 4", [(SNAPSHOT, SYNCED), (DELTA, SYNCED), (DELTA, SYNCED)], SYNCED),
        ("s100 1 2", [(SNAPSHOT, SYNCED), (DELTA, SYNCED), (DELTA, SYNCED)], SYNCED),
        # A snapshot that the kept deltas do not reach back to is too old.
        ("3 s100", [], FeedState.RESYNC.name),
        ("3 s100 s103 4", [(SNAPSHOT, SYNCED), (DELTA, SYNCED)], SYNCED),
        # One dropped: a gap, until a snapshot comes; the deltas since then are kept.
        ("s100 1 3 4", [(SNAPSHOT, SYNCED), (DELTA, SYNCED), (CLEAR, GAP)], GAP),
        ("s100 1 3 s103 4", [(SNAPSHOT, SYNCED), (DELTA, SYNCED), (CLEAR, GAP), (SNAPSHOT, SYNCED),
                             (DELTA, SYNCED)], SYNCED),
        ("s100 1 3 s101 4", [(SNAPSHOT, SYNCED), (DELTA, SYNCED), (CLEAR, GAP)], GAP),
        # A repeat, and an old one, are ignored.
        ("s100 1 1 2 1", [(SNAPSHOT, SYNCED), (DELTA, SYNCED), (DELTA, SYNCED)], SYNCED),
        # Two that changed places: a gap.
        ("s100 2 1", [(SNAPSHOT, SYNCED), (CLEAR, GAP)], GAP),
        # A later snapshot replaces the book, an older one does nothing.
        ("s100 1 s103 3", [(SNAPSHOT, SYNCED), (DELTA, SYNCED), (SNAPSHOT, SYNCED), (DELTA, SYNCED)], SYNCED),
        ("s103 s100 3", [(SNAPSHOT, SYNCED), (DELTA, SYNCED)], SYNCED),
    ],
)  # fmt: skip
def test_each_harm_has_its_answer(order: str, told: list[tuple[str, str]], state: str) -> None:
    truth = states(EVENTS)
    raw = [
        wire_snapshot(truth[int(w[1:])], int(w[1:])) if w[0] == "s" else wire(EVENTS[int(w) - 1], False)
        for w in order.split()
    ]
    feed, found = play(raw)
    assert found == told
    assert feed.depth("binance_spot", "BTCUSDT").state.name == state
