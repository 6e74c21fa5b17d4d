"""Captures as files: what can be wrong with them, how they are merged, and what reaches the topics."""

from __future__ import annotations

import gc
import gzip
import time
import weakref
from pathlib import Path

import pytest
import zstandard
from confluent_kafka import Consumer, TopicPartition

from schemas import codec
from strategies.markets import Markets
from streams.broker import Broker, start_embedded
from streams.broker.client import consumer_config
from streams.errors import RunError, UserError
from streams.feeds.book import Book
from streams.feeds.captures import Capture
from streams.feeds.protocol import Update
from streams.feeds.sink import Sink
from streams.play import Playback, Source, publish, sources, updates
from tests.brokers import make_topics
from tests.feeds.kit import START, Event, S, markets, wire, wire_quote, wire_snapshot

BOOK = Book([(p, p) for p in range(1, 10)], [(p, p) for p in range(20, 30)])
LINES = [
    (0, wire(Event(99, 100, 0, ((9, 1),), ()), False)),
    (1, wire_snapshot(BOOK, 100)),
    (2, wire_quote(101, (9, 3), (20, 4))),
    (3, wire(Event(101, 102, 0, ((9, 3),), ((20, 0),)), False)),
]


def capture(path: Path, lines: list[tuple[int, bytes]] = LINES) -> Path:
    text = b"".join(b"%d %s\n" % (START + second * S, raw) for second, raw in lines)
    if path.suffix == ".gz":
        text = gzip.compress(text)
    if path.suffix == ".zst":
        text = zstandard.compress(text)
    path.write_bytes(text)
    return path


def play(path: Path, venue: str = "binance_spot", described: Markets | None = None) -> Playback:
    described = described or markets()
    return Playback(sources([path], [venue], [], described), described)


