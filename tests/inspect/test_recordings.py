"""What is known of the recordings, found again without a markets file or a --venue. See their README."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from streams.inspect import report
from streams.inspect.capture import judge_files
from streams.inspect.judge import Judge
from tests.data import recording

pytestmark = pytest.mark.recording


def judged(*names: str) -> tuple[Judge, dict[str, Any]]:
    judge = judge_files([recording(name) for name in names])
    return judge, report.as_json(judge)


def wire(*names: str) -> Sequence[str]:
    return [f"venue_wire_captures/{name}" for name in names]


def test_three_markets_of_binance_agree_with_their_own_quotes() -> None:
    """0 gaps, 0 crossed, and a collector whose clock is 1.27 s behind.

    The two diffs that the README says disagree are the first ones of spot, older than its snapshot: none that
    was applied does. Diffs and quotes of spot and USD-M as in tests/feeds/test_recordings.py.
    """
    folder = "binance_three_markets"
    judge, found = judged(
        f"{folder}/spot/btcusdt_20240808.gz",
        f"{folder}/usdm/btcusdt_20240808.gz",
        f"{folder}/coinm/btcusd_perp_20240808.gz",
    )
    assert (found["gaps"], found["crossed"], found["repeats"], found["ok"]) == (0, 0, 0, True)
    assert found["l1_agreement"]["wrong"] == 0
    assert found["l1_agreement"]["right"] > 3_448 + 6_545 + 26_800
    assert -1.28e9 < found["clock_offset_ns"] < -1.26e9
    assert all(d.negative == d.count > 0 for d in judge.delays.values())
    assert [(key.venue, key.symbol) for key in sorted(judge.books)] == [
        ("binance_coinm", "BTCUSD_PERP"),
        ("binance_spot", "BTCUSDT"),
        ("binance_usdm", "BTCUSDT"),
    ]
    assert [book["state"] for book in found["books"]] == ["synced"] * 3


def test_spot_alone_is_counted_as_it_is_played() -> None:
    _, found = judged("binance_three_markets/spot/btcusdt_20240808.gz")
    assert (found["messages"], found["updates"]) == (41_249, 28_040 + 1 + 3_448)
    assert found["l1_agreement"] == {"right": 3_448, "wrong": 0}


def test_every_checksum_of_kraken_comes_out() -> None:
    """The instruments' list and the trades beside it hold no book, and do no harm."""
    judge, found = judged(*wire("KRAKEN.0", "KRAKEN.ws.48.0", "KRAKEN.ws.50.0"))
    assert found["checksums"] == {"right": 4_269, "wrong": 0, "absent": 10}
    assert found["ok"]
    assert {key.venue for key in judge.books} == {"kraken_v1"}
    assert len(found["books"]) == 10


def test_every_checksum_of_okx_comes_out() -> None:
    _, found = judged(*wire("OKX.ws.1.0"))
    assert found["checksums"] == {"right": 290, "wrong": 0, "absent": 0}
    assert found["ok"]


@pytest.mark.parametrize(
    ("name", "venue", "agreed"),
    [
        ("BINANCE", "binance_spot", 159),
        ("BINANCE_US", "binance_us", 316),
        ("BINANCE_FUTURES", "binance_usdm", 744),
    ],
)
def test_the_binance_family_agrees(name: str, venue: str, agreed: int) -> None:
    judge, found = judged(*wire(f"{name}.http.0.0", f"{name}.ws.1.0"))
    assert found["l1_agreement"] == {"right": agreed, "wrong": 0}
    assert {key.venue for key in judge.books} == {venue}
    assert (found["gaps"], found["repeats"], found["ok"]) == (0, 0, True)


def test_lighter_ends_on_the_known_top() -> None:
    _, found = judged("lighter_rollup/orderbook_market0_ETH.json")
    assert (found["gaps"], found["crossed"], found["updates"]) == (0, 0, 1_501)
    assert found["books"] == [{"symbol": "0", "state": "synced", "bid": "4331.46", "ask": "4331.77"}]


def test_coinbase_exchange_and_five_exchanges_are_never_crossed() -> None:
    _, found = judged(*wire("COINBASE.ws.28.0"))
    assert (found["updates"], found["crossed"], found["ok"]) == (10 + 9_719, 0, True)
    judge, found = judged("five_exchange_depth/run1-1.json")
    assert (found["updates"], found["crossed"], found["clock_offset_ns"]) == (9, 0, None)
    assert len({key.venue for key in judge.books}) == 5


def test_one_second_quotes_are_silent_for_28_s() -> None:
    _, found = judged("perp_quotes_1s/KRAKEN.F_SWAP_BTCUSD.quote.csv.gz")
    assert (found["messages"], found["crossed"], found["ok"]) == (41_812, 0, True)
    assert found["longest_silence_s"] == 28.0


# ---- harmed copies


def lines_of(name: str) -> list[bytes]:
    return recording(f"venue_wire_captures/{name}").read_bytes().split(b"\n")


def after(lines: Sequence[bytes], number: int, sign: bytes) -> int:
    """The index of the first line with `sign` behind line `number`."""
    return next(i for i, line in enumerate(lines) if i > number and sign in line)


def test_a_mutated_checksum_is_found_at_its_line(tmp_path: Path) -> None:
    lines = lines_of("KRAKEN.ws.50.0")
    at = after(lines, 2_000, b'"c":"')
    digit = re.search(rb'"c":"(\d)', lines[at])
    assert digit is not None
    other = b"%d" % ((int(digit[1]) + 1) % 10)
    lines[at] = lines[at][: digit.start(1)] + other + lines[at][digit.end(1) :]
    path = tmp_path / "harmed"
    path.write_bytes(b"\n".join(lines))
    judge = judge_files([path])
    assert (judge.checksums.wrong, judge.gaps, judge.ok) == (1, 0, False)
    assert [f.place for f in judge.findings(wrong=True)] == [f"{path}:{at + 1}", str(path)]
    assert sum(book["state"] == "gap" for book in report.as_json(judge)["books"]) == 1


def test_a_dropped_line_is_found_at_the_next_of_its_book(tmp_path: Path) -> None:
    lines = lines_of("BINANCE_FUTURES.ws.1.0")
    at = after(lines, 600, b'"depthUpdate"')
    symbol = re.search(rb'"s":"(\w+)"', lines[at])
    assert symbol is not None
    del lines[at]
    # The line that comes next for this book moved up by one: its index is its number before.
    next_one = at - 1
    while b'"depthUpdate"' not in lines[next_one] or b'"s":"%s"' % symbol[1] not in lines[next_one]:
        next_one += 1
    path = tmp_path / "harmed"
    path.write_bytes(b"\n".join(lines))
    judge = judge_files([recording("venue_wire_captures/BINANCE_FUTURES.http.0.0"), path])
    assert (judge.gaps, judge.ok) == (1, False)
    first = next(judge.findings(wrong=True))
    assert first.place == f"{path}:{next_one + 1}"
    assert symbol[1].decode() in first.what


def test_a_doubled_line_is_a_repeat_and_no_fault(tmp_path: Path) -> None:
    lines = lines_of("BINANCE_FUTURES.ws.1.0")
    at = after(lines, 600, b'"depthUpdate"')
    path = tmp_path / "harmed"
    path.write_bytes(b"\n".join([*lines[: at + 1], *lines[at:]]))
    judge = judge_files([recording("venue_wire_captures/BINANCE_FUTURES.http.0.0"), path])
    assert (judge.repeats, judge.gaps, judge.ok) == (1, 0, True)
