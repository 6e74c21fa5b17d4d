"""The join of quotes and depth against a twin that builds the fused book level by level."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.kernels.layout import ASKS, BIDS, CROSSED, GAP, L1, SYNCED
from tests.naive_book import NaiveBook, Quote, fused_side, levels, quote_is_newer
from tests.strategies.desk import Desk, Levels, Record, instrument, markets

DEPTH = ([(100, 5), (99, 4), (97, 3)], [(102, 6), (103, 7), (105, 8)])


def joined(quote: tuple[Levels, Levels], **more: Any) -> Desk:
    """A desk whose book a has that depth, and a quote that is newer by id and time."""
    desk = Desk(markets(instrument("a"), instrument("b")))
    desk.feed(desk.wire.snapshot("a", "BTCUSDT", *DEPTH, last_update_id=10))
    desk.wait(1)
    desk.feed(desk.wire.quote("a", "BTCUSDT", *quote, **{"last_update_id": 11, **more}))
    return desk


CASES = [
    ("levels proven gone", ([(99, 9)], [(103, 1)]), [(99, 9), (97, 3)], [(103, 1), (105, 8)]),
    ("a better price", ([(101, 1)], [(102, 6)]), [(101, 1), *DEPTH[0]], DEPTH[1]),
    ("the best level's size", ([(100, 2)], [(102, 1)]), [(100, 2), *DEPTH[0][1:]], [(102, 1), *DEPTH[1][1:]]),
    ("between two levels", ([(98, 1)], [(104, 1)]), [(98, 1), (97, 3)], [(104, 1), (105, 8)]),
    ("beyond all levels", ([(50, 1)], [(150, 1)]), [(50, 1)], [(150, 1)]),
    ("only bids", ([(100, 1)], []), [(100, 1), *DEPTH[0][1:]], []),
    ("only asks", ([], [(102, 1)]), [], [(102, 1), *DEPTH[1][1:]]),
    ("a size of 0 is an empty side", ([(100, 0)], [(102, 1)]), [], [(102, 1), *DEPTH[1][1:]]),
    ("empty", ([], []), [], []),
]


@pytest.mark.parametrize(("name", "quote", "bids", "asks"), CASES, ids=[c[0] for c in CASES])
def test_a_newer_quote_rules_the_top(
    name: str, quote: tuple[Levels, Levels], bids: Levels, asks: Levels
) -> None:
    desk = joined(quote)
    assert desk.fused(0, BIDS) == bids, name
    assert desk.fused(0, ASKS) == asks, name
    assert desk.state("a") == SYNCED


def test_an_older_quote_says_nothing() -> None:
    desk = joined(([(99, 9)], [(103, 1)]), last_update_id=10, event_time_ns=None)
    assert (desk.fused(0, BIDS), desk.fused(0, ASKS)) == DEPTH  # the same id: the depth says more


def test_shared_ids_decide_before_times() -> None:
    desk = joined(([(99, 9)], [(103, 1)]), last_update_id=9)  # later by both clocks
    assert (desk.fused(0, BIDS), desk.fused(0, ASKS)) == DEPTH


ORDERS = [
    ("event times", {"event_time_ns": 5}, {"event_time_ns": 6}, True),
    ("event times against receive times", {"event_time_ns": 6}, {"event_time_ns": 5}, False),
    ("the same event time", {"event_time_ns": 5}, {"event_time_ns": 5}, False),
    ("no event time on the depth", {"event_time_ns": None}, {"event_time_ns": 1}, True),
    ("no event time on the quote", {"event_time_ns": 9}, {"event_time_ns": None}, True),
    ("ids that are not shared", {"last_update_id": 9}, {"last_update_id": 3}, True),
]


@pytest.mark.parametrize(("name", "depth", "quote", "newer"), ORDERS, ids=[o[0] for o in ORDERS])
def test_without_shared_ids_event_times_decide_and_else_receive_times(
    name: str, depth: Record, quote: Record, newer: bool
) -> None:
    desk = Desk(markets(instrument("b")))
    desk.feed(desk.wire.snapshot("b", "BTCUSDT", *DEPTH, **depth))
    desk.wait(1)
    desk.feed(desk.wire.quote("b", "BTCUSDT", [(99, 9)], [(103, 1)], **quote))
    assert desk.fused(0, BIDS)[0] == ((99, 9) if newer else (100, 5)), name


def test_an_untrusted_quote_is_passed_over_and_untrusted_depth_is_untrusted() -> None:
    desk = joined(([(99, 9)], [(103, 1)]))
    desk.feed(desk.wire.record("a", "BTCUSDT", "l1", "clear", state="gap"))
    assert desk.channel("a", L1)["state"] == GAP
    assert (desk.fused(0, BIDS), desk.fused(0, ASKS)) == DEPTH
    assert desk.state("a") == SYNCED
    desk.feed(desk.wire.quote("a", "BTCUSDT", [(100, 1)], [(102, 1)], last_update_id=12))
    desk.wire.delta("a", "BTCUSDT")  # lost
    desk.feed(desk.wire.delta("a", "BTCUSDT"))
    assert desk.state("a") == GAP


def test_a_book_of_quotes_alone() -> None:
    desk = Desk(markets(instrument("b", channels=("l1",)), instrument("c", channels=("l2",))))
    desk.feed(desk.wire.quote("b", "BTCUSDT", [(99, 9)], [(103, 1)]))
    assert desk.fused(0, BIDS) == [(99, 9)]
    assert desk.state("b") == SYNCED


SIDES = [
    st.dictionaries(st.integers(low, high), st.integers(1, 9), max_size=8)
    for low, high in ((1, 20), (21, 40))
]
QUOTED = st.one_of(st.none(), st.tuples(st.integers(1, 40), st.integers(0, 9)))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("snapshot"), *SIDES),
        st.tuples(
            st.just("delta"), *(st.dictionaries(st.integers(1, 40), st.integers(0, 3), max_size=3),) * 2
        ),
        st.tuples(st.just("quote"), QUOTED, QUOTED),
    ),
    min_size=1,
    max_size=10,
)
IDS = st.lists(st.one_of(st.none(), st.integers(0, 5)), min_size=10, max_size=10)


def made(desk: Desk, venue: str, step: Any, order: int | None) -> Record:
    """The record of a step; `order` is its update id or event time."""
    kind, bids, asks = step
    more = {"last_update_id" if venue == "a" else "event_time_ns": order}
    desk.wait(1)
    if kind == "quote":
        sides = [[] if side is None else [side] for side in (bids, asks)]
        return desk.wire.quote(venue, "BTCUSDT", *sides, **more)
    sides = [sorted(bids.items(), reverse=True), sorted(asks.items())]
    return desk.wire.record(venue, "BTCUSDT", "l2", kind, bids=sides[0], asks=sides[1], **more)


def quote_of(record: Record) -> Quote:
    """The twin's quote."""
    sides = [levels(record[name]) or [(0, 0)] for name in ("bids", "asks")]
    return Quote(sides[0][0], sides[1][0])


