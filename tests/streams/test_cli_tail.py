"""`interlayer tail`, and how values are shown."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.broker import Broker
from streams.cli import main as cli
from streams.cli.describe import _DESCRIBERS, describe
from streams.cli.output import iso, say_table, scaled
from streams.errors import RunError, UserError
from streams.wire import SCHEMA_OF
from tests.streams.shell import LIMIT_S, WIRE, Interlayer, put

ENTRY = "from streams.cli.main import run; run()"


def reject(offset: int) -> bytes:
    return WIRE.encode(
        "book.reject",
        {
            "topic": "book.l2",
            "partition": 0,
            "offset": offset,
            "reason": "truncated",
            "detail": "cut short",
            "timestamp_ms": 1,
            "size_bytes": 2,
            "value": b"\x00\xff",
        },
    )


def test_tail_shows_the_last_and_the_first(interlayer: Interlayer, broker: Broker, at: list[str]) -> None:
    put(broker, at[-1] + "book.reject", *((f"G{n % 5}", reject(n)) for n in range(30)))
    shown = interlayer("tail", "book.reject", "--once", *at)
    assert shown.code == 0
    assert len(shown.out.splitlines()) == 10
    whole = interlayer("tail", "book.reject", "--once", "--from-start", *at, "--json").out.splitlines()
    assert sorted(json.loads(line)["record"]["offset"] for line in whole) == list(range(30))
    assert json.loads(whole[0])["record"]["value"] == "00ff"
    first = interlayer("tail", "book.reject", "--from-start", "-n", "3", *at)
    assert len(first.out.splitlines()) == 3
    assert "truncated: cut short (2 bytes)" in first.out
    assert interlayer("tail", "book.reject", "--once", "-n", "0", *at).out == ""
    assert interlayer("tail", "signal", "--once", *at).out == ""


def test_tail_goes_past_what_cannot_be_read(interlayer: Interlayer, broker: Broker, at: list[str]) -> None:
    put(broker, at[-1] + "book.reject", ("G", b"junk"), ("G", None), ("G", reject(7)))
    lines = interlayer("tail", "book.reject", "--once", *at).out.splitlines()
    assert ["cannot be read" in line for line in lines] == [True, True, False]
    record = json.loads(interlayer("tail", "book.reject", "--once", *at, "--json").out.splitlines()[0])
    assert record["record"] is None
    assert record["fault"]


def test_tail_knows_our_topics_alone(interlayer: Interlayer) -> None:
    said = interlayer("tail", "signals")
    assert said.code == 2
    assert "did you mean signal?" in said.err


def test_tail_follows_and_ends_with_ctrl_c(broker: Broker, at: list[str], tmp_path: Path) -> None:
    put(broker, at[-1] + "book.reject", ("G", reject(0)))
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2]), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", ENTRY, "tail", "book.reject", "--json", *at],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["record"]["offset"] == 0
        put(broker, at[-1] + "book.reject", ("G", reject(1)))
        assert json.loads(process.stdout.readline())["record"]["offset"] == 1
        time.sleep(0.2)  # into the poll that waits
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LIMIT_S)
        assert (process.returncode, err) == (0, "")
    finally:
        process.kill()
        process.wait()


# ---- how values are shown


def test_a_signal_on_one_line() -> None:
    leg = {
        "venue": "binance",
        "symbol": "BTCUSDT",
        "layer": "base",
        "side": "buy",
        "price_exponent": -2,
        "size_exponent": -5,
        "size_lots": 1_250,
        "limit_price_ticks": 6_500_001,
        "expected_price": 65_000.0,
        "fee_bps": 10.0,
        "fixed_cost_quote": 0.0,
    }
    record = {
        "action": "open",
        "strategy": "cross_venue",
        "product": "BTC/USDT spot",
        "epoch": 7,
        "sequence": 3,
        "time_ns": 1_704_164_645_000_000_006,
        "valid_until_ns": 1_704_164_645_500_000_006,
        "net_edge_bps": 5.123,
        "net_edge_quote": 0.4162,
        "notional_quote": 812.5,
        "quote": "USDT",
        "legs": [leg],
        "recorded": False,
        "episode_id": "ab" * 16,
    }
    assert describe("Signal", record) == (
        "2024-01-02T03:04:05.000000006Z  OPEN cross_venue BTC/USDT spot (7, 3)  net 5.12 bps = 0.42 USDT  "
        "on 812.50 USDT  buy 0.01250 binance BTCUSDT to 65000.01  "
        "until 2024-01-02T03:04:05.500000006Z  episode abababab"
    )
    closed = describe("Signal", {**record, "action": "close", "cause": "edge_gone", "legs": []})
    assert closed.endswith("CLOSE cross_venue BTC/USDT spot (7, 3)  because edge_gone  episode abababab")


def test_every_schema_can_be_described() -> None:
    assert set(_DESCRIBERS) == set(SCHEMA_OF.values())


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-18, 18))
def test_scaled_numbers_are_exact(value: int, exponent: int) -> None:
    text = scaled(value, exponent)
    assert Fraction(text) == value * Fraction(10) ** exponent
    assert "e" not in text.lower()


def test_times_keep_their_nanoseconds() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000000000Z"
    assert iso(-1) == "1969-12-31T23:59:59.999999999Z"
    assert iso(1_704_164_645_123_456_789) == "2024-01-02T03:04:05.123456789Z"
    assert iso(2**63 - 1).startswith("2262-04-11")


def test_tables_are_plain_lines_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(["a", "b"], [[1, "x"], [2, None]])
    assert capsys.readouterr().out == "a\tb\n1\tx\n2\tNone\n"


def test_exit_codes_are_as_promised() -> None:
    assert (RunError("x").exit_code, UserError("x").exit_code) == (1, 2)
