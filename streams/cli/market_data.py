"""`interlayer simulate` and `interlayer play`: market data onto the book topics."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from streams.broker import find_broker
from streams.cli.output import (
    BrokerOption,
    JsonOption,
    MarketsOption,
    PrefixOption,
    complain,
    console,
    is_terminal,
    iso,
    say,
    say_json,
    say_table,
    settings_of,
)
from streams.config import Settings, load_markets
from streams.errors import UserError
from streams.feeds.captures import DEFAULT_START_NS
from streams.feeds.pack import book_schema_id
from streams.feeds.registry import FEEDS
from streams.feeds.sink import Sink
from streams.play import Playback, Played, sources
from streams.play import publish as publish_playback
from streams.simulator import Market, prepare, write_truth
from streams.simulator.publish import Published, publish
from streams.wire import Wire

PLAIN_EVERY_S = 5.0  # between two lines of progress where nobody looks at a terminal
SHOWN_EVERY_S = 0.1


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, so that what was begun is delivered before we end."""
    asked = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def progress(name: str, total: float, quiet: bool) -> Iterator[Callable[[float, str], None]]:
    """A function (done, words) that shows how far we are: a bar on a terminal, else a line now and then."""
    if quiet:
        yield lambda _done, _words: None
        return
    last = time.monotonic()
    if not is_terminal():

        def line(done: float, words: str) -> None:
            nonlocal last
            if time.monotonic() - last >= PLAIN_EVERY_S:
                last = time.monotonic()
                say(f"{name}: {min(1.0, done / total):.0%}, {words}")

        yield line
        return
    columns = (TextColumn(name), BarColumn(), TextColumn("{task.percentage:.0f}% {task.fields[words]}"))
    with Progress(*columns, TimeRemainingColumn(), console=console(), transient=True) as bar:
        task = bar.add_task(name, total=total, words="")

        def show(done: float, words: str) -> None:
            nonlocal last
            if time.monotonic() - last >= SHOWN_EVERY_S:
                last = time.monotonic()
                bar.update(task, completed=done, words=words)

        yield show


def _sink(settings: Settings) -> Sink:
    limit_s = settings.broker_answer_ms / 1_000
    broker = find_broker(settings.broker, security=settings.kafka_config(), limit_s=limit_s)
    return Sink(broker, settings.prefix)


def needs_own_prefix(prefix: str, what: str) -> None:
    """Recorded times must not come among live ones."""
    if not prefix:
        raise UserError(
            f"{what} goes to topics of its own, never among live ones: give --prefix, for example rec."
        )


