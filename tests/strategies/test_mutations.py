"""10,000 mutated records among good ones: the right verdict on each, and only their own books lose trust."""

from __future__ import annotations

import random

import numpy as np

from schemas.batch import Batch, Messages
from strategies.engine import Engine
from strategies.kernels.layout import ASKS, BIDS, L1, L2, SYNCED
from tests.flow import Feed
from tests.mutations import Sent, agrees, frames, mutated, verdicts
from tests.naive_rules import NaiveRules
from tests.strategies.desk import Desk, instrument, markets

N = 10_000
VENUES = "abc"
SYMBOLS = [f"BTC-{i}" for i in range(7)]


def setting() -> tuple[Desk, list[Feed]]:
    """21 books on three venues, each quote currency a product of its own."""
    books = [instrument(venue, symbol, quote=f"Q{i}") for i, symbol in enumerate(SYMBOLS) for venue in VENUES]
    feeds = [Feed(b.venue, b.symbol, random.Random(f"{b.venue}{b.symbol}")) for b in books]
    return Desk(markets(*books)), feeds


def batch_of(one: Sent, offsets: dict[str, int]) -> Batch:
    """A batch of one."""
    offset = offsets.get(one.topic, 0)
    offsets[one.topic] = offset + 1
    at = np.array([offset], np.int64)
    keys, values = Messages.of([b"BTC"]), Messages.of([one.value])
    return Batch(one.topic, 0, at, np.array([-1], np.int64), keys, values)


def book_of(engine: Engine, record: dict[str, object]) -> int:
    """Index of the book a record names."""
    names = [(i.venue, i.symbol) for _, i in engine.plan.books]
    return names.index((record["venue"], record["symbol"]))


def test_mutated_records_among_good_ones() -> None:
    desk, feeds = setting()
    engine = desk.engine
    sent = mutated(desk.wire, feeds, N, 1)
    twin = verdicts(NaiveRules(engine.markets, ["BTC"]), sent, b"BTC")
    offsets: dict[str, int] = {}
    found = dict.fromkeys(("ok", "refused", "untrusted"), 0)
    struck: set[int] = set()  # books that a valid harmed copy named
    for one, (word, record) in zip(sent, twin, strict=True):
        reading = engine.read(batch_of(one, offsets))
        status = int(reading.records["status"][0])
        assert agrees(status, word), (one, status, word)
        before = engine.state.channels["state"].copy()
        engine.step(np.array([reading.source], np.int64), **{("l1", "l2")[reading.source]: reading})
        changed = np.flatnonzero((engine.state.channels["state"] != before).any(axis=1)).tolist()
        if record is None:
            found["refused"] += 1
            assert changed == []
            continue
        found["ok"] += 1
        own = book_of(engine, record)
        assert set(changed) <= {own}
        if one.harmed:
            struck.add(own)
        lost = any(
            before[own, level] == SYNCED != engine.state.channels["state"][own, level] for level in (L1, L2)
        )
        found["untrusted"] += lost
        assert not lost or own in struck
    assert found["refused"] > N // 2
    assert found["ok"] > N // 4 + N // 10
    assert found["untrusted"] > 100
    for one in frames(desk.wire, feeds):
        engine.take(batch_of(one, offsets))
    for feed in feeds:
        b = desk.at(feed.venue, feed.symbol)
        assert engine.state.channels["state"][b].tolist() == [SYNCED, SYNCED]
        assert engine.state.books["state"][b] == SYNCED
        assert (desk.fused(b, BIDS), desk.fused(b, ASKS)) == feed.sides()
        assert desk.depth(b) == feed.truth.copy()


def test_good_records_alone_leave_every_book_trusted() -> None:
    desk, feeds = setting()
    offsets: dict[str, int] = {}
    for one in mutated(desk.wire, feeds, 8_000, 2):
        if not one.harmed:
            desk.engine.take(batch_of(one, offsets))
    assert (desk.engine.state.channels["state"][:, L2] == SYNCED).all()
    assert int(desk.engine.state.channels["gaps"].sum()) == 0
    assert int(desk.engine.state.books["frame_differs"].sum()) == 0
