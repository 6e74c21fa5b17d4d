"""`interlayer play` as its user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streams.broker import Broker
from streams.cli.main import main
from tests.brokers import make_topics
from tests.feeds.kit import START, Event, S, wire
from tests.feeds.test_play import LINES, capture

MARKETS = """
[venues.mine]
layer = "base"
taker_fee_bps = 10.0
[[instruments]]
venue = "mine"
symbol = "BTCUSDT"
kind = "spot"
base = "BTC"
quote = "USDT"
tick = "0.01"
lot = "0.001"
"""


@pytest.fixture
def markets_file(tmp_path: Path) -> str:
    path = tmp_path / "markets.toml"
    path.write_text(MARKETS)
    return str(path)


def common(broker: Broker, prefix: str, markets_file: str) -> list[str]:
    make_topics(broker, {f"{prefix}book.l1": 2, f"{prefix}book.l2": 2})
    address = f"kafka://{broker.bootstrap}"
    return [
        "--broker",
        address,
        "--prefix",
        prefix,
        "--markets",
        markets_file,
        "--venue",
        "mine=binance_spot",
    ]


@pytest.mark.kafka
def test_it_says_what_was_played(
    embedded: Broker, topic_prefix: str, tmp_path: Path, markets_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = common(embedded, topic_prefix, markets_file)
    path = capture(tmp_path / "c.gz")
    assert main(["play", str(path), *options, "--speed", "max", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["messages"], told["updates"], told["records"]) == (4, 5, 5)
    assert (told["from_ns"], told["to_ns"]) == (START + S, START + 3 * S)
    assert told["books"] == [
        {"venue": "mine", "symbol": "BTCUSDT", "state": "synced", "quotes": 1, "snapshots": 1, "deltas": 1,
         "ignored": 0, "gaps": 0, "unfit": 0}
    ]  # fmt: skip
    assert main(["play", str(path), *options, "--speed", "50"]) == 0
    out = capsys.readouterr().out
    assert "4 messages, 5 updates in" in out
    assert "mine\tBTCUSDT\tsynced\t1\t1\t1\t0\t0\t0" in out
    assert "\x1b" not in out


@pytest.mark.kafka
def test_a_book_that_is_lost_at_the_end_is_named(
    embedded: Broker, topic_prefix: str, tmp_path: Path, markets_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = common(embedded, topic_prefix, markets_file)
    gap = (4, wire(Event(105, 106, 0, (), ()), False))
    path = capture(tmp_path / "c.gz", [*LINES, gap])
    assert main(["play", str(path), *options, "--speed", "max"]) == 0
    assert "not synced at the end, for want of a snapshot that fits: mine BTCUSDT" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--prefix", "p."], "gone.gz: No such file or directory"),
        ([], "a recording goes to topics of its own, never among live ones: give --prefix"),
        (["--prefix", "p.", "--speed", "0"], "--speed 0: give a number above 0, or max"),
        (["--prefix", "p.", "--speed", "fast"], "--speed fast: give a number above 0, or max"),
        (["--prefix", "p.", "--speed", "nan"], "--speed nan: give a number above 0, or max"),
        (["--prefix", "p.", "--key-frame-s", "0"], "--key-frame-s 0: give 0.1 to 86,400"),
        (["--prefix", "p.", "--venue", "binance_spot"], "--venue stands 2 times for 1 files"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    options: list[str], reason: str, markets_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["play", "gone.gz", "--venue", "mine=binance_spot", "--markets", markets_file, *options]) == 2
    told = capsys.readouterr()
    assert reason in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
