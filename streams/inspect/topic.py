"""Any stretch of the book topics to the judge: what the feeds said, and what was lost on the way."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from schemas.codec import Unreadable
from schemas.topics import BOOK_L1, BOOK_L2
from strategies.markets import Markets
from streams.broker import Broker
from streams.broker.client import consumer_config
from streams.errors import RunError, UserError
from streams.feeds.book import Book
from streams.feeds.protocol import Channel, Checksum, FeedState, Update, UpdateKind
from streams.inspect.judge import BookKey, BookSeen, Judge
from streams.reading import Reader
from streams.wire import Wire

BOOK_TOPICS = (BOOK_L1.name, BOOK_L2.name)
NAMES = ("book.l1", "book.l2", "book.*")


@dataclass(frozen=True, slots=True)
class Stretch:
    """From where to where (exclusive): offsets, the same in each partition, or times in ms; None: the end.

    `partition` None: all of them.
    """

    begin: int | datetime | None = None
    end: int | datetime | None = None
    partition: int | None = None

    @property
    def by_time(self) -> bool:
        """Whether the broker must look offsets up by time."""
        return isinstance(self.begin, datetime) or isinstance(self.end, datetime)


def bound(option: str, text: str | None) -> int | datetime | None:
    """An offset, or a time in ISO 8601 (UTC where it names no zone). Raises UserError."""
    if text is None:
        return None
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option} {text}: give an offset, or a time such as 2024-08-08T23:55:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def topics_of(words: Sequence[str], prefix: str) -> list[str]:
    """The book topics, without the prefix, that `words` name. Raises UserError."""
    found: set[str] = set()
    for word in words:
        name = word.removeprefix(prefix)
        if name in ("book", "book.*"):
            found.update(BOOK_TOPICS)
        elif name in BOOK_TOPICS:
            found.add(name)
        else:
            raise UserError(f"{word}: no such file, and no book topic; there are {', '.join(NAMES)}")
    return sorted(found)


@dataclass(slots=True)
class _Line:
    """One channel of one book under one key: the number of its last record."""

    session: int
    sequence: int
    value: bytes


@dataclass(slots=True)
class _Told:
    """A book as a reader of the topic knows it."""

    seen: BookSeen
    lines: dict[Channel, _Line] = field(default_factory=dict)
    book: Book | None = None
    said: FeedState = FeedState.RESYNC  # what the feed said of the depth last


class _Row(NamedTuple):
    """A record; `latest_ns`: the largest receive time of its partition so far."""

    latest_ns: int
    place: str
    topic: str
    group: str
    value: bytes
    record: dict[str, Any]


class TopicReading:
    """Judges a stretch of book topics; `prefix` is set before their names.

    Raises UserError for a stretch that the broker cannot find, RunError where it does not answer.
    """

    def __init__(self, broker: Broker, wire: Wire, markets: Markets, prefix: str, limit_s: float) -> None:
        self.judge = Judge()
        self._broker, self._wire, self._prefix, self._limit_s = broker, wire, prefix, limit_s
        self._shared = {name for name, venue in markets.venues.items() if venue.shared_update_ids}
        self._told: dict[BookKey, _Told] = {}

    def read(self, names: Sequence[str], stretch: Stretch) -> Judge:
        """Partition by partition, both levels of a partition by receive time, as far as it reaches now."""
        if stretch.by_time:
            self._broker.require("offsets_by_time", who="--from or --to with a time")
        spans = {name: self._spans(name, stretch) for name in names}
        for number in sorted({number for found in spans.values() for number in found}):
            flows = [
                self._records(name, number, found[number]) for name, found in spans.items() if number in found
            ]
            for row in heapq.merge(*flows, key=lambda row: row.latest_ns):
                self._take(row)
        self._finish()
        return self.judge

    # --- from the broker --------------------------------------------------------------------------------

    def _spans(self, name: str, stretch: Stretch) -> Mapping[int, tuple[int, int]]:
        topic = self._prefix + name
        with Reader(self._broker, topic, self._limit_s) as reader:
            ends = reader.ends()
        if stretch.partition is not None and stretch.partition not in ends:
            raise UserError(f"--partition {stretch.partition}: {topic} has {', '.join(map(str, ends))}")
        chosen = {n: e for n, e in ends.items() if stretch.partition in (None, n)}
        begins, stops = (self._offsets(topic, at, list(chosen)) for at in (stretch.begin, stretch.end))
        return {
            number: (
                max(known.start, begins.get(number, known.start)),
                min(known.end, stops.get(number, known.end)),
            )
            for number, known in chosen.items()
        }

    def _offsets(self, topic: str, at: int | datetime | None, numbers: list[int]) -> dict[int, int]:
        """Offsets of partitions; one that is missing has its end there."""
        if at is None:
            return {}
        if isinstance(at, int):
            return dict.fromkeys(numbers, at)
        time_ms = int(at.timestamp() * 1_000)
        consumer = Consumer({**consumer_config(self._broker, f"{topic}.look"), "log_level": 0})
        try:
            asked = [TopicPartition(topic, number, time_ms) for number in numbers]
            found = consumer.offsets_for_times(asked, timeout=self._limit_s)
        except KafkaException as error:
            raise RunError(f"{topic}: no offsets by time: {error.args[0].str()}") from None
        finally:
            consumer.close()
        # Past the last record there is no offset: nothing lies behind that time.
        return {p.partition: p.offset if p.offset >= 0 else 2**62 for p in found}

    def _records(self, name: str, number: int, span: tuple[int, int]) -> Iterator[_Row]:
        """The records of a partition that can be read."""
        latest = 0
        with Reader(self._broker, self._prefix + name, self._limit_s) as reader:
            for message in reader.until({number: span[0]}, {number: span[1]}):
                place = f"{message.topic()}/{number}/{message.offset()}"
                value = message.value() or b""
                try:
                    record = self._wire.decode(name, message.value())
                except Unreadable as fault:
                    self.judge.messages += 1
                    self.judge.find("unreadable", place, f"cannot be read: {fault}")
                    continue
                latest = max(latest, record["receive_time_ns"])
                yield _Row(latest, place, name, _key(message), value, record)

    # --- to the judge -----------------------------------------------------------------------------------

    def _take(self, row: _Row) -> None:
        judge, place, record = self.judge, row.place, row.record
        judge.messages += 1
        update = _update(record)
        judge.heard(record["venue"], update.receive_time_ns, place)
        if BOOK_TOPICS[update.channel] != row.topic:
            judge.find("level", place, f"a record of {update.channel.name.lower()} does not belong here")
            return
        told = self._told_of(BookKey(record["venue"], record["symbol"], row.group), record)
        if not self._follows(told, update, row.value, place):
            return
        if update.channel is Channel.L2:
            told.said = update.state
            self._apply(told, update, place)
        judge.take(told.seen, update, place, told.book if update.channel is Channel.L2 else None)

    def _told_of(self, key: BookKey, record: Mapping[str, Any]) -> _Told:
        exponents = record["price_exponent"], record["size_exponent"]
        told = self._told.get(key)
        if told is None:
            seen = self.judge.book(key, exponents, shared_ids=key.venue in self._shared)
            told = self._told[key] = _Told(seen)
        elif told.seen.exponents != exponents:  # another tick or lot: what was built is in other units
            told.book, told.seen.exponents = None, exponents
            told.seen.tops.forget()
        return told

    def _follows(self, told: _Told, update: Update, value: bytes, place: str) -> bool:
        """Whether this record is the next one of its line; says what is missing, or told again."""
        line = told.lines.get(update.channel)
        now = _Line(update.session, update.sequence, value)
        if line is None:
            told.lines[update.channel] = now
            return True
        key, judge = told.seen.key, self.judge
        if update.session < line.session:
            judge.find(
                "two feeds", place, f"{key}: session {update.session} after the later {line.session}: "
                "an old feed still runs beside the new one, or a record came late",
            )  # fmt: skip
            return False
        if update.session == line.session and update.sequence <= line.sequence:
            if update.sequence == line.sequence and value != line.value:
                judge.find("two feeds", place, f"{key}: number {update.sequence} was taken by another record")
            else:
                judge.repeat(key, place)
            return False
        expected = 1 if update.session > line.session else line.sequence + 1
        told.lines[update.channel] = now
        if update.sequence != expected:
            count = update.sequence - expected
            if update.channel is Channel.L2:
                told.book = None
            judge.gap(
                told.seen, update.channel, place, f"{count:,} records before this are missing: number "
                f"{update.sequence} of session {update.session}, where {expected} should be",
            )  # fmt: skip
        elif update.session > line.session and update.channel is Channel.L2:
            told.book = None
        return True

    def _apply(self, told: _Told, update: Update, place: str) -> None:
        if update.kind is UpdateKind.CLEAR or update.state is not FeedState.SYNCED:
            told.book = None
        elif update.kind is UpdateKind.SNAPSHOT:
            book = Book(update.bids, update.asks)
            if update.key_frame and told.book is not None and book.top() != told.book.top():
                self.judge.find(
                    "key frame", place, f"{told.seen.key}: the key frame's top {book.top()} is not "
                    f"{told.book.top()}, which the updates before it lead to",
                )  # fmt: skip
            told.book = book
        elif update.kind is UpdateKind.DELTA and told.book is not None:
            told.book.apply(update.bids, update.asks)

    def _finish(self) -> None:
        self.judge.finish()
        if not self.judge.messages:
            self.judge.find("empty", "", "there is no record in this stretch")
        for key, told in self._told.items():
            state = told.seen.state
            if state is FeedState.SYNCED:
                continue
            if state is FeedState.RESYNC and told.said is FeedState.SYNCED:
                self.judge.find(
                    "no snapshot", "", f"{key}: no snapshot within this stretch: its depth was not built",
                    wrong=False,
                )  # fmt: skip
                continue
            self.judge.find("unsynced", "", f"{key}: {state.name.lower()} at the end")


def _key(message: Message) -> str:
    key = message.key()
    return key.decode("utf-8", "backslashreplace") if key is not None else ""


def _update(record: Mapping[str, Any]) -> Update:
    bids, asks = (
        [(level["price_ticks"], level["size_lots"]) for level in record[side]] for side in ("bids", "asks")
    )
    return Update(
        instrument=-1,
        channel=Channel[record["level"].upper()],
        kind=UpdateKind[record["kind"].upper()],
        state=FeedState[record["state"].upper()],
        session=record["session"],
        sequence=record["sequence"],
        receive_time_ns=record["receive_time_ns"],
        bids=bids,
        asks=asks,
        event_time_ns=record["event_time_ns"],
        first_update_id=record["first_update_id"],
        last_update_id=record["last_update_id"],
        previous_update_id=record["previous_update_id"],
        checksum=Checksum[record["checksum"].upper()],
        key_frame=record["key_frame"],
    )
