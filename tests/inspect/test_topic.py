"""Stretches of the book topics: what the feed said, and what was harmed on the way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from strategies.markets import Markets
from streams.broker import Broker
from streams.errors import UserError
from streams.feeds.book import Book
from streams.inspect.topic import bound, topics_of
from streams.play import updates
from tests.brokers import make_topics
from tests.feeds.kit import Event, markets, wire, wire_quote, wire_snapshot
from tests.feeds.test_play import capture
from tests.streams.shell import Interlayer, Said, put

Records = list[tuple[str, bytes, bytes]]  # topic, key, value
BOOK = Book([(p, 5) for p in range(1, 10)], [(p, 5) for p in range(20, 30)])
LINES = [
    (0, wire_snapshot(BOOK, 100)),
    (1, wire_quote(101, (9, 5), (20, 4))),
    (1, wire(Event(101, 102, 0, (), ((20, 4),)), False)),
    (2, wire(Event(103, 104, 0, ((10, 1),), ()), False)),
    (2, wire_quote(104, (10, 1), (20, 4))),
    (9, wire(Event(105, 106, 0, ((3, 0),), ()), False)),
    (10, wire(Event(107, 108, 0, ((2, 0),), ()), False)),
]


def described() -> Markets:
    """`kit.markets`, of which spot's quotes and diffs share their ids."""
    found = markets()
    venues = {
        n: v.model_copy(update={"shared_update_ids": n == "binance_spot"}) for n, v in found.venues.items()
    }
    return found.model_copy(update={"venues": venues})


def records(path: Path, lines: Sequence[tuple[int, bytes]] = LINES) -> Records:
    return list(updates([capture(path / "capture", list(lines))], "binance_spot", described()))


class Desk:
    """Topics of a test's own, and `interlayer check` on them."""

    def __init__(self, run: Interlayer, broker: Broker, prefix: str, folder: Path) -> None:
        self._run, self._broker, self.prefix = run, broker, prefix
        make_topics(broker, {f"{prefix}book.l1": 1, f"{prefix}book.l2": 1})
        (folder / "markets.toml").write_text(MARKETS)

    def put(self, found: Records) -> None:
        for topic in ("book.l1", "book.l2"):
            rows = [(key.decode(), value) for name, key, value in found if name == topic]
            put(self._broker, self.prefix + topic, *rows)

    def check(self, *words: str) -> Said:
        address = ["--broker", f"kafka://{self._broker.bootstrap}", "--prefix", self.prefix]
        return self._run("check", *words, *address, "--markets", "markets.toml")


MARKETS = """
[venues.binance_spot]
layer = "base"
taker_fee_bps = 10.0
shared_update_ids = true
[[instruments]]
venue = "binance_spot"
symbol = "BTCUSDT"
kind = "spot"
base = "BTC"
quote = "USDT"
tick = "0.01"
lot = "0.001"
"""


@pytest.fixture
def desk(interlayer: Interlayer, embedded: Broker, topic_prefix: str, tmp_path: Path) -> Desk:
    return Desk(interlayer, embedded, topic_prefix, tmp_path)


def test_a_good_stretch_is_counted(desk: Desk, tmp_path: Path) -> None:
    sent = records(tmp_path)
    desk.put(sent)
    said = desk.check("book.*", "--json")
    assert (said.code, said.err) == (0, "")
    found = said.json
    assert found["messages"] == len(sent)
    assert (found["updates"], found["gaps"], found["repeats"]) == (7, 0, 0)
    assert found["l1_agreement"] == {"right": 4, "wrong": 0}
    assert found["books"] == [{"symbol": "BTCUSDT", "state": "synced", "bid": "0.10", "ask": "0.20"}]
    assert found["longest_silence_s"] == 7.0
    assert found["ok"] is True


def test_one_topic_alone_is_judged_too(desk: Desk, tmp_path: Path) -> None:
    desk.put(records(tmp_path))
    quotes = desk.check("book.l1", "--json").json
    assert (quotes["updates"], quotes["checksums"]["absent"]) == (2, 0)
    depth = desk.check(f"{desk.prefix}book.l2", "--json").json
    assert (depth["updates"], depth["checksums"]["absent"]) == (5, 5)
    assert depth["l1_agreement"] == {"right": 0, "wrong": 0}