@settings(max_examples=400)
@given(STEPS, IDS, st.sampled_from("ab"))
def test_the_fused_book_is_the_twins_and_crosses_only_where_a_level_does(
    steps: list[Any], ids: list[int | None], venue: str
) -> None:
    desk, twin = Desk(markets(instrument(venue))), NaiveBook()
    quote: Record | None = None
    depth: Record | None = None
    for number, step in enumerate(steps):
        by = ids[number]
        order = None if by is None else 10 * number + 7 * by  # so that ids and times go back now and then
        before = quote if step[0] == "quote" else depth
        known = before["last_update_id"] if before else None
        if step[0] != "snapshot" and None not in (known, order) and venue == "a" and order < known:
            continue  # a contradiction: test_channel's
        record = made(desk, venue, step, order)
        desk.feed(record)
        if record["level"] == "l1":
            quote = record
        elif record["kind"] == "snapshot" or depth is not None:
            twin.take(record)
            depth = record
        if depth is None:
            continue
        if twin.crosses:
            assert desk.state(venue) == CROSSED
            depth, twin = None, NaiveBook()  # it waits for a snapshot
            continue
        newer = quote is not None and quote_is_newer(quote, depth, venue == "a")
        seen = quote_of(quote) if newer and quote else None
        bids = fused_side(twin.bids, seen.bid if seen else None, bids=True)
        asks = fused_side(twin.asks, seen.ask if seen else None, bids=False)
        assert desk.fused(0, BIDS) == [(p, s) for p, s, _ in bids]
        assert desk.fused(0, ASKS) == [(p, s) for p, s, _ in asks]
        sources = {source for _, _, source in bids[:1] + asks[:1]}
        assert sources <= {"l1" if desk.engine.state.books["overlay"][0] else "l2"}
        crosses = bool(bids and asks) and bids[0][0] >= asks[0][0]
        assert (desk.state(venue) == CROSSED) == crosses
        assert not crosses or (seen is not None and seen.crosses)
