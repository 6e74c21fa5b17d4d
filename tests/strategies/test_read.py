"""Each rule broken once, alone among good neighbours; numbers brought exactly to one scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec
from schemas.batch import Batch, Messages
from schemas.reasons import Reason
from strategies.engine import EngineLimits, Reading
from tests.naive_rules import NaiveRules
from tests.strategies.desk import START_NS, Desk, Record, instrument, markets

MAX = 2**53
TWO_LEVELS = [{"price_ticks": 10, "size_lots": 1}] * 2


def desk_of_two() -> Desk:
    """Book b in cents, book c in dollars and tenths of a coin: the product's exponents are -2 and -4."""
    books = (instrument("b"), instrument("c", tick="1", lot="0.1"))
    return Desk(markets(*books), limits=EngineLimits(levels_per_record=3))


def good(desk: Desk, **more: Any) -> Record:
    """A delta of book b."""
    return desk.wire.delta("b", "BTCUSDT", [(100, 1)], [(110, 1)], **more)


def read(desk: Desk, *records: Record | bytes, key: bytes | None = b"BTC", topic: str = "book.l2") -> Reading:
    """Read records in one batch."""
    n = len(records)
    values: list[bytes | None] = [
        r if isinstance(r, bytes) else codec.encode("BookUpdate", r) for r in records
    ]
    stamps = np.full(n, START_NS // 1_000_000, np.int64)
    keys = Messages.of([key] * n)
    return desk.engine.read(Batch(topic, 0, np.arange(n, dtype=np.int64), stamps, keys, Messages.of(values)))


BROKEN: list[tuple[Reason, dict[str, Any]]] = [
    (Reason.UNKNOWN_BOOK, {"venue": "x"}),
    (Reason.UNKNOWN_BOOK, {"symbol": ""}),
    (Reason.WRONG_TOPIC, {"level": "l1"}),
    (Reason.WRONG_TOPIC, {"kind": "quote"}),
    (Reason.WRONG_TOPIC, {"kind": "heartbeat"}),
    (Reason.WRONG_TOPIC, {"kind": "clear"}),
    (Reason.EXPONENT_OUT_OF_BOUNDS, {"price_exponent": 19}),
    (Reason.EXPONENT_OUT_OF_BOUNDS, {"size_exponent": -19}),
    (Reason.PRICE_OUT_OF_BOUNDS, {"bids": [{"price_ticks": 0, "size_lots": 1}]}),
    (Reason.PRICE_OUT_OF_BOUNDS, {"asks": [{"price_ticks": -1, "size_lots": 1}]}),
    (Reason.PRICE_OUT_OF_BOUNDS, {"bids": [{"price_ticks": MAX + 1, "size_lots": 1}]}),
    (Reason.SIZE_OUT_OF_BOUNDS, {"bids": [{"price_ticks": 1, "size_lots": -1}]}),
    (Reason.SIZE_OUT_OF_BOUNDS, {"asks": [{"price_ticks": 1, "size_lots": MAX + 1}]}),
    (Reason.TOO_MANY_LEVELS, {"bids": TWO_LEVELS * 2}),
    (Reason.OFF_GRID, {"price_exponent": -3, "bids": [{"price_ticks": 11, "size_lots": 1}]}),
    (Reason.OFF_GRID, {"size_exponent": -5, "bids": [{"price_ticks": 10, "size_lots": 5}]}),
    (Reason.OFF_GRID, {"price_exponent": 18}),  # exact, but beyond 2^53 units
    (Reason.RECEIVE_TIME_AHEAD, {"receive_time_ns": START_NS + 5_000_000_001}),
    (Reason.NEGATIVE_TIME, {"receive_time_ns": 0}),
    (Reason.NEGATIVE_TIME, {"receive_time_ns": -(2**62)}),
    (Reason.NEGATIVE_TIME, {"event_time_ns": -1}),
    (Reason.SESSION_AFTER_RECEIVE, {"session": START_NS + 1}),
    (Reason.BAD_SEQUENCE, {"sequence": 0}),
    (Reason.BAD_SEQUENCE, {"session": -1}),
    (Reason.BAD_SEQUENCE, {"last_update_id": -2}),
    (Reason.BAD_SEQUENCE, {"first_update_id": 6, "last_update_id": 5}),
]


@pytest.mark.parametrize(
    ("reason", "change"), BROKEN, ids=[f"{r.word}-{i}" for i, (r, _) in enumerate(BROKEN)]
)
def test_each_rule_refuses_what_breaks_it_and_nothing_beside_it(
    reason: Reason, change: dict[str, Any]
) -> None:
    desk = desk_of_two()
    before, bad, after = good(desk), {**good(desk), **change}, good(desk)
    reading = read(desk, before, bad, after)
    assert reading.records["status"].tolist() == [0, reason, 0]
    assert reading.refused == 1
    assert reading.records["book"].tolist() == [0, reading.records["book"][1], 0]
    for at in (0, 2):
        row = reading.records[at]
        start = int(row["bid_start"])
        assert reading.items[start : start + 2].tolist() == [100, 1]
    rules = NaiveRules(desk.engine.markets, ["BTC"], levels_limit=3)
    value = codec.encode("BookUpdate", bad)
    assert rules.verdict("book.l2", b"BTC", value, START_NS // 10**6)[0] == reason.word


def test_the_key_names_the_group() -> None:
    desk = desk_of_two()
    assert read(desk, good(desk), key=None).records["status"].tolist() == [Reason.NO_KEY]
    assert read(desk, good(desk), key=b"ETH").records["status"].tolist() == [Reason.UNKNOWN_BOOK]
    assert read(desk, good(desk), key=b"").records["status"].tolist() == [Reason.UNKNOWN_BOOK]


def test_names_are_not_run_together() -> None:
    desk = desk_of_two()
    moved = {**good(desk), "venue": "bB", "symbol": "TCUSDT"}
    assert read(desk, moved).records["status"].tolist() == [Reason.UNKNOWN_BOOK]


def test_a_refused_record_changes_no_state() -> None:
    desk = desk_of_two()
    desk.feed(desk.wire.snapshot("b", "BTCUSDT", [(100, 1)], [(110, 1)]))
    before = desk.engine.state.channels.tobytes(), desk.engine.state.clock.tobytes()
    desk.feed({**good(desk), "sequence": 0}, b"nonsense")
    assert (desk.engine.state.channels.tobytes(), desk.engine.state.clock.tobytes()) == before


EDGES = [
    {"receive_time_ns": START_NS + 5_000_000_000},
    {"price_exponent": 18, "size_exponent": -18, "bids": [], "asks": []},
    {"bids": [{"price_ticks": MAX, "size_lots": MAX}]},
    {"bids": [{"price_ticks": 1, "size_lots": 0}]},
    {"last_update_id": -1, "previous_update_id": -1},
    {"first_update_id": 5, "last_update_id": 5},
    {"bids": [{"price_ticks": 1 + i, "size_lots": 1} for i in range(3)]},
]


@pytest.mark.parametrize("change", EDGES)
def test_what_lies_just_within_a_bound_is_taken(change: dict[str, Any]) -> None:
    desk = desk_of_two()
    assert read(desk, {**good(desk), **change}).records["status"].tolist() == [0]


@given(
    st.integers(1, MAX) | st.builds(lambda a, b: a * 10**b, st.integers(1, 99), st.integers(0, 14)),
    st.integers(0, MAX) | st.builds(lambda a, b: a * 10**b, st.integers(0, 99), st.integers(0, 14)),
    st.integers(-18, 18),
    st.integers(-18, 18),
)
def test_numbers_are_rescaled_exactly_or_refused(
    price: int, size: int, price_exponent: int, size_exponent: int
) -> None:
    desk = desk_of_two()
    level = {"price_ticks": price, "size_lots": size}
    scale = {"price_exponent": price_exponent, "size_exponent": size_exponent}
    record = desk.wire.record("c", "BTCUSDT", "l2", "delta", bids=[], asks=[], **scale)
    record["asks"] = [level]
    reading = read(desk, record)
    wanted = []
    for value, exponent, unit in ((price, price_exponent, -2), (size, size_exponent, -4)):
        up, down = 10 ** max(0, exponent - unit), 10 ** max(0, unit - exponent)
        exact = value * up % down == 0 and (value * up // down <= MAX or up == down == 1)
        wanted.append(value * up // down if exact else None)
    if None in wanted:
        assert reading.records["status"].tolist() == [Reason.OFF_GRID]
    else:
        assert reading.records["status"].tolist() == [0]
        start = int(reading.records["ask_start"][0])
        assert reading.items[start : start + 2].tolist() == wanted
    rules = NaiveRules(desk.engine.markets, ["BTC"])
    word = rules.verdict("book.l2", b"BTC", codec.encode("BookUpdate", record), -1)[0]
    assert word == ("ok" if reading.refused == 0 else "off_grid")
