"""What a feed adds to what the venue sends: sessions, sequences, heartbeats, key frames."""

from __future__ import annotations

import json

import pytest

from schemas import catalog
from streams.feeds.binance_spot import BinanceSpot
from streams.feeds.book import Book
from streams.feeds.feed import Feed
from streams.feeds.plain_quotes import PlainQuotes
from streams.feeds.protocol import (
    Channel,
    Checksum,
    FeedState,
    MessageError,
    Update,
    UpdateKind,
)
from tests.feeds.kit import START, Event, S, markets, wire, wire_quote, wire_snapshot

BOOK = Book([(p, p) for p in range(1, 10)], [(p, p) for p in range(20, 30)])


def feed(**more: int) -> Feed:
    return Feed(BinanceSpot(), markets(), "binance_spot", **more)


def shown(updates: list[Update]) -> list[tuple[object, ...]]:
    return [
        (u.channel.name, u.kind.name, u.sequence, u.receive_time_ns - START, u.key_frame) for u in updates
    ]


def test_the_words_are_those_of_the_schema() -> None:
    fields = {f["name"]: f["type"] for f in catalog.schema("BookUpdate")["fields"]}
    for name, words in (
        ("level", Channel), ("kind", UpdateKind), ("state", FeedState), ("checksum", Checksum)
    ):  # fmt: skip
        assert [w.name.lower() for w in words] == fields[name]["symbols"]
        assert [int(w) for w in words] == list(range(len(words)))


def test_session_and_sequence_are_per_book_and_level() -> None:
    own = feed()
    updates = own.receive(wire_quote(5, (1, 1), (2, 2)), START)
    updates += own.receive(wire_snapshot(BOOK, 100), START + 1)
    updates += own.receive(wire_quote(6, (1, 1), (2, 3)), START + 2)
    updates += own.receive(wire(Event(101, 101, 100, ((9, 0),), ()), False), START + 3)
    assert [(u.channel.name, u.sequence) for u in updates] == [("L1", 1), ("L2", 1), ("L1", 2), ("L2", 2)]
    assert {u.session for u in updates} == {START}
    again = own.connected(START + S)
    assert [(u.kind, u.state, u.sequence, u.session) for u in again] == [
        (UpdateKind.CLEAR, FeedState.RESYNC, 1, START + S)
    ] * 2
    assert own.depth("binance_spot", "BTCUSDT").state is FeedState.RESYNC
    (update,) = own.receive(wire_snapshot(BOOK, 90), START + S + 1)
    assert (update.sequence, update.session) == (2, START + S)


def test_a_snapshot_is_cut_to_the_depth_and_tells_its_last_id() -> None:
    (update,) = feed().receive(wire_snapshot(BOOK, 100), START)
    assert update.bids == [(p, p) for p in (9, 8, 7, 6, 5)]
    assert update.asks == [(p, p) for p in (20, 21, 22, 23, 24)]
    assert (update.last_update_id, update.first_update_id, update.event_time_ns) == (100, None, None)


def test_an_update_names_the_ids_and_times_of_its_venue_and_no_others() -> None:
    own = feed()
    own.receive(wire_snapshot(BOOK, 100), START)
    (update,) = own.receive(wire(Event(99, 101, 0, ((9, 0),), ((20, 3),)), False), START + 5)
    assert update == Update(
        instrument=0,
        channel=Channel.L2,
        kind=UpdateKind.DELTA,
        state=FeedState.SYNCED,
        session=START,
        sequence=2,
        receive_time_ns=START + 5,
        bids=[(9, 0)],
        asks=[(20, 3)],
        event_time_ns=1_723_161_255_208_000_000,
        first_update_id=99,
        last_update_id=101,
    )
    (quote,) = own.receive(wire_quote(102, (8, 4), (20, 3)), START + 6)
    assert (quote.event_time_ns, quote.last_update_id, quote.bids, quote.asks) == (
        None,
        102,
        [(8, 4)],
        [(20, 3)],
    )


def test_a_quote_that_is_not_newer_is_ignored_and_an_empty_side_is_empty() -> None:
    own = feed()
    assert len(own.receive(wire_quote(5, (1, 1), (2, 2)), START)) == 1
    assert own.receive(wire_quote(5, (1, 1), (2, 2)), START + 1) == []
    assert own.receive(wire_quote(4, (1, 1), (2, 2)), START + 2) == []
    (update,) = own.receive(wire_quote(6, (0, 0), (2, 2)), START + 3)
    assert (update.bids, update.asks) == ([], [(2, 2)])
    assert own.counts()["binance_spot", "BTCUSDT"].ignored == 2


