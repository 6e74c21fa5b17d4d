"""A small feed for tests: book updates with sessions and sequences, as batches of bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from schemas import codec
from schemas.batch import Batch, Messages

MS = 1_000_000
START_NS = 1_700_000_000_000_000_000

Levels = list[tuple[int, int]]


@dataclass
class Wire:
    """Keeps offsets and feed sequences; each call returns one record, `batch` collects them."""

    partition: int = 0
    group: str = "BTC"
    session: int = START_NS
    now_ns: int = START_NS
    offsets: dict[str, int] = field(default_factory=lambda: {"book.l1": 0, "book.l2": 0})
    sequences: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def record(self, venue: str, symbol: str, level: str, kind: str, **more: Any) -> dict[str, Any]:
        """A record with the next sequence of its channel; `more` overrides any field."""
        key = (venue, symbol, level)
        self.sequences[key] = self.sequences.get(key, 0) + 1
        levels = {side: more.pop(side, []) for side in ("bids", "asks")}
        base = {
            "venue": venue,
            "symbol": symbol,
            "level": level,
            "kind": kind,
            "state": "synced",
            "checksum": "absent",
            "key_frame": False,
            "recorded": False,
            "session": self.session,
            "sequence": self.sequences[key],
            "first_update_id": None,
            "last_update_id": None,
            "previous_update_id": None,
            "event_time_ns": self.now_ns,
            "receive_time_ns": self.now_ns,
            "price_exponent": -2,
            "size_exponent": -4,
        }
        for side, rows in levels.items():
            base[side] = [{"price_ticks": p, "size_lots": s} for p, s in rows]
        return {**base, **more}

    def snapshot(self, venue: str, symbol: str, bids: Levels, asks: Levels, **more: Any) -> dict[str, Any]:
        """A depth snapshot."""
        return self.record(venue, symbol, "l2", "snapshot", bids=bids, asks=asks, **more)

    def delta(
        self, venue: str, symbol: str, bids: Levels | None = None, asks: Levels | None = None, **more: Any
    ) -> dict[str, Any]:
        """A depth delta."""
        return self.record(venue, symbol, "l2", "delta", bids=bids or [], asks=asks or [], **more)

    def quote(self, venue: str, symbol: str, bids: Levels, asks: Levels, **more: Any) -> dict[str, Any]:
        """A quote."""
        return self.record(venue, symbol, "l1", "quote", bids=bids, asks=asks, **more)

    def batch(self, *records: dict[str, Any] | bytes, key: str | None = None) -> Batch:
        """Encode records of one level as one batch with the next offsets."""
        first = next((r for r in records if isinstance(r, dict)), None)
        topic = f"book.{first['level']}" if first else "book.l2"
        values = [r if isinstance(r, bytes) else codec.encode("BookUpdate", r) for r in records]
        start = self.offsets[topic]
        self.offsets[topic] += len(values)
        name = (key or self.group).encode()
        return Batch(
            topic,
            self.partition,
            np.arange(start, start + len(values), dtype=np.int64),
            np.full(len(values), self.now_ns // MS, np.int64),
            Messages.of([name] * len(values)),
            Messages.of(values),
        )
