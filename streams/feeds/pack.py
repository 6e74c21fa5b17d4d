"""Updates of a feed into the columns that the encoder takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas import catalog
from schemas.batch import Ints, Messages
from schemas.encoder import Encoder
from strategies.markets import Markets, exponent
from streams.feeds.protocol import Update


class Packer:
    """Encodes updates of the instruments of one markets file."""

    def __init__(self, markets: Markets, *, recorded: bool) -> None:
        self._encoder = Encoder(catalog.schema("BookUpdate"))
        self._recorded = int(recorded)
        names = bytearray()
        self._heads: list[list[int]] = []
        self._exponents: list[list[int]] = []
        for i in markets.instruments:
            head = []
            for name in (i.venue.encode(), i.symbol.encode()):
                head += [len(names), len(name)]
                names += name
            self._heads.append(head)
            self._exponents.append([exponent(i.tick), exponent(i.lot)])
        self._names = np.frombuffer(bytes(names), np.uint8)

    def pack(self, updates: Sequence[Update]) -> Messages:
        """The messages of `updates`, in their order."""
        rows: list[int] = []
        items: list[int] = []
        for u in updates:
            bids = len(items)
            for level in u.bids:
                items += level
            asks = len(items)
            for level in u.asks:
                items += level
            rows += self._heads[u.instrument]
            rows += (
                u.channel,
                u.kind,
                u.state,
                u.checksum,
                u.key_frame,
                self._recorded,
                u.session,
                u.sequence,
            )
            for value in (u.first_update_id, u.last_update_id, u.previous_update_id, u.event_time_ns):
                rows += (0, 0) if value is None else (1, value)
            rows.append(u.receive_time_ns)
            rows += self._exponents[u.instrument]
            rows += (bids, len(u.bids), asks, len(u.asks))
        table = np.array(rows, np.int64).reshape(len(updates), self._encoder.width)
        return self._encoder.encode(table, np.array(items, np.int64), self._names)


def columns_of(updates: Sequence[Update]) -> tuple[Ints, Ints]:
    """Level and instrument of each update, int64."""
    n = len(updates)
    return (
        np.fromiter((u.channel for u in updates), np.int64, n),
        np.fromiter((u.instrument for u in updates), np.int64, n),
    )