def test_a_silent_book_sends_a_heartbeat_each_second_while_the_venue_is_heard_of() -> None:
    own = feed(key_frame_ns=3600 * S)
    own.receive(wire_snapshot(BOOK, 100), START)
    own.receive(wire_quote(5, (1, 1), (2, 2)), START)
    told = []
    trade = b'{"stream":"btcusdt@trade","data":{"e":"trade"}}'
    for tenth in range(1, 31):
        raw = wire_quote(5 + tenth, (1, 1), (2, 2)) if tenth % 5 == 0 else trade
        told += [u for u in own.receive(raw, START + tenth * S // 10) if u.kind is UpdateKind.HEARTBEAT]
    assert shown(told) == [("L2", "HEARTBEAT", 2 + n, (n + 1) * S, False) for n in range(3)]
    assert {u.state for u in told} == {FeedState.SYNCED}
    # Ten silent seconds are no sign of life: one heartbeat a book when something comes, not ten.
    assert shown(own.receive(trade, START + 13 * S)) == [
        ("L2", "HEARTBEAT", 5, 13 * S, False),
        ("L1", "HEARTBEAT", 8, 13 * S, False),
    ]
    assert own.receive(trade, START + 13 * S + 1) == []
    assert [u.kind for u in own.alive(START + 15 * S)] == [UpdateKind.HEARTBEAT] * 2


def test_before_the_snapshot_a_heartbeat_says_resync_and_after_a_gap_gap() -> None:
    own = feed()
    own.receive(wire(Event(101, 101, 100, (), ()), False), START)
    (update,) = own.alive(START + S)
    assert (update.kind, update.state, update.sequence) == (UpdateKind.HEARTBEAT, FeedState.RESYNC, 1)
    own.receive(wire_snapshot(BOOK, 100), START + S + 1)
    (lost,) = own.receive(wire(Event(104, 104, 103, (), ()), False), START + S + 2)
    assert (lost.kind, lost.state) == (UpdateKind.CLEAR, FeedState.GAP)
    assert own.alive(START + 3 * S)[0].state is FeedState.GAP


def test_key_frames_come_at_their_times_and_show_the_book_with_its_last_id() -> None:
    own = feed(key_frame_ns=5 * S)
    own.receive(wire_snapshot(BOOK, 100), START)
    own.receive(wire_quote(105, (9, 1), (20, 2)), START)
    frames = []
    for second in range(1, 12):
        raw = wire(Event(100 + second, 100 + second, 0, ((9, second),), ()), False)
        frames += [u for u in own.receive(raw, START + second * S) if u.key_frame]
    depth = [u for u in frames if u.channel is Channel.L2]
    assert [(u.receive_time_ns - START, u.last_update_id) for u in depth] == [(5 * S, 105), (10 * S, 110)]
    assert depth[0].bids == [(9, 5), (8, 8), (7, 7), (6, 6), (5, 5)]
    assert depth[0].kind is UpdateKind.SNAPSHOT
    quotes = [u for u in frames if u.channel is Channel.L1]
    assert [(u.receive_time_ns - START, u.last_update_id, u.bids) for u in quotes] == [
        (5 * S, 105, [(9, 1)]),
        (10 * S, 105, [(9, 1)]),
    ]
    assert [u.sequence for u in quotes] == [6, 11]  # heartbeats of the silent quotes lie between


def test_no_key_frame_shows_a_lost_book() -> None:
    own = feed(key_frame_ns=2 * S)
    own.receive(wire_snapshot(BOOK, 100), START)
    own.receive(wire(Event(105, 105, 104, (), ()), False), START + 1)
    assert [u.kind for u in own.alive(START + 3 * S)] == [UpdateKind.HEARTBEAT]


def test_quotes_without_a_stream_around_them_have_no_heartbeats() -> None:
    own = Feed(PlainQuotes(), markets(), "quotes")
    told = []
    for second in (0, 1, 2, 30, 31):
        told += own.receive(b"1,2.5,2.4,3", START + second * S)
    assert [(u.kind.name, (u.receive_time_ns - START) // S, u.key_frame) for u in told] == [
        ("QUOTE", 0, False),
        ("QUOTE", 1, False),
        ("QUOTE", 2, False),
        ("QUOTE", 30, False),
        ("QUOTE", 30, True),
        ("QUOTE", 31, False),
    ]
    assert {u.event_time_ns for u in told} == {None}


def test_a_message_that_cannot_be_read_changes_nothing() -> None:
    own = feed()
    own.receive(wire_snapshot(BOOK, 100), START)
    bad = json.loads(wire(Event(101, 101, 100, ((9, 0),), ()), False))
    bad["data"]["a"] = [["0.205", "1"]]
    with pytest.raises(MessageError, match="does not fit the tick"):
        own.receive(json.dumps(bad).encode(), START + 1)
    depth = own.depth("binance_spot", "BTCUSDT")
    assert (depth.last, depth.book.bids[9]) == (100, 9)
    (update,) = own.receive(wire(Event(101, 101, 100, ((9, 0),), ()), False), START + 2)
    assert update.sequence == 2


def test_books_that_the_markets_file_does_not_name_are_counted_and_nothing_else() -> None:
    own = feed()
    assert own.receive(wire(Event(1, 1, 0, (), ()), False).replace(b"BTCUSDT", b"ETHUSDT"), START) == []
    assert own.strangers == 1
    assert own.counts() == {}