def test_a_lost_record_is_a_gap_at_the_offset_after_it(desk: Desk, tmp_path: Path) -> None:
    sent = records(tmp_path)
    depth = [n for n, (topic, _, _) in enumerate(sent) if topic == "book.l2"]
    del sent[depth[-2]]
    desk.put(sent)
    said = desk.check("book.l2", "--json")
    assert (said.code, said.json["gaps"], said.json["books"][0]["state"]) == (1, 1, "gap")
    place = f"{desk.prefix}book.l2/0/{len(depth) - 2}"
    first = said.err.splitlines()[0]
    assert first.startswith(f"{place}: binance_spot BTCUSDT (BTC): 1 records before this are missing")
    told = desk.check("book.l2")
    assert told.code == 1
    assert f"wrong {place}: " in told.out
    assert told.err == ""


def test_a_record_once_more_is_a_repeat(desk: Desk, tmp_path: Path) -> None:
    sent = records(tmp_path)
    desk.put([*sent, *sent[-2:]])
    said = desk.check("book.*", "--json")
    assert (said.code, said.json["repeats"], said.json["updates"]) == (0, 2, 7)


def test_two_feeds_at_once_are_seen(desk: Desk, tmp_path: Path) -> None:
    early = records(tmp_path)
    late = records(tmp_path, [(second + 1, raw) for second, raw in LINES])
    mixed = [record for pair in zip(early, late, strict=True) for record in pair]
    desk.put(mixed)
    said = desk.check("book.l1", "--json")
    assert said.code == 1
    assert "an old feed still runs beside the new one" in said.err


def test_another_record_under_the_same_number_is_seen(desk: Desk, tmp_path: Path) -> None:
    other = [*LINES[:-1], (10, wire(Event(107, 108, 0, ((2, 7),), ()), False))]
    last = [record for record in records(tmp_path, other) if record[0] == "book.l2"][-1]
    sent = records(tmp_path)
    assert last not in sent
    desk.put([*sent, last])
    said = desk.check("book.l2", "--json")
    assert said.code == 1
    assert "was taken by another record" in said.err


def test_what_cannot_be_read_is_told_with_its_offset(desk: Desk, tmp_path: Path) -> None:
    sent = records(tmp_path)
    desk.put([*sent, ("book.l2", b"BTC", b"\x00\x01nonsense")])
    depth = sum(topic == "book.l2" for topic, _, _ in sent)
    said = desk.check("book.l2", "--json")
    assert said.code == 1
    assert said.err.startswith(f"{desk.prefix}book.l2/0/{depth}: cannot be read: ")


def test_a_gap_that_the_feed_saw_is_told(desk: Desk, tmp_path: Path) -> None:
    desk.put(records(tmp_path, [*LINES[:4], LINES[-1]]))
    said = desk.check("book.l2", "--json")
    assert (said.code, said.json["gaps"], said.json["books"][0]["state"]) == (1, 1, "gap")


def test_a_stretch_begins_and_ends_where_it_is_told_to(desk: Desk, tmp_path: Path) -> None:
    desk.put(records(tmp_path))
    some = desk.check("book.l2", "--from", "1", "--to", "3", "--json")
    assert (some.code, some.json["messages"]) == (0, 2)
    assert some.json["books"][0] == {"symbol": "BTCUSDT", "state": "resync", "bid": None, "ask": None}
    plain = desk.check("book.l2", "--from", "1", "--to", "3")
    assert "note  binance_spot BTCUSDT (BTC): no snapshot within this stretch" in plain.out
    nothing = desk.check("book.l2", "--from", "1000")
    assert nothing.code == 1
    assert "there is no record in this stretch" in nothing.out
    wrong = desk.check("book.l2", "--partition", "7")
    assert (wrong.code, wrong.out) == (2, "")
    assert "--partition 7" in wrong.err


def test_a_time_asks_for_a_broker_that_knows_times(desk: Desk) -> None:
    said = desk.check("book.l2", "--from", "2024-08-08T23:55:00Z")
    assert said.code == 2
    assert "cannot look offsets up by time (offsets_by_time)" in said.err


