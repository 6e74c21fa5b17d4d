"""A book that says it is synced is the venue's: whatever is dropped, repeated, reordered or flipped."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.kernels.layout import CROSSED, GAP, L1, L2, STALE, SYNCED
from strategies.risk import Reason
from tests.naive_book import NaiveBook
from tests.strategies.desk import Desk, Record, instrument, markets

BOOK = ("b", "BTCUSDT")
SHARED = ("a", "BTCUSDT")


def reasons(outputs: Any) -> list[Reason]:
    """Reasons of the risk events."""
    return [event.reason for event in outputs.risk_events]


def synced_desk(**more: Any) -> Desk:
    """A desk whose book b holds one bid and one ask, after an uneventful start."""
    desk = Desk(markets(instrument("b"), instrument("a")))
    desk.feed(desk.wire.snapshot(*BOOK, [(100, 1)], [(110, 1)], **more))
    assert desk.state("b") == SYNCED
    return desk


def test_a_duplicate_is_no_gap() -> None:
    desk = synced_desk()
    delta = desk.wire.delta(*BOOK, [(101, 2)])
    assert reasons(desk.feed(delta, delta, desk.wire.delta(*BOOK, [(102, 3)]), delta)) == []
    assert desk.state("b") == SYNCED
    assert desk.depth(0)[0] == {100: 1, 101: 2, 102: 3}
    assert desk.channel("b")["duplicates"] == 2


def test_a_gap_lasts_until_the_next_snapshot() -> None:
    desk = synced_desk()
    desk.wire.delta(*BOOK, [(101, 2)])  # lost
    assert reasons(desk.feed(desk.wire.delta(*BOOK, [(102, 3)]))) == [Reason.GAP]
    assert desk.state("b") == GAP
    assert reasons(desk.feed(desk.wire.delta(*BOOK, [(103, 3)]))) == []
    assert desk.state("b") == GAP
    assert desk.channel("b")["gaps"] == 1
    desk.feed(desk.wire.snapshot(*BOOK, [(99, 1)], [(110, 1)]))
    assert desk.state("b") == SYNCED
    assert desk.depth(0)[0] == {99: 1}


def test_a_snapshot_over_a_gap_keeps_the_book_trusted() -> None:
    desk = synced_desk()
    desk.wire.delta(*BOOK, [(101, 2)])  # lost
    desk.feed(desk.wire.snapshot(*BOOK, [(101, 2)], [(110, 1)]))
    assert desk.state("b") == SYNCED
    assert desk.channel("b")["gaps"] == 1


def test_a_new_session_begins_with_a_snapshot() -> None:
    desk = synced_desk()
    desk.wait(100)
    desk.wire.session = desk.wire.now_ns
    desk.wire.sequences.clear()
    assert reasons(desk.feed(desk.wire.delta(*BOOK, [(101, 2)]))) == [Reason.GAP]
    assert desk.state("b") == GAP
    desk.feed(desk.wire.snapshot(*BOOK, [(101, 2)], [(110, 1)]), desk.wire.delta(*BOOK, [(102, 1)]))
    assert desk.state("b") == SYNCED
    assert desk.depth(0)[0] == {101: 2, 102: 1}


def test_what_an_older_session_left_behind_is_passed_over() -> None:
    desk = synced_desk()
    late = desk.wire.delta(*BOOK, [(101, 2)])
    desk.wait(100)
    desk.wire.session = desk.wire.now_ns
    desk.wire.sequences.clear()
    desk.feed(desk.wire.snapshot(*BOOK, [(99, 1)], [(110, 1)]), late)
    assert desk.state("b") == SYNCED
    assert desk.depth(0)[0] == {99: 1}


def test_two_feeds_at_once_leave_the_book_of_the_newer_one_or_none() -> None:
    desk = synced_desk()
    old, session = desk.wire, desk.wire.session
    for turn in range(20):
        desk.wait(10)
        if turn == 5:
            session = desk.wire.now_ns
        for own, price in ((old.session, 90), (session, 100)):
            if turn < 5 and price == 100:
                continue
            kind = "snapshot" if turn % 5 == 0 else "delta"
            sequence = turn + 2 if own == old.session else turn - 4
            row = [(price, turn + 1)]
            desk.feed(
                desk.wire.record(*BOOK, "l2", kind, bids=row, asks=[(110, 1)], session=own, sequence=sequence)
            )
            if desk.state("b") == SYNCED and turn >= 5:
                assert desk.depth(0)[0] in ({100: turn + 1}, {90: turn + 1}, {90: turn})
    assert desk.channel("b")["gaps"] > 0


def test_a_session_that_ran_ahead_loses_the_book_at_once_and_gets_it_back_by_the_next_snapshot() -> None:
    desk = synced_desk()
    desk.wait(5_000)
    true_session = desk.wire.session
    desk.feed(desk.wire.snapshot(*BOOK, [(100, 1)], [(110, 1)], key_frame=True, session=true_session + 2**30))
    assert reasons(desk.feed(desk.wire.delta(*BOOK, [(101, 2)]))) == [Reason.SEQUENCE_REPEATED]
    assert desk.state("b") == GAP
    desk.feed(desk.wire.snapshot(*BOOK, [(100, 1), (101, 2)][::-1], [(110, 1)], key_frame=True))
    assert desk.state("b") == SYNCED
    assert desk.depth(0)[0] == {100: 1, 101: 2}


def test_an_older_session_takes_over_where_the_newer_one_fell_silent() -> None:
    desk = synced_desk()
    desk.wait(5_000)
    other = desk.wire.session + 2**30
    ahead = [
        desk.wire.snapshot(*BOOK, [(100, 1)], [(110, 1)], session=other),
        desk.wire.delta(*BOOK, [(101, 1)], session=other),
    ]
    desk.feed(*ahead, desk.wire.snapshot(*BOOK, [(99, 1)], [(110, 1)]))
    assert desk.depth(0)[0] == {100: 1, 101: 1}  # the newer one speaks, and is believed
    desk.wait(2_001)
    desk.feed(desk.wire.delta(*SHARED, []))  # time goes on
    desk.feed(desk.wire.snapshot(*BOOK, [(98, 1)], [(110, 1)]))
    assert desk.state("b") == SYNCED
    assert desk.depth(0)[0] == {98: 1}


def test_a_number_taken_by_another_record_is_no_duplicate() -> None:
    desk = synced_desk()
    ahead = desk.wire.snapshot(*BOOK, [(100, 1)], [(110, 1)])
    ahead["sequence"] += 1  # 2 flipped into 3
    true_one = desk.wire.delta(*BOOK, [(105, 5)])
    assert reasons(desk.feed(ahead)) == []
    assert reasons(desk.feed(true_one)) == [Reason.SEQUENCE_REPEATED]
    assert desk.state("b") == GAP


@pytest.mark.parametrize("field", ["price_ticks", "size_lots"])
def test_a_copy_with_a_flipped_level_is_no_duplicate(field: str) -> None:
    desk = synced_desk()
    true_one = desk.wire.delta(*BOOK, [(101, 8), (102, 4)])
    flipped = {**true_one, "bids": [dict(true_one["bids"][0]), {**true_one["bids"][1], field: 6}]}
    desk.feed(flipped)
    assert desk.state("b") == SYNCED  # nothing tells it from a true one yet
    desk.feed(true_one)
    assert desk.state("b") == GAP


def test_a_wrong_checksum_is_a_gap() -> None:
    desk = synced_desk()
    assert reasons(desk.feed(desk.wire.delta(*BOOK, [(101, 1)], checksum="wrong"))) == [Reason.CHECKSUM_WRONG]
    assert desk.state("b") == GAP


def test_an_id_older_than_the_book_is_a_contradiction() -> None:
    desk = synced_desk(last_update_id=50)
    out = desk.feed(desk.wire.delta(*BOOK, [(101, 1)], last_update_id=49))
    assert reasons(out) == [Reason.CONTRADICTION]
    assert desk.state("b") == GAP


def test_depth_that_crosses_itself_waits_for_a_snapshot() -> None:
    desk = synced_desk()
    assert reasons(desk.feed(desk.wire.delta(*BOOK, [(110, 1)]))) == [Reason.CROSSED_BOOK]
    assert desk.state("b") == CROSSED
    desk.feed(desk.wire.delta(*BOOK, [(110, 0)]))  # uncrossed, and yet one of the two was wrong
    assert desk.state("b") == CROSSED
    desk.feed(desk.wire.snapshot(*BOOK, [(100, 1)], [(110, 1)]))
    assert desk.state("b") == SYNCED


def test_a_crossed_quote_is_untrusted_until_the_next() -> None:
    desk = synced_desk()
    desk.wait(1)
    assert reasons(desk.feed(desk.wire.quote(*BOOK, [(111, 1)], [(110, 1)]))) == [Reason.CROSSED_BOOK]
    assert desk.state("b") == CROSSED
    desk.feed(desk.wire.quote(*BOOK, [(101, 1)], [(110, 1)]))
    assert desk.state("b") == SYNCED


def test_states_of_the_feed_are_kept() -> None:
    desk = synced_desk()
    heartbeat = {"level": "l2", "kind": "heartbeat"}
    desk.feed(desk.wire.record(*BOOK, **heartbeat, state="stale"))
    assert desk.state("b") == STALE
    desk.feed(desk.wire.record(*BOOK, **heartbeat))
    assert desk.state("b") == SYNCED  # silent, but nothing was missed
    desk.feed(desk.wire.record(*BOOK, "l2", "clear", state="gap"))
    assert desk.state("b") == GAP
    desk.feed(desk.wire.record(*BOOK, **heartbeat), desk.wire.delta(*BOOK, [(105, 1)]))
    assert desk.state("b") == GAP
    assert desk.depth(0) == ({}, {})


def test_a_clear_that_calls_itself_synced_is_none() -> None:
    desk = synced_desk()
    desk.feed(desk.wire.record(*BOOK, "l2", "clear", state="synced"))
    assert desk.state("b") == GAP


# A stream of one book on both topics, and what may happen to it on the way.

LAST = 40
HARMS = ["drop", "repeat", "late", "swap", "session", "sequence", "key_frame", "recorded", "event_time_ns"]
HARMS += ["last_update_id", "receive_time_ns", "state", "checksum"]


@dataclass
class Stream:
    """Records in order, with the true depth and the true quote after each."""

    desk: Desk
    records: list[Record]
    depths: list[tuple[dict[int, int], dict[int, int]]]
    quotes: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]]


def stream(seed: int, frame_every: int) -> Stream:
    """A book that wanders, never crossed; a key frame now and then."""
    draw = random.Random(seed)
    made = Stream(Desk(markets(instrument("a"))), [], [], [])
    wire, twin = made.desk.wire, NaiveBook()
    bids, asks = {90: 5, 95: 5}, {105: 5, 110: 5}
    quoted: Any = ([], [])
    for number in range(LAST):
        wire.now_ns += 20_000_000
        ids = {"last_update_id": 1_000 + number}
        if number % frame_every == 0:
            full = (sorted(bids.items(), reverse=True), sorted(asks.items()))
            record = wire.snapshot(*SHARED, *full, key_frame=number > 0, **ids)
        elif draw.random() < 0.3:
            quoted = ([(draw.randrange(96, 100), draw.randrange(1, 9))], [(draw.randrange(101, 105), 2)])
            record = wire.quote(*SHARED, *quoted, **ids)
        elif draw.random() < 0.1:
            record = wire.record(*SHARED, draw.choice(["l1", "l2"]), "heartbeat")
        else:
            changes = [(draw.randrange(80, 100), draw.randrange(0, 4)) for _ in range(draw.randrange(1, 4))]
            record = wire.delta(*SHARED, changes, [(draw.randrange(101, 120), draw.randrange(0, 4))], **ids)
        twin.take(record)
        bids, asks = twin.copy()
        made.records.append(record)
        made.depths.append((bids, asks))
        made.quotes.append(quoted)
    return made


def flipped(record: Record, field: str, bit: int) -> Record:
    """A copy with one bit of a field flipped; of an enum or a boolean another value."""
    value = record[field]
    if field == "state":
        other: Any = ("gap", "resync", "stale")[bit % 3]
    elif field == "checksum":
        other = ("right", "wrong")[bit % 2]
    elif isinstance(value, bool):
        other = not value
    elif value is None:
        other = 1 << bit
    else:
        other = value ^ (1 << bit)
    return {**record, field: other}


def harm(records: list[Record], harms: list[tuple[int, str, int]]) -> list[tuple[int, Record]]:
    """What arrives of `records`, each with its number in the stream."""
    sent: list[list[tuple[int, Record]]] = [[(i, r)] for i, r in enumerate(records)]
    for at, what, bit in harms:
        own = (at, records[at])
        if what == "drop":
            sent[at] = []
        elif what == "repeat":
            sent[at] = [own, own]
        elif what == "late":
            sent[min(at + 1 + bit % 3, LAST - 1)].append(own)
        elif what == "swap":
            sent[at], sent[at + 1] = sent[at + 1], sent[at]
        else:
            sent[at] = [(at, flipped(records[at], what, bit))]
    return [one for many in sent for one in many]


def spaced(draws: list[tuple[int, str, int]]) -> list[tuple[int, str, int]]:
    """Leave out what lies within four records of another harm: two that conspire can pass for a true one."""
    kept: list[tuple[int, str, int]] = []
    for one in sorted(draws):
        if not kept or one[0] - kept[-1][0] >= 5:
            kept.append(one)
    return kept


MISHAP = st.tuples(st.integers(0, LAST - 6), st.sampled_from(HARMS[:4]), st.integers(0, 62))
HARM = st.tuples(st.integers(0, LAST - 6), st.sampled_from(HARMS), st.integers(0, 62))


def run(made: Stream, arriving: list[tuple[int, Record]]) -> None:
    """Feed all, and hold each book that says it is synced to the unharmed stream."""
    desk = made.desk
    origin: dict[int, dict[int, int]] = {L1: {}, L2: {}}
    for number, record in arriving:
        level = L2 if record["level"] == "l2" else L1
        origin[level][desk.wire.offsets[f"book.{record['level']}"]] = number
        desk.feed(record)
        row = desk.engine.state.books[0]
        depth, quote = desk.channel("a", L2), desk.channel("a", L1)
        if depth["state"] == SYNCED:
            assert desk.depth(0) == made.depths[origin[L2][int(depth["offset"])]]
        if quote["state"] == SYNCED:
            true_bids, true_asks = made.quotes[origin[L1][int(quote["offset"])]]
            assert [(int(row["quote_bid_key"]), int(row["quote_bid_size"]))] == true_bids
            assert [(-int(row["quote_ask_key"]), int(row["quote_ask_size"]))] == true_asks


@settings(max_examples=400)
@given(st.integers(0, 10_000), st.integers(5, 12), st.lists(HARM, max_size=6))
def test_a_synced_book_is_that_of_the_unharmed_stream(
    seed: int, frame_every: int, draws: list[tuple[int, str, int]]
) -> None:
    made = stream(seed, frame_every)
    run(made, harm(made.records, spaced(draws)))
    last = made.desk.wire
    bids, asks = made.depths[-1]
    full = (sorted(bids.items(), reverse=True), sorted(asks.items()))
    made.desk.feed(last.delta(*SHARED), last.snapshot(*SHARED, *full, key_frame=True))
    assert made.desk.state("a") == SYNCED
    assert made.desk.depth(0) == made.depths[-1]


@settings(max_examples=200)
@given(
    st.integers(0, 10_000),
    st.integers(5, 12),
    st.lists(HARM.filter(lambda h: h[1] in HARMS[:4]), max_size=12),
)
def test_drops_repeats_and_reorderings_however_dense(
    seed: int, frame_every: int, draws: list[tuple[int, str, int]]
) -> None:
    made = stream(seed, frame_every)
    run(made, harm(made.records, draws))


@settings(max_examples=100)
@given(
    st.integers(0, 10_000), st.integers(5, 12), st.integers(1, LAST - 1), st.integers(0, 40), st.booleans()
)
def test_a_flipped_price_or_size_is_caught_by_the_next_key_frame(
    seed: int, frame_every: int, at: int, bit: int, price: bool
) -> None:
    made = stream(seed, frame_every)
    victim = made.records[at]
    if victim["kind"] != "delta":
        return
    field = "price_ticks" if price else "size_lots"
    row = dict(victim["bids"][0])
    row[field] ^= 1 << bit
    made.records[at] = {**victim, "bids": [row, *victim["bids"][1:]]}
    frames = [number for number, record in enumerate(made.records) if record["key_frame"] and number > at]
    for number, record in enumerate(made.records[: frames[1] + 1] if len(frames) > 1 else []):
        believed = made.desk.state("a") == SYNCED
        wrong = number == frames[0] and believed and made.desk.depth(0) != made.depths[number]
        made.desk.feed(record)
        if wrong:
            assert made.desk.state("a") != SYNCED  # the first frame after it sees it
        if number >= frames[0] and made.desk.state("a") == SYNCED:
            assert made.desk.depth(0) == made.depths[number]
        if number == frames[1]:
            assert made.desk.state("a") == SYNCED  # and the next one mends it