@pytest.mark.parametrize("name", ["c.gz", "c.zst", "c.txt", "capture"])
def test_a_capture_is_read_compressed_or_not(tmp_path: Path, name: str) -> None:
    playback = play(capture(tmp_path / name))
    assert [(u.kind.name, (u.receive_time_ns - START) // S) for u in playback] == [
        ("SNAPSHOT", 1),
        ("QUOTE", 2),
        ("HEARTBEAT", 2),
        ("DELTA", 3),
        ("HEARTBEAT", 3),
    ]
    assert playback.messages == 4
    assert playback.done == 1.0
    assert playback.books()[0]["state"] == "synced"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.gz", b"hello", r"a\.gz: its name ends in \.gz, but it is not gzip"),
        ("a.zst", b"hello", r"a\.zst: its name ends in \.zst, but it is not zstandard"),
        ("a.txt", b"nothing\n", r"a\.txt, line 1: not of the form `<receive time in ns> <message>`"),
        ("a.txt", b"1 {}\n99 \n", r"a\.txt, line 2: not of the form"),
        ("a.txt", b"1 {}\n-5 {}\n", r"a\.txt, line 2: not of the form"),
        ("a.txt", b"1 {}\n99999999999999999999 {}\n", r"a\.txt, line 2: not of the form"),
        ("a.txt", b'1 {}\n\n3 {"a":\n', r"a\.txt, line 3: no JSON"),
        (
            "a.txt",
            b'1 {"lastUpdateId":1,"bids":[["1.001","1"]],"asks":[]}\n',
            r"line 1: price 1\.001 does not",
        ),
        (
            "a.txt",
            b'1 {"lastUpdateId":1,"bids":[[1.5,"1"]],"asks":[]}\n',
            r"line 1: price 1\.5 is not w",
        ),
        ("a.txt", b'1 {"lastUpdateId":1,"bids":[["0","1"]],"asks":[]}\n', r"line 1: a level has the price 0"),
        ("a.txt", b'1 {"lastUpdateId":1,"bids":[["1"]],"asks":[]}\n', r"line 1: a level is no pair"),
        ("a.txt", b'1 {"lastUpdateId":1,"bids":7,"asks":[]}\n', r"line 1: a level is no pair"),
        ("a.txt", b"", r"a\.txt: nothing in it concerns a book"),
        ("a.txt", b'1 {"data":{"e":"trade"}}\n', r"a\.txt: nothing in it concerns a book"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=reason):
        list(play(path))


@pytest.mark.parametrize(("name", "kept"), [("c.gz", 0.5), ("c.gz", 0.999), ("c.zst", 0.5), ("c.zst", 0.999)])
def test_a_file_that_is_cut_off_says_after_which_line(tmp_path: Path, name: str, kept: float) -> None:
    # Sizes that do not compress well, so that the file has more than one block.
    lines = [(n, wire_quote(n + 1, (9, 3), (20, 1 + n * 7919**3 % 10**9))) for n in range(20_000)]
    path = capture(tmp_path / name, lines)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    told: list[Update] = []
    with pytest.raises(UserError, match=rf"{name}, after line \d+: damaged or cut off") as fault:
        told.extend(play(path))
    line = int(str(fault.value).split("after line ")[1].split(":")[0])
    assert 100 < line < 20_000
    assert [u.last_update_id for u in told if not u.key_frame] == list(range(1, line + 1))


def test_frames_one_after_another_are_one_file(tmp_path: Path) -> None:
    for name in ("c.gz", "c.zst"):
        first = capture(tmp_path / name, LINES[:2]).read_bytes()
        second = capture(tmp_path / name, LINES[2:]).read_bytes()
        (tmp_path / name).write_bytes(first + second)
        playback = play(tmp_path / name)
        assert len(list(playback)) == 5
        assert playback.messages == 4


def test_a_file_that_is_not_there_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.gz: No such file"):
        play(tmp_path / "gone.gz")
    with pytest.raises(UserError, match="Is a directory"):
        Capture(tmp_path, "stamped_lines")


@pytest.mark.parametrize(
    ("files", "venues", "symbols", "reason"),
    [
        (0, ["binance_spot"], [], "at least one file"),
        (1, [], [], "--venue is missing; there are .*binance_spot, "),
        (1, ["bitmex"], [], "no feed is called 'bitmex'"),
        (1, ["nowhere=binance_spot"], [], "no instrument of a venue 'nowhere'"),
        (3, ["binance_spot", "binance_usdm"], [], "--venue stands 2 times for 3 files"),
        (1, ["binance_spot"], ["ETHUSDT"], "--symbol ETHUSDT: the markets file has no such instrument"),
    ],
)
def test_options_that_do_not_fit(files: int, venues: list[str], symbols: list[str], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        sources([Path("f")] * files, venues, symbols, markets())


def test_one_venue_stands_for_all_files_and_names_may_differ() -> None:
    assert sources([Path("a"), Path("b")], ["quotes=plain_quotes"], ["Q"], markets()) == [
        Source(Path("a"), "quotes", "plain_quotes", "Q"),
        Source(Path("b"), "quotes", "plain_quotes", "Q"),
    ]


def test_quotes_and_depth_of_one_venue_may_lie_in_two_files(tmp_path: Path) -> None:
    quotes = capture(tmp_path / "l1.gz", [LINES[2]])
    depth = capture(tmp_path / "l2.gz", [LINES[0], LINES[1], LINES[3]])
    described = markets()
    apart = Playback(sources([quotes, depth], ["binance_spot"], [], described), described)
    together = play(capture(tmp_path / "c.gz"))
    assert list(apart) == list(together)


def test_a_book_of_several_groups_is_published_under_each_key(tmp_path: Path) -> None:
    described = markets(groups=("BTC", "ETH"))
    told = list(updates([capture(tmp_path / "c.gz")], "binance_spot", described, prefix="p."))
    assert [(topic, key) for topic, key, _ in told[:4]] == [
        ("p.book.l2", b"BTC"),
        ("p.book.l2", b"ETH"),
        ("p.book.l1", b"BTC"),
        ("p.book.l1", b"ETH"),
    ]
    assert told[0][2] == told[1][2]
    record = codec.decode("BookUpdate", told[0][2])
    assert (record["kind"], record["recorded"], record["last_update_id"]) == ("snapshot", True, 100)


def test_a_clock_that_ran_back_does_not_hold_other_files_up(tmp_path: Path) -> None:
    a = capture(
        tmp_path / "a.txt", [(5, wire_quote(1, (9, 3), (20, 4))), (1, wire_quote(2, (9, 4), (20, 4)))]
    )
    b = tmp_path / "b.csv"
    b.write_text(
        "timestamp,ask_amount,ask_price,bid_price,bid_amount\n"
        "2024-08-08 23:54:15,1,2.5,2.4,1\n2024-08-08 23:54:19,1,2.5,2.4,1\n"
    )
    described = markets()
    told = list(Playback(sources([a, b], ["binance_spot", "quotes=plain_quotes"], [], described), described))
    quotes = [u for u in told if not u.key_frame]
    assert [(u.instrument, (u.receive_time_ns - START) // S) for u in quotes] == [
        (2, 2),
        (0, 5),
        (0, 1),
        (2, 6),
    ]


def read_all(broker: Broker, topics: list[str], count: int) -> list[tuple[str, int, bytes, bytes]]:
    """Everything in `topics`, from their beginnings."""
    reader = Consumer(consumer_config(broker, "reader"))
    try:
        reader.assign([TopicPartition(t, p, 0) for t in topics for p in range(3)])
        found = []
        for _ in range(200):
            found += [m for m in reader.consume(1_000, 0.1) if m.error() is None]
            if len(found) >= count:
                break
        return [(m.topic(), m.partition(), m.key(), m.value()) for m in found]
    finally:
        reader.close()


@pytest.mark.kafka
def test_a_capture_reaches_its_topics(tmp_path: Path, broker: Broker, topic_prefix: str) -> None:
    topics = [f"{topic_prefix}book.{level}" for level in ("l1", "l2")]
    make_topics(broker, dict.fromkeys(topics, 3))
    described = markets()
    path = capture(tmp_path / "c.gz")
    sink = Sink(broker, topic_prefix)
    told: list[int] = []
    done = publish(play(path), described, sink, speed=None, told=lambda played: told.append(played.updates))
    expected = list(updates([path], "binance_spot", described, prefix=topic_prefix))
    assert done.updates == sink.sent == len(expected) == told[-1] == 5
    found = read_all(broker, topics, len(expected))
    assert sorted((t, k, v) for t, _, k, v in found) == sorted(expected)
    assert len({partition for _, partition, _, _ in found}) == 1  # one group: one partition number in both


@pytest.mark.kafka
def test_pace_stops_and_missing_topics(tmp_path: Path, embedded: Broker, topic_prefix: str) -> None:
    with pytest.raises(RunError, match=rf"topic {topic_prefix}book\.l1 does not exist; make it"):
        Sink(embedded, topic_prefix)
    make_topics(embedded, {f"{topic_prefix}book.l1": 3, f"{topic_prefix}book.l2": 2})
    with pytest.raises(RunError, match="equally many partitions"):
        Sink(embedded, topic_prefix)
    prefix = topic_prefix + "b."
    make_topics(embedded, {f"{prefix}book.l1": 3, f"{prefix}book.l2": 3})
    path = capture(tmp_path / "c.gz")
    described = markets()
    # 2 s of capture at 20 times its pace; a pace is a lower bound of the time it takes.
    begun = time.monotonic()
    assert publish(play(path), described, Sink(embedded, prefix), speed=20.0).updates == 5
    assert time.monotonic() - begun >= 2 / 20
    # A pace at which it would take hours: stopped after what was due at once.
    asked = iter([False] * 3 + [True] * 1_000)
    done = publish(play(path), described, Sink(embedded, prefix), speed=1e-4, stop=lambda: next(asked))
    assert done.stopped
    assert done.updates == 1


@pytest.mark.kafka
def test_what_stands_before_a_fault_is_delivered(tmp_path: Path, embedded: Broker, topic_prefix: str) -> None:
    topics = [f"{topic_prefix}book.{level}" for level in ("l1", "l2")]
    make_topics(embedded, dict.fromkeys(topics, 3))
    path = capture(tmp_path / "c.txt", [*LINES, (4, b"{")])
    with pytest.raises(UserError, match="line 5: no JSON"):
        publish(play(path), markets(), Sink(embedded, topic_prefix), speed=None)
    assert len(read_all(embedded, topics, 5)) == 5


@pytest.mark.kafka
def test_a_broker_that_goes_away_ends_it_within_the_limit(tmp_path: Path) -> None:
    with start_embedded({"book.l1": 1, "book.l2": 1}) as broker:
        sink = Sink(broker, delivery_limit_ms=1_000)
    with pytest.raises(
        RunError, match=r"book\.l[12]: not delivered: .*timed out|were not delivered within 1000 ms"
    ):
        publish(play(capture(tmp_path / "c.gz")), markets(), sink, speed=None)
    held = weakref.ref(sink)
    del sink
    gc.collect()
    assert held() is None  # a producer that lives on would look for its broker for ever