def simulate(
    ctx: typer.Context,
    seconds: Annotated[float, typer.Option("--seconds", help="How long the market runs, s.")] = 30.0,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same market.")] = 1,
    rate: Annotated[float, typer.Option("--rate", help="Updates a second over all books.")] = 3_000.0,
    max_speed: Annotated[
        bool, typer.Option("--max-speed", help="As fast as it goes, in its own time (flagged as recorded).")
    ] = False,
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="FILE", help="Write what is injected, as JSON lines.")
    ] = None,
    markets: MarketsOption = None,
    broker: BrokerOption = None,
    prefix: PrefixOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish a simulated market of several venues, with arbitrage episodes and decoys injected."""
    settings = settings_of(ctx, markets=markets, broker=broker, prefix=prefix)
    if max_speed:
        needs_own_prefix(settings.prefix, "a market in its own time")
    described = load_markets(settings.markets)
    probe = Market(seed, described, seconds, 0, rate=rate)  # says what is wrong before a broker is asked
    schema_id = book_schema_id(Wire(settings))
    sink = _sink(settings)
    prepare(described)
    # In its own time the market ends now: a receive time ahead of the broker's clock would be rejected.
    start = time.time_ns() - (int(seconds * 1e9) if max_speed else 0)
    market = Market(seed, described, seconds, start, rate=rate, recorded=max_speed)
    del probe
    if truth is not None:
        write_truth(truth, market.truth())
    begun = time.monotonic()
    with stopping() as stop, progress("simulate", seconds, as_json) as show:

        def told(done: Published) -> None:
            show((done.until_ns - start) / 1e9, f"{done.updates:,} updates")

        done = publish(market, sink, live=not max_speed, schema_id=schema_id, stop=stop.is_set, told=told)
    injections = [i for i in market.truth() if i.end_ns <= done.until_ns]
    if truth is not None and len(injections) < len(market.truth()):
        write_truth(truth, injections)
    _sum_up(done, sink.sent, time.monotonic() - begun, injections, as_json)


def _sum_up(done: Published, records: int, took: float, injections: list[Any], as_json: bool) -> None:
    episodes = sum(i.must_find for i in injections)
    summary = {
        "updates": done.updates,
        "records": records,
        "seconds": round(took, 3),
        "updates_per_s": round(done.updates / max(took, 1e-9)),
        "episodes": episodes,
        "decoys": len(injections) - episodes,
        "behind_s": round(done.behind_s, 3),
    }
    if as_json:
        say_json(summary)
        return
    say(
        f"{done.updates:,} updates in {took:.1f} s ({summary['updates_per_s']:,}/s), "
        f"{episodes} episodes and {len(injections) - episodes} decoys injected"
    )
    if done.behind_s > 1.0:
        complain(f"the market was up to {done.behind_s:.1f} s behind the clock; lower --rate")


def play(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Captures; gzip and zstandard too.")],
    venue: Annotated[
        list[str],
        typer.Option(
            "--venue",
            metavar="FEED|NAME=FEED",
            help="Whose rules: one for all files, or one each. NAME: as the markets file calls the venue. "
            f"Feeds: {', '.join(FEEDS)}.",
        ),
    ],
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", help="For captures that name none; one for all or one each."),
    ] = None,
    speed: Annotated[
        str, typer.Option("--speed", metavar="N|max", help="Times the recording's own pace, or max.")
    ] = "1",
    start: Annotated[
        datetime | None, typer.Option("--start", help="Receive time of captures without times, UTC.")
    ] = None,
    key_frame_s: Annotated[
        float, typer.Option("--key-frame-s", help="Seconds between two key frames.")
    ] = 5.0,
    markets: MarketsOption = None,
    broker: BrokerOption = None,
    prefix: PrefixOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish recorded captures, through the feeds' own rules, to topics of their own prefix."""
    settings = settings_of(ctx, markets=markets, broker=broker, prefix=prefix)
    needs_own_prefix(settings.prefix, "a recording")
    pace = _pace(speed)
    if not 0.1 <= key_frame_s <= 86_400:
        raise UserError(f"--key-frame-s {key_frame_s:g}: give 0.1 to 86,400")
    described = load_markets(settings.markets)
    start_ns = int(start.replace(tzinfo=UTC).timestamp()) * 10**9 if start else DEFAULT_START_NS
    playback = Playback(
        sources(files, venue, symbol or [], described),
        described,
        start_ns=start_ns,
        key_frame_ns=int(key_frame_s * 1e9),
    )
    schema_id = book_schema_id(Wire(settings))
    sink = _sink(settings)
    begun = time.monotonic()
    with stopping() as stop, progress("play", 1.0, as_json) as show:

        def told(done: Played) -> None:
            show(playback.done, f"{done.updates:,} updates, {iso(done.last_ns)}")

        done = publish_playback(
            playback, described, sink, speed=pace, schema_id=schema_id, stop=stop.is_set, told=told
        )
    _tell_played(playback, done, sink.sent, time.monotonic() - begun, as_json)


def _pace(speed: str) -> float | None:
    if speed == "max":
        return None
    try:
        pace = float(speed)
    except ValueError:
        pace = 0.0
    if not 0 < pace < 1e9:
        raise UserError(f"--speed {speed}: give a number above 0, or max")
    return pace


def _tell_played(playback: Playback, done: Played, records: int, took: float, as_json: bool) -> None:
    summary = {
        "messages": playback.messages,
        "updates": done.updates,
        "records": records,
        "seconds": round(took, 3),
        "updates_per_s": round(done.updates / max(took, 1e-9)),
        "from_ns": done.first_ns,
        "to_ns": done.last_ns,
        "stopped": done.stopped,
        "books": playback.books(),
    }
    if as_json:
        say_json(summary)
        return
    say(
        f"{playback.messages:,} messages, {done.updates:,} updates in {took:.1f} s "
        f"({summary['updates_per_s']:,}/s), {iso(done.first_ns)} to {iso(done.last_ns)}"
    )
    columns = ("venue", "symbol", "state", "quotes", "snapshots", "deltas", "ignored", "gaps", "unfit")
    say_table(columns, [[book[c] for c in columns] for book in playback.books()])
    lost = [f"{b['venue']} {b['symbol']}" for b in playback.books() if b["state"] != "synced"]
    if lost:
        complain(f"not synced at the end, for want of a snapshot that fits: {', '.join(lost)}")
