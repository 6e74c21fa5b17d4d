"""Depth of the engine against a slow twin that forgets nothing."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.kernels.layout import ASKS, BIDS, SYNCED
from tests.data import recording
from tests.naive_book import NaiveBook
from tests.strategies.desk import Desk, Levels, Record, instrument, markets

SIZES = st.sampled_from([0, 0, 1, 2, 3])


def side(low: int, high: int) -> st.SearchStrategy[Levels]:
    """Changes of one side in any order, a price perhaps twice, removals of absent levels among them."""
    return st.lists(st.tuples(st.integers(low, high), SIZES), max_size=14)


MESSAGES = st.lists(
    st.tuples(st.sampled_from(["snapshot", "delta", "delta", "delta"]), side(1, 20), side(21, 40)),
    min_size=1,
    max_size=12,
)


def desk_of(depth: int, slack: int, venue_cuts: bool = False) -> Desk:
    """A desk whose books are cut to `depth` once `slack` more do not fit."""
    desk = Desk(markets(instrument("b", depth=depth, venue_cuts=venue_cuts)))
    desk.engine.state.instruments["capacity"] = depth + slack
    return desk


def record_of(desk: Desk, kind: str, bids: Levels, asks: Levels, sort: bool) -> Record:
    """A record, its sides best first where `sort` says so."""
    if sort:
        bids, asks = sorted(bids, reverse=True), sorted(asks)
    return desk.wire.record("b", "BTCUSDT", "l2", kind, bids=bids, asks=asks)


@settings(max_examples=300)
@given(MESSAGES, st.integers(1, 6), st.integers(1, 4), st.booleans())
def test_every_level_above_the_horizon_is_that_of_the_whole_book(
    messages: list[tuple[str, Levels, Levels]], depth: int, slack: int, sort: bool
) -> None:
    desk, twin = desk_of(depth, slack), NaiveBook()
    desk.feed(desk.wire.snapshot("b", "BTCUSDT", [], []))
    most = [0, 0]  # levels a side had at most since its last snapshot, while a message was applied
    for kind, bids, asks in messages:
        record = record_of(desk, kind, bids, asks, sort)
        for s, changes in ((BIDS, bids), (ASKS, asks)):
            before = 0 if kind == "snapshot" else most[s]
            most[s] = max(before, len((twin.bids, twin.asks)[s]) * (kind == "delta") + len(changes))
        twin.take(record)
        desk.feed(record)
        assert desk.state("b") == SYNCED
        for s, sign, whole in ((BIDS, 1, twin.bids), (ASKS, -1, twin.asks)):
            held, horizon = desk.depth(0)[s], desk.horizon(0, s)
            known = {p: n for p, n in whole.items() if horizon is None or sign * p > horizon}
            assert held == known
            assert len(held) <= depth + slack
            if most[s] < depth:
                assert horizon is None  # nothing is forgotten without need
            once = len({p for p, _ in (bids, asks)[s]}) == len((bids, asks)[s])
            if kind == "snapshot" and once:
                assert len(held) >= min(depth, len(whole))


@settings(max_examples=200)
@given(MESSAGES, st.integers(1, 6), st.booleans())
def test_a_venue_that_cuts_is_cut_after_the_whole_message(
    messages: list[tuple[str, Levels, Levels]], depth: int, sort: bool
) -> None:
    desk, twin = desk_of(depth, 14, venue_cuts=True), NaiveBook(venue_cuts=depth)
    desk.feed(desk.wire.snapshot("b", "BTCUSDT", [], []))
    for kind, bids, asks in messages:
        record = record_of(desk, kind, bids, asks, sort)
        twin.take(record)
        desk.feed(record)
        assert desk.depth(0) == twin.copy()
        assert desk.horizon(0, BIDS) is None


def test_a_venue_that_cuts_may_replace_its_whole_book_in_one_message_new_levels_first() -> None:
    depth = 100  # more than the least slack
    desk, twin = Desk(markets(instrument("b", depth=depth, venue_cuts=True))), NaiveBook(venue_cuts=depth)
    old = [(1_000 - i, 5) for i in range(depth)]
    new = [(2_000 - i, 6) for i in range(depth - 1)]
    gone = [(price, 0) for price, _ in old[: depth - 1]]
    for record in (
        desk.wire.snapshot("b", "BTCUSDT", old, [(9_000, 1)]),
        desk.wire.delta("b", "BTCUSDT", new + gone, []),
    ):
        twin.take(record)
        desk.feed(record)
    assert desk.depth(0) == twin.copy()
    assert len(twin.bids) == depth


def test_a_message_too_large_for_a_venue_that_cuts_leaves_a_horizon_and_no_wrong_level() -> None:
    desk = desk_of(2, 1, venue_cuts=True)
    desk.feed(
        desk.wire.snapshot("b", "BTCUSDT", [(10, 1), (9, 1)], []),
        desk.wire.delta("b", "BTCUSDT", [(13, 1), (12, 1), (11, 1), (13, 0), (12, 0), (11, 0)]),
    )
    assert desk.horizon(0, BIDS) is not None
    assert desk.depth(0)[0] == {}  # 10 and 9 were cut off on the way: unknown, not gone


def test_published_states_of_a_depth_limited_book() -> None:
    """ccxt's own vectors: deleting inside a limited view must not bring back what was cut off."""
    published = json.loads(recording("vectors/book_vectors.json").read_text())["ccxt_orderbook_states"]

    def ticks(rows: list[list[float]]) -> Levels:
        return [(round(100 * price), int(size)) for price, size in rows]

    bids, asks = ticks(published["input"]["bids"]), ticks(published["input"]["asks"])
    whole = Desk(markets(instrument("b", depth=50)))
    whole.feed(whole.wire.snapshot("b", "BTCUSDT", [], []), whole.wire.delta("b", "BTCUSDT", bids, asks))
    expected = [dict(ticks(published["expected"][name])) for name in ("bids", "asks")]
    assert list(whole.depth(0)) == expected
    whole.feed(whole.wire.delta("b", "BTCUSDT", [(100_000, 0)]))
    assert list(whole.depth(0)) == expected

    limited = Desk(markets(instrument("b", depth=5)))
    limited.feed(limited.wire.snapshot("b", "BTCUSDT", [], ticks(published["expected"]["asks"])))
    assert limited.depth(0)[1] == dict(ticks(published["limit5_asks"]))
    limited.feed(limited.wire.delta("b", "BTCUSDT", [], [(1_550, 0)]))
    assert limited.depth(0)[1] == dict(ticks(published["limit5_after_delete_ask_15.5"]))
    limited.feed(limited.wire.delta("b", "BTCUSDT", [], [(1_660, 7)]))  # beyond the horizon: still unknown
    assert limited.depth(0)[1] == dict(ticks(published["limit5_after_delete_ask_15.5"]))


