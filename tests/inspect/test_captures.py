"""Small captures of known faults: each is found, with its file and line."""

from __future__ import annotations

import gzip
from collections import Counter
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import UserError
from streams.feeds.book import Book
from streams.feeds.registry import FEEDS
from streams.inspect import report
from streams.inspect.capture import judge_files, stem
from streams.inspect.guess import guess_feeds
from streams.inspect.judge import Judge
from streams.inspect.survey import best_decimals, form
from tests.feeds.kit import START, Event, S, wire, wire_quote, wire_snapshot
from tests.feeds.test_play import BOOK, LINES, capture

Lines = list[tuple[int, bytes]]
NEXT = (4, wire(Event(103, 104, 0, ((8, 0),), ()), False))
AFTER = (5, wire(Event(105, 106, 0, ((7, 5),), ()), False))
GOOD: Lines = [*LINES, NEXT, AFTER]


def judged(path: Path, lines: Lines, venue: str = "binance_spot") -> Judge:
    return judge_files([capture(path, lines)], [venue])


def faults(judge: Judge) -> list[str]:
    return [str(fault) for fault in judge.findings(wrong=True)]


@pytest.mark.parametrize("name", ["c", "c.gz", "c.zst"])
def test_a_good_capture_is_counted(tmp_path: Path, name: str) -> None:
    """The first diff is older than the snapshot: it had to come, and is no repeat."""
    found = report.as_json(judged(tmp_path / name, GOOD))
    assert found == {
        "messages": 6,
        "updates": 5,
        "gaps": 0,
        "repeats": 0,
        "checksums": {"right": 0, "wrong": 0, "absent": 4},
        "crossed": 0,
        "one_sided": 0,
        "clock_offset_ns": START + 3 * S - 1_723_161_255_208_000_000,
        "l1_agreement": {"right": 0, "wrong": 3},  # the quote of LINES is not its book's: see below
        "longest_silence_s": 1.0,
        "books": [{"symbol": "BTCUSDT", "state": "synced", "bid": "0.09", "ask": "0.21"}],
        "ok": False,
    }


def test_quotes_that_agree_are_right_and_those_that_do_not_are_told(tmp_path: Path) -> None:
    lines = [*GOOD[:3], (3, wire(Event(101, 102, 0, ((9, 3),), ((20, 4),)), False)), NEXT]
    assert report.as_json(judged(tmp_path / "c", lines))["l1_agreement"] == {"right": 2, "wrong": 0}
    wrong = judged(tmp_path / "c", GOOD)
    assert [fault.split(": ")[0] for fault in faults(wrong)] == [f"{tmp_path / 'c'}:{n}" for n in (4, 5, 6)]


def test_a_lost_message_is_a_gap_at_the_line_after_it(tmp_path: Path) -> None:
    lines = [line for line in GOOD if line not in (NEXT, GOOD[2])]
    judge = judged(tmp_path / "c", lines)
    assert (judge.gaps, judge.ok) == (1, False)
    place = f"{tmp_path / 'c'}:4"
    assert faults(judge) == [
        f"{place}: binance_spot BTCUSDT: a gap before this: update 105 to 106 does not follow 102",
        f"{tmp_path / 'c'}: binance_spot BTCUSDT: gap at the end: lost, and not found again",
    ]
    assert report.as_json(judge)["books"][0] == {
        "symbol": "BTCUSDT", "state": "gap", "bid": None, "ask": None,
    }  # fmt: skip


def test_a_gap_that_a_snapshot_mends_is_told_all_the_same(tmp_path: Path) -> None:
    lines = [line for line in GOOD if line not in (NEXT, GOOD[2])]
    judge = judged(tmp_path / "c", [*lines, (6, wire_snapshot(Book([(1, 1)], [(2, 1)]), 106))])
    assert (judge.gaps, judge.ok, report.as_json(judge)["books"][0]["state"]) == (1, False, "synced")


@pytest.mark.parametrize(
    ("again", "repeats"),
    [(GOOD[0], 1), (GOOD[1], 0), (GOOD[2], 1), (GOOD[3], 1), (NEXT, 1)],
    ids=["diff before the snapshot", "older snapshot", "quote", "diff", "last diff"],
)
def test_what_was_told_before_is_a_repeat(tmp_path: Path, again: tuple[int, bytes], repeats: int) -> None:
    lines = [*LINES, NEXT, (5, again[1])]
    judge = judged(tmp_path / "c", lines)
    assert (judge.gaps, judge.repeats) == (0, repeats)
    places = [note.place for note in judge.findings(wrong=False) if note.kind == "repeat"]
    assert places == [f"{tmp_path / 'c'}:6"] * repeats
    assert report.as_json(judge)["books"] == report.as_json(judged(tmp_path / "d", [*LINES, NEXT]))["books"]


def test_the_same_snapshot_once_more_is_a_repeat(tmp_path: Path) -> None:
    assert judged(tmp_path / "c", [*LINES[:2], (2, LINES[1][1])]).repeats == 1


