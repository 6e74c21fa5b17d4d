"""Every venue file, by the rows of `venue_rows`: the story told right, harmed, cut off and begun again."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.feeds.protocol import Channel, Checksum, FeedState, MessageError, UpdateKind
from streams.feeds.registry import FEEDS
from tests.data import recording
from tests.feeds.conformance import (
    LAST,
    STATES,
    Answer,
    Row,
    Sample,
    Trial,
    decimals,
    instrument,
    mutated,
    rows,
    story,
    told,
    whole,
)

ROWS = rows()
EACH = pytest.mark.parametrize("row", ROWS, ids=[row.feed for row in ROWS])
OF_FILES = {"plain_quotes", "plain_depth"}  # of captures, not of venues


def test_every_venue_has_a_row() -> None:
    assert {row.feed for row in ROWS} == set(FEEDS) - OF_FILES


@pytest.mark.recording
@pytest.mark.parametrize(
    ("row", "sample"),
    [pytest.param(row, s, id=f"{row.feed}-{'+'.join(s.paths)}") for row in ROWS for s in row.samples],
)
def test_a_published_sample_gives_the_right_book(row: Row, sample: Sample) -> None:
    raws = [recording(path).read_bytes() for path in sample.paths]
    trial = Trial(row, **{"symbol": sample.symbol or row.symbol, **sample.instrument})
    for raw in raws[:-1]:
        trial.say(raw)
    if sample.refused is not None:
        with pytest.raises(MessageError, match=sample.refused):
            trial.say(raws[-1])
        return
    last = trial.say(raws[-1])
    if sample.wrong:
        assert [(u.kind, u.state, u.checksum) for u in last] == [
            (UpdateKind.CLEAR, FeedState.GAP, Checksum.WRONG)
        ]
        return
    if sample.quote is not None:
        assert [u.kind for u in last] == [UpdateKind.QUOTE]
        one = instrument(row, **sample.instrument)
        (bid,), (ask,) = decimals(((sample.quote[0],), (sample.quote[1],)))
        assert [(p * _unit(one.tick), s * _unit(one.lot)) for p, s in (*last[0].bids, *last[0].asks)] == [
            bid,
            ask,
        ]
        return
    assert trial.state is FeedState.SYNCED
    assert trial.text() == decimals((sample.bids, sample.asks))


def _unit(step: Any) -> Any:
    return step.__class__(1).scaleb(step.normalize().as_tuple().exponent)


@EACH
def test_the_story_gives_the_right_book_all_along(row: Row) -> None:
    trial = Trial(row)
    for number, raw in enumerate(story(row)):
        said = trial.say(raw)
        assert trial.holds(number)
        assert [u.kind for u in said] == [
            UpdateKind.DELTA if number and not row.wholes else UpdateKind.SNAPSHOT
        ]
    assert (trial.counts.gaps, trial.counts.ignored, trial.counts.unfit) == (0, 0, 0)


@EACH
def test_one_dropped(row: Row) -> None:
    answers = []
    for lost in range(1, LAST):
        trial, raws = Trial(row), story(row)
        for raw in raws[:lost]:
            trial.say(raw)
        answers.append(answer(trial, raws[lost + 1], lost + 1))
    assert_answer(answers, row.drop)


@EACH
def test_one_twice(row: Row) -> None:
    answers = []
    for twice in range(1, LAST + 1):
        trial, raws = Trial(row), story(row)
        for raw in raws[: twice + 1]:
            trial.say(raw)
        answers.append(answer(trial, raws[twice], twice))
        if row.repeat is not Answer.GAP and twice < LAST:
            trial.say(raws[twice + 1])
            assert trial.holds(twice + 1)
    assert_answer(answers, row.repeat)


@EACH
def test_two_that_changed_places(row: Row) -> None:
    answers = []
    for early in range(1, LAST):
        trial, raws = Trial(row), story(row)
        for raw in raws[:early]:
            trial.say(raw)
        first = answer(trial, raws[early + 1], early + 1)
        if first is not Answer.GAP:
            first = answer(trial, raws[early], early + 1)
        answers.append(first)
    assert_answer(answers, row.swap)


@EACH
def test_one_mutated(row: Row) -> None:
    answers = []
    for number in range(1, LAST + 1):
        trial, raws = Trial(row), story(row)
        for raw in raws[:number]:
            trial.say(raw)
        answers.append(answer(trial, mutated(row, number), number))
    assert_answer(answers, row.mutate)


def answer(trial: Trial, raw: bytes, number: int) -> Answer:
    """What came of a message after which the book should be that of state `number`."""
    before = trial.counts.ignored + trial.counts.unfit
    said = [u for u in trial.say(raw) if u.channel is Channel.L2]
    if trial.state is not FeedState.SYNCED:
        assert [(u.kind, u.state) for u in said] == [(UpdateKind.CLEAR, FeedState.GAP)]
        assert trial.state is FeedState.GAP
        assert trial.text() == ((), ())
        return Answer.GAP
    if not trial.holds(number):
        return Answer.UNSEEN
    if not said:
        assert trial.counts.ignored + trial.counts.unfit == before + 1
        return Answer.IGNORED
    return Answer.TAKEN


def assert_answer(answers: list[Answer], said: Answer) -> None:
    """All the same; of harm that is not seen, one that shows is enough."""
    if said is Answer.UNSEEN:
        assert Answer.UNSEEN in answers
        assert Answer.GAP not in answers
    else:
        assert set(answers) == {said}


@EACH
def test_a_snapshot_ends_a_gap(row: Row) -> None:
    trial = Trial(row)
    if row.drop is Answer.GAP:
        for number in (0, 1, 3):
            trial.say(row.encode(told(row, number)))
        assert trial.state is FeedState.GAP
    trial.say(row.encode(whole(3, 4)))
    assert trial.holds(3)
    for number in range(4, LAST + 1):
        trial.say(row.encode(told(row, number, number + 1)))
        assert trial.holds(number)


@EACH
def test_without_a_snapshot_nothing_is_synced(row: Row) -> None:
    if row.wholes:
        return
    trial = Trial(row)
    for number in range(1, LAST + 1):
        assert trial.say(row.encode(told(row, number))) == []
    assert trial.state is not FeedState.SYNCED


@EACH
def test_a_snapshot_older_than_the_stream(row: Row) -> None:
    """Asked for too early it changes nothing; late in the stream it never leads to a book that is wrong."""
    trial = Trial(row)
    if row.asked:
        for number in (3, 4):
            trial.say(row.encode(told(row, number)))
        assert trial.say(row.encode(whole(1, 1))) == []
        assert (trial.state, trial.counts.unfit) == (FeedState.RESYNC, 1)
        trial.say(row.encode(whole(3, 3)))
        assert trial.holds(4)
        assert trial.say(row.encode(whole(2, 2))) == []
        assert trial.holds(4)
        return
    raws = story(row)
    for raw in raws[:5]:
        trial.say(raw)
    trial.say(raws[0])
    assert trial.state is not FeedState.SYNCED or trial.holds(0) or trial.holds(4)
    trial.say(raws[5])
    assert trial.state is FeedState.GAP or trial.holds(5) or row.drop is Answer.UNSEEN


@EACH
def test_a_new_connection_begins_anew(row: Row) -> None:
    trial = Trial(row)
    raws = story(row)
    for raw in raws[:4]:
        trial.say(raw)
    cleared = trial.connect()
    assert [(u.kind, u.state) for u in cleared] == [(UpdateKind.CLEAR, FeedState.RESYNC)]
    assert (trial.state, trial.text()) == (FeedState.RESYNC, ((), ()))
    for number, raw in enumerate(raws):
        trial.say(raw)
        assert trial.holds(number)


# --- properties ---------------------------------------------------------------------------------------------


@st.composite
def harmed(draw: st.DrawFn, row: Row) -> list[bytes]:
    """The story with snapshots among it, and some of it lost, repeated or out of place."""
    sent: list[bytes] = [row.encode(whole(0, 0))]
    for number in range(1, LAST + 1):
        sent.append(row.encode(told(row, number, len(sent))))
        if draw(st.integers(0, 3)) == 0:
            sent.append(row.encode(whole(number, len(sent))))
    order: list[bytes] = []
    for message in sent:
        fate = draw(st.sampled_from(["kept", "kept", "kept", "lost", "twice", "late"]))
        if fate == "late" and order:
            order.insert(draw(st.integers(0, len(order) - 1)), message)
        elif fate != "lost":
            order += [message] * (2 if fate == "twice" else 1)
    return order


@EACH
@settings(max_examples=100)
@given(data=st.data())
def test_synced_means_a_book_of_the_unharmed_stream(row: Row, data: st.DataObject) -> None:
    trial = Trial(row)
    known = [decimals(state) for state in STATES]
    for raw in data.draw(harmed(row)):
        trial.say(raw)
        if trial.state is FeedState.SYNCED and row.watched:
            assert trial.text() in known


NASTY: st.SearchStrategy[Any] = st.sampled_from(
    [
        [], {}, [[]], [["1"]], [[1, 2]], [["1", "2"]] * 3, [None], None, True, 1.5, 0, -1, 2**53, 2**63,
        2**70, "", "x", "nan", "1e9999", "-0", "0.001", "0", "-1", "99999999999999999999", "\u0663", "\ud800",
        "2023-10-06T17:35:55.440295Z", "9999-99-99T00:00:00Z", "snapshot", "update", [[["1"], {}]],
    ]
)  # fmt: skip


@st.composite
def spoilt(draw: st.DrawFn, row: Row) -> bytes:
    """A right message with a value somewhere in it replaced or left out, or some bits turned; or any."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.one_of(st.binary(max_size=60), NASTY.map(lambda value: json.dumps(value).encode())))
    message: Any = json.loads(draw(st.sampled_from(story(row))))
    for _ in range(draw(st.integers(0, 2))):
        spoil(draw, message)
    raw = bytearray(json.dumps(message).encode())
    if draw(st.integers(0, 3)) == 0:
        raw[draw(st.integers(0, len(raw) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(raw)


def spoil(draw: st.DrawFn, message: Any) -> None:
    """One value of a JSON tree, at any depth."""
    while isinstance(message, dict | list) and message:
        keys = sorted(message) if isinstance(message, dict) else list(range(len(message)))
        key = draw(st.sampled_from(keys))
        if isinstance(message[key], dict | list) and message[key] and draw(st.integers(0, 3)):
            message = message[key]
            continue
        if draw(st.booleans()):
            message[key] = draw(NASTY.map(deepcopy))
        else:
            del message[key]
        return


@EACH
@settings(max_examples=200)
@given(data=st.data())
def test_a_venue_reads_it_or_says_why_not(row: Row, data: st.DataObject) -> None:
    """No traceback, and by hypothesis' deadline of 200 ms no hang."""
    trial = Trial(row)
    trial.say(story(row)[0])
    for raw in data.draw(st.lists(spoilt(row), min_size=1, max_size=3)):
        before = (trial.state, trial.text())
        try:
            said = trial.feed.receive(raw, trial.now)
        except MessageError:
            assert (trial.state, trial.text()) == before
            continue
        for update in said:
            for price, size in (*update.bids, *update.asks):
                assert 0 < price <= 2**53
                assert 0 <= size <= 2**53
            for number in (update.first_update_id, update.last_update_id, update.previous_update_id):
                assert number is None or 0 <= number < 2**53
            assert update.event_time_ns is None or 0 <= update.event_time_ns < 2**63
