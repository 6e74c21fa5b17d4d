"""`interlayer demo`: everything at once, for a look."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from streams.cli.output import (
    BrokerOption,
    JsonOption,
    MarketsOption,
    PrefixOption,
    say,
    say_json,
    say_table,
    settings_of,
)
from streams.config import load_markets
from streams.demo.run import Demo, Result, run
from streams.demo.view import percentiles, shown_ms
from streams.errors import RunError
from streams.out import write_json


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM leaves as Ctrl-C does, and both work in a shell's background too: nothing stays behind."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def demo(
    ctx: typer.Context,
    seconds: Annotated[float, typer.Option(min=1, help="How long the market runs, s.")] = 30.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same market.")] = 1,
    rate: Annotated[float, typer.Option(min=1, help="Updates a second over all books.")] = 3_000.0,
    broker: BrokerOption = None,
    prefix: PrefixOption = None,
    markets: MarketsOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder for demo.json and the logs.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Start a broker, a simulated market and a worker; watch them, and see what was found.

    Ends by itself and leaves nothing running.
    """
    settings = settings_of(ctx, broker=broker, prefix=prefix, markets=markets, out=out)
    load_markets(settings.markets)  # says what is wrong before anything is started
    try:
        with ended_by_signals():
            result = run(Demo(settings, seconds, seed, rate, settings.out / "demo"), as_json)
    except KeyboardInterrupt:
        raise RunError("interrupted; all that was started has ended") from None
    path = write_json(settings.out, "demo", result.record())
    if as_json:
        say_json(result.record())
        return
    say_table(("measured", "value"), rows(result), title="What came out")
    for injection in result.score.missed:
        say(f"missed: {injection.id}, {injection.product}, {injection.edge_bps:.2f} bps")
    for found in result.score.invented:
        say(f"invented: {found['signal_id']}, {found['product']}, {found['net_edge_bps']:.2f} bps")
    say(f"written to {path}")


def rows(result: Result) -> list[tuple[str, str]]:
    """The summary's table."""
    found = result.score
    late = percentiles(result.latencies_ms)
    return [
        ("broker", result.broker),
        ("book updates", f"{result.updates:,}"),
        ("updates per second", f"{result.updates / result.seconds:,.0f}"),
        ("latency, update received to signal read, p50", shown_ms(late["p50"])),
        ("latency, p99", shown_ms(late["p99"])),
        ("episodes injected", str(found.injected)),
        ("episodes found", str(found.found)),
        ("episodes missed", str(len(found.missed))),
        ("episodes invented", str(len(found.invented))),
        ("signals", str(result.signals)),
        ("risk events", str(result.risk_events)),
        *((f"  {reason}", str(count)) for reason, count in result.reasons.items()),
        ("rejected records", str(result.rejects)),
    ]
