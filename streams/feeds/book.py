"""A feed's own book: what key frames are made from, and what tests compare with."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from streams.feeds.protocol import Level


class Book:
    """Sizes by price, both in integers; every level that the venue has told of, however deep."""

    def __init__(self, bids: Iterable[Level] = (), asks: Iterable[Level] = ()) -> None:
        self.bids = {price: size for price, size in bids if size}
        self.asks = {price: size for price, size in asks if size}

    def apply(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Set absolute sizes; 0 removes, and to remove what is not there is normal."""
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, size in levels:
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)

    def cut(self, depth: int) -> None:
        """Forget all but the best `depth` levels of each side."""
        if len(self.bids) > depth:
            self.bids = dict(heapq.nlargest(depth, self.bids.items()))
        if len(self.asks) > depth:
            self.asks = dict(heapq.nsmallest(depth, self.asks.items()))

    def best(self, depth: int) -> tuple[list[Level], list[Level]]:
        """The best `depth` levels of both sides, best first."""
        bids = heapq.nlargest(depth, self.bids.items())
        return bids, heapq.nsmallest(depth, self.asks.items())

    def top(self) -> tuple[Level | None, Level | None]:
        """Best bid and ask, None where a side is empty."""
        bid, ask = max(self.bids, default=0), min(self.asks, default=0)
        return (bid, self.bids[bid]) if bid else None, (ask, self.asks[ask]) if ask else None

    def crossed(self) -> bool:
        """Whether someone bids what someone asks, or more."""
        return bool(self.bids and self.asks) and max(self.bids) >= min(self.asks)
