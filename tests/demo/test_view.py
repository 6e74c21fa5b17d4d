"""The live view: figures, and that it fits the terminal."""

from __future__ import annotations

from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from streams.demo.view import Picture, draw, headline, percentiles, route, shares, shown_ms

BOOK = {
    "group": "BTC", "venue": "alder", "symbol": "BTCUSDT", "state": "synced", "bid": 65_000.12, "ask": None,
    "levels": [40, 39], "age_ms": 12.4,
}  # fmt: skip
LEGS = [
    {"side": "sell", "venue": "alder", "layer": "base"},
    {"side": "buy", "venue": "cedar", "layer": "rollup"},
]
SIGNAL = {
    "product": "BTC/USDT spot", "legs": LEGS, "notional_quote": 6_434.74, "net_edge_bps": 14.81,
    "net_edge_quote": 9.53, "quote": "USDT", "group": "BTC", "epoch": 0, "sequence": 3, "action": "open",
    "cause": "none", "signal_id": "0123456789abcdef",
}  # fmt: skip
EVENT = {
    "reason": "stale", "group": "BTC", "product": "BTC/USDT spot", "venue": "birch", "value": 2_001.0,
    "limit": None, "suppressed": 7,
}  # fmt: skip


def watched(signals: int, events: int) -> Any:
    counts = {"signal": signals, "risk.event": events, "book.reject": 2}
    return SimpleNamespace(
        latencies_ms=[1.0, 3.0], open={str(i): SIGNAL for i in range(signals)}, counts=counts,
        signals=[SIGNAL] * signals, risk_events=[EVENT] * events,
    )  # fmt: skip


def drawn(width: int, height: int, books: int = 17, signals: int = 20) -> list[str]:
    screen = Console(width=width, height=height, record=True, file=StringIO())
    picture = Picture("the embedded broker", 5.0, 30.0, {"records": 12_345, "books": [BOOK] * books}, 2_900.0)
    screen.print(draw(picture, watched(signals, 20), height))
    return screen.export_text().splitlines()


def test_percentiles_are_those_of_the_sample() -> None:
    assert percentiles([]) == {"p50": None, "p99": None}
    assert percentiles([7.0]) == {"p50": 7.0, "p99": 7.0}
    assert percentiles(list(range(101))) == {"p50": 50.0, "p99": 99.0}
    assert (shown_ms(None), shown_ms(12.345)) == ("-", "12.3 ms")


def test_the_headline_tells_how_far_how_fast_how_late() -> None:
    line = headline(Picture("a broker", 5.0, 30.0, {"records": 12_345}, 2_900.4), watched(3, 4))
    for word in (
        "5 of 30 s",
        "12,345 updates",
        "2,900/s",
        "3 signals",
        "4 risk events",
        "2 rejects",
        "p50 2.0",
    ):
        assert word in line


def test_a_route_names_who_is_bought_from_and_sold_to() -> None:
    assert route(SIGNAL) == "buy cedar (rollup), sell alder (base)"
    assert route({"legs": []}) == ""


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 70)])
def test_the_view_fits_the_terminal_and_shows_every_table(size: tuple[int, int]) -> None:
    lines = drawn(*size)
    assert len(lines) <= size[1]
    assert max(map(len, lines)) <= size[0]
    text = "\n".join(lines)
    for title in ("Books", "Open episodes", "Last signals", "Last risk events"):
        assert title in text
    for value in ("65,000.12", "40/39", "12 ms", "9.53", "stale"):
        assert value in text


def test_books_that_do_not_fit_are_counted() -> None:
    shown, _ = shares(24)
    assert f"{17 - shown} more are not shown" in "\n".join(drawn(100, 24))
    assert "not shown" not in "\n".join(drawn(100, 70, books=16))
    assert drawn(100, 24, books=0, signals=0)
