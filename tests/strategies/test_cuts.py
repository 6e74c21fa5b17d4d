"""The outcome depends on the records and their order, and on no cut of the batches."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.batch import Batch
from strategies.engine import Engine, Outputs, Reading
from strategies.kernels import layout
from strategies.kernels.state import State
from strategies.kernels.step import interleave
from tests.flow import Feed, flow
from tests.strategies.desk import TOPICS, Desk, Record, batches, markets

SCRATCH = {"usable", "found", "scratch", "events", "event_legs"}
VENUES = "abc"


def state_bytes(state: State) -> dict[str, bytes]:
    """Every array that is state."""
    return {name: array.tobytes() for name, array in state._asdict().items() if name not in SCRATCH}


def market(seed: int, n: int = 250) -> tuple[list[Record], list[Record]]:
    """Records of both topics; some are lost, some are copies, times go back now and then."""
    desk = Desk()
    feeds = [Feed(v, "BTCUSDT", random.Random(f"{seed}{v}"), 10_000) for v in VENUES]
    records = flow(desk.wire, feeds, n, seed)
    draw = random.Random(seed)
    records = [r for r in records for _ in range(draw.choice([0] + [1] * 30 + [2]))]
    for record in records:
        if draw.random() < 0.05:
            record["receive_time_ns"] -= draw.randrange(10**7)
            record["session"] = 0
    l1, l2 = ([r for r in records if r["level"] == level] for level in ("l1", "l2"))
    return l1, l2


def collect(into: Outputs, more: Outputs) -> None:
    """Join outputs."""
    into.signals.extend(more.signals)
    into.risk_events.extend(more.risk_events)


def run_merged(engine: Engine, l1: list[Batch], l2: list[Batch]) -> Outputs:
    """Both topics through `interleave`: a topic goes on alone only once the other has ended."""
    out = Outputs()
    waiting = [l1[::-1], l2[::-1]]
    held: list[Reading | None] = [None, None]
    at = [0, 0]
    while True:
        for source in (0, 1):
            reading = held[source]
            if (reading is None or at[source] == len(reading)) and waiting[source]:
                held[source], at[source] = engine.read(waiting[source].pop()), 0
        rows = [engine.records_of(reading) for reading in held]
        ended = [at[s] == len(rows[s]) and not waiting[s] for s in (0, 1)]
        if all(ended):
            return out
        order = np.zeros(len(rows[0]) + len(rows[1]), np.int64)
        taken, *at = interleave(rows[0], at[0], rows[1], at[1], order, int(ended[1]), int(ended[0]))
        collect(out, engine.step(order[:taken], held[0], held[1]))


CUTS = st.lists(st.integers(1, 250), max_size=20)


@settings(max_examples=40)
@given(st.integers(0, 10**6), CUTS, CUTS)
def test_both_topics_in_any_cut(seed: int, cuts_l1: list[int], cuts_l2: list[int]) -> None:
    quotes, depth = market(seed)
    results: list[Any] = []
    for first, second in (((), ()), (cuts_l1, cuts_l2), (range(250), range(250))):
        engine = Desk(markets(update_size_pct=1, max_notional=5_000)).engine
        out = run_merged(engine, batches(quotes, TOPICS[0], first), batches(depth, TOPICS[1], second))
        results.append((out, state_bytes(engine.state)))
    assert results[0] == results[1] == results[2]
    assert results[0][0].signals  # or nothing would be proven


@settings(max_examples=20)
@given(st.integers(0, 10**6), CUTS)
def test_one_topic_in_any_cut(seed: int, cuts: list[int]) -> None:
    _, depth = market(seed)
    results = []
    for some in ((), cuts):
        engine, out = Desk().engine, Outputs()
        for batch in batches(depth, TOPICS[1], some):
            collect(out, engine.take(batch))
        results.append((out, state_bytes(engine.state)))
    assert results[0] == results[1]


def test_outputs_that_do_not_fit_at_once_are_none_the_less_all_there() -> None:
    """One record may close every episode; a long batch makes more events than the engine holds at once."""
    _, depth = market(3, 2_000)
    whole, single = Desk(markets(update_size_pct=0.001)), Desk(markets(update_size_pct=0.001))
    (batch,) = batches(depth, TOPICS[1], ())
    out, parts = whole.engine.take(batch), Outputs()
    for one in batches(depth, TOPICS[1], range(len(depth))):
        collect(parts, single.engine.take(one))
    assert len(out.signals) > len(whole.engine.state.events)
    assert out == parts


def rows_of(times: list[int]) -> np.ndarray[Any, Any]:
    """Records with these receive times."""
    rows = np.zeros(len(times), layout.RECORD)
    rows["receive_time"] = times
    return rows


TIMES = st.lists(st.integers(0, 20), max_size=12)


@given(TIMES, TIMES)
def test_records_are_taken_by_receive_time_and_each_topic_keeps_its_order(
    first: list[int], second: list[int]
) -> None:
    order = np.zeros(len(first) + len(second), np.int64)
    taken, i, j = interleave(rows_of(first), 0, rows_of(second), 0, order, 0, 0)
    got = [(int(code & 1), int(code >> 1)) for code in order[:taken]]
    assert [k for s, k in got if s == 0] == list(range(i))
    assert [k for s, k in got if s == 1] == list(range(j))
    assert i == len(first) or j == len(second)  # it waits where one has nothing more
    at = [0, 0]
    for source, index in got:
        other = (second, first)[source]
        own, theirs = (first, second)[source][index], other[at[1 - source]]
        assert (
            own < theirs
            or (own == theirs and source == 0)
            or (own <= theirs and source == 1 and own < theirs)
        )
        at[source] += 1
    order = np.zeros(len(first) + len(second), np.int64)
    taken, i, j = interleave(rows_of(first), 0, rows_of(second), 0, order, 1, 1)
    assert (taken, i, j) == (len(order), len(first), len(second))