@pytest.mark.needs_offsets_by_time
def test_a_stretch_by_time(interlayer: Interlayer, broker: Broker, topic_prefix: str, tmp_path: Path) -> None:
    """Times are those of the records on the broker, not of the recording."""
    desk = Desk(interlayer, broker, topic_prefix, tmp_path)
    sent = records(tmp_path)
    desk.put(sent)
    whole = desk.check("book.*", "--from", "2001-01-01", "--to", "2100-01-01T00:00:00Z", "--json")
    assert (whole.code, whole.json["messages"]) == (0, len(sent))
    later = desk.check("book.*", "--from", "2100-01-01", "--json")
    assert (later.code, later.json["messages"]) == (1, 0)
    assert desk.check("book.*", "--to", "2001-01-01", "--json").json["messages"] == 0


# ---- the command line


def test_the_answer_for_machines_has_just_these_fields(interlayer: Interlayer, tmp_path: Path) -> None:
    path = capture(tmp_path / "c", LINES)
    said = interlayer("check", str(path), "--json")
    assert said.code == 0
    assert list(json.loads(said.out)) == [
        "messages", "updates", "gaps", "repeats", "checksums", "crossed", "one_sided", "clock_offset_ns",
        "l1_agreement", "longest_silence_s", "books", "ok",
    ]  # fmt: skip
    assert list(said.json["checksums"]) == ["right", "wrong", "absent"]
    assert list(said.json["l1_agreement"]) == ["right", "wrong"]
    assert [list(book) for book in said.json["books"]] == [["symbol", "state", "bid", "ask"]]
    assert said.json["longest_silence_s"] == 7.0


def test_people_are_told_the_same(interlayer: Interlayer, tmp_path: Path) -> None:
    path = capture(tmp_path / "c", [*LINES[:4], LINES[-1]])
    said = interlayer("check", str(path), "--venue", "mine=binance_spot")
    assert (said.code, said.err) == (1, "")
    assert "gaps\t1" in said.out
    assert "mine\tBTCUSDT\tgap\t-\t-" in said.out
    assert (
        f"wrong {path}:5: mine BTCUSDT: a gap before this: update 107 to 108 does not follow 104" in said.out
    )


def test_a_markets_file_says_what_is_judged(interlayer: Interlayer, tmp_path: Path) -> None:
    path = capture(tmp_path / "c", LINES)
    (tmp_path / "markets.toml").write_text(MARKETS)
    assert interlayer("check", str(path), "--markets", "markets.toml").code == 0
    (tmp_path / "markets.toml").write_text(MARKETS.replace('tick = "0.01"', 'tick = "0.1"'))
    said = interlayer("check", str(path), "--markets", "markets.toml", "--json")
    assert said.code == 1
    assert said.err.startswith(f"{path}:1: cannot be read: price 0.09 does not fit the tick 0.1")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["gone.gz"], "gone.gz: no such file, nor a topic; topics are book.l1 and book.l2"),
        (["signal"], "signal: no such file, and no book topic; there are book.l1, book.l2, book.*"),
        (["book.l1", "gone.gz"], "give files or topics, not both"),
        (["book.l1", "--venue", "okx"], "--venue is for files"),
        (["here", "--to", "7"], "--to is for topics"),
        (["--venue", "okx"], "--venue: of which file or topic? Name it"),
        (["book.l1", "--from", "yesterday"], "--from yesterday: give an offset, or a time such as"),
    ],
)
def test_wrong_use_is_one_line(interlayer: Interlayer, tmp_path: Path, words: list[str], reason: str) -> None:
    capture(tmp_path / "here", LINES)
    said = interlayer("check", *words)
    assert (said.code, said.out) == (2, "")
    assert reason in said.err
    assert said.err.count("\n") == 1


def test_bounds_and_names() -> None:
    assert bound("--from", None) is None
    assert bound("--from", "12") == 12
    assert bound("--from", "2024-08-08T23:55:00Z") == bound("--from", "2024-08-08T23:55:00")
    assert topics_of(["p.book.l2"], "p.") == ["book.l2"]
    assert topics_of(["book", "book.l1"], "") == ["book.l1", "book.l2"]
    with pytest.raises(UserError, match="no book topic"):
        topics_of(["risk.event"], "")
