"""The live terminal view: books, open episodes, signals, risk events, throughput and latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streams.demo.watch import Watch

SHOWN_BOOKS = 16
SHOWN = 6  # rows of each other table
FEWEST = 2
FRAME = 11  # lines that are no rows: the headline (up to three), title and head of each table


@dataclass
class Picture:
    """Everything that the view shows at one moment."""

    broker: str
    elapsed_s: float
    seconds: float
    stats: Mapping[str, Any] = field(default_factory=dict)
    rate: float = 0.0


def percentiles(latencies_ms: Sequence[float]) -> dict[str, float | None]:
    """p50 and p99 in ms, None without any."""
    if not latencies_ms:
        return {"p50": None, "p99": None}
    p50, p99 = np.percentile(np.array(latencies_ms), [50, 99])
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}


def shown_ms(value: float | None) -> str:
    """A latency for people."""
    return "-" if value is None else f"{value:.1f} ms"


def headline(picture: Picture, watch: Watch) -> str:
    """One line: how far, how fast, how late."""
    late = percentiles(watch.latencies_ms)
    return (
        f"{picture.elapsed_s:.0f} of {picture.seconds:.0f} s on {picture.broker}: "
        f"{picture.stats.get('records', 0):,} updates, {picture.rate:,.0f}/s, "
        f"{watch.counts['signal']} signals, {len(watch.open)} of their episodes open, "
        f"{watch.counts['risk.event']} risk events, {watch.counts['book.reject']} rejects, "
        f"latency p50 {shown_ms(late['p50'])} p99 {shown_ms(late['p99'])}"
    )


def shares(height: int) -> tuple[int, int]:
    """How many books, and how many rows of each other table, a terminal of `height` lines can show."""
    free = height - FRAME
    rows = max(FEWEST, min(SHOWN, free // 5))
    return max(FEWEST, min(SHOWN_BOOKS, free - 3 * rows)), rows


def draw(picture: Picture, watch: Watch, height: int) -> RenderableType:
    """The whole view, cut to a terminal of `height` lines."""
    books, rows = shares(height)
    return Group(
        Text(headline(picture, watch), style="bold"),
        _books(picture.stats.get("books", []), books),
        _episodes(list(watch.open.values())[-rows:]),
        _signals(watch.signals[-rows:]),
        _events(list(watch.risk_events)[-rows:]),
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", expand=True, header_style="dim", box=None)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _books(books: Sequence[Mapping[str, Any]], shown: int) -> Table:
    more = f", {len(books) - shown} more are not shown" if len(books) > shown else ""
    table = _table(f"Books{more}", "group", "venue", "symbol", "state", "bid", "ask", "levels", "age")
    for book in sorted(books, key=lambda b: (b["group"], b["venue"]))[:shown]:
        style = "" if book["state"] == "synced" else "yellow"
        age = book["age_ms"]
        table.add_row(
            book["group"],
            book["venue"],
            book["symbol"],
            book["state"],
            "-" if book["bid"] is None else f"{book['bid']:,.4f}",
            "-" if book["ask"] is None else f"{book['ask']:,.4f}",
            "/".join(map(str, book["levels"])),
            "-" if age is None else f"{age:.0f} ms",
            style=style,
        )
    return table


def route(signal: Mapping[str, Any]) -> str:
    """Who is bought from and sold to: alder, birch > cedar."""
    sides: dict[str, list[str]] = {"buy": [], "sell": []}
    for leg in signal["legs"]:
        sides[leg["side"]].append(f"{leg['venue']} ({leg['layer']})")
    return f"buy {', '.join(sides['buy'])}, sell {', '.join(sides['sell'])}" if signal["legs"] else ""


def _episodes(signals: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("Open episodes", "product", "legs", "notional", "net edge", "worth")
    for signal in signals:
        table.add_row(
            signal["product"],
            route(signal),
            f"{signal['notional_quote']:,.2f}",
            f"{signal['net_edge_bps']:.2f} bps",
            f"{signal['net_edge_quote']:,.2f} {signal['quote']}",
        )
    return table


def _signals(signals: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("Last signals", "number", "product", "action", "cause", "net edge", "id")
    for signal in reversed(signals):
        table.add_row(
            f"{signal['group']} {signal['epoch']}.{signal['sequence']}",
            signal["product"],
            signal["action"],
            signal["cause"],
            f"{signal['net_edge_bps']:.2f} bps",
            signal["signal_id"][:12],
        )
    return table


def _events(events: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("Last risk events", "reason", "group", "product", "venue", "value", "limit", "held back")
    for event in reversed(events):
        table.add_row(
            event["reason"],
            event["group"],
            event["product"],
            event["venue"],
            "-" if event["value"] is None else f"{event['value']:.4g}",
            "-" if event["limit"] is None else f"{event['limit']:.4g}",
            str(event["suppressed"]),
        )
    return table
