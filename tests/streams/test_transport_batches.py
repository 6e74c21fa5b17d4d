"""Cutting and joining batches, against lists of records."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import numpy as np
import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from schemas.batch import Batch, Messages
from streams.transport.batches import batch_of, cut, gather, nbytes, part, runs_of
from streams.transport.client import Jump

Row = tuple[int, int, bytes | None, bytes | None]
texts = st.one_of(st.none(), st.binary(max_size=12))
rows = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 9), texts, texts), min_size=1, max_size=30)


def batch(records: list[Row], first: int = 0, epoch: int = 1) -> Batch:
    steps = np.array([r[0] for r in records], np.int64)
    times = np.array([r[1] for r in records], np.int64)
    offsets = first + np.cumsum(steps) - steps[0]
    keys, values = Messages.of([r[2] for r in records]), Messages.of([r[3] for r in records])
    return Batch("t", 3, offsets, times, keys, values, end=99, epoch=epoch)


def records(found: Batch) -> list[Row]:
    return [
        (int(found.offsets[i]), int(found.timestamps_ms[i]), found.keys[i], found.values[i])
        for i in range(len(found))
    ]


@given(rows, st.integers(1, 8), st.integers(1, 40))
def test_pieces_are_the_whole_and_keep_to_the_limits(found: list[Row], most: int, size: int) -> None:
    whole = batch(found)
    pieces = cut(whole, most, size)
    assert [r for piece in pieces for r in records(piece)] == records(whole)
    assert all(len(piece) <= most for piece in pieces)
    assert all(nbytes(piece) <= size or len(piece) == 1 for piece in pieces)
    # No piece could have taken the first record of the next one as well.
    for piece, following in pairwise(pieces):
        assert len(piece) == most or nbytes(piece) + nbytes(part(following, 0, 1)) > size


@given(st.lists(rows, min_size=1, max_size=6), st.integers(1, 60), st.integers(1, 200))
def test_what_waits_is_gathered_whole_and_in_order(found: list[list[Row]], most: int, size: int) -> None:
    batches = []
    first = 0
    for of_one in found:
        batches.append(batch(of_one, first))
        first = batches[-1].last_offset + 1
    # Cut once more, so that views with offsets into a shared buffer are joined too.
    waiting: deque[Batch | Jump] = deque(p for b in batches for p in cut(b, 7, 50))
    sizes = [(len(b), nbytes(b)) for b in waiting]
    expected = [r for b in batches for r in records(b)]
    got: list[Row] = []
    while waiting:
        before = len(waiting)
        one = gather(waiting, most, size)
        taken = before - len(waiting)
        got += records(one)
        assert taken == 1 or (len(one) <= most and nbytes(one) <= size)
        left = sizes[before * -1 :]
        if waiting:  # the next one would not have fitted
            n, total = map(sum, zip(*left[: taken + 1], strict=True))
            assert n > most or total > size
    assert got == expected


def test_gathering_stops_at_a_jump_and_refuses_to_mix_epochs() -> None:
    one, two = batch([(1, 0, None, b"a")]), batch([(1, 0, None, b"b")], 1)
    waiting: deque[Batch | Jump] = deque([one, Jump("t", 3, 1, 7), two])
    assert records(gather(waiting, 10, 100)) == records(one)
    with pytest.raises(ValueError, match="no batch waits"):
        gather(waiting, 10, 100)
    with pytest.raises(ValueError, match="several partitions or epochs"):
        gather(deque([one, batch([(1, 0, None, b"b")], 1, epoch=2)]), 10, 100)


def message(topic: str, partition: int, offset: int, value: bytes | None) -> Message:
    return Message(
        topic=topic, partition=partition, offset=offset, value=value, timestamp=(1, 1_000 + offset)
    )


def test_messages_of_many_partitions_become_one_batch_each_in_their_order() -> None:
    mixed = [
        message("a", 0, 5, b"x"),
        message("b", 0, 1, b""),
        message("a", 0, 7, None),
        message("a", 1, 3, b"y"),
        message("b", 0, 2, b"z"),
    ]
    runs = runs_of(mixed)
    found = {partition: batch_of(partition, of_one, 10, 4) for partition, of_one in runs.items()}
    assert {p: records(b) for p, b in found.items()} == {
        ("a", 0): [(5, 1_005, None, b"x"), (7, 1_007, None, None)],
        ("b", 0): [(1, 1_001, None, b""), (2, 1_002, None, b"z")],
        ("a", 1): [(3, 1_003, None, b"y")],
    }
    assert all((b.topic, b.partition) == p and (b.end, b.epoch) == (10, 4) for p, b in found.items())
