"""What may be committed, and what is held back, of one partition."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from schemas.batch import Batch, Messages
from streams.transport.client import Jump, Place, Record
from streams.transport.in_flight import InFlight
from streams.transport.place import STALE, Delivered, PartitionPlace

AT = TP("t", 0)


def batch(first: int, last: int) -> Batch:
    offsets = np.array([first, last] if last > first else [first], np.int64)
    nothing = Messages.of([b"v"] * len(offsets))
    return Batch("t", 0, offsets, offsets, nothing, nothing)


def hand_over(
    place: PartitionPlace, held: Batch | Record, is_current: Callable[[Delivered], bool] = lambda _: True
) -> Delivered:
    message = Delivered(place, held, 5, is_current, lambda m: None if m.stale else m.at.settle())
    place.delivered.append(message)
    place.delivered_to = message.last_offset + 1
    return message


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=12), st.randoms())
def test_committable_is_the_end_of_the_acked_head(
    steps: list[tuple[int, int]], chance: random.Random
) -> None:
    """Offsets with holes, acks in any order: never past the first that is not acked, never short of it."""
    place = PartitionPlace(AT, 3, None, 1)
    messages = []
    following = 3
    for hole, length in steps:
        messages.append(hand_over(place, batch(following + hole, following + hole + length)))
        following += hole + length + 1
    order = list(range(len(messages)))
    chance.shuffle(order)
    acked: set[int] = set()
    for index in order:
        messages[index].tracked = True
        messages[index].acked = True
        acked.add(index)
        head = next((i for i in range(len(messages)) if i not in acked), len(messages))
        assert place.done == (None if head == 0 else messages[head - 1].last_offset + 1)
    assert place.untouched_at == following


def test_what_is_skipped_instead_of_processed_holds_back_everything_behind_it() -> None:
    """Pure-Python streams ack what they skip while flow is suspended."""
    flowing = True
    place = PartitionPlace(AT, 0, None, 1)
    first, skipped, last = (hand_over(place, batch(n, n), lambda _: flowing) for n in range(3))
    first.tracked = first.acked = True
    flowing = False
    skipped.acked = True
    last.tracked = last.acked = True  # was with the agent already, and is done
    assert place.done == 1
    assert place.untouched_at is None
    place.begin(1, epoch=2)
    assert (place.done, place.untouched_at) == (None, 1)


def test_a_refused_record_is_acked_untaken_and_counts() -> None:
    """Faust acks what it cannot decode without any stream having taken it."""
    place = PartitionPlace(AT, 0, None, 1)
    hand_over(place, batch(0, 4)).acked = True
    assert place.done == 5


def test_after_a_seek_old_messages_are_stale_and_their_acks_mean_nothing() -> None:
    place = PartitionPlace(AT, 0, None, 1)
    old = hand_over(place, batch(0, 9))
    assert old.generation_id == 5
    place.begin(4, epoch=2)
    assert old.generation_id == STALE
    old.tracked = old.acked = True
    new = hand_over(place, batch(4, 9))
    assert place.done is None
    new.tracked = new.acked = True
    assert place.done == 10


def test_progress_is_what_no_stream_has_taken_and_the_position_when_all_is_taken() -> None:
    place = PartitionPlace(AT, 0, None, 1)
    assert place.next_offset == 0
    place.arrive(batch(0, 9))
    place.arrive(batch(10, 19))
    place.place = Place(22, 0, 22)  # two transaction markers behind the last record
    assert place.next_offset == 0
    message = hand_over(place, place.take(1, 1_000))
    assert (message.first_offset, message.last_offset) == (0, 9)
    assert place.next_offset == 0  # handed over, but in Faust's queue
    message.tracked = True
    assert place.next_offset == 10
    message = hand_over(place, place.take(1, 1_000))
    message.tracked = True
    assert place.next_offset == 22
    place.arrive(Jump("t", 0, 20, 50))
    assert place.next_offset == 20
    jump = place.take(1, 1_000)
    assert isinstance(jump, Jump)
    place.jumped(jump)
    assert place.next_offset == 50


def test_progress_passes_a_jump_that_came_before_the_last_batch_was_taken() -> None:
    place = PartitionPlace(AT, 0, None, 1)
    place.arrive(batch(0, 9))
    place.arrive(Jump("t", 0, 10, 50))
    message = hand_over(place, place.take(1, 1_000))
    jump = place.take(1, 1_000)
    assert isinstance(jump, Jump)
    place.jumped(jump)
    assert place.next_offset == 0
    message.tracked = True
    assert place.next_offset == 50


def test_a_record_keeps_what_faust_wants_of_it() -> None:
    place = PartitionPlace(AT, 0, None, 1)
    message = hand_over(place, Record(7, 1_500, 1, b"k", b"v", [("h", b"1")]))
    assert (message.offset, message.timestamp, message.key, message.value) == (7, 1.5, b"k", b"v")
    assert (message.headers, message.tp, message.tracked, message.acked) == ([("h", b"1")], AT, False, False)


@pytest.mark.parametrize(("records", "size", "full"), [(9, 9, False), (10, 1, True), (1, 100, True)])
def test_either_limit_makes_it_full(records: int, size: int, full: bool) -> None:
    held = InFlight(10, 100)
    held.start(("t", 0), 1)
    held.add(("t", 0), 1, records, size)
    assert held.full is full


def test_what_belongs_to_an_epoch_that_is_over_is_not_counted() -> None:
    held = InFlight(100, 1_000)
    held.start(("t", 0), 1)
    held.start(("t", 1), 2)
    held.add(("t", 0), 1, 60, 10)
    held.add(("t", 1), 2, 30, 10)
    assert held.over() == {("t", 0)}  # more than 50 of 100
    assert held.over(0.5) == {("t", 0), ("t", 1)}
    held.start(("t", 0), 3)
    assert (held.records, held.bytes) == (30, 10)
    held.release(("t", 0), 1, 60, 10)
    held.add(("t", 2), 1, 5, 5)
    assert (held.records, held.bytes) == (30, 10)
    held.release(("t", 1), 2, 30, 10)
    held.stop(("t", 0))
    assert (held.records, held.bytes, held.released.is_set()) == (0, 0, True)
    assert list(held.partitions()) == [("t", 1)]