def test_a_message_that_cannot_be_read_is_told_and_the_rest_judged(tmp_path: Path) -> None:
    judge = judged(tmp_path / "c", [*LINES[:2], (2, b'{"e":"depthUpdate","s":'), *LINES[3:]])
    assert (judge.messages, judge.updates, judge.ok) == (4, 2, False)
    assert faults(judge)[0].startswith(f"{tmp_path / 'c'}:3: cannot be read: no JSON")


@pytest.mark.parametrize("cut", [20, 60])
def test_a_file_that_is_cut_off_is_judged_as_far_as_it_goes(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "c.gz"
    text = b"".join(b"%d %s\n" % (START + n * S, wire_snapshot(BOOK, n)) for n in range(1, 4_000))
    path.write_bytes(gzip.compress(text)[:-cut])
    judge = judge_files([path], ["binance_spot"], ["BTCUSDT"])
    assert judge.messages > 3_000
    (fault,) = faults(judge)
    assert fault.startswith(f"{path}: after line ")
    assert "damaged or cut off" in fault


def test_a_crossed_book_is_told_where_it_begins(tmp_path: Path) -> None:
    lines = [*LINES[:2], (3, wire(Event(101, 102, 0, ((25, 1),), ()), False)), NEXT]
    judge = judged(tmp_path / "c", lines)
    assert judge.crossed == 2
    assert faults(judge) == [f"{tmp_path / 'c'}:3: binance_spot BTCUSDT: the depth is crossed from here on"]


def test_the_files_of_one_capture_are_merged_by_time(tmp_path: Path) -> None:
    """The snapshot of the second file lies between the diffs of the first."""
    files = [
        capture(tmp_path / "diffs", [GOOD[0], *GOOD[3:]]),
        capture(tmp_path / "answers", [LINES[1]]),
    ]
    judge = judge_files(files, ["binance_spot"])
    assert (judge.messages, judge.updates, judge.ok) == (5, 4, True)
    assert faults(judge_files(files[:1], ["binance_spot"])) == [
        f"{files[0]}: binance_spot BTCUSDT: resync at the end: no snapshot fits"
    ]


def test_files_of_several_symbols_keep_their_own_answers(tmp_path: Path) -> None:
    """Binance's REST answers name no symbol: in a file of one symbol they are of that one."""
    files = [
        capture(tmp_path / name, [(s, raw.replace(b"BTCUSDT", name.encode())) for s, raw in LINES])
        for name in ("ONE", "TWO")
    ]
    judge = judge_files(files, ["binance_spot"])
    assert [(key.symbol, seen.state.name) for key, seen in judge.books.items()] == [
        ("ONE", "SYNCED"),
        ("TWO", "SYNCED"),
    ]


# ---- whose it is


def answer(url: str) -> bytes:
    return b"%s -> 1.5: %s\n" % (url.encode(), LINES[1][1])


def test_whose_capture_it_is_can_be_told(tmp_path: Path) -> None:
    spot = capture(tmp_path / "spot", LINES)
    futures = capture(tmp_path / "futures", [(1, wire(Event(1, 2, 0, ((9, 1),), ()), True))])
    assert guess_feeds([spot, futures]) == ["binance_spot", "binance_usdm"]
    coins = tmp_path / "coins"
    coins.write_bytes(futures.read_bytes().replace(b"BTCUSDT", b"BTCUSD_PERP"))
    assert guess_feeds([futures, coins]) == ["binance_usdm", "binance_coinm"]


def test_answers_tell_whose_the_stream_beside_them_is(tmp_path: Path) -> None:
    stream = capture(tmp_path / "stream", [LINES[0], *LINES[2:]])
    answers = tmp_path / "answers"
    answers.write_bytes(answer("https://api.binance.us/api/v3/depth?symbol=BTCUSDT"))
    assert guess_feeds([stream, answers]) == ["binance_us", "binance_us"]
    answers.write_bytes(answer("https://elsewhere.example/depth?symbol=BTCUSDT"))
    assert guess_feeds([stream, answers]) == ["binance_spot", "binance_spot"]
    assert judge_files([stream, answers]).messages == 4


def test_a_file_that_nobody_can_read_names_the_feeds(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(b'1 {"hello": 1}\n')
    with pytest.raises(UserError, match="cannot tell whose capture this is") as fault:
        judge_files([path])
    assert all(name in str(fault.value) for name in FEEDS)


@pytest.mark.parametrize(
    ("venues", "reason"),
    [
        (["nowhere"], "--venue nowhere: no feed is called 'nowhere'; there are binance_coinm"),
        (["mine=nowhere"], "no feed is called 'nowhere'"),
        (["okx", "okx"], "--venue stands 2 times for 1 files"),
        (["okx"], "nothing in it concerns a book of okx"),
        (["kraken"], "nothing in it concerns a book of kraken"),
        (["kraken_v1"], "nothing in it concerns a book of kraken_v1"),
    ],
)
def test_a_wrong_venue_is_told(tmp_path: Path, venues: list[str], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        judge_files([capture(tmp_path / "c")], venues)


def test_messages_of_another_branch_are_faults(tmp_path: Path) -> None:
    """Its snapshot can be read, its diffs not."""
    judge = judged(tmp_path / "c", LINES, "binance_usdm")
    assert faults(judge)[0] == (
        f"{tmp_path / 'c'}:1: cannot be read: this is a message of Binance spot: choose another --venue"
    )


def test_rows_of_quotes_are_called_as_their_file(tmp_path: Path) -> None:
    text = "timestamp,ask_amount,ask_price,bid_price,bid_amount\n2026-01-01 00:00:00,1,2.5,2.25,1\n"
    files = [tmp_path / "A.quote.csv", tmp_path / "B C.csv"]
    for path in files:
        path.write_text(text)
    judge = judge_files(files)
    assert [key.symbol for key in judge.books] == ["A", "B_C"]
    assert report.as_json(judge)["books"][0]["bid"] == "2.25"
    assert stem(Path("x/V.PERP.csv.gz")) == "V.PERP"


# ---- decimals


@pytest.mark.parametrize(
    ("value", "kept", "without", "room"),
    [
        ("1.50", 2, 1, 15), ("10", 0, 0, 14), ("1e-3", 3, 3, 18), ("1E5", 0, 0, 10), ("0.000", 3, 0, 18),
        ("nonsense", 0, 0, 18), ("1" * 70, 0, 0, 18), ("1e999999999", 0, 0, 18), ("NaN", 0, 0, 18),
        (str(2**53), 0, 0, 0), (str(2**53 + 1), 0, 0, -1), (Fraction(1, 8), 3, 3, 16),
        (Fraction(3, 50), 2, 2, 17), (Fraction(1, 3), 18, 18, 16), (Fraction(7), 0, 0, 15),
    ],
)  # fmt: skip
def test_the_form_of_a_number(value: str | Fraction, kept: int, without: int, room: int) -> None:
    found = form(value, True), form(value, False)
    if value == "1e999999999":  # beyond any measure, one way or the other
        assert all(one.decimals == 0 for one in found)
        return
    assert found == ((kept, room), (without, room))
    if 0 <= room < 18:
        number = value if isinstance(value, Fraction) else Fraction(value)
        assert number * 10**room <= 2**53 < number * 10 ** (room + 1)
    if isinstance(value, Fraction) and value.denominator != 3:
        assert (value * 10**kept).denominator == 1
        assert kept == 0 or (value * 10 ** (kept - 1)).denominator > 1


def test_one_harmed_number_does_not_spoil_its_book(tmp_path: Path) -> None:
    lines = [*LINES[:2], (3, wire(Event(101, 102, 0, ((9, 3),), ()), False)), NEXT]
    harmed = (5, AFTER[1].replace(b'"0.07"', b'"0.000000000000000007"'))
    judge = judged(tmp_path / "c", [*lines, harmed, *((6, raw) for _, raw in lines)])
    assert judge.updates == 3
    (fault,) = faults(judge)
    assert fault.startswith(f"{tmp_path / 'c'}:5: cannot be read: price 0.000000000000000007 does not fit")


@given(st.lists(st.sampled_from(["1.5", "2.25", "90000000", "0.000000001", "7", "1e-18"]), min_size=1))
def test_as_many_numbers_as_can_be_are_read(values: list[str]) -> None:
    def readable(decimals: int) -> int:
        units = [Fraction(value) * 10**decimals for value in values]
        return sum(one.denominator == 1 and one <= 2**53 for one in units)

    found = best_decimals(Counter(form(value, False) for value in values))
    assert readable(found) == max(map(readable, range(19)))


# ---- harm


@given(st.data())
def test_whatever_is_in_a_file_is_judged_or_refused(data: st.DataObject) -> None:
    """No traceback: bytes of a good capture are changed, taken out, doubled and put in."""
    text = bytearray(b"".join(b"%d %s\n" % (START + s * S, raw) for s, raw in GOOD))
    pieces = st.sampled_from([b"null", b"-1", b"1e999", b"1e999999999", b"[]", b'"', b"{", b"9" * 30, b""])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 20))] = data.draw(st.one_of(pieces, st.binary(max_size=4)))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "c"
        path.write_bytes(text)
        refused = ""
        try:
            found = report.as_json(judge_files([path], ["binance_spot"]))
        except UserError as fault:
            refused = str(fault)
        if refused:
            assert str(path) in refused
        else:
            assert 0 < found["messages"] <= len(text)
            assert found["books"]


def test_quotes_alone_are_judged(tmp_path: Path) -> None:
    judge = judged(
        tmp_path / "c", [(1, wire_quote(1, (9, 1), (10, 1))), (2, wire_quote(2, (11, 1), (10, 1)))]
    )
    assert (judge.updates, judge.crossed) == (2, 1)
    assert faults(judge) == [f"{tmp_path / 'c'}:2: binance_spot BTCUSDT: the quote is crossed from here on"]
