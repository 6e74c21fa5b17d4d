"""Stream time: no record alone may move it far."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.controls import Elapsed
from strategies.engine import Outputs
from strategies.kernels.layout import SYNCED
from strategies.risk import Reason
from tests.strategies.desk import MS, START_NS, Desk, Record, batches, instrument, markets

LIMIT_NS = 10_000 * MS
HOUR_NS = 3_600_000 * MS


def desk_of_two() -> Desk:
    """Two books of one product."""
    return Desk(markets(instrument("b"), instrument("c")))


def take(desk: Desk, *records: Record) -> list[Reason]:
    """Take records whose Kafka timestamps are unknown, as of a recording; the reasons of risk events."""
    out = [desk.engine.take(batch) for batch in batches(records, "book.l2", range(len(records)))]
    return [event.reason for outputs in out for event in outputs.risk_events]


def beat(desk: Desk, receive_time_ns: int) -> Record:
    """A heartbeat of book b."""
    return desk.wire.record("b", "BTCUSDT", "l2", "heartbeat", receive_time_ns=receive_time_ns, session=0)


def now(desk: Desk) -> int:
    """The engine's stream time."""
    return int(desk.engine.state.clock["time"][0])


def test_time_is_the_largest_receive_time() -> None:
    desk = desk_of_two()
    take(desk, *(beat(desk, START_NS + ms * MS) for ms in (0, 5, 3, 9, 1)))
    assert now(desk) == START_NS + 9 * MS


def test_a_lone_time_far_ahead_never_moves_the_clock() -> None:
    desk = desk_of_two()
    take(desk, beat(desk, START_NS), beat(desk, START_NS + MS))
    for turn in range(5):
        found = take(desk, beat(desk, START_NS + HOUR_NS), beat(desk, START_NS + (2 + turn) * MS))
        assert found == ([Reason.CLOCK_JUMP] if turn == 0 else [])  # at most one a second of stream time
        assert now(desk) == START_NS + (2 + turn) * MS


def test_two_times_near_each_other_move_it() -> None:
    desk = desk_of_two()
    take(desk, beat(desk, START_NS), beat(desk, START_NS + MS))
    take(desk, beat(desk, START_NS + HOUR_NS))
    assert now(desk) == START_NS + MS
    take(desk, beat(desk, START_NS + HOUR_NS - LIMIT_NS))
    assert now(desk) == START_NS + HOUR_NS - LIMIT_NS


def test_two_far_times_that_are_not_near_each_other_do_not() -> None:
    desk = desk_of_two()
    take(desk, beat(desk, START_NS), beat(desk, START_NS + MS))
    take(desk, beat(desk, START_NS + HOUR_NS), beat(desk, START_NS + 3 * HOUR_NS))
    assert now(desk) == START_NS + MS


def test_the_first_time_may_be_wrong() -> None:
    for first in (START_NS + HOUR_NS, START_NS - HOUR_NS):
        desk = desk_of_two()
        take(desk, beat(desk, first), beat(desk, START_NS), beat(desk, START_NS + MS))
        assert now(desk) == START_NS + MS


def test_nothing_stays_dated_ahead_of_a_clock_that_was_turned_back() -> None:
    desk = desk_of_two()
    wire = desk.wire
    ahead = wire.snapshot("b", "BTCUSDT", [(100, 1)], [(110, 1)], receive_time_ns=START_NS + HOUR_NS)
    take(desk, ahead, wire.snapshot("c", "BTCUSDT", [(100, 1)], [(110, 1)]))
    assert now(desk) == START_NS
    assert desk.channel("b")["alive_time"] == START_NS  # and not in an hour, up to when it never grew old
    wire.now_ns += 3_000 * MS
    found = take(desk, wire.snapshot("c", "BTCUSDT", [(120, 1)], [(130, 1)]))
    assert found == [Reason.STALE]  # b is silent for 3 s


@settings(max_examples=300)
@given(
    st.lists(st.integers(0, 2_000), min_size=5, max_size=12),
    st.integers(0, 100),
    st.integers(34, 61),  # 2^34 ns are 17 s, more than the limit
)
def test_one_flipped_time_leaves_the_clock_where_the_good_ones_say(
    steps: list[int], at: int, bit: int
) -> None:
    desk = desk_of_two()
    times = [START_NS + sum(steps[: i + 1]) * MS for i in range(len(steps))]
    at %= len(times) - 1  # a record follows it
    good = max(times[:at] + times[at + 1 :])
    harmed = [t ^ (1 << bit) if i == at else t for i, t in enumerate(times)]
    take(desk, *(beat(desk, t) for t in harmed))
    assert now(desk) == good


def test_elapsed_time_adds_to_a_clock_that_runs() -> None:
    desk = desk_of_two()
    assert desk.engine.control(Elapsed(5 * MS)) == Outputs()
    assert now(desk) == 0
    take(desk, beat(desk, START_NS))
    desk.engine.control(Elapsed(5 * MS))
    assert now(desk) == START_NS + 5 * MS
    take(desk, beat(desk, START_NS + 2 * MS))
    assert now(desk) == START_NS + 5 * MS


def test_a_record_ahead_of_time_is_applied_and_dated_now() -> None:
    desk = desk_of_two()
    take(desk, beat(desk, START_NS), beat(desk, START_NS))
    desk.wire.sequences.clear()
    far = desk.wire.snapshot("c", "BTCUSDT", [(100, 1)], [(110, 1)], receive_time_ns=START_NS + HOUR_NS)
    take(desk, far)
    assert desk.state("c") == SYNCED
    assert desk.channel("c")["alive_time"] == START_NS
    assert desk.channel("c")["receive_time"] == START_NS
