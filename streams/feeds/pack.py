"""Updates of a feed into the columns that the encoder takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas import catalog
from schemas.batch import Ints, Messages
from schemas.encoder import Encoder
from schemas.registry import RegistryCodec
from strategies.markets import Markets, exponent
from streams.errors import RunError
from streams.feeds.protocol import Update
from streams.feeds.sink import BOOK_TOPICS
from streams.wire import Wire


def book_schema_id(wire: Wire) -> int | None:
    """The Schema Registry's id of BookUpdate, None without a registry. Raises RunError."""
    codecs = [wire.codec(topic) for topic in BOOK_TOPICS]
    ids = {codec.schema_id for codec in codecs if isinstance(codec, RegistryCodec)}
    if len(ids) > 1:
        raise RunError(f"the Schema Registry gave one schema several ids: {sorted(ids)}")
    return ids.pop() if ids else None


class Packer:
    """Encodes updates of the instruments of one markets file; `schema_id` as of `book_schema_id`."""

    def __init__(self, markets: Markets, *, recorded: bool, schema_id: int | None = None) -> None:
        self._encoder = Encoder(catalog.schema("BookUpdate"), schema_id)
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