def test_a_snapshot_restores_what_the_limit_had_cut_off() -> None:
    desk = desk_of(2, 1)
    ladder = [(10, 1), (9, 2), (8, 3), (7, 4)]
    desk.feed(desk.wire.snapshot("b", "BTCUSDT", ladder, []))
    assert desk.horizon(0, BIDS) == 8  # what lies at or below it is not known
    desk.feed(desk.wire.delta("b", "BTCUSDT", [(10, 0), (9, 0)]))
    assert desk.depth(0)[0] == {}
    desk.feed(desk.wire.snapshot("b", "BTCUSDT", ladder[2:], [], key_frame=True))
    assert desk.depth(0)[0] == {8: 3, 7: 4}
    assert desk.horizon(0, BIDS) == 6
    assert desk.state("b") == SYNCED
    desk.feed(desk.wire.snapshot("b", "BTCUSDT", ladder[3:], []))
    assert desk.horizon(0, BIDS) is None


def test_key_frames_that_the_feed_cuts_to_the_depth_agree_as_the_book_wanders() -> None:
    """The feed holds more than it sends: what comes up from below its cut is no contradiction."""
    desk = Desk(markets(instrument("b", depth=3)))
    whole = [(20 - i, 1 + i) for i in range(12)]
    desk.feed(desk.wire.snapshot("b", "BTCUSDT", whole[:3], [], key_frame=True))
    for at in range(1, 9):
        desk.feed(desk.wire.delta("b", "BTCUSDT", [(whole[at - 1][0], 0)]))
        assert desk.state("b") == SYNCED
        desk.feed(desk.wire.snapshot("b", "BTCUSDT", whole[at : at + 3], [], key_frame=True))
        assert desk.state("b") == SYNCED
        assert desk.depth(0)[0] == dict(whole[at : at + 3])


