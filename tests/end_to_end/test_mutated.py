"""10,000 mutated records among good ones, through Kafka into one partition of a worker."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
from confluent_kafka import Message, Producer

from schemas.reasons import Reason
from strategies.markets import Markets
from streams.broker import Broker
from streams.broker.client import producer_config
from tests.end_to_end.kit import PATIENT, all_topics, committed, ends, everything, records, running, until
from tests.flow import Feed
from tests.mutations import DECODER_CODES, Sent, frames, mutated
from tests.naive_rules import UNREADABLE, NaiveRules
from tests.strategies.desk import instrument, markets
from tests.strategies.test_mutations import SYMBOLS, VENUES
from tests.wire import Wire

N = 10_000
KEY = b"BTC"
UNHARMED = 9  # books of which no copy is harmed; a flip may still turn another book's record into theirs
DECODER_WORDS = {reason.word for reason in Reason if reason in DECODER_CODES}
# Why a book is no longer trusted.
LOST = {"gap", "crossed_book", "key_frame_differs", "checksum_wrong", "sequence_repeated", "contradiction"}


def as_toml(described: Markets) -> str:
    """A markets file that reads back as `described`; JSON's values are TOML's."""

    def lines(values: Mapping[str, Any]) -> str:
        return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())

    text = "[limits]\n" + lines(described.limits.model_dump(mode="json"))
    for name, venue in described.venues.items():
        text += f"[venues.{name}]\n" + lines(venue.model_dump(mode="json"))
    for own in described.instruments:
        text += "[[instruments]]\n" + lines(own.model_dump(mode="json"))
    return text


@dataclass
class Borne:
    """What lies in Kafka, and what a worker made of it."""

    lies: dict[str, list[Message]]
    harmed: dict[str, list[bool]]
    rejects: list[dict[str, Any]]
    events: list[dict[str, Any]]
    books: list[Mapping[str, Any]]
    feeds: list[Feed]
    rules: NaiveRules
    committed: dict[str, dict[int, int]]
    exit_code: int

    @cached_property
    def verdicts(self) -> list[tuple[str, int, bool, str, dict[str, Any] | None]]:
        """Topic, offset, harmed, and the slow twin's verdict with its record, of every message."""
        found = []
        for name, messages in self.lies.items():
            for message, harmed in zip(messages, self.harmed[name], strict=True):
                word, record = self.rules.verdict(name, KEY, message.value(), message.timestamp()[1])
                found.append((name, message.offset() or 0, harmed, word, record))
        return found


@pytest.fixture(scope="module")
def borne(kafka: Broker, prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Borne:
    folder = tmp_path_factory.mktemp("mutated")
    described = markets(
        *(instrument(venue, symbol, quote=f"Q{i}") for i, symbol in enumerate(SYMBOLS) for venue in VENUES)
    )
    (folder / "markets.toml").write_text(as_toml(described))
    feeds = [Feed(b.venue, b.symbol, random.Random(f"{b.venue}{b.symbol}")) for b in described.instruments]
    wire = Wire()
    sent = [one for one in mutated(wire, feeds, 2 * N, 1) if not (one.harmed and one.book < UNHARMED)]
    assert sum(one.harmed for one in sent) > N
    sent += frames(wire, feeds)
    all_topics(kafka, prefix, 1)
    write(kafka, prefix, sent)
    with running(kafka, prefix, folder, "--markets", str(folder / "markets.toml"), **PATIENT) as worker:
        worker.wait_records(len(sent))
        tops = {t: ends(kafka, f"{prefix}{t}")[0][1] for t in ("book.l1", "book.l2")}
        until(
            lambda: all(committed(kafka, prefix, t) == {0: end} for t, end in tops.items()), "all committed"
        )
        books = worker.stats()["books"]
        code = worker.end()
    return Borne(
        {t: everything(kafka, prefix + t) for t in tops},
        {t: [one.harmed for one in sent if one.topic == t] for t in tops},
        records(kafka, prefix, "book.reject"),
        records(kafka, prefix, "risk.event"),
        books,
        feeds,
        NaiveRules(described, ["BTC"]),
        {t: committed(kafka, prefix, t) for t in tops},
        code,
    )


def write(broker: Broker, prefix: str, sent: list[Sent]) -> None:
    producer = Producer(producer_config(broker, queue_buffering_max_messages=len(sent) + 1))
    for one in sent:
        producer.produce(prefix + one.topic, one.value, KEY)
    assert producer.flush(60) == 0


def test_the_verdict_on_each_record_is_the_oracles(borne: Borne, prefix: str) -> None:
    said = {(r["topic"].removeprefix(prefix), r["offset"]): r["reason"] for r in borne.rejects}
    assert len(said) == len(borne.rejects)
    wanted = {(topic, offset): word for topic, offset, _, word, _ in borne.verdicts if word != "ok"}
    assert said.keys() == wanted.keys()
    assert len(wanted) > N // 2
    for place, word in wanted.items():
        assert said[place] in DECODER_WORDS if word == UNREADABLE else said[place] == word


def test_a_reject_carries_the_record(borne: Borne, prefix: str) -> None:
    for reject in borne.rejects:
        message = borne.lies[reject["topic"].removeprefix(prefix)][reject["offset"]]
        value = message.value() or b""
        assert (reject["value"], reject["size_bytes"]) == (value[:4_096], len(value))
        assert (reject["partition"], reject["timestamp_ms"]) == (0, message.timestamp()[1])
        assert reject["detail"] == Reason.of(reject["reason"]).sentence


def test_only_books_that_a_harmed_record_named_lost_their_trust(borne: Borne) -> None:
    struck = {(r["venue"], r["symbol"]) for *_, harmed, _, r in borne.verdicts if harmed and r is not None}
    lost = {(e["venue"], e["symbol"]) for e in borne.events if e["reason"] in LOST}
    everyone = {(feed.venue, feed.symbol) for feed in borne.feeds}
    assert lost <= struck
    assert len(lost) > len(everyone) // 3
    assert everyone - struck, "no book was left alone: nothing is shown by this test"


def test_every_book_is_trusted_and_right_after_its_next_key_frame(borne: Borne) -> None:
    assert len(borne.books) == len(borne.feeds)
    for book, feed in zip(borne.books, borne.feeds, strict=True):
        assert (book["venue"], book["symbol"], book["state"]) == (feed.venue, feed.symbol, "synced")
        bids, asks = feed.sides()
        assert (book["bid"], book["ask"]) == pytest.approx((bids[0][0] / 100, asks[0][0] / 100))
        assert book["levels"] == [len(bids), len(asks)]


def test_the_worker_lived(borne: Borne) -> None:
    assert borne.exit_code == 0
    assert {t: {0: len(m)} for t, m in borne.lies.items()} == borne.committed
