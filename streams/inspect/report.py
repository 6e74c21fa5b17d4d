"""What a judge saw, for machines and for people."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from streams.feeds.protocol import Level
from streams.inspect.judge import BookSeen, Judge


def as_json(judge: Judge) -> dict[str, Any]:
    """The counts; prices are decimals written as texts, None where a side is empty or not known."""
    sums = judge.checksums
    return {
        "messages": judge.messages,
        "updates": judge.updates,
        "gaps": judge.gaps,
        "repeats": judge.repeats,
        "checksums": {"right": sums.right, "wrong": sums.wrong, "absent": sums.absent},
        "crossed": judge.crossed,
        "one_sided": judge.one_sided,
        "clock_offset_ns": judge.clock_offset_ns,
        "l1_agreement": {"right": judge.agreed, "wrong": judge.disagreed},
        "longest_silence_s": judge.longest_silence_ns / 1e9,
        "books": [
            {"symbol": symbol, "state": state, "bid": bid, "ask": ask}
            for _, symbol, state, bid, ask in map(_book, _sorted(judge))
        ],
        "ok": judge.ok,
    }


def counts(judge: Judge) -> Iterator[tuple[str, str]]:
    """What was counted, a line each."""
    sums = judge.checksums
    yield "messages", f"{judge.messages:,}"
    yield "updates", f"{judge.updates:,}"
    yield "gaps", f"{judge.gaps:,}"
    yield "repeats", f"{judge.repeats:,}"
    if sums.right or sums.wrong:
        yield "checksums", f"{sums.right:,} right, {sums.wrong:,} wrong, {sums.absent:,} absent"
    else:
        yield "checksums", "none given"
    yield "crossed", f"{judge.crossed:,}"
    yield "one-sided", f"{judge.one_sided:,}"
    yield from _delays(judge)
    if judge.agreed or judge.disagreed:
        yield "depth against quotes", f"{judge.agreed:,} right, {judge.disagreed:,} wrong"
    else:
        yield "depth against quotes", "not compared: no quotes with the ids of the depth"
    longest = max(judge.silences.values(), key=lambda s: s.longest_ns, default=None)
    if longest is not None:
        where = f", before {longest.place}" if longest.place else ""
        yield "longest silence", f"{longest.longest_ns / 1e9:.3f} s{where}"


def books(judge: Judge) -> list[tuple[str, str, str, str, str]]:
    """Venue, symbol, state, bid and ask of each book."""
    rows = map(_book, _sorted(judge))
    return [(venue, symbol, state, bid or "-", ask or "-") for venue, symbol, state, bid, ask in rows]


def _delays(judge: Judge) -> Iterator[tuple[str, str]]:
    if not judge.delays:
        yield "delay", "not known: the venue gives no times"
    for venue, found in judge.delays.items():
        mean = found.total / found.count
        told = f"{found.least / 1e6:,.3f} least, {mean / 1e6:,.3f} mean, {found.most / 1e6:,.3f} most, ms"
        negative = f"; {found.negative:,} of {found.count:,} below 0" if found.negative else ""
        yield f"delay of {venue}", told + negative


def _sorted(judge: Judge) -> list[BookSeen]:
    """By venue and symbol, so that two reports can be compared line by line."""
    return [judge.books[key] for key in sorted(judge.books)]


def _book(seen: BookSeen) -> tuple[str, str, str, str | None, str | None]:
    bid, ask = (_price(level, seen.exponents[0]) for level in seen.top)
    return seen.key.venue, seen.key.symbol, seen.state.name.lower(), bid, ask


def _price(level: Level | None, exponent: int) -> str | None:
    return None if level is None else f"{Decimal(level[0]).scaleb(exponent):f}"
