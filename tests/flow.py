"""A market for tests: books that wander around each other, as the records of their feeds."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from tests.naive_book import NaiveBook
from tests.wire import MS, Wire

Record = dict[str, Any]
SPAN = 6  # levels a side


@dataclass
class Feed:
    """The feed of one book: snapshot, then quotes, deltas, heartbeats, key frames. `truth` is its depth."""

    venue: str
    symbol: str
    draw: random.Random
    mid: int = 10_000
    frame_every: int = 25
    truth: NaiveBook = field(default_factory=NaiveBook)
    update_id: int = 100
    made: int = 0
    quoted: bool = False

    def sides(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """The true depth, best first."""
        return sorted(self.truth.bids.items(), reverse=True), sorted(self.truth.asks.items())

    def frame(self, wire: Wire, **more: Any) -> Record:
        """A key frame of the book as it is."""
        return wire.snapshot(
            self.venue, self.symbol, *self.sides(), key_frame=True, last_update_id=self.update_id, **more
        )

    def next(self, wire: Wire) -> Record:
        """The feed's next record."""
        self.made += 1
        own = (self.venue, self.symbol)
        if self.made == 1:
            self._move()
            self._settle()
            return wire.snapshot(*own, *self.sides(), last_update_id=self.update_id)
        if self.made % self.frame_every == 0:
            return self.frame(wire)
        luck = self.draw.random()
        if luck < 0.1:
            return wire.record(*own, self.draw.choice(["l1", "l2"]), "heartbeat")
        if not self.quoted:
            self._move()
        if not self.quoted and luck < 0.4:
            self.quoted = True
            best = [[max(self.goal[0].items())], [min(self.goal[1].items())]]
            return wire.quote(*own, *best, last_update_id=self.update_id)
        self.quoted = False
        changes = self._settle()
        return wire.delta(*own, *changes, last_update_id=self.update_id)

    def _move(self) -> None:
        """Where the book goes next; its update id rises."""
        self.mid += self.draw.randint(-3, 3)
        self.update_id += self.draw.randint(1, 5)
        goal: list[dict[int, int]] = []
        for side, sign in ((self.truth.bids, -1), (self.truth.asks, 1)):
            prices = [self.mid + sign * (1 + i) for i in range(SPAN)]
            keep = {p: side[p] for p in prices if p in side and self.draw.random() < 0.8}
            goal.append({p: keep.get(p, self.draw.randint(1, 50) * 1_000) for p in prices})
        self.goal = goal

    def _settle(self) -> list[list[tuple[int, int]]]:
        """Bring the depth to where it goes; returns the changes."""
        changes = []
        for side, goal in ((self.truth.bids, self.goal[0]), (self.truth.asks, self.goal[1])):
            gone = [(p, 0) for p in side if p not in goal]
            changes.append(gone + [(p, s) for p, s in goal.items() if side.get(p) != s])
            side.clear()
            side.update(goal)
        return changes


def flow(wire: Wire, feeds: list[Feed], n: int, seed: int, step_ms: int = 5) -> list[Record]:
    """The next `n` records of the feeds, in the order of their receive times."""
    draw = random.Random(seed)
    records = []
    for i in range(n):
        wire.now_ns += draw.randint(0, 2 * step_ms) * MS
        feed = feeds[i] if i < len(feeds) and feeds[i].made == 0 else draw.choice(feeds)
        records.append(feed.next(wire))
    return records
