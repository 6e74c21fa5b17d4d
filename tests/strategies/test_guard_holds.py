"""Nothing is published from a book that is not synced or too old, nor while a kill or the gate forbids it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.controls import Elapsed, Gate, Order
from strategies.engine import Outputs
from strategies.risk import Command, CommandAction, Reason, Scope
from strategies.signals import Action, Cause, Leg, Side, Signal
from tests.flow import Feed, flow
from tests.naive_book import NaiveBook, Quote, fused_side, levels, quote_is_newer
from tests.strategies.desk import MAX_AGE_MS, MS, Desk, Record

VENUES = "abc"
EXACT = 1e-9


@dataclass
class TwinBook:
    """What may be believed of one book, recomputed from its records."""

    book: NaiveBook = field(default_factory=NaiveBook)
    depth: Record | None = None  # last depth record while the depth is trusted
    quote: Record | None = None  # the same of quotes
    last: dict[str, int] = field(default_factory=dict)  # sequence of each level
    alive: dict[str, int] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)

    def take(self, record: Record, offset: int) -> bool:
        """Take a record that is no duplicate; True where the book may have changed."""
        level, kind = record["level"], record["kind"]
        whole = kind in ("snapshot", "quote")
        if level not in self.last and not whole:
            return False
        broken = not whole and record["sequence"] != self.last[level] + 1
        if broken:
            self._set(level, None)
            return True
        self.last[level] = record["sequence"]
        self.alive[level] = record["receive_time_ns"]
        if kind == "heartbeat" or (kind == "delta" and self.depth is None):
            return kind == "delta"
        self.offsets[level] = offset
        if level == "l2":
            self.book.take(record)
        self._set(level, record)
        return True

    def _set(self, level: str, record: Record | None) -> None:
        if level == "l1":
            self.quote = record
        else:
            self.depth = record

    def trusted(self, now_ns: int) -> bool:
        """True where it may be traded on."""
        return self.depth is not None and now_ns - self.alive["l2"] <= MAX_AGE_MS * MS

    def side(self, bids: bool, shared: bool) -> list[tuple[int, int, str]]:
        """A side of the fused book."""
        assert self.depth is not None
        newer = self.quote is not None and quote_is_newer(self.quote, self.depth, shared)
        seen: Any = None
        if newer and self.quote:
            rows = [levels(self.quote[name]) or [(0, 0)] for name in ("bids", "asks")]
            quote = Quote(rows[0][0], rows[1][0])
            seen = quote.bid if bids else quote.ask
        return fused_side(self.book.bids if bids else self.book.asks, seen, bids)


def holds(leg: Leg, twin: TwinBook) -> None:
    """The leg can be filled from the twin's book at no worse a price than it says."""
    bids = leg.side is Side.SELL
    left, money = leg.size_lots, 0
    for price, size, _ in twin.side(bids, leg.venue == "a"):
        if left == 0 or (price < leg.limit_price_ticks if bids else price > leg.limit_price_ticks):
            break
        money += price * min(left, size)
        left -= min(left, size)
    assert left == 0
    assert abs(money / leg.size_lots / 100 - leg.expected_price) < EXACT * leg.expected_price


def start(seed: int) -> tuple[Desk, list[Feed]]:
    """Three books around one price."""
    draw = random.Random(seed)
    feeds = [Feed(v, "BTCUSDT", random.Random(f"{seed}{v}"), 10_000 + draw.randint(-4, 4)) for v in VENUES]
    return Desk(), feeds


