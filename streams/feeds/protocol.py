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
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

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
    `restarts`: it holds whatever its id is, because it came in the stream, where the venue may count anew.
    """

    symbol: str | None
    bid: RawLevel | None
    ask: RawLevel | None
    update_id: int | None = None
    event_time_ns: int | None = None
    venue: str | None = None
    restarts: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole depth; names, times, ids and `restarts` as in `Quote`, `checksum` as the venue gave it.

    One that has no id and comes in the stream itself ends all that came before it.
    """

    symbol: str | None
    bids: Sequence[RawLevel]
    asks: Sequence[RawLevel]
    last_update_id: int | None = None
    event_time_ns: int | None = None
    venue: str | None = None
    checksum: int | None = None
    restarts: bool = False


@dataclass(frozen=True, slots=True)
class Delta:
    """Absolute sizes of some levels, 0 removes; all else as in `Snapshot`."""

    symbol: str | None
    bids: Sequence[RawLevel]
    asks: Sequence[RawLevel]
    first_update_id: int | None = None
    last_update_id: int | None = None
    previous_update_id: int | None = None
    event_time_ns: int | None = None
    venue: str | None = None
    checksum: int | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """What the numbers of a message say of books it does not concern, or no longer.

    BREAK: something was lost, and the books are; OLD: it was told before. `symbol` None: every book of the
    connection.
    """

    verdict: Verdict
    symbol: str | None = None
    venue: str | None = None


RawMessage: TypeAlias = Quote | Snapshot | Delta | Notice


class Rung(NamedTuple):
    """A level of a built book: as the venue wrote it, and in units of the instrument."""

    price_text: str
    size_text: str
    price_ticks: int
    size_lots: int


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


@runtime_checkable
class Checking(Protocol):
    """A venue whose messages carry a checksum of the best `checksum_depth` levels of the built book."""

    checksum_depth: int

    def checksum(self, bids: Sequence[Rung], asks: Sequence[Rung]) -> int:
        """The checksum of these levels, best first."""
        ...


@runtime_checkable
class Connecting(Protocol):
    """A venue that numbers messages by connection: it is told of a new one."""

    def connected(self) -> None:
        """Numbers begin anew."""
        ...


@runtime_checkable
class Cutting(Protocol):
    """A venue that cuts its book at the subscribed depth and sends no removal of what falls out.

    The markets file must say so (`venue_cuts`, and the subscribed depth in `depth`).
    """

    cuts: bool


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
