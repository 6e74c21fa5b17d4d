"""What the judge counts of single updates, and what it says of them."""

from __future__ import annotations

from typing import Any

from streams.feeds.book import Book
from streams.feeds.protocol import Channel, Checksum, FeedState, Level, Update, UpdateKind
from streams.inspect import report
from streams.inspect.judge import SHOWN, BookKey, BookSeen, Judge

KEY = BookKey("venue", "S")
S = 1_000_000_000


def seen(judge: Judge, *, shared_ids: bool = False) -> BookSeen:
    return judge.book(KEY, (-2, -3), shared_ids=shared_ids)


def quote(bids: list[Level], asks: list[Level], **more: Any) -> Update:
    return Update(0, Channel.L1, UpdateKind.QUOTE, FeedState.SYNCED, 1, 1, 10 * S, bids, asks, **more)


def depth(kind: UpdateKind, state: FeedState = FeedState.SYNCED, **more: Any) -> Update:
    return Update(0, Channel.L2, kind, state, 1, 1, 10 * S, **more)


def faults(judge: Judge) -> list[str]:
    return [str(fault) for fault in judge.findings(wrong=True)]


def test_crossed_states_are_counted_and_told_where_they_begin() -> None:
    judge = Judge()
    book = seen(judge)
    for place, bid, ask in (("a", 9, 10), ("b", 10, 10), ("c", 11, 10), ("d", 9, 10), ("e", 12, 10)):
        judge.take(book, quote([(bid, 1)], [(ask, 1)]), place, None)
    assert judge.crossed == 3
    assert faults(judge) == [
        "b: venue S: the quote is crossed from here on",
        "e: venue S: the quote is crossed from here on",
    ]
    assert not judge.ok


def test_one_sided_states_are_told_and_no_fault() -> None:
    judge = Judge()
    judge.take(seen(judge), quote([(9, 1)], []), "a", None)
    judge.take(seen(judge), quote([], []), "b", None)
    judge.take(seen(judge), depth(UpdateKind.DELTA), "c", Book([], [(9, 1)]))
    assert judge.one_sided == 2
    assert judge.ok
    assert [note.place for note in judge.findings(wrong=False)] == ["a", "c"]


def test_delays_below_zero_tell_how_far_the_clock_is_behind() -> None:
    judge = Judge()
    for place, event in (("a", 9 * S), ("b", 12 * S), ("c", 11 * S)):
        judge.take(seen(judge), quote([(9, 1)], [(10, 1)], event_time_ns=event), place, None)
    judge.take(seen(judge), quote([(9, 1)], [(10, 1)], event_time_ns=99 * S, key_frame=True), "d", None)
    judge.finish()
    assert judge.clock_offset_ns == -2 * S
    assert (judge.delays["venue"].negative, judge.delays["venue"].count) == (2, 3)
    (note,) = judge.findings(wrong=False)
    assert str(note).startswith("b: venue: 2 of 3 updates were received before they happened")
    assert judge.ok


def test_silence_is_of_one_venue_and_a_clock_that_runs_back_makes_none() -> None:
    judge = Judge()
    for venue, second in (("a", 1), ("b", 2), ("a", 5), ("b", 3), ("b", 9), ("a", 4), ("a", 6)):
        judge.heard(venue, second * S, f"{venue}{second}")
    assert judge.longest_silence_ns == 6 * S
    assert judge.silences["b"].place == "b9"
    assert judge.silences["a"].longest_ns == 4 * S


def test_checksums_and_gaps_are_two_things() -> None:
    judge = Judge()
    book, known = seen(judge), Book([(9, 1)], [(10, 1)])
    judge.take(book, depth(UpdateKind.SNAPSHOT), "a", known)
    judge.take(book, depth(UpdateKind.DELTA, checksum=Checksum.RIGHT), "b", known)
    judge.take(book, depth(UpdateKind.CLEAR, FeedState.GAP, checksum=Checksum.WRONG), "c", Book())
    assert (judge.gaps, book.state, book.top) == (0, FeedState.GAP, (None, None))
    judge.take(book, depth(UpdateKind.SNAPSHOT), "d", known)
    judge.take(book, depth(UpdateKind.CLEAR, FeedState.GAP), "e", Book(), "7 does not follow 5")
    judge.take(book, depth(UpdateKind.CLEAR, FeedState.RESYNC), "f", Book())
    found = report.as_json(judge)
    assert found["checksums"] == {"right": 1, "wrong": 1, "absent": 2}
    assert found["gaps"] == 1
    assert faults(judge) == [
        "c: venue S: the checksum does not fit the book; it is lost",
        "e: venue S: a gap before this: 7 does not follow 5",
    ]


def test_one_message_that_breaks_many_books_is_one_gap() -> None:
    judge = Judge()
    for symbol in ("A", "B"):
        book = judge.book(BookKey("venue", symbol), (0, 0), shared_ids=False)
        judge.take(book, depth(UpdateKind.CLEAR, FeedState.GAP), "file:7", Book())
    assert judge.gaps == 1
    assert {book.state for book in judge.books.values()} == {FeedState.GAP}


def test_depth_that_is_not_the_venues_quote_is_a_fault() -> None:
    judge = Judge()
    book, known = seen(judge, shared_ids=True), Book([(9, 1)], [(10, 1)])
    judge.take(book, quote([(9, 1)], [(10, 1)], last_update_id=1), "a", None)
    judge.take(book, depth(UpdateKind.DELTA, last_update_id=1), "b", known)
    judge.take(book, quote([(9, 2)], [(10, 1)], last_update_id=3), "c", None)
    judge.take(book, depth(UpdateKind.DELTA, last_update_id=4), "d", known)
    judge.finish()
    assert report.as_json(judge)["l1_agreement"] == {"right": 1, "wrong": 1}
    (fault,) = faults(judge)
    assert fault.startswith(
        "d: venue S: the built top ((9, 1), (10, 1)) is not the venue's own quote ((9, 2)"
    )


def test_the_first_places_of_a_kind_are_told_and_the_rest_counted() -> None:
    judge = Judge()
    for number in range(SHOWN + 5):
        judge.find("unreadable", f"f:{number}", "cannot be read")
    told = faults(judge)
    assert len(told) == SHOWN + 1
    assert told[-1] == "and 5 more of this kind: unreadable"


def test_prices_are_decimals_with_all_their_digits() -> None:
    judge = Judge()
    judge.take(seen(judge), quote([(433_140, 1)], []), "a", None)
    assert report.as_json(judge)["books"] == [
        {"symbol": "S", "state": "synced", "bid": "4331.40", "ask": None}
    ]