def lose(records: list[Record], draw: random.Random) -> list[Record]:
    """Lose some, and silence one venue for a while."""
    silent, begin = draw.choice(VENUES), draw.randrange(len(records))
    until = begin + draw.randrange(len(records))
    return [
        r
        for i, r in enumerate(records)
        if draw.random() > 0.03 and not (r["venue"] == silent and begin <= i < until)
    ]


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from([5, 40, 120]))
def test_a_twin_that_recomputes_all_finds_every_signal_sound(seed: int, step_ms: int) -> None:
    desk, feeds = start(seed)
    twins = {v: TwinBook() for v in VENUES}
    records = lose(flow(desk.wire, feeds, 150, seed, step_ms), random.Random(seed))
    now_ns = is_open = 0
    for record in records:
        desk.wire.now_ns = record["receive_time_ns"]
        topic = f"book.{record['level']}"
        changed = twins[record["venue"]].take(record, desk.wire.offsets[topic])
        now_ns = max(now_ns, record["receive_time_ns"])
        for signal in [approved.signal for approved in desk.feed(record).signals]:
            is_open = signal.action is not Action.CLOSE
            for leg in signal.legs:
                twin = twins[leg.venue]
                assert twin.trusted(now_ns)
                holds(leg, twin)
                named = {(i.topic, i.offset) for i in signal.inputs if i.venue == leg.venue}
                assert ("book.l2", twin.offsets["l2"]) in named
                assert named <= {(f"book.{level}", at) for level, at in twin.offsets.items()}
        if changed:
            assert is_open == pays(twins, now_ns)


def pays(twins: dict[str, TwinBook], now_ns: int) -> bool:
    """True where a trusted book's bid is above another's ask: without fees, that earns."""
    good = {v: t for v, t in twins.items() if t.trusted(now_ns)}
    bids = [side[0][0] for v, t in good.items() if (side := t.side(True, v == "a"))]
    asks = [side[0][0] for v, t in good.items() if (side := t.side(False, v == "a"))]
    return bool(bids and asks) and max(bids) > min(asks)


COMMANDS = [
    Command(f"{scope}-{name}", action, scope, name)
    for scope, name in (
        (Scope.ALL, ""),
        (Scope.GROUP, "BTC"),
        (Scope.VENUE, "a"),
        (Scope.VENUE, "c"),
        (Scope.STRATEGY, "cross_venue"),
        (Scope.STRATEGY, "basis"),
    )
    for action in (CommandAction.KILL, CommandAction.RESUME)
]


def covered(kills: set[str], closed: bool, venues: set[str]) -> bool:
    """True where nothing may be published for these venues."""
    stopped = {"all-", "group-BTC", "strategy-cross_venue"} | {f"venue-{v}" for v in venues}
    return closed or bool(kills & stopped)


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_whatever_the_commands_a_kill_stops_all_but_the_close(seed: int) -> None:
    draw = random.Random(seed)
    desk, feeds = start(seed)
    kills: set[str] = set()
    closed = False
    legs: dict[str, set[str]] = {}  # venues of each open episode
    sequence = 0

    def check(out: Outputs) -> None:
        nonlocal sequence
        for signal in [approved.signal for approved in out.signals]:
            sequence += 1
            assert signal.sequence == sequence
            follow(signal)

    def follow(signal: Signal) -> None:
        venues = {leg.venue for leg in signal.legs}
        if signal.action is Action.CLOSE:
            del legs[signal.episode_id]
            return
        assert signal.cause is Cause.NONE
        assert not covered(kills, closed, venues)
        assert (signal.episode_id in legs) == (signal.action is Action.UPDATE)
        legs[signal.episode_id] = venues

    for record in lose(flow(desk.wire, feeds, 150, seed), draw):
        desk.wire.now_ns = record["receive_time_ns"]
        check(desk.feed(record))
        luck = draw.random()
        if luck < 0.08:
            command = draw.choice(COMMANDS)
            (kills.add if command.action is CommandAction.KILL else kills.discard)(command.command_id)
            check(desk.engine.control(Order(command, 0)))
        elif luck < 0.12:
            closed = draw.random() < 0.3
            check(desk.engine.control(Gate(Reason.COMMANDS_UNCONFIRMED if closed else None)))
        elif luck < 0.14:
            check(desk.engine.control(Elapsed(draw.randint(0, 500) * MS)))
        assert not any(covered(kills, closed, venues) for venues in legs.values())
        assert len(legs) <= 1
