"""Slow, obvious twins of a book and of the join: dicts of integers, nothing kept sorted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Levels = list[tuple[int, int]]
Record = dict[str, Any]


def levels(rows: list[dict[str, int]]) -> Levels:
    """Levels of a record as (price, size)."""
    return [(row["price_ticks"], row["size_lots"]) for row in rows]


@dataclass
class NaiveBook:
    """The whole book: price -> size of each side, nothing cut off but what the venue itself cuts."""

    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    venue_cuts: int | None = None  # levels a side that the venue keeps

    def take(self, record: Record) -> None:
        """Apply a snapshot, a delta or a clear."""
        if record["kind"] in ("snapshot", "clear"):
            self.bids, self.asks = {}, {}
        if record["kind"] in ("snapshot", "delta"):
            self._set(self.bids, levels(record["bids"]), best=max)
            self._set(self.asks, levels(record["asks"]), best=min)

    def _set(self, side: dict[int, int], changes: Levels, best: Any) -> None:
        for price, size in changes:
            side.pop(price, None)
            if size > 0:
                side[price] = size
        while self.venue_cuts is not None and len(side) > self.venue_cuts:
            worst = min(side) if best is max else max(side)
            del side[worst]

    def copy(self) -> tuple[dict[int, int], dict[int, int]]:
        """Both sides as they are now."""
        return dict(self.bids), dict(self.asks)

    @property
    def crosses(self) -> bool:
        """True where the best bid is at or above the best ask."""
        return bool(self.bids and self.asks) and max(self.bids) >= min(self.asks)


@dataclass(frozen=True)
class Quote:
    """A quote as it came; an absent side has size 0."""

    bid: tuple[int, int] = (0, 0)
    ask: tuple[int, int] = (0, 0)

    @property
    def crosses(self) -> bool:
        """True where its bid is at or above its ask."""
        return self.bid[1] > 0 and self.ask[1] > 0 and self.bid[0] >= self.ask[0]


def fused_side(
    depth: dict[int, int], quoted: tuple[int, int] | None, bids: bool
) -> list[tuple[int, int, str]]:
    """A side of the fused book, best first, each level with its source.

    `quoted` is the quote's side where the quote is newer than the depth, else None.
    """
    ordered = sorted(depth.items(), reverse=bids)
    if quoted is None:
        return [(price, size, "l2") for price, size in ordered]
    price, size = quoted
    if size == 0:
        return []
    worse = [(p, s, "l2") for p, s in ordered if (p < price if bids else p > price)]
    return [(price, size, "l1"), *worse]


def quote_is_newer(quote: Record, depth: Record, shared_ids: bool) -> bool:
    """By update ids where both carry the same, else by event time, else by receive time."""
    names = ["last_update_id"] if shared_ids else []
    for name in (*names, "event_time_ns"):
        if quote[name] is not None and depth[name] is not None:
            return bool(quote[name] > depth[name])
    return bool(quote["receive_time_ns"] > depth["receive_time_ns"])
