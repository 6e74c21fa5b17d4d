"""The measure of the join: how often quotes and depth agree, and which is ahead."""

from __future__ import annotations

from collections import deque
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.kernels.layout import RECENT
from tests.strategies.desk import Desk, Record, instrument, markets


def counts(desk: Desk, venue: str = "a") -> tuple[int, int]:
    """Depth updates that agreed and disagreed."""
    book = desk.engine.state.books[desk.at(venue)]
    return int(book["agreed"]), int(book["disagreed"])


def start(venue: str = "a", **more: Any) -> Desk:
    """A book whose depth waits to be judged."""
    desk = Desk(markets(instrument(venue)))
    desk.feed(desk.wire.snapshot(venue, "BTCUSDT", [(100, 5)], [(102, 6)], **{"last_update_id": 10, **more}))
    return desk


def quote(
    desk: Desk, update_id: int, bid: tuple[int, int] = (100, 5), ask: tuple[int, int] = (102, 6)
) -> Record:
    """A quote of book a."""
    desk.wait(1)
    return desk.wire.quote("a", "BTCUSDT", [bid], [ask], last_update_id=update_id)


def test_depth_is_judged_by_the_last_quote_up_to_it_once_a_later_one_has_come() -> None:
    desk = start()
    desk.feed(quote(desk, 8, (99, 1)), quote(desk, 10))
    assert counts(desk) == (0, 0)  # another quote of id 10 may still come
    desk.feed(quote(desk, 11, (101, 1)))
    assert counts(desk) == (1, 0)
    desk.feed(quote(desk, 12))
    assert counts(desk) == (1, 0)  # once


def test_price_and_size_of_both_sides_count() -> None:
    for bid, ask in (((99, 5), (102, 6)), ((100, 4), (102, 6)), ((100, 5), (103, 6)), ((100, 5), (102, 7))):
        desk = start()
        desk.feed(quote(desk, 9, bid, ask), quote(desk, 11))
        assert counts(desk) == (0, 1)


def test_depth_that_comes_late_is_judged_at_once() -> None:
    desk = Desk(markets(instrument("a")))
    desk.feed(quote(desk, 9), quote(desk, 12, (101, 1)))
    desk.feed(desk.wire.snapshot("a", "BTCUSDT", [(100, 5)], [(102, 6)], last_update_id=10))
    assert counts(desk) == (1, 0)


def test_without_a_quote_up_to_it_nothing_is_judged() -> None:
    desk = start()
    desk.feed(quote(desk, 11), quote(desk, 12))
    assert counts(desk) == (0, 0)


def test_several_depth_updates_wait_for_the_same_quote() -> None:
    desk = start()
    desk.feed(quote(desk, 9, (1, 1)))
    desk.feed(desk.wire.delta("a", "BTCUSDT", [(101, 2)], last_update_id=20))
    desk.feed(quote(desk, 19, (101, 2)))
    assert counts(desk) == (0, 1)
    desk.feed(quote(desk, 21))
    assert counts(desk) == (1, 1)


def test_what_waits_behind_too_many_is_not_judged() -> None:
    desk = start()
    desk.feed(quote(desk, 9))
    desk.feed(*(desk.wire.delta("a", "BTCUSDT", last_update_id=11 + i) for i in range(RECENT)))
    desk.feed(quote(desk, 1_000))
    assert counts(desk) == (RECENT, 0)


def test_a_run_of_ids_that_starts_anew_is_not_compared_with_the_last_one() -> None:
    desk = start()
    desk.feed(quote(desk, 9, (1, 1)))
    desk.feed(desk.wire.snapshot("a", "BTCUSDT", [(50, 1)], [(60, 1)], last_update_id=3))
    desk.feed(desk.wire.record("a", "BTCUSDT", "l1", "clear", state="gap"))
    desk.feed(quote(desk, 2, (50, 1), (60, 1)), quote(desk, 8))
    assert counts(desk) == (0, 0)


def test_a_key_frame_that_agrees_is_not_judged_again() -> None:
    desk = start()
    desk.feed(quote(desk, 9), quote(desk, 11))
    frame = desk.wire.snapshot("a", "BTCUSDT", [(100, 5)], [(102, 6)], last_update_id=10, key_frame=True)
    desk.feed(frame, quote(desk, 12))
    assert counts(desk) == (1, 0)


def test_event_times_must_be_equal_where_ids_are_not_shared() -> None:
    desk = start("b", event_time_ns=50)
    for time, bid in ((49, 1), (50, 100), (51, 1)):
        desk.feed(desk.wire.quote("b", "BTCUSDT", [(bid, 5)], [(102, 6)], event_time_ns=time))
    assert counts(desk, "b") == (1, 0)
    desk.feed(desk.wire.delta("b", "BTCUSDT", [(101, 5)], event_time_ns=60))
    for time in (59, 61):
        desk.feed(desk.wire.quote("b", "BTCUSDT", [(90, 5)], [(102, 6)], event_time_ns=time))
    assert counts(desk, "b") == (1, 0)


def test_which_one_led_is_counted_once_for_each_update() -> None:
    desk = start()
    desk.feed(quote(desk, 11), quote(desk, 12))
    desk.feed(desk.wire.delta("a", "BTCUSDT", [(101, 2)], last_update_id=20))
    book = desk.engine.state.books[0]
    assert (int(book["quote_led"]), int(book["depth_led"])) == (2, 1)


MOVES = st.lists(st.tuples(st.sampled_from("qqd"), st.integers(0, 3), st.integers(1, 2)), max_size=60)


@settings(max_examples=200)
@given(MOVES)
def test_the_counts_are_those_of_a_slow_twin(moves: list[tuple[str, int, int]]) -> None:
    desk = start()
    ids = {"q": 0, "d": 10}
    quotes: deque[tuple[int, int]] = deque(maxlen=RECENT)
    waiting = [(10, 5)]
    agreed = disagreed = 0
    for who, step, size in moves:
        ids[who] += step
        if who == "q":
            desk.feed(quote(desk, ids["q"], (100, size)))
            quotes.append((ids["q"], size))
        else:
            desk.feed(desk.wire.delta("a", "BTCUSDT", [(100, size)], last_update_id=ids["d"]))
            waiting.append((ids["d"], size))
        for depth in [d for d in waiting if quotes and quotes[-1][0] > d[0]]:
            upto = [size for number, size in quotes if number <= depth[0]]
            if upto:
                agreed += upto[-1] == depth[1]
                disagreed += upto[-1] != depth[1]
            waiting.remove(depth)
    assert counts(desk) == (agreed, disagreed)
