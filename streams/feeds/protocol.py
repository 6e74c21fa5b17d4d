"""What a venue's file says, and what a feed makes of it.

A venue is one file: a class that fulfils `Venue` (how a raw message is read, and when one update may follow
another) and its entry in `streams.feeds.registry`. The rest, from buffering to key frames, is the same for
all of them (`streams.feeds.feed`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from typing import Protocol, TypeAlias

from streams.errors import UserError

# As the venue wrote it: a decimal, or an exact ratio. Never a float.
Number: TypeAlias = str | Fraction
RawLevel: TypeAlias = Sequence[Number]  # price, size
Level: TypeAlias = tuple[int, int]  # price_ticks, size_lots


class Channel(IntEnum):
    """Market-data level, as of BookUpdate.avsc."""

    L1 = 0
    L2 = 1


class UpdateKind(IntEnum):
    """As of BookUpdate.avsc."""

    QUOTE = 0
    SNAPSHOT = 1
    DELTA = 2
    CLEAR = 3
    HEARTBEAT = 4


class FeedState(IntEnum):
    """As of BookUpdate.avsc. A book that has never been synced, or is about to be again, is in RESYNC."""

    SYNCED = 0
    GAP = 1
    RESYNC = 2
    STALE = 3


class Checksum(IntEnum):
    """As of BookUpdate.avsc."""

    ABSENT = 0
    RIGHT = 1
    WRONG = 2


class Verdict(IntEnum):
    """May this update follow what the book holds?"""

    FITS = 0
    OLD = 1  # all of it is in the book already: ignore
    BREAK = 2  # something between is missing: a gap


class MessageError(UserError):
    """A raw message that cannot be read, or not exactly: says what is wrong with it, not where."""


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask, None or a size of 0 where a side is empty.

    `symbol` and `venue` are None where the message names none, times and ids where the venue gives none.
    """

    symbol: str | None
    bid: RawLevel | None
    ask: RawLevel | None
    update_id: int | None = None
    event_time_ns: int | None = None
    venue: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole depth; names, times and ids as in `Quote`."""

    symbol: str | None
    bids: Sequence[RawLevel]
    asks: Sequence[RawLevel]
    last_update_id: int | None = None
    event_time_ns: int | None = None
    venue: str | None = None
    checksum: Checksum = Checksum.ABSENT


@dataclass(frozen=True, slots=True)
class Delta:
    """Absolute sizes of some levels, 0 removes; names, times and ids as in `Quote`."""

    symbol: str | None
    bids: Sequence[RawLevel]
    asks: Sequence[RawLevel]
    first_update_id: int | None = None
    last_update_id: int | None = None
    previous_update_id: int | None = None
    event_time_ns: int | None = None
    venue: str | None = None
    checksum: Checksum = Checksum.ABSENT


RawMessage: TypeAlias = Quote | Snapshot | Delta


class Venue(Protocol):
    """All that is particular to a venue.

    `shape` names how its captures lie in a file (`streams.feeds.captures`).
    """

    name: str
    shape: str

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """Read one raw message; nothing for what concerns no book. Raises MessageError."""
        ...

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """May `delta` be the first after a snapshot whose last id is `last`?"""
        ...

    def follows(self, last: int | None, delta: Delta) -> Verdict:
        """May `delta` be applied to a book whose last applied update ended with `last`?"""
        ...


@dataclass(frozen=True, slots=True)
class Update:
    """One BookUpdate, field by field; `instrument` is its index in markets.toml."""

    instrument: int
    channel: Channel
    kind: UpdateKind
    state: FeedState
    session: int
    sequence: int
    receive_time_ns: int
    bids: Sequence[Level] = ()
    asks: Sequence[Level] = ()
    event_time_ns: int | None = None
    first_update_id: int | None = None
    last_update_id: int | None = None
    previous_update_id: int | None = None
    checksum: Checksum = Checksum.ABSENT
    key_frame: bool = False