def test_a_book_larger_than_its_limit_is_said_once() -> None:
    desk = Desk(markets(instrument("b", depth=3)))
    ladder = [(20 - i, 1) for i in range(5)]
    (event,) = desk.feed(desk.wire.snapshot("b", "BTCUSDT", ladder, [])).risk_events
    assert (event.reason, event.value, event.limit) == ("depth_limit_hit", 5, 3)
    assert desk.feed(desk.wire.snapshot("b", "BTCUSDT", ladder, [])).risk_events == []
    full = Desk(markets(instrument("b", depth=5)))
    assert full.feed(full.wire.snapshot("b", "BTCUSDT", ladder, [])).risk_events == []


FRAMES = [
    ("the same", [(10, 1), (9, 2), (8, 3)], True),
    ("more, where ours was cut off", [(10, 1), (9, 2), (8, 3), (7, 4), (5, 1)], True),
    ("another size", [(10, 1), (9, 1), (8, 3)], False),
    ("one level less", [(10, 1), (8, 3)], False),
    ("one level more", [(10, 1), (9, 2), (8, 3), (7, 5), (6, 9)], True),
    ("a level above our horizon that we lack", [(11, 1), (10, 1), (9, 2)], False),
    ("none at all", [], False),
    ("worst first", [(8, 3), (9, 2), (10, 1)], False),
]


@pytest.mark.parametrize(("name", "frame", "agrees"), FRAMES, ids=[f[0] for f in FRAMES])
def test_a_key_frame_is_compared(name: str, frame: Levels, agrees: bool) -> None:
    desk = desk_of(3, 1)
    desk.feed(desk.wire.snapshot("b", "BTCUSDT", [(10, 1), (9, 2), (8, 3), (7, 4)], []))
    desk.feed(desk.wire.snapshot("b", "BTCUSDT", frame, [], key_frame=True))
    assert (desk.state("b") == SYNCED) == agrees, name
    assert int(desk.engine.state.books["frame_differs"][0]) == (not agrees)


def test_a_frame_shows_a_level_above_the_horizon_after_ours_ends() -> None:
    desk = desk_of(3, 1)
    desk.feed(desk.wire.snapshot("b", "BTCUSDT", [(10, 1), (9, 2), (8, 3), (5, 4)], []))
    desk.feed(desk.wire.delta("b", "BTCUSDT", [(8, 0)]))
    desk.feed(desk.wire.snapshot("b", "BTCUSDT", [(10, 1), (9, 2), (7, 3)], [], key_frame=True))
    assert desk.state("b") != SYNCED  # we know that nothing lay at 7: our horizon is 5


@settings(max_examples=100)
@given(side(1, 20), side(21, 40), st.integers(1, 6))
def test_a_key_frame_of_the_book_itself_always_agrees(bids: Levels, asks: Levels, depth: int) -> None:
    desk, twin = desk_of(depth, 2), NaiveBook()
    first = desk.wire.snapshot(
        "b", "BTCUSDT", sorted(dict(bids).items(), reverse=True), sorted(dict(asks).items())
    )
    twin.take(first)
    desk.feed(first)
    frame = (sorted(twin.bids.items(), reverse=True), sorted(twin.asks.items()))
    assert all(a != b for rows in frame for a, b in pairwise(rows))
    out = desk.feed(desk.wire.snapshot("b", "BTCUSDT", *frame, key_frame=True))
    assert desk.state("b") == SYNCED
    assert [e for e in out.risk_events if e.reason == "key_frame_differs"] == []
